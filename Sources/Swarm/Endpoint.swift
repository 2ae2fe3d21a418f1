import Integrity
public import PluginKit
import Wire

/// Several swarms on one socket (RFC 7574, section 3.11).
public struct Endpoint {
  /// Shared by the peers, so that no number is used twice on the socket.
  public let channels = ChannelNumbers()
  public var peers: [Peer] = []

  public init() {}

  /// Gives a datagram to the peer that it is for: by channel, or by the swarm id of a first handshake.
  ///
  /// - Returns: the index of that peer; nil when there is none, and then nothing is answered.
  @discardableResult
  public mutating func receive(_ datagram: Span<UInt8>, from address: Address, now: Duration) -> Int? {
    guard let channel = Self.channel(datagram) else { return nil }
    let index =
      channel == 0
      ? swarm(datagram).flatMap { id in peers.indices.first { peers[$0].isNamed(id) } }
      : owner(channel)
    guard let index else { return nil }
    peers[index].receive(datagram, from: address, now: now)
    return index
  }

  /// When a peer wants ``Peer/timeout(now:)`` to be called, if at all.
  ///
  /// Asked here, the peer is not copied, and nothing changes.
  public mutating func nextTimeout(_ index: Int) -> Duration? { peers[index].soonest() }

  /// Whether a peer has something to hand over; nothing changes here either.
  public mutating func hasOutput(_ index: Int) -> Bool { !peers[index].outbox.packets.isEmpty }

  private static func channel(_ datagram: Span<UInt8>) -> UInt32? {
    var reader = ByteReader(datagram)
    return try? reader.read()
  }

  private func owner(_ channel: UInt32) -> Int? {
    // Field by field: a peer is large, and would be copied for a call, or in a closure.
    for index in peers.indices
    where peers[index].byLocal[channel] != nil || peers[index].newcomers.contains(channel) { return index }
    return nil
  }

  private func swarm(_ datagram: Span<UInt8>) -> [UInt8]? {
    do throws(DecodeError) {
      var reader = try DatagramReader(datagram)
      guard reader.nextType == MessageType.handshake,
        case .handshake(let view)? = try reader.next(WireFormat()),
        let id = view.swarmID
      else { return nil }
      return unsafe id.withUnsafeBytes { unsafe Array($0) }
    } catch { return nil }
  }
}

extension Peer {
  func isNamed(_ id: [UInt8]) -> Bool { configuration.name.bytes == id }
}
