import CAllocations
import Glibc
import Integrity
import PluginKit
import Swarm
import Wire

// What one chunk costs a relay between its arrival and its sending: time and allocations, verification apart.

/// Everybody is fed by whoever the link names; a relay feeds whoever asks it.
struct Line: Topology {
  static let manifest = Manifest(name: "line", version: "1.0.0", summary: "Feeds whoever asks")
  init(parameters: Parameters) {}

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start(let role):
      if role != .source { context.emit(.discover(limit: 1)) }
    case .discovered(let candidates):
      if let first = candidates.first {
        context.emit(.connect(first.peer, .data, .first(1), from: nil, note: []))
      }
    case .inbound(let inbound):
      context.emit(.accept(inbound.peer, inbound.stripes, note: []))
      context.emit(.route(stripe: 0, to: inbound.peer, from: inbound.from))
    case .linkUp(let link):
      if link.isParent { context.emit(.declareParent(stripe: 0, link.peer, depth: 1)) }
    default: break
    }
  }
}

/// Peers on perfect links, in virtual time.
struct Bench {
  var endpoints: [Endpoint]
  let addresses: [Address]
  var now: Duration = .zero
  /// Time and allocations that the relay spent in taking in and sending DATA.
  var spent: Duration = .zero
  var allocations: UInt64 = 0
  var received = 0
  private var mail: [(from: Int, to: Int, bytes: [UInt8])] = []

  init(key: StreamKey, peers: Int, integrity: IntegrityMethod) throws {
    addresses = (0..<peers).map { Address(ipv4: 0x0A00_0001 + UInt32($0), port: 7574) }
    endpoints = []
    let publicKey = try StreamPublicKey(key.swarmID)
    publicKey.accelerate()
    for index in 0..<peers {
      let seed = [UInt8](repeating: UInt8(index), count: 32)
      var configuration = PeerConfiguration(
        swarmID: key.swarmID,
        role: index == 0 ? .source : .relay,
        identity: try unsafe PeerIdentity(seed: seed.span.bytes),
        address: addresses[index]
      )
      configuration.seed = UInt64(index)
      configuration.publicKey = publicKey
      configuration.capacity = Capacity(upload: 10_000_000_000)
      configuration.makeTopology = { _, _ throws(ParameterError) in
        Line(parameters: try Parameters(declared: []))
      }
      configuration.topology = "line"
      configuration.rate = 4_000_000
      configuration.integrity = integrity
      configuration.chunksPerSignature = UnifiedMerkle.widths.upperBound
      if index == 0 { configuration.key = key }
      var endpoint = Endpoint()
      endpoint.peers.append(try Peer(configuration, channels: endpoint.channels, now: .zero))
      if index > 0 { endpoint.peers[0].start(bootstrap: [addresses[index - 1]], now: .zero) }
      endpoints.append(endpoint)
    }
  }

  /// Delivers everything that is under way.
  mutating func settle(measuring measured: Int? = nil) {
    while true {
      for index in endpoints.indices {
        for notice in endpoints[index].peers[0].takeNotices() {
          if case .discover = notice {
            endpoints[index].peers[0].discovered([(addresses[index - 1], nil)], now: now)
          }
        }
        collect(index)
      }
      guard !mail.isEmpty else { return }
      let batch = mail
      mail.removeAll(keepingCapacity: true)
      for letter in batch {
        let isMeasured = letter.to == measured && letter.bytes.count > 1000
        let before = allocations_of_this_thread()
        let clock = ContinuousClock()
        let start = clock.now
        endpoints[letter.to].receive(letter.bytes.span, from: addresses[letter.from], now: now)
        if isMeasured {
          spent += clock.now - start
          allocations += UInt64(allocations_of_this_thread() - before)
          received += 1
        }
      }
    }
  }

  private mutating func collect(_ index: Int) {
    let addresses = addresses
    var letters: [(from: Int, to: Int, bytes: [UInt8])] = []
    endpoints[index].peers[0].flush { packets, heads, bodies, _ in
      for place in packets.indices {
        let packet = packets[place]
        guard let to = addresses.firstIndex(of: packet.address) else { continue }
        var bytes: [UInt8] = []
        bytes.append(bytes: heads.extracting(packet.head.range))
        bytes.append(bytes: bodies.extracting(packet.body.range))
        letters.append((index, to, bytes))
      }
    }
    mail += letters
  }

  mutating func advance(_ step: Duration) {
    now += step
    for index in endpoints.indices {
      if let next = endpoints[index].peers[0].nextTimeout, next <= now {
        endpoints[index].peers[0].timeout(now: now)
      }
      endpoints[index].peers[0].read(now: now) { _, _, _, _, _ in }
    }
    settle()
  }
}

/// Passes a stream through a relay; what it costs is measured once it runs.
///
/// `limit` are the allocations that a chunk may cost, and `reason` what they are for.
func runStream(_ integrity: IntegrityMethod, limit: Double, _ reason: String) throws {
  let key = try StreamKey.generate()
  var bench = try Bench(key: key, peers: 3, integrity: integrity)
  for _ in 0..<100 { bench.advance(.milliseconds(10)) }
  let payload = [UInt8](repeating: 0x47, count: 1316)
  func publish(_ range: Range<UInt64>) throws {
    for chunk in range {
      try unsafe bench.endpoints[0].peers[0].publish(
        chunk: chunk,
        payload: payload.span.bytes,
        isEntry: chunk % 400 == 0,
        isLast: false,
        now: bench.now
      )
      bench.settle(measuring: 1)
      bench.advance(.milliseconds(3))
    }
  }
  let count = CommandLine.arguments.dropFirst().first.flatMap(UInt64.init) ?? 4000
  try publish(0..<512)
  bench.spent = .zero
  bench.allocations = 0
  bench.received = 0
  try publish(512..<512 + (count + 31) / 32 * 32)
  let statistics = bench.endpoints[2].peers[0].statistics(now: bench.now)
  let received = Double(max(bench.received, 1))
  print(
    "relay, \(integrity): \(bench.received) datagrams with chunks in, \(statistics.chunksIn) chunks reached the next hop, "
      + "\(statistics.lost) lost"
  )
  print(
    "from datagram in to datagram out: \(bench.spent / .microseconds(1) / received) us a chunk, verification included"
  )
  let allocations = Double(bench.allocations) / received
  print("allocations: \(allocations) a chunk, \(reason)")
  guard allocations <= limit else {
    print("that is more than \(limit): something on the way of a chunk allocates")
    exit(1)
  }
}

/// What grows while content is fetched takes memory now and then; chunks, requests and acknowledgements take none.
let contentAllocationLimit = 0.001

func runContent() throws {
  var bench = try ContentBench(chunks: 100_000)
  bench.run()
  let chunks = Double(max(bench.fetched, 1))
  for (index, name) in ["seed", "fetch"].enumerated() {
    print(
      "\(name): \(bench.spent[index] / .microseconds(1) / chunks) us and \(Double(bench.allocations[index]) / chunks) "
        + "allocations a chunk of content, hashing included"
    )
    guard Double(bench.allocations[index]) / chunks <= contentAllocationLimit else {
      print("that is more than \(contentAllocationLimit): something on the way of a chunk allocates")
      exit(1)
    }
  }
}

// A relay allocates nothing of its own for a chunk.
try runStream(.signAll, limit: 7.1, "of which OpenSSL makes 7 to verify")
try runStream(
  .unifiedMerkleTree,
  limit: 0.32,
  "of which OpenSSL makes 7 to verify the signature of 32 chunks, and 3 are what is kept of it"
)
try runContent()
