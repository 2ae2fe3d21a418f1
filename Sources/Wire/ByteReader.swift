/// Reads big-endian fields from borrowed bytes.
///
/// The reader cannot outlive the bytes it was made from. A read that fails leaves the reader where it was.
public struct ByteReader: ~Escapable {
  @usableFromInline let bytes: RawSpan
  @usableFromInline var position: Int

  @inlinable @inline(__always)
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) {
    self.init(bytes, at: 0)
  }

  @inlinable @inline(__always)
  @_lifetime(copy bytes)
  public init(_ bytes: Span<UInt8>) {
    self.init(unsafe bytes.bytes, at: 0)
  }

  @inlinable @inline(__always)
  @_lifetime(copy bytes)
  init(_ bytes: RawSpan, at position: Int) {
    self.bytes = bytes
    self.position = position
  }

  /// How many bytes have been read.
  @inlinable @inline(__always)
  public var offset: Int { position }

  @inlinable @inline(__always)
  public var remaining: Int { bytes.byteCount &- position }

  @inlinable @inline(__always)
  public mutating func read<Integer: FixedWidthInteger & BitwiseCopyable>(
    _: Integer.Type = Integer.self
  ) throws(DecodeError) -> Integer {
    let size = MemoryLayout<Integer>.size
    guard remaining >= size else {
      throw .truncated(offset: position, needed: size, available: remaining)
    }
    let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: Integer.self)
    position &+= size
    return Integer(bigEndian: value)
  }

  /// Reads `count` bytes in place.
  ///
  /// - Precondition: `count` is not negative.
  @inlinable @inline(__always)
  @_lifetime(copy self)
  public mutating func read(count: Int) throws(DecodeError) -> RawSpan {
    guard remaining >= count else {
      throw .truncated(offset: position, needed: count, available: remaining)
    }
    let start = position
    position &+= count
    return bytes.extracting(start..<(start &+ count))
  }
}
