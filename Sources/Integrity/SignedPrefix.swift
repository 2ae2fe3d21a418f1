/// What is signed before the bytes of a chunk: its specification and the time of signing.
struct SignedPrefix {
  private var words: [3 of UInt64]
  private let length: Int

  /// `wide` is for 64-bit chunk ranges; without, the number has at most 32 bits.
  init(chunk: UInt64, timestamp: UInt64, wide: Bool) {
    if wide {
      words = [chunk.bigEndian, chunk.bigEndian, timestamp.bigEndian]
      length = 24
    } else {
      words = [(chunk << 32 | chunk).bigEndian, timestamp.bigEndian, 0]
      length = 16
    }
  }

  /// As on the wire.
  var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get { unsafe words.span.bytes.extracting(first: length) }
  }
}
