internal import Wire

/// What is signed before the bytes of a chunk or the hash of a munro: the specification and the time of signing.
struct SignedPrefix {
  private let words: [3 of UInt64]
  private let length: Int

  init(_ specification: ChunkSpecification, timestamp: UInt64) {
    let high = UInt64(truncatingIfNeeded: specification.bits >> 64)
    let low = UInt64(truncatingIfNeeded: specification.bits)
    length = specification.size + 8
    words =
      switch specification.size {
      case 4: [(high | timestamp >> 32).bigEndian, (timestamp << 32).bigEndian, 0]
      case 8: [high.bigEndian, timestamp.bigEndian, 0]
      default: [high.bigEndian, low.bigEndian, timestamp.bigEndian]
      }
  }

  /// As on the wire.
  var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get { unsafe words.span.bytes.extracting(first: length) }
  }
}
