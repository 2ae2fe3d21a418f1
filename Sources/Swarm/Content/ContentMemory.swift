/// The bytes of content that does not change, as its driver lends them: a mapped file, or plain memory.
///
/// Chunk `n` lies at `n` times the chunk size. What is lent stays where it is until the last peer lets go of it.
@safe public final class ContentMemory {
  private let base: UnsafeMutableRawPointer
  public let byteCount: Int
  private let release: () -> Void

  /// Takes over memory; `release` is called when nobody needs it any more.
  ///
  /// - Precondition: whoever only seeds never writes, so that the memory may be mapped for reading.
  public init(_ memory: UnsafeMutableRawBufferPointer, release: @escaping () -> Void) {
    guard let base = memory.baseAddress else { preconditionFailure("content has at least one byte") }
    unsafe self.base = base
    byteCount = memory.count
    self.release = release
  }

  /// Plain memory of zeros.
  public convenience init(byteCount: Int) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe self.init(memory) { unsafe memory.deallocate() }
  }

  deinit { release() }

  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      let span = unsafe RawSpan(_unsafeStart: base, byteCount: byteCount)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Copies bytes in, which must find room.
  public func write(_ source: RawSpan, at offset: Int) {
    precondition(offset >= 0 && source.byteCount <= byteCount - offset, "outside the content")
    unsafe source.withUnsafeBytes { source in
      guard let start = source.baseAddress else { return }
      unsafe (self.base + offset).copyMemory(from: start, byteCount: source.count)
    }
  }
}
