import Integrity
import Lab
import PluginKit
import Swarm
import Testing
import Wire

/// What a test has a topology do, and what that heard.
final class Strings {
  /// What happens when an event comes; what it leaves is heard and nothing else.
  var react: (TopologyEvent, inout TopologyContext) -> Void
  /// Everything that was heard, with its time.
  private(set) var heard: [(time: Duration, event: TopologyEvent)] = []
  /// Done at the next tick, ten milliseconds later at most.
  var wishes: [TopologyAction] = []

  init(react: @escaping (TopologyEvent, inout TopologyContext) -> Void = { _, _ in }) { self.react = react }

  static let tick: UInt32 = 9999

  fileprivate func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start: context.emit(.setTimer(Self.tick, at: context.now + .milliseconds(10)))
    case .timer(Self.tick):
      for wish in wishes { context.emit(wish) }
      wishes = []
      context.emit(.setTimer(Self.tick, at: context.now + .milliseconds(10)))
      return
    default: break
    }
    heard.append((context.now, event))
    react(event, &context)
  }

  var arrivals: [ChunkArrival] {
    heard.flatMap { entry -> [ChunkArrival] in if case .chunks(let batch) = entry.event { batch } else { [] }
    }
  }
  var duplicates: [ChunkArrival] {
    heard.flatMap { entry -> [ChunkArrival] in
      if case .duplicates(let batch) = entry.event { batch } else { [] }
    }
  }
  var haves: [Advertisement] {
    heard.flatMap { entry -> [Advertisement] in if case .haves(let batch) = entry.event { batch } else { [] }
    }
  }
  var gaps: [(time: Duration, gap: Gap)] {
    heard.flatMap { entry -> [(time: Duration, gap: Gap)] in
      if case .gaps(let batch) = entry.event { batch.map { (entry.time, $0) } } else { [] }
    }
  }
  var failures: [(peer: PeerRef, chunks: ClosedRange<UInt64>, reason: RequestFailure)] {
    var found: [(peer: PeerRef, chunks: ClosedRange<UInt64>, reason: RequestFailure)] = []
    for case (_, .requestFailed(let peer, let chunks, let reason)) in heard {
      found.append((peer, chunks, reason))
    }
    return found
  }
  var links: [PluginKit.Link] {
    heard.compactMap { entry -> PluginKit.Link? in
      if case .linkUp(let link) = entry.event { link } else { nil }
    }
  }
  func count(_ isCounted: (TopologyEvent) -> Bool) -> Int { heard.count { isCounted($0.event) } }
}

/// Which events a puppet wants.
protocol Wanting { static var wants: WantedEvents { get } }
enum Everything: Wanting {
  static let wants: WantedEvents = [.chunks, .duplicates, .haves, .gaps, .windowMoved, .linkSamples]
}
enum Arrivals: Wanting { static let wants: WantedEvents = .chunks }
enum Nothing: Wanting { static let wants: WantedEvents = [] }

/// A topology that does what a test says; the stream has as many stripes as it is told.
struct Puppet<Wants: Wanting>: Topology {
  static var manifest: Manifest {
    Manifest(
      name: "puppet",
      version: "1.0.0",
      summary: "Does what a test says",
      parameters: [Parameter("stripes", .integer(1...64, default: 1), "how many stripes there are")],
      wants: Wants.wants
    )
  }
  let strings: Strings

  init(_ strings: Strings) { self.strings = strings }
  init(parameters: Parameters) { self.init(Strings()) }

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    strings.handle(event, &context)
  }
}

/// A source and some viewers that know each other's addresses, each with strings of its own.
final class PuppetStage {
  let world: World
  let broadcast: Broadcast
  /// The source first.
  private(set) var hosts: [Host] = []
  private(set) var strings: [Strings] = []
  let seed: UInt64
  /// Chunks that hosts asked for by name, by the asking host's address.
  private(set) var asked: [Address: [UInt64]] = [:]

  init<Wants: Wanting>(
    _ wants: Wants.Type = Everything.self,
    seed: UInt64,
    viewers: Int,
    stripes: Int = 1,
    rate: UInt64 = 1_000_000,
    key: StreamKey? = nil,
    integrity: IntegrityMethod = .signAll,
    path: @escaping (_ from: Int, _ to: Int) -> Path = { _, _ in Path(delay: .milliseconds(5)) },
    configure: (inout PeerConfiguration) -> Void = { _ in },
    react: @escaping (_ host: Int, TopologyEvent, inout TopologyContext) -> Void
  ) throws {
    self.seed = seed
    world = World(seed: seed)
    broadcast = try Broadcast(seed: seed, rate: rate, key: key, integrity: integrity)
    world.path = { from, to in path(Self.number(from), Self.number(to)) }
    world.observer = { [weak self] datagram, from, _, _ in self?.note(datagram, from) }
    let addresses = (0...viewers).map { Address(ipv4: 0x0A00_0001 + UInt32($0), port: 7574) }
    for number in 0...viewers {
      let strings = Strings { event, context in react(number, event, &context) }
      let host = Host("host \(number)", number: UInt32(number) + 1, seed: seed) {
        _,
        _ throws(ParameterError) in
        Puppet<Wants>(strings)
      }
      self.strings.append(strings)
      hosts.append(host)
      let isSource = number == 0
      try host.join(broadcast, isSource ? .source : .relay, bootstrap: isSource ? [] : addresses, now: .zero)
      {
        $0.topology = "puppet"
        $0.topologyParameters = "stripes=\(stripes)"
        configure(&$0)
      }
      world.add(host)
    }
  }

  static func number(_ address: Address) -> Int { Int(address[3]) - 1 }

  /// The number by which a host knows another, once it has heard of it.
  func reference(_ host: Int, of other: Int) -> PeerRef? {
    for entry in strings[host].heard {
      // The addresses of discovery stand in the order of the hosts.
      if case .discovered(let candidates) = entry.event, candidates.count == hosts.count {
        return candidates[other].peer
      }
    }
    return nil
  }

  private func note(_ datagram: [UInt8], _ from: Address) {
    // Requests go in datagrams of their own, as ranges of two 32-bit numbers.
    var offset = 4
    func word(_ start: Int) -> UInt64 { datagram[start..<start + 4].reduce(0) { $0 << 8 | UInt64($1) } }
    while datagram.count >= offset + 9, datagram[offset] == MessageType.request {
      asked[from, default: []] += word(offset + 1)...word(offset + 5)
      offset += 9
    }
  }

  var requests: Int { asked.values.reduce(0) { $0 + $1.count } }
  func requests(of host: Int) -> [UInt64] { asked[hosts[host].address] ?? [] }
  func statistics(_ host: Int) -> Statistics { hosts[host].statistics(now: world.now) }
  func run(for time: Duration) { world.run(until: world.now + time) }
}
