import PluginKit
import Wire

/// Those who sent a first handshake and have not yet shown that they got the answer (RFC 7574, section 12.1.1).
///
/// Anybody can send first handshakes in the name of addresses that are not its own. So all that is kept of one is a short
/// record, of which there are at most ``limit``; the oldest makes room. An honest newcomer is pushed out only by a
/// flood of so many within its round trip.
struct Newcomers {
  static let limit = 16_384
  /// How long the answer to a first handshake holds good.
  static let patience: Duration = .seconds(5)

  struct Newcomer {
    var address: Address
    /// The channel that it gave us, and the one that we gave it.
    var remote: UInt32
    var local: UInt32
    var supported: MessageSet
    var window: UInt64
    var member: Member?
    var since: Duration
  }

  private struct Origin: Hashable {
    var address: Address
    var remote: UInt32
  }

  private var byLocal: [UInt32: Newcomer] = [:]
  private var byOrigin: [Origin: UInt32] = [:]
  /// By age; numbers that are not in ``byLocal`` any more count for nothing.
  private var order = Ring<UInt32>()

  var isEmpty: Bool { byLocal.isEmpty }

  func contains(_ local: UInt32) -> Bool { byLocal[local] != nil }

  /// The number that was given to a newcomer that asks again.
  func local(of address: Address, _ remote: UInt32) -> UInt32? {
    byOrigin[Origin(address: address, remote: remote)]
  }

  /// - Returns: the number that is free again because its holder had to make room.
  mutating func insert(_ newcomer: Newcomer) -> UInt32? {
    let evicted = order.count >= Self.limit ? removeOldest() : nil
    byLocal[newcomer.local] = newcomer
    byOrigin[Origin(address: newcomer.address, remote: newcomer.remote)] = newcomer.local
    order.append(newcomer.local)
    return evicted
  }

  /// Takes out who answers on a number from where it was given to.
  mutating func take(_ local: UInt32, from address: Address) -> Newcomer? {
    guard let newcomer = byLocal[local], newcomer.address == address else { return nil }
    remove(newcomer)
    return newcomer
  }

  /// Takes out one whose time has run out, and gives its number; nil when there is none.
  mutating func removeExpired(_ now: Duration) -> UInt32? {
    while let local = order.first {
      guard let newcomer = byLocal[local] else {
        order.removeFirst()
        continue
      }
      return now - newcomer.since >= Self.patience ? removeOldest() : nil
    }
    return nil
  }

  private mutating func removeOldest() -> UInt32? {
    guard let local = order.removeFirst(), let newcomer = byLocal[local] else { return nil }
    remove(newcomer)
    return local
  }

  private mutating func remove(_ newcomer: Newcomer) {
    byLocal[newcomer.local] = nil
    byOrigin[Origin(address: newcomer.address, remote: newcomer.remote)] = nil
  }
}
