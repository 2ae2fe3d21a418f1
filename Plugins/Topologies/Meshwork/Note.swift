package import PluginKit

/// A peer that is told of, with what it can carry.
package struct Acquaintance: Hashable, Sendable {
  package var contact: Contact
  /// Its upload in tenths of the stream's rate.
  package var tenths: UInt8

  package init(contact: Contact, tenths: UInt8) {
    self.contact = contact
    self.tenths = tenths
  }
}

/// What peers of a mesh tell each other.
///
/// Every field may be a lie; reading one yields a value within the bounds named here, or nothing.
package enum Note: Hashable, Sendable {
  /// The most peers in a shuffle: they fit into a message.
  package static let shuffleLimit = 12
  /// The most hops of a forwarded join.
  package static let hopLimit: UInt8 = 6

  /// Chunks that the sender has and can spare the upload for, bits from chunk `64 * word` on; after those, as many words
  /// of what the sender has or is getting.
  case offer(word: UInt64, bits: [UInt64])
  /// All that the sender has, as far as `bits` reaches.
  case holding(word: UInt64, bits: [UInt64])
  /// Somebody has joined and looks for neighbours.
  case forwardJoin(Acquaintance, hops: UInt8)
  /// Peers that the sender knows, in exchange for others.
  case shuffle([Acquaintance])
  case shuffled([Acquaintance])
  /// Something of one topology alone: at most eight bytes' worth.
  case own(UInt8, UInt64)

  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    switch self {
    case .offer(let word, let bits): Self.append(1, word, bits, to: &bytes)
    case .holding(let word, let bits): Self.append(2, word, bits, to: &bytes)
    case .forwardJoin(let peer, let hops):
      bytes = [3, hops]
      Self.append([peer], to: &bytes)
    case .shuffle(let peers):
      bytes = [4, UInt8(clamping: peers.count)]
      Self.append(peers, to: &bytes)
    case .shuffled(let peers):
      bytes = [5, UInt8(clamping: peers.count)]
      Self.append(peers, to: &bytes)
    case .own(let kind, let value):
      bytes = [6, kind]
      Self.append(value, to: &bytes)
    }
    return bytes
  }

  package init?(_ bytes: [UInt8]) {
    guard bytes.count >= 2, bytes.count <= TopologyContext.messageLimit else { return nil }
    var offset = 2
    switch bytes[0] {
    case 1, 2:
      let count = Int(bytes[1])
      guard count > 0, count <= Int(ChunkSet.wordLimit), bytes.count == 10 + count * 8,
        let word = Self.number(bytes, at: &offset), word <= UInt64.max >> 7
      else { return nil }
      var bits: [UInt64] = []
      for _ in 0..<count { bits.append(Self.number(bytes, at: &offset) ?? 0) }
      self = bytes[0] == 1 ? .offer(word: word, bits: bits) : .holding(word: word, bits: bits)
    case 3:
      guard bytes[1] <= Self.hopLimit, let peers = Self.peers(bytes, 1, at: &offset) else { return nil }
      self = .forwardJoin(peers[0], hops: bytes[1])
    case 4, 5:
      guard Int(bytes[1]) <= Self.shuffleLimit, let peers = Self.peers(bytes, Int(bytes[1]), at: &offset)
      else { return nil }
      self = bytes[0] == 4 ? .shuffle(peers) : .shuffled(peers)
    case 6:
      guard bytes.count == 10, let value = Self.number(bytes, at: &offset) else { return nil }
      self = .own(bytes[1], value)
    default: return nil
    }
  }

  private static func append(_ kind: UInt8, _ word: UInt64, _ bits: [UInt64], to bytes: inout [UInt8]) {
    bytes.append(kind)
    bytes.append(UInt8(clamping: bits.count))
    append(word, to: &bytes)
    for value in bits { append(value, to: &bytes) }
  }

  private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
    for shift in stride(from: UInt64(56), through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  private static func append(_ peers: [Acquaintance], to bytes: inout [UInt8]) {
    for peer in peers {
      bytes.append(peer.tenths)
      peer.contact.encode(into: &bytes)
    }
  }

  private static func number(_ bytes: [UInt8], at offset: inout Int) -> UInt64? {
    guard bytes.count - offset >= 8 else { return nil }
    var value: UInt64 = 0
    for place in offset..<offset + 8 { value = value << 8 | UInt64(bytes[place]) }
    offset += 8
    return value
  }

  private static func peers(_ bytes: [UInt8], _ count: Int, at offset: inout Int) -> [Acquaintance]? {
    var peers: [Acquaintance] = []
    for _ in 0..<count {
      guard offset < bytes.count else { return nil }
      let tenths = bytes[offset]
      offset += 1
      guard let contact = Contact.decode(bytes, at: &offset) else { return nil }
      peers.append(Acquaintance(contact: contact, tenths: tenths))
    }
    return offset == bytes.count ? peers : nil
  }
}
