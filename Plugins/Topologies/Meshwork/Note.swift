internal import Coding
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
    var writer = Writer()
    switch self {
    case .offer(let word, let bits): writer.write(1, word, bits)
    case .holding(let word, let bits): writer.write(2, word, bits)
    case .forwardJoin(let peer, let hops):
      writer.write(3 as UInt8)
      writer.write(hops)
      writer.write(peer)
    case .shuffle(let peers):
      writer.write(4 as UInt8)
      writer.write(peers, limit: Self.shuffleLimit) { $0.write($1) }
    case .shuffled(let peers):
      writer.write(5 as UInt8)
      writer.write(peers, limit: Self.shuffleLimit) { $0.write($1) }
    case .own(let kind, let value):
      writer.write(6 as UInt8)
      writer.write(kind)
      writer.write(value)
    }
    return writer.bytes
  }

  package init?(_ bytes: [UInt8]) {
    guard bytes.count <= TopologyContext.messageLimit else { return nil }
    var reader = Reader(bytes)
    switch reader.read(UInt8.self) {
    case 1:
      guard let (word, bits) = reader.bits() else { return nil }
      self = .offer(word: word, bits: bits)
    case 2:
      guard let (word, bits) = reader.bits() else { return nil }
      self = .holding(word: word, bits: bits)
    case 3:
      guard let hops = reader.read(UInt8.self), hops <= Self.hopLimit, let peer = reader.acquaintance()
      else { return nil }
      self = .forwardJoin(peer, hops: hops)
    case 4:
      guard let peers = reader.list(limit: Self.shuffleLimit, { $0.acquaintance() }) else { return nil }
      self = .shuffle(peers)
    case 5:
      guard let peers = reader.list(limit: Self.shuffleLimit, { $0.acquaintance() }) else { return nil }
      self = .shuffled(peers)
    case 6:
      guard let kind = reader.read(UInt8.self), let value = reader.read(UInt64.self) else { return nil }
      self = .own(kind, value)
    default: return nil
    }
    guard reader.isAtEnd else { return nil }
  }
}

extension Writer {
  fileprivate mutating func write(_ kind: UInt8, _ word: UInt64, _ bits: [UInt64]) {
    write(kind)
    write(UInt8(clamping: bits.count))
    write(word)
    for value in bits { write(value) }
  }

  fileprivate mutating func write(_ peer: Acquaintance) {
    write(peer.tenths)
    write(peer.contact)
  }
}

extension Reader {
  fileprivate mutating func bits() -> (word: UInt64, bits: [UInt64])? {
    guard let count = read(UInt8.self), count > 0, count <= ChunkSet.wordLimit, let word = read(UInt64.self),
      word <= UInt64.max >> 7, let bits = list(count: Int(count), { $0.read(UInt64.self) })
    else { return nil }
    return (word, bits)
  }

  fileprivate mutating func acquaintance() -> Acquaintance? {
    guard let tenths = read(UInt8.self), let contact = contact() else { return nil }
    return Acquaintance(contact: contact, tenths: tenths)
  }
}
