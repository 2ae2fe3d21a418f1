import PluginKit

/// What peers of one ring tell each other.
///
/// Every field of a message may be a lie; reading one yields a value within the bounds named here, or nothing.
enum Message: Hashable, Sendable {
  /// The most peers in one message: as many as fit with the longest addresses.
  static let listLimit = 14
  /// A lookup that takes more steps than this goes in circles.
  static let hopLimit: UInt8 = 48

  /// Who follows this place on the ring? It is passed on to the closest peer before the place, and the answer comes back by
  /// the same way.
  case find(target: UInt64, token: UInt32, hops: UInt8)
  /// The peers around the place that was looked up.
  case found(token: UInt32, [Named])
  /// The sender takes the receiver for a neighbour, and these for the other ones: Chord's *stabilise* and *notify*.
  case stabilise([Named])
  /// The answer to it.
  case neighbours([Named])
  /// The sender leaves; its neighbours are to close the gap.
  case leaving([Named])
  /// How much the sender wants to be drawn, in sixteenths.
  case burden(UInt8)

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    switch self {
    case .find(let target, let token, let hops):
      bytes.append(1)
      Self.append(target, to: &bytes)
      Self.append(token, to: &bytes)
      bytes.append(hops)
    case .found(let token, let list):
      bytes.append(2)
      Self.append(token, to: &bytes)
      Self.append(list, to: &bytes)
    case .stabilise(let list):
      bytes.append(3)
      Self.append(list, to: &bytes)
    case .neighbours(let list):
      bytes.append(4)
      Self.append(list, to: &bytes)
    case .leaving(let list):
      bytes.append(5)
      Self.append(list, to: &bytes)
    case .burden(let willingness): bytes += [6, willingness]
    }
    return bytes
  }

  init?(_ bytes: [UInt8]) {
    guard let kind = bytes.first else { return nil }
    var offset = 1
    switch kind {
    case 1:
      guard let target = Self.read(UInt64.self, bytes, &offset),
        let token = Self.read(UInt32.self, bytes, &offset), let hops = Self.read(UInt8.self, bytes, &offset)
      else { return nil }
      self = .find(target: target, token: token, hops: hops)
    case 2:
      guard let token = Self.read(UInt32.self, bytes, &offset), let list = Self.list(bytes, &offset)
      else { return nil }
      self = .found(token: token, list)
    case 3:
      guard let list = Self.list(bytes, &offset) else { return nil }
      self = .stabilise(list)
    case 4:
      guard let list = Self.list(bytes, &offset) else { return nil }
      self = .neighbours(list)
    case 5:
      guard let list = Self.list(bytes, &offset) else { return nil }
      self = .leaving(list)
    case 6:
      guard let willingness = Self.read(UInt8.self, bytes, &offset) else { return nil }
      self = .burden(willingness)
    default: return nil
    }
    guard offset == bytes.count else { return nil }
  }

  private static func append<Integer: FixedWidthInteger & UnsignedInteger>(
    _ value: Integer,
    to bytes: inout [UInt8]
  ) {
    for shift in stride(from: Integer.bitWidth - 8, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> Integer(shift)))
    }
  }

  private static func append(_ list: [Named], to bytes: inout [UInt8]) {
    let part = list.prefix(listLimit)
    bytes.append(UInt8(part.count))
    for named in part {
      append(named.upload, to: &bytes)
      named.contact.encode(into: &bytes)
    }
  }

  private static func read<Integer: FixedWidthInteger & UnsignedInteger>(
    _: Integer.Type,
    _ bytes: [UInt8],
    _ offset: inout Int
  ) -> Integer? {
    let size = Integer.bitWidth / 8
    guard bytes.count - offset >= size else { return nil }
    var value: Integer = 0
    for _ in 0..<size {
      value = value << 8 | Integer(bytes[offset])
      offset += 1
    }
    return value
  }

  private static func list(_ bytes: [UInt8], _ offset: inout Int) -> [Named]? {
    guard let count = read(UInt8.self, bytes, &offset), count <= listLimit else { return nil }
    var list: [Named] = []
    for _ in 0..<count {
      guard let upload = read(UInt32.self, bytes, &offset), let contact = Contact.decode(bytes, at: &offset)
      else { return nil }
      list.append(Named(contact, upload: UInt64(upload) * 1000))
    }
    return list
  }
}
