import Integrity
import PluginKit
import Swarm

/// Two peers that talk: one of them then hears what the fuzzer makes up.
struct Stage: @unchecked Sendable {
  // Sendable: made once, and copied before use; libFuzzer runs one input at a time.
  var peers: [Peer]
  var now: Duration
  /// Datagrams that were on their way, by whom they were for.
  var seen: [[[UInt8]]] = [[], []]
  /// What was published, the first chunk first.
  var payloads: [[UInt8]] = []

  static let addresses = [Address(ipv4: 0x0A00_0001, port: 1), Address(ipv4: 0x0A00_0002, port: 2)]
  static let chunkSize = 96

  init() throws {
    var peers: [Peer] = []
    let seed = [UInt8](repeating: 7, count: 32)
    let key = try StreamKey(ed25519Seed: seed.span.bytes)
    for number in 0..<2 {
      let own = [UInt8](repeating: UInt8(number), count: 32)
      var configuration = PeerConfiguration(
        swarmID: key.swarmID,
        role: number == 0 ? .source : .relay,
        identity: try PeerIdentity(seed: own.span.bytes),
        address: Self.addresses[number]
      )
      configuration.chunkSize = Self.chunkSize
      configuration.window = 32
      configuration.seed = UInt64(number)
      configuration.beginsEntry = { _ in true }
      configuration.makeTopology = { _, _ in Star() }
      configuration.topology = "star"
      configuration.rate = 1_000_000
      if number == 0 { configuration.key = key }
      peers.append(try Peer(configuration, channels: ChannelNumbers(), now: .zero))
    }
    self.peers = peers
    now = .zero
    self.peers[0].start(bootstrap: [], now: now)
    self.peers[1].start(bootstrap: [Self.addresses[0]], now: now)
    for _ in 0..<60 {
      try turn()
      now += .milliseconds(5)
    }
    precondition(self.peers[1].statistics(now: now).chunksIn > 20, "the stage is not set")
  }

  private mutating func turn() throws {
    let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: payloads.count), count: Self.chunkSize)
    let chunk = UInt64(payloads.count)
    payloads.append(payload)
    try peers[0].publish(chunk: chunk, payload: payload.span.bytes, isEntry: true, isLast: false, now: now)
    for number in peers.indices {
      if let time = peers[number].nextTimeout, time <= now { peers[number].timeout(now: now) }
      for notice in peers[number].takeNotices() {
        guard case .discover = notice else { continue }
        peers[number].discovered([(address: Self.addresses[0], id: nil)], now: now)
      }
      for datagram in flushed(number) {
        seen[1 - number].append(datagram)
        peers[1 - number].receive(datagram.span, from: Self.addresses[number], now: now)
      }
      peers[number].read(now: now) { _, _, _, _, _ in }
    }
  }

  private mutating func flushed(_ number: Int) -> [[UInt8]] {
    var datagrams: [[UInt8]] = []
    peers[number].flush { packets, heads, bodies, _ in
      for index in packets.indices {
        let packet = packets[index]
        var bytes: [UInt8] = []
        for place in packet.head.range {
          bytes.append(heads.unsafeLoad(fromByteOffset: place, as: UInt8.self))
        }
        for place in packet.body.range {
          bytes.append(bodies.unsafeLoad(fromByteOffset: place, as: UInt8.self))
        }
        datagrams.append(bytes)
      }
    }
    return datagrams
  }
}

/// Takes whoever comes, and everything from the first that it hears of.
struct Star: Topology {
  static let manifest = Manifest(
    name: "star",
    version: "1.0.0",
    summary: "Everybody is fed by the first",
    wants: [.chunks, .duplicates, .haves, .gaps, .windowMoved, .linkSamples]
  )

