/// Where a peer can be reached, as opaque tagged bytes that only the transport understands.
///
/// At most ``capacity`` bytes. Two addresses are equal when tag and bytes are.
@frozen public struct Address: Hashable, Sendable, BitwiseCopyable {
  /// The greatest number of bytes after the tag.
  public static let capacity = 30

  /// An IPv4 address and a UDP or TCP port, 4 + 2 bytes in network order.
  public static let ipv4: UInt8 = 4
  /// An IPv6 address and a port, 16 + 2 bytes in network order.
  public static let ipv6: UInt8 = 6

  @usableFromInline let words: InlineWords

  /// An address whose tag, count and bytes stand in `words`, the rest being zeros.
  init(words: InlineWords) { self.words = words }

  /// An address of `bytes`, or `nil` when there are more than ``capacity``.
  public init?(tag: UInt8, bytes: [UInt8]) {
    guard bytes.count <= Self.capacity else { return nil }
    var words = InlineWords()
    words.setByte(0, tag)
    words.setByte(1, UInt8(bytes.count))
    for (index, byte) in bytes.enumerated() { words.setByte(index + 2, byte) }
    self.words = words
  }

  /// An IPv4 address; `host` and `port` in host order.
  @inlinable
  public init(ipv4 host: UInt32, port: UInt16) {
    words = InlineWords(
      0x0406_0000_0000_0000 | UInt64(host) << 16 | UInt64(port),
      0,
      0,
      0
    )
  }

  /// An IPv6 address; the halves of the host and the port in host order.
  @inlinable
  public init(ipv6 high: UInt64, _ low: UInt64, port: UInt16) {
    words = InlineWords(
      0x0612_0000_0000_0000 | high >> 16,
      high << 48 | low >> 16,
      low << 48 | UInt64(port) << 32,
      0
    )
  }

  /// What kind of bytes these are: ``ipv4``, ``ipv6`` or a transport's own.
  @inlinable public var tag: UInt8 { words.byte(0) }

  /// How many bytes follow the tag.
  @inlinable public var count: Int { Int(words.byte(1)) }

  /// The byte at `index`, which must be below ``count``.
  @inlinable
  public subscript(index: Int) -> UInt8 {
    precondition(index >= 0 && index < count, "an address has \(count) bytes")
    return words.byte(index + 2)
  }

  /// The bytes after the tag.
  public var bytes: [UInt8] { (0..<count).map { words.byte($0 + 2) } }

  /// The port of an IP address.
  public var port: UInt16? {
    switch (tag, count) {
    case (Self.ipv4, 6), (Self.ipv6, 18): UInt16(self[count - 2]) << 8 | UInt16(self[count - 1])
    default: nil
    }
  }
}

/// Thirty-two bytes, kept as four words with the first byte at the top of the first word.
@frozen public struct InlineWords: Hashable, Sendable, BitwiseCopyable {
  public var first: UInt64
  public var second: UInt64
  public var third: UInt64
  public var fourth: UInt64

  @inlinable
  public init(_ first: UInt64 = 0, _ second: UInt64 = 0, _ third: UInt64 = 0, _ fourth: UInt64 = 0) {
    self.first = first
    self.second = second
    self.third = third
    self.fourth = fourth
  }

  /// At most 32 bytes of `bytes` that begin at `offset`, and zeros behind them.
  init(_ bytes: [UInt8], at offset: Int, count: Int) {
    func word(_ first: Int) -> UInt64 {
      var word: UInt64 = 0
      for index in first..<first + 8 {
        word = word << 8 | (index < count ? UInt64(bytes[offset + index]) : 0)
      }
      return word
    }
    self.init(word(0), word(8), word(16), word(24))
  }

  @inlinable
  func word(_ index: Int) -> UInt64 {
    switch index {
    case 0: first
    case 1: second
    case 2: third
    default: fourth
    }
  }

  @inlinable
  func byte(_ index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: word(index >> 3) >> UInt64(56 - 8 * (index & 7)))
  }

  mutating func setByte(_ index: Int, _ value: UInt8) {
    let shift = UInt64(56 - 8 * (index & 7))
    let word = word(index >> 3) & ~(0xff << shift) | UInt64(value) << shift
    switch index >> 3 {
    case 0: first = word
    case 1: second = word
    case 2: third = word
    default: fourth = word
    }
  }
}

extension Address: CustomStringConvertible {
  /// `192.0.2.7:7574`, `[2001:db8::7]:7574`, or the tag and the bytes in hexadecimal.
  public var description: String {
    switch (tag, count) {
    case (Self.ipv4, 6):
      return "\(self[0]).\(self[1]).\(self[2]).\(self[3]):\(port ?? 0)"
    case (Self.ipv6, 18):
      let groups = (0..<8).map { UInt16(self[2 * $0]) << 8 | UInt16(self[2 * $0 + 1]) }
      return "[\(Self.compressed(groups))]:\(port ?? 0)"
    default:
      return "\(tag):" + bytes.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
    }
  }

  /// The groups of an IPv6 address with the longest run of zeros left out, as in RFC 5952.
  private static func compressed(_ groups: [UInt16]) -> String {
    var longest = 0..<0
    var start = 0
    while start < groups.count {
      guard groups[start] == 0 else {
        start += 1
        continue
      }
      let end = groups[start...].firstIndex { $0 != 0 } ?? groups.count
      if end - start > max(longest.count, 1) { longest = start..<end }
      start = end
    }
    func text(_ part: ArraySlice<UInt16>) -> String {
      part.map { String($0, radix: 16) }.joined(separator: ":")
    }
    guard !longest.isEmpty else { return text(groups[...]) }
    return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
  }
}
