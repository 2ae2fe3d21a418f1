/// A set of message types: the bitmap of the Supported Messages option (RFC 7574, section 7.10).
public struct MessageSet: Hashable, Sendable {
  /// Types 0-127 and 128-255, the lowest type in the most significant bit.
  private var low: UInt128 = 0
  private var high: UInt128 = 0

  public init() {}

  public init(_ types: some Sequence<UInt8>) {
    for type in types { insert(type) }
  }

  /// Every message of RFC 7574: what a peer supports that does not say.
  public static let rfc7574 = MessageSet(MessageType.handshake...MessageType.pexCertificate)

  /// The longest bitmap, in bytes.
  public static let maximumBitmapSize = 32

  public var isEmpty: Bool { low == 0 && high == 0 }

  public func contains(_ type: UInt8) -> Bool {
    (type < 128 ? low : high) & Self.bit(type) != 0
  }

  public mutating func insert(_ type: UInt8) {
    if type < 128 { low |= Self.bit(type) } else { high |= Self.bit(type) }
  }

  public mutating func remove(_ type: UInt8) {
    if type < 128 { low &= ~Self.bit(type) } else { high &= ~Self.bit(type) }
  }

  private static func bit(_ type: UInt8) -> UInt128 { 1 << (127 - UInt128(type & 127)) }

  /// Reads a bitmap; bytes that are left off are zero.
  init(bitmap: RawSpan) {
    for index in 0..<min(bitmap.byteCount, Self.maximumBitmapSize) {
      let byte = UInt128(unsafe bitmap.unsafeLoad(fromByteOffset: index, as: UInt8.self))
      let shift = UInt128(120 - 8 * (index & 15))
      if index < 16 { low |= byte << shift } else { high |= byte << shift }
    }
  }

  /// How many bytes the bitmap has without its trailing zeros.
  var bitmapSize: Int {
    if high != 0 { return 32 - high.trailingZeroBitCount / 8 }
    return low == 0 ? 0 : 16 - low.trailingZeroBitCount / 8
  }

  func appendBitmap(to out: inout [UInt8]) {
    for index in 0..<bitmapSize {
      let shift = UInt128(120 - 8 * (index & 15))
      out.append(UInt8(truncatingIfNeeded: (index < 16 ? low : high) >> shift))
    }
  }
}
