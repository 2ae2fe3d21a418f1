internal import PluginKit

/// How a captured frame begins, by libpcap's number of its link type.
public enum LinkLayer: Int32, Hashable, Sendable, CaseIterable {
  /// The address family in the order of the machine that captured it.
  case null = 0
  case ethernet = 1
  case raw = 12
  case openBSDRaw = 14
  case rawFile = 101
  /// As `null`, but big-endian.
  case loop = 108
  case linuxCooked = 113
  case ipv4 = 228
  case ipv6 = 229
  case linuxCooked2 = 276
}

/// What is not looked at.
package enum Skipped: String, Hashable, Sendable, CaseIterable {
  case otherProtocol = "not IP"
  case otherTransport = "not UDP"
  case otherPort = "another port"
  case damaged = "damaged"
}

/// A UDP datagram inside a captured frame, by its place.
struct Frame {
  enum Content {
    /// A datagram: what was captured of it, and how many bytes it has.
    case datagram(Range<Int>, length: Int)
    /// A piece of an IP packet, but not its first.
    case fragment(length: Int)
  }

  var source: Address
  var destination: Address
  /// Whether more pieces of the IP packet follow.
  var isFirstFragment: Bool
  var content: Content

  /// The most headers of VLANs or of IPv6 extensions that are looked through.
  private static let headerLimit = 8

  /// Finds the datagram in a frame.
  static func read(_ bytes: Span<UInt8>, _ layer: LinkLayer) throws(SkipReason) -> Frame {
    var start = 0
    var type: Int?
    switch layer {
    case .null, .loop: start = 4
    case .raw, .openBSDRaw, .rawFile, .ipv4, .ipv6: break
    case .ethernet:
      type = try word(bytes, 12)
      start = 14
    case .linuxCooked:
      type = try word(bytes, 14)
      start = 16
    case .linuxCooked2:
      type = try word(bytes, 0)
      start = 20
    }
    var tags = 0
    while let tag = type, tag == 0x8100 || tag == 0x88A8 || tag == 0x9100, tags < headerLimit {
      type = try word(bytes, start + 2)
      start += 4
      tags += 1
    }
    guard type == nil || type == 0x0800 || type == 0x86DD else { throw SkipReason(.otherProtocol) }
    switch try byte(bytes, start) >> 4 {
    case 4: return try ipv4(bytes, start)
    case 6: return try ipv6(bytes, start)
    default: throw SkipReason(.otherProtocol)
    }
  }

  /// Whether pasted bytes are such a frame with exactly one whole datagram, or with the addresses that the text says.
  ///
  /// No datagram of ours is likely to look like one: its lengths would have to be those of IP and UDP.
  static func fits(_ piece: HexText.Piece, _ layer: LinkLayer) -> Bool {
    guard let frame = try? read(piece.bytes.span, layer),
      case .datagram(let payload, let length) = frame.content
    else { return false }
    if frame.source == piece.source, frame.destination == piece.destination { return true }
    // Ethernet fills short frames up.
    return payload.count == length && (payload.upperBound == piece.bytes.count || piece.bytes.count == 60)
  }

  /// RFC 791.
  private static func ipv4(_ bytes: Span<UInt8>, _ start: Int) throws(SkipReason) -> Frame {
    let header = Int(try byte(bytes, start) & 15) * 4
    let total = try word(bytes, start + 2)
    let pieces = try word(bytes, start + 6)
    guard header >= 20 else { throw SkipReason(.damaged) }
    guard try byte(bytes, start + 9) == 17 else { throw SkipReason(.otherTransport) }
    let source = UInt32(try word(bytes, start + 12)) << 16 | UInt32(try word(bytes, start + 14))
    let destination = UInt32(try word(bytes, start + 16)) << 16 | UInt32(try word(bytes, start + 18))
    // A total of 0 is what segmentation offload leaves.
    let end = total == 0 ? bytes.count : start + total
    let body = start + header
    guard pieces & 0x1FFF == 0 else {
      return Frame(
        source: Address(ipv4: source, port: 0),
        destination: Address(ipv4: destination, port: 0),
        isFirstFragment: false,
        content: .fragment(length: max(end - body, 0))
      )
    }
    let udp = try udp(bytes, body, end: end, isFirst: pieces & 0x2000 != 0)
    return Frame(
      source: Address(ipv4: source, port: udp.source),
      destination: Address(ipv4: destination, port: udp.destination),
      isFirstFragment: pieces & 0x2000 != 0,
      content: .datagram(udp.payload, length: udp.length)
    )
  }

