internal import Wire

/// What is signed before the bytes of a chunk, or before the hash of a subtree: its specification and the time of signing.
struct SignedPrefix {
  private var words: [3 of UInt64]
  private let length: Int

  /// `wide` is for 64-bit chunk ranges; without, the number has at most 32 bits.
  init(chunks: ChunkRange, timestamp: UInt64, wide: Bool) {
    if wide {
      words = [chunks.lowerBound.bigEndian, chunks.upperBound.bigEndian, timestamp.bigEndian]
      length = 24
    } else {
      words = [(chunks.lowerBound << 32 | chunks.upperBound).bigEndian, timestamp.bigEndian, 0]
      length = 16
    }
  }

  /// As on the wire.
  var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get { unsafe words.span.bytes.extracting(first: length) }
  }
}
