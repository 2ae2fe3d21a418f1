import CAllocations
import Integrity
import PluginKit
import Swarm
import Wire

/// What one chunk of content costs a seed and who fetches it, sockets apart.
struct ContentBench {
  private static let chunkSize = 1024

  private var peers: [Peer] = []
  private let addresses = [Address(ipv4: 0x0A00_0001, port: 7574), Address(ipv4: 0x0A00_0002, port: 7574)]
  /// By peer: what it spent in taking in datagrams and acting on time.
  private(set) var spent = [Duration](repeating: .zero, count: 2)
  private(set) var allocations = [UInt64](repeating: 0, count: 2)
  private(set) var fetched: UInt64 = 0
  private var now: Duration = .zero
  private var isMeasuring = false

  init(chunks: Int) throws {
    var builder = try MerkleTree.Builder(chunkSize: Self.chunkSize)
    let memory = ContentMemory(byteCount: chunks * Self.chunkSize)
    var bytes = [UInt8](repeating: 0, count: Self.chunkSize)
    for chunk in 0..<chunks {
      for place in 0..<8 { bytes[place] = UInt8(truncatingIfNeeded: chunk >> (place * 8)) }
      try unsafe builder.append(bytes.span.bytes)
      unsafe memory.write(bytes.span.bytes, at: chunk * Self.chunkSize)
    }
    let tree = try builder.finish()
    let contents = [
      Content(tree, memory),
      try Content(fetching: tree.root, chunkSize: Self.chunkSize, order: .rarestFirst),
    ]
    for (index, content) in contents.enumerated() {
      let seed = [UInt8](repeating: UInt8(index), count: 32)
      var configuration = PeerConfiguration(
        .content(tree.root),
        role: .relay,
        identity: try unsafe PeerIdentity(seed: seed.span.bytes),
        address: addresses[index]
      )
      configuration.seed = UInt64(index)
      configuration.chunkSize = Self.chunkSize
      configuration.capacity = Capacity(upload: 1_000_000_000_000)
      peers.append(try Peer(configuration, content: content, channels: ChannelNumbers(), now: .zero))
    }
    peers[1].start(bootstrap: [addresses[0]], now: .zero)
  }

  /// Fetches everything; what is counted begins when a tenth is there.
  mutating func run() {
    var start: UInt64 = 0
    while let progress = peers[1].progress, !progress.isComplete, now < .seconds(600) {
      now += .microseconds(100)
      for index in peers.indices { act(index) { peer, now in peer.timeoutIfDue(now) } }
      for index in peers.indices { deliver(from: index) }
      for notice in peers[1].takeNotices() {
        guard case .sized(let chunks) = notice else { continue }
        peers[1].provide(ContentMemory(byteCount: Int(chunks) * Self.chunkSize), now: now)
      }
      if !isMeasuring, let count = progress.count, progress.held > count / 10 {
        isMeasuring = true
        start = progress.held
      }
    }
    fetched = (peers[1].progress?.held ?? 0) - start
  }

  private mutating func deliver(from index: Int) {
    var datagrams: [[UInt8]] = []
    peers[index].flush { packets, heads, bodies, _ in
      for place in packets.indices {
        var bytes: [UInt8] = []
        bytes.append(bytes: heads.extracting(packets[place].head.range))
        bytes.append(bytes: bodies.extracting(packets[place].body.range))
        datagrams.append(bytes)
      }
    }
    let address = addresses[index]
    for datagram in datagrams {
      act(1 - index) { peer, now in peer.receive(datagram.span, from: address, now: now) }
    }
  }

  private mutating func act(_ index: Int, _ body: (inout Peer, Duration) -> Void) {
    let before = allocations_of_this_thread()
    let start = ContinuousClock.now
    body(&peers[index], now)
    guard isMeasuring else { return }
    spent[index] += ContinuousClock.now - start
    allocations[index] += UInt64(allocations_of_this_thread() - before)
  }
}

extension Peer {
  fileprivate mutating func timeoutIfDue(_ now: Duration) {
    if let time = nextTimeout, time <= now { timeout(now: now) }
  }
}