  /// RFC 8200.
  private static func ipv6(_ bytes: Span<UInt8>, _ start: Int) throws(SkipReason) -> Frame {
    let length = try word(bytes, start + 4)
    var next = try byte(bytes, start + 6)
    let source = try halves(bytes, start + 8)
    let destination = try halves(bytes, start + 24)
    var body = start + 40
    let end = length == 0 ? bytes.count : body + length
    var isFirst = false
    var headers = 0
    while next != 17 {
      headers += 1
      guard headers <= headerLimit else { throw SkipReason(.damaged) }
      switch next {
      // Options, routing.
      case 0, 43, 60:
        next = try byte(bytes, body)
        body += 8 + 8 * Int(try byte(bytes, body + 1))
      case 44:
        next = try byte(bytes, body)
        let pieces = try word(bytes, body + 2)
        body += 8
        guard pieces & 0xFFF8 == 0 else {
          guard next == 17 else { throw SkipReason(.otherTransport) }
          return Frame(
            source: Address(ipv6: source.high, source.low, port: 0),
            destination: Address(ipv6: destination.high, destination.low, port: 0),
            isFirstFragment: false,
            content: .fragment(length: max(end - body, 0))
          )
        }
        isFirst = pieces & 1 != 0
      default: throw SkipReason(.otherTransport)
      }
    }
    let udp = try udp(bytes, body, end: end, isFirst: isFirst)
    return Frame(
      source: Address(ipv6: source.high, source.low, port: udp.source),
      destination: Address(ipv6: destination.high, destination.low, port: udp.destination),
      isFirstFragment: isFirst,
      content: .datagram(udp.payload, length: udp.length)
    )
  }

  /// RFC 768; `end` is where the IP packet ends, which may be behind what was captured.
  private static func udp(
    _ bytes: Span<UInt8>,
    _ start: Int,
    end: Int,
    isFirst: Bool
  ) throws(SkipReason) -> (source: UInt16, destination: UInt16, payload: Range<Int>, length: Int) {
    let source = try word(bytes, start)
    let destination = try word(bytes, start + 2)
    var length = try word(bytes, start + 4)
    // Of a jumbogram the length is in another place.
    if length == 0 { length = end - start }
    guard length >= 8, isFirst || start + length <= end, bytes.count >= start + 8 else {
      throw SkipReason(.damaged)
    }
    let payload = start + 8
    let captured = min(payload + length - 8, min(end, bytes.count))
    guard captured >= payload else { throw SkipReason(.damaged) }
    return (UInt16(source), UInt16(destination), payload..<captured, length - 8)
  }

  private static func byte(_ bytes: Span<UInt8>, _ index: Int) throws(SkipReason) -> UInt8 {
    guard index < bytes.count else { throw SkipReason(.damaged) }
    return bytes[index]
  }

  private static func word(_ bytes: Span<UInt8>, _ index: Int) throws(SkipReason) -> Int {
    Int(try byte(bytes, index)) << 8 | Int(try byte(bytes, index + 1))
  }

  private static func halves(
    _ bytes: Span<UInt8>,
    _ index: Int
  ) throws(SkipReason) -> (high: UInt64, low: UInt64) {
    var words: (high: UInt64, low: UInt64) = (0, 0)
    for offset in 0..<8 {
      words.high = words.high << 8 | UInt64(try byte(bytes, index + offset))
      words.low = words.low << 8 | UInt64(try byte(bytes, index + 8 + offset))
    }
    return words
  }
}

/// That a frame is not looked at, and why.
struct SkipReason: Error {
  var reason: Skipped

  init(_ reason: Skipped) { self.reason = reason }
}
