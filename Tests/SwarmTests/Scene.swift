import Integrity
import Lab
import PluginKit
import Swarm
import Testing
import Wire

@testable import Chain
@testable import Chord
@testable import Gossip
@testable import Mesh
@testable import Pull
@testable import PushPull
@testable import Seeded
@testable import Striped
@testable import SuperPeer
@testable import Tree

/// A broadcast with its source on a simulated network, and viewers that join it.
final class Scene {
  let world: World
  let broadcast: Broadcast
  let source: Host
  private(set) var viewers: [Host] = []
  private let seed: UInt64
  private var number: UInt32 = 1

  /// The source begins at once.
  init(
    seed: UInt64,
    rate: UInt64 = 1_000_000,
    topology: String = "tree",
    parameters: String = "fanout=2",
    key: StreamKey? = nil,
    chunkSize: Int = 1316,
    integrity: IntegrityMethod = .signAll,
    path: Path = Path(delay: .milliseconds(5)),
    configure: (inout PeerConfiguration) -> Void = { _ in }
  ) throws {
    self.seed = seed
    world = World(seed: seed) { _, _ in path }
    broadcast = try Broadcast(seed: seed, rate: rate, chunkSize: chunkSize, key: key, integrity: integrity)
    source = Host("source", number: 1, seed: seed, makeTopology: Self.makeTopology)
    try source.join(broadcast, .source, now: .zero) { configuration in
      configuration.topology = topology
      configuration.topologyParameters = parameters
      configure(&configuration)
    }
    world.add(source)
  }

  static func makeTopology(_ name: String, _ parameters: String) throws(ParameterError) -> any Topology {
    switch name {
    case "tree": try Tree(parameters: Parameters(parameters, declared: Tree.manifest.parameters))
    case "chain": try Chain(parameters: Parameters(parameters, declared: Chain.manifest.parameters))
    case "striped": try Striped(parameters: Parameters(parameters, declared: Striped.manifest.parameters))
    case "superpeer":
      try SuperPeer(parameters: Parameters(parameters, declared: SuperPeer.manifest.parameters))
    case "chord": try Chord(parameters: Parameters(parameters, declared: Chord.manifest.parameters))
    case "pull": try Pull(parameters: Parameters(parameters, declared: Pull.manifest.parameters))
    case "pushpull": try PushPull(parameters: Parameters(parameters, declared: PushPull.manifest.parameters))
    case "gossip": try Gossip(parameters: Parameters(parameters, declared: Gossip.manifest.parameters))
    case "mesh": try Mesh(parameters: Parameters(parameters, declared: Mesh.manifest.parameters))
    case "seeded": try Seeded(parameters: Parameters(parameters, declared: Seeded.manifest.parameters))
    default: throw ParameterError("there is no topology '\(name)' here")
    }
  }

  /// A viewer that joins at a time, now unless one is given.
  @discardableResult
  func viewer(
    _ role: Role = .relay,
    at time: Duration? = nil,
    bootstrap: [Address]? = nil,
    clockOffset: Duration = .seconds(1_800_000_000),
    configure: @escaping (inout PeerConfiguration) -> Void = { _ in }
  ) -> Host {
    number += 1
    let host = Host(
      "viewer \(viewers.count + 1)",
      number: number,
      seed: seed,
      makeTopology: Self.makeTopology
    )
    viewers.append(host)
    let (broadcast, bootstrap) = (broadcast, bootstrap ?? [source.address])
    world.at(time ?? world.now) { world in
      do {
        try host.join(broadcast, role, bootstrap: bootstrap, now: world.now, configure: configure)
      } catch {
        Issue.record("\(host.name) cannot join: \(error)")
      }
      world.add(host)
    }
    return host
  }

  func viewers(_ count: Int, every interval: Duration = .milliseconds(50)) {
    let start = world.now
    for index in 0..<count { viewer(at: start + interval * index) }
  }

  func run(for time: Duration) { world.run(until: world.now + time) }

  func kill(_ host: Host) { world.remove(host.address) }

  func leave(_ host: Host) {
    host.leave(now: world.now)
    world.poke(host.address)
  }

  /// The newest chunk that was published at least so long ago.
  func newest(before age: Duration) -> UInt64 {
    let limit = world.now - age
    return broadcast.published.last { $0.time <= limit }?.chunk ?? broadcast.firstChunk
  }

  /// How long a test that has all the time it needs may go on; optimised code has much.
  static var isOptimised: Bool {
    var isDebug = false
    assert(
      {
        isDebug = true; return true
      }()
    )
    return !isDebug
  }

  /// Who feeds a host, by what it says.
  func parent(of host: Host) -> Host? {
    guard let parent = host.statistics(now: world.now).parent else { return nil }
    return (viewers + [source]).first { id(of: $0) == parent }
  }

  private var ids: [String: String] = [:]

  private func id(of host: Host) -> String? {
    if let id = ids[host.address.description] { return id }
    let id = host.statistics(now: world.now).id
    ids[host.address.description] = id
    return id
  }

  func children(of host: Host) -> [Host] { viewers.filter { parent(of: $0) === host } }

  /// Checks that a viewer has put out a run of what was published, without a gap, up to what is `lag` old.
  func expectWhole(
    _ host: Host,
    lag: Duration = .milliseconds(1500),
    _ sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let output = host.output
    let summary =
      "seed \(seed), \(host.name): \(output.readings.count) chunks from \(output.first?.chunk ?? 0), "
      + "missing \(output.missing), skipped \(output.skipped), false \(output.falsehoods), disorder \(output.disorder), "
      + "last \(output.last?.chunk ?? 0) of \(newest(before: lag))"
    #expect(output.first?.isEntry == true, "\(summary)", sourceLocation: sourceLocation)
    #expect(output.isContiguous, "\(summary)", sourceLocation: sourceLocation)
    #expect((output.last?.chunk ?? 0) >= newest(before: lag), "\(summary)", sourceLocation: sourceLocation)
  }
}

/// Somebody who sends what a test says and keeps what comes.
final class Probe: Participant {
  let address: Address
  var nextTimeout: Duration? { nil }
  private(set) var received: [(bytes: [UInt8], from: Address)] = []
  private var outgoing: [(bytes: [UInt8], to: Address)] = []

  init(number: UInt32) { address = Address(ipv4: 0x0A09_0000 + number, port: 4000) }

  func receive(_ datagram: [UInt8], from: Address, now: Duration) { received.append((datagram, from)) }

  func turn(now: Duration, send: ([UInt8], Address) -> Void) {
    for (bytes, to) in outgoing { send(bytes, to) }
    outgoing = []
  }

  /// Sends a datagram now.
  func send(_ bytes: [UInt8], to: Address, in world: World) {
    outgoing.append((bytes, to))
    world.poke(address)
  }

  var bytesReceived: Int { received.reduce(0) { $0 + $1.bytes.count } }
}
