internal import Coding
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
    var writer = Writer()
    switch self {
    case .find(let target, let token, let hops):
      writer.write(1 as UInt8)
      writer.write(target)
      writer.write(token)
      writer.write(hops)
    case .found(let token, let list):
      writer.write(2 as UInt8)
      writer.write(token)
      writer.write(list)
    case .stabilise(let list):
      writer.write(3 as UInt8)
      writer.write(list)
    case .neighbours(let list):
      writer.write(4 as UInt8)
      writer.write(list)
    case .leaving(let list):
      writer.write(5 as UInt8)
      writer.write(list)
    case .burden(let willingness):
      writer.write(6 as UInt8)
      writer.write(willingness)
    }
    return writer.bytes
  }

  init?(_ bytes: [UInt8]) {
    var reader = Reader(bytes)
    switch reader.read(UInt8.self) {
    case 1:
      guard let target = reader.read(UInt64.self), let token = reader.read(UInt32.self),
        let hops = reader.read(UInt8.self)
      else { return nil }
      self = .find(target: target, token: token, hops: hops)
    case 2:
      guard let token = reader.read(UInt32.self), let list = reader.named() else { return nil }
      self = .found(token: token, list)
    case 3:
      guard let list = reader.named() else { return nil }
      self = .stabilise(list)
    case 4:
      guard let list = reader.named() else { return nil }
      self = .neighbours(list)
    case 5:
      guard let list = reader.named() else { return nil }
      self = .leaving(list)
    case 6:
      guard let willingness = reader.read(UInt8.self) else { return nil }
      self = .burden(willingness)
    default: return nil
    }
    guard reader.isAtEnd else { return nil }
  }
}

extension Writer {
  fileprivate mutating func write(_ list: [Named]) {
    write(list, limit: Message.listLimit) { writer, named in
      writer.write(named.upload)
      writer.write(named.contact)
    }
  }
}

extension Reader {
  fileprivate mutating func named() -> [Named]? {
    list(limit: Message.listLimit) { reader in
      guard let upload = reader.read(UInt32.self), let contact = reader.contact() else { return nil }
      return Named(contact, upload: UInt64(upload) * 1000)
    }
  }
}