  init() {}
  init(parameters: Parameters) throws(ParameterError) {}

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start(let role):
      if role != .source { context.emit(.discover(limit: 1)) }
    case .discovered(let candidates):
      guard let first = candidates.first else { return }
      context.emit(.connect(first.peer, .data, .first(1), from: nil, note: []))
    case .inbound(let ask):
      context.emit(.accept(ask.peer, ask.stripes, note: ask.note))
      if ask.hello != nil, ask.purpose == .data {
        context.emit(.route(stripe: 0, to: ask.peer, from: ask.from))
      }
    case .linkUp(let link):
      if link.isParent { context.emit(.declareParent(stripe: 0, link.peer, depth: 1)) }
    case .linkDown(_, _, let redirect):
      if let first = redirect.first {
        context.emit(.connect(first.peer, .spare, .first(1), from: nil, note: []))
      }
    case .message(let peer, _, let bytes): context.emit(.send(peer, bytes))
    default: break
    }
  }
}

let stage: Stage = {
  do {
    return try Stage()
  } catch {
    preconditionFailure("the stage cannot be set: \(error)")
  }
}()

/// Reads the fuzzer's bytes as a play: who hears what, and when.
struct Script {
  var bytes: UnsafeBufferPointer<UInt8>.SubSequence

  mutating func byte() -> UInt8 { bytes.popFirst() ?? 0 }

  mutating func take(_ count: Int) -> [UInt8] {
    defer { bytes = bytes.dropFirst(count) }
    return Array(bytes.prefix(count))
  }
}

/// No input stops a peer, nothing false is read, and nobody but those it talks to is sent much.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var script = Script(bytes: UnsafeBufferPointer(start: start, count: count)[...])
  let who = Int(script.byte() & 1)
  var peer = stage.peers[who]
  var now = stage.now
  let seen = stage.seen[who]
  let stranger = Address(ipv4: 0x0A63_0001, port: 9)
  var forgery = try? Forgery()
  var heard = 0
  var told = 0
  while !script.bytes.isEmpty {
    let what = script.byte()
    var datagram: [UInt8]
    switch what & 3 {
    case 0:
      now += .milliseconds(Int(script.byte()) * (what & 4 == 0 ? 1 : 40))
      if let time = peer.nextTimeout, time <= now { peer.timeout(now: now) }
      // Lets it ask again.
      if what & 0xE0 == 0xE0 { peer.discovered([(address: Stage.addresses[1 - who], id: nil)], now: now) }
      datagram = []
    case 1:
      datagram = script.take(Int(script.byte()))
    case 2:
      // On an open channel.
      datagram = Array((seen.last ?? []).prefix(4))
      if what & 0x80 == 0 {
        datagram += script.take(Int(script.byte()))
      } else {
        for _ in 0...(what >> 4 & 7) { forgery?.append(&script, to: &datagram) }
      }
    default:
      // Something that was really said, with a few bytes changed.
      datagram = seen[Int(script.byte()) % seen.count]
      for _ in 0..<(what >> 4) {
        let place = Int(script.byte()) | Int(what & 8) << 5
        let value = script.byte()
        if place < datagram.count { datagram[place] = value }
      }
    }
    if what & 3 != 0 {
      let from = what & 4 == 0 ? Stage.addresses[1 - who] : stranger
      if from == stranger { heard += datagram.count }
      peer.receive(datagram.span, from: from, now: now)
    }
    peer.flush { packets, _, _, _ in
      for index in packets.indices where packets[index].address == stranger {
        told += Int(packets[index].head.count) + Int(packets[index].body.count)
      }
    }
    precondition(told <= heard, "more was said to a stranger than it said")
    let isTrusted = forgery?.isSigned != true
    peer.read(now: now) { chunk, payload, _, _, _ in
      guard isTrusted else { return }
      precondition(chunk < UInt64(stage.payloads.count), "a chunk that nobody published was read")
      let isTrue = payload.withUnsafeBytes { $0.elementsEqual(stage.payloads[Int(chunk)]) }
      precondition(isTrue, "a chunk was read that is not what was published")
    }
    _ = peer.takeNotices()
  }
  let statistics = peer.statistics(now: now)
  precondition(statistics.peers <= Peer.channelLimit)
  peer.leave(now: now)
  peer.timeout(now: now + .seconds(10))
  precondition(peer.hasLeft, "it cannot leave")
  return 0
}
