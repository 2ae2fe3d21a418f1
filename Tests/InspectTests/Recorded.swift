import Inspect
import Integrity
import Lab
import PluginKit
import Support
import Swarm
import Wire

@testable import Tree

/// Everything that peers on a simulated network have sent each other, as a capture holds it.
struct Recorded {
  struct Datagram {
    var bytes: [UInt8]
    var from: Address
    var to: Address
    var time: Duration
  }

  var datagrams: [Datagram] = []
  /// Where the capture's peers meet.
  var link: Swarm.Link
  /// Bytes of every chunk but the last.
  var chunkSize: Int { link.chunkSize }

  /// Content that is fetched from one who has it.
  static func content(_ count: Int, chunkSize: Int = 256, function: HashFunction = .sha256) throws -> Recorded
  {
    var random = SplitMix64(seed: 1)
    let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    var builder = try MerkleTree.Builder(function, chunkSize: chunkSize)
    for start in stride(from: 0, to: count, by: chunkSize) {
      let chunk = Array(bytes[start..<min(start + chunkSize, count)])
      try unsafe builder.append(chunk.span.bytes)
    }
    let tree = try builder.finish()
    let memory = ContentMemory(byteCount: count)
    unsafe memory.write(bytes.span.bytes, at: 0)
    let world = World(seed: 1) { _, _ in Path(delay: .milliseconds(5)) }
    let hosts = (1...2).map { ContentHost("host \($0)", number: $0, seed: 1) }
    try hosts[0].join(tree.root, Content(tree, memory), chunkSize: chunkSize, memory: memory, now: .zero)
    try hosts[1].join(
      tree.root,
      Content(fetching: tree.root, chunkSize: chunkSize, order: .rarestFirst),
      chunkSize: chunkSize,
      bootstrap: [hosts[0].address],
      now: .zero
    )
    let link = Swarm.Link(endpoints: [.address(hosts[0].address)], root: tree.root, chunkSize: chunkSize)
    return try record(world, link) {
      for host in hosts { world.add(host) }
      guard world.run(until: .seconds(20), or: { hosts[1].completed != nil }) else { throw Unfinished() }
    }
  }

  /// The begin of a stream under a Unified Merkle Tree that a viewer relays to another.
  static func stream() throws -> Recorded {
    let world = World(seed: 1) { _, _ in Path(delay: .milliseconds(5)) }
    let broadcast = try Broadcast(seed: 1, rate: 2_000_000, integrity: .unifiedMerkleTree)
    let hosts = (1...3).map { number in
      Host("host \(number)", number: number, seed: 1) { _, parameters throws(ParameterError) in
        try Tree(parameters: Parameters(parameters, declared: Tree.manifest.parameters))
      }
    }
    for (index, host) in hosts.enumerated() {
      let bootstrap = index == 0 ? [] : [hosts[0].address]
      try host.join(broadcast, index == 0 ? .source : .relay, bootstrap: bootstrap, now: .zero) {
        $0.topology = "tree"
        $0.topologyParameters = "fanout=1"
      }
    }
    let link = Swarm.Link(
      endpoints: [.address(hosts[0].address)],
      swarmID: broadcast.key.swarmID,
      chunkSize: broadcast.chunkSize,
      integrity: .unifiedMerkleTree
    )
    return try record(world, link) {
      for host in hosts { world.add(host) }
      world.run(until: .milliseconds(1500))
    }
  }

  struct Unfinished: Error {}

  private static func record(
    _ world: World,
    _ link: Swarm.Link,
    _ run: () throws -> Void
  ) throws -> Recorded {
    var recorded = Recorded(link: link)
    world.observer = { bytes, from, to, now in
      let time = .seconds(1_800_000_000) + now
      recorded.datagrams.append(Datagram(bytes: bytes, from: from, to: to, time: time))
    }
    try run()
    world.observer = nil
    return recorded
  }

  /// What the inspector says of each datagram.
  func said(_ inspector: inout Inspector) -> [DatagramDescription] {
    datagrams.map { datagram in
      inspector.inspect(
        datagram: datagram.bytes.span,
        at: datagram.time,
        from: datagram.from,
        to: datagram.to
      )
    }
  }
}

extension MessageDescription {
  var isUnknown: Bool { if case .unknown = verdict { true } else { false } }
}
