package import Integrity
package import PluginKit
package import Swarm
import Wire

/// A node of the simulated network that serves or fetches content that does not change.
///
/// It takes turns as ``Host`` does, and lends plain memory.
package final class ContentHost: Participant {
  package let name: String
  package let address: Address
  package private(set) var endpoint = Endpoint()
  package private(set) var notices: [(time: Duration, notice: Notice)] = []
  /// What was lent.
  package private(set) var memory: ContentMemory?
  /// The length of the whole, once it is known.
  package private(set) var length: UInt64?
  /// When everything was here.
  package private(set) var completed: Duration?
  /// Changes what the host sends: gives the datagrams that go out instead.
  package var rewrite: ((_ datagram: [UInt8], _ to: Address, _ now: Duration) -> [[UInt8]])?
  /// The datagram under way; kept for its storage.
  private var datagram: [UInt8] = []
  private let seed: UInt64

  /// A host at 10.0.x.y, port 7574; `number` gives the address and, with the seed, identity and randomness.
  package init(_ name: String, number: UInt32, seed: UInt64) {
    self.name = name
    address = Address(ipv4: 0x0A00_0000 + number, port: 7574)
    self.seed = seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(number)
  }

  /// Serves or fetches content from now on.
  package func join(
    _ root: RootHash,
    _ content: Content,
    chunkSize: Int,
    memory: ContentMemory? = nil,
    bootstrap: [Address] = [],
    now: Duration,
    configure: (inout PeerConfiguration) -> Void = { _ in }
  ) throws {
    self.memory = memory
    let bytes = (0..<32).map { UInt8(truncatingIfNeeded: seed >> UInt64($0 % 8 * 8)) ^ UInt8($0) }
    var configuration = PeerConfiguration(
      .content(root),
      role: .relay,
      identity: try unsafe PeerIdentity(seed: bytes.span.bytes),
      address: address
    )
    configuration.chunkSize = chunkSize
    configuration.clockOffset = .seconds(1_800_000_000)
    configuration.capacity = Capacity(upload: 1_000_000_000)
    configuration.seed = seed
    configure(&configuration)
    var peer = try Peer(configuration, content: content, channels: endpoint.channels, now: now)
    peer.start(bootstrap: bootstrap, now: now)
    endpoint.peers.append(peer)
  }

  package var peer: Peer { endpoint.peers[0] }
  package var progress: ContentProgress? { endpoint.peers.first?.progress }

  /// What was fetched, once it is all here.
  package var content: [UInt8]? {
    guard completed != nil, let memory, let length else { return nil }
    return unsafe memory.bytes.extracting(0..<Int(length)).withUnsafeBytes { unsafe Array($0) }
  }

  /// Says goodbye to all; the host is to be poked afterwards.
  package func leave(now: Duration) {
    for index in endpoint.peers.indices { endpoint.peers[index].leave(now: now) }
  }

  package var nextTimeout: Duration? { endpoint.peers.compactMap(\.nextTimeout).min() }

  package func receive(_ datagram: [UInt8], from: Address, now: Duration) {
    _ = endpoint.receive(datagram.span, from: from, now: now)
  }

  package func turn(now: Duration, send: (_ datagram: [UInt8], _ to: Address) -> Void) {
    flush(now, send)
    for index in endpoint.peers.indices {
      if let time = endpoint.nextTimeout(index), time <= now { endpoint.peers[index].timeout(now: now) }
      for notice in endpoint.peers[index].takeNotices() { take(notice, index, now) }
    }
    flush(now, send)
  }

  private func take(_ notice: Notice, _ index: Int, _ now: Duration) {
    notices.append((now, notice))
    switch notice {
    case .sized(let chunks):
      let lent = ContentMemory(byteCount: Int(chunks) * endpoint.peers[index].chunkSize)
      memory = lent
      endpoint.peers[index].provide(lent, now: now)
      for notice in endpoint.peers[index].takeNotices() { take(notice, index, now) }
    case .length(let bytes): length = bytes
    case .complete: completed = now
    default: break
    }
  }

  private func flush(_ now: Duration, _ send: (_ datagram: [UInt8], _ to: Address) -> Void) {
    for index in endpoint.peers.indices where endpoint.peers[index].hasOutput {
      endpoint.peers[index].flush(into: &datagram) { bytes, to in
        for changed in rewrite?(bytes, to, now) ?? [bytes] { send(changed, to) }
      }
    }
  }
}
