import Integrity
import PluginKit
import Testing
import Wire

@testable import Swarm

@Suite struct `A hostile parent` {
  private func readings(_ victim: inout Peer, now: Duration) -> [UInt64] {
    var chunks: [UInt64] = []
    victim.read(now: now) { chunk, _, _, _, _ in chunks.append(chunk) }
    return chunks
  }

  @Test func `cannot make a peer ask for a chunk that no number names`() throws {
    var victim = try Foe.victim()
    var foe = try Foe(1)
    try foe.feed(&victim, from: 1 << 40, now: .zero)
    #expect(foe.asks.count == 1)
    victim.discovered([(foe.address, nil)], now: .milliseconds(1))
    try foe.hear(&victim, now: .milliseconds(1))
    #expect(foe.asks.count == 2)
    foe.accept(&victim, from: 1 << 40 + 100, now: .milliseconds(2))
    for step in 1...100 {
      victim.timeout(now: .milliseconds(10 * step))
      try foe.hear(&victim, now: .milliseconds(10 * step))
    }
    #expect(foe.requests.isEmpty)
  }

  @Test(arguments: [200, 1000, 4_000_000_000] as [UInt64])
  func `that promises a first chunk far away does not keep output from beginning`(from: UInt64) throws {
    var victim = try Foe.victim()
    var foe = try Foe(1)
    try foe.feed(&victim, from: from, now: .zero)
    var read: [UInt64] = []
    for chunk in 10..<100 as Range<UInt64> {
      let now = Duration.milliseconds(100 * (Int(chunk) - 9))
      try foe.sendChunk(chunk, to: &victim, now: now)
      victim.timeout(now: now)
      try foe.hear(&victim, now: now)
      read += readings(&victim, now: now)
    }
    #expect(read.count > 60 && read == Array((read.first ?? 0)...99))
  }

  @Test func `that declares a monstrous rate and a long way does not stop a relay`() throws {
    var victim = try Foe.victim()
    var foe = try Foe(1)
    try foe.feed(&victim, from: 10, rate: .max, now: .zero)
    for chunk in 10..<60 as Range<UInt64> { try foe.sendChunk(chunk, to: &victim, now: .milliseconds(10)) }
    var child = try Foe(2)
    try child.connect(&victim, now: .milliseconds(20))
    // A pong that says a ping was sent when the clock began.
    let late = Duration.seconds(59)
    child.say(&victim, .pong, Extension.Ping(token: 0, isAttached: true, depth: 1).encode(), now: late)
    let ask = Extension.Ask(number: 7, epoch: 1, purpose: .data, stripes: .first(1), from: 0, note: [])
    child.say(&victim, .ask, ask.encode(), now: late)
    try child.hear(&victim, now: late)
    #expect(child.bytes > 1000)
    #expect(victim.liveFloor <= Double(victim.configuration.capacity.upload))
  }

  @Test func `that says it is far away is not waited for longer than output can wait`() throws {
    var victim = try Foe.victim()
    var foe = try Foe(1)
    try foe.feed(&victim, from: 10, now: .zero)
    let start = Duration.seconds(59)
    foe.say(&victim, .pong, Extension.Ping(token: 0, isAttached: true, depth: 1).encode(), now: start)
    try foe.sendChunk(10, to: &victim, now: start)
    try foe.sendChunk(12, to: &victim, now: start)
    for step in 1...100 {
      let now = start + .milliseconds(20 * step)
      foe.say(&victim, now: now) { _ in }
      victim.timeout(now: now)
      try foe.hear(&victim, now: now)
    }
    #expect(foe.requests.count { $0.contains(11) } >= 2)
  }

  @Test func `that advertises what does not exist does not shorten the wait for what does`() throws {
    var victim = try Foe.victim()
    var foe = try Foe(1)
    try foe.feed(&victim, from: 10, now: .zero)
    try foe.sendChunk(10, to: &victim, now: .milliseconds(5))
    foe.say(&victim, now: .milliseconds(6)) { Foe.format.appendHave(10...200, to: &$0) }
    #expect(readings(&victim, now: .milliseconds(6)) == [10])
    // Later than output waits for anything, the stream goes on, and one chunk is overtaken.
    let now = Duration.seconds(4)
    try foe.sendChunk(12, to: &victim, now: now)
    #expect(readings(&victim, now: now) == [])
    try foe.sendChunk(11, to: &victim, now: now + .milliseconds(30))
    #expect(readings(&victim, now: now + .milliseconds(30)) == [11, 12])
  }
}

@Suite struct `A hostile broadcaster` {
  @Test func `that contradicts itself gets nobody banned who only passes it on`() throws {
    var victim = try Foe.victim()
    var foe = try Foe(1)
    try foe.feed(&victim, from: 10, now: .zero)
    for chunk in 10..<30 as Range<UInt64> { try foe.sendChunk(chunk, to: &victim, now: .milliseconds(5)) }
    for chunk in 30..<40 as Range<UInt64> {
      try foe.sendChunk(chunk, to: &victim, now: .milliseconds(6), timestamp: 1)
    }
    #expect(victim.statistics(now: .milliseconds(6)).peers == 1, "timestamps that go back")
    try foe.sendChunk(40, to: &victim, now: .milliseconds(7), isShort: true)
    for chunk in 41..<50 as Range<UInt64> { try foe.sendChunk(chunk, to: &victim, now: .milliseconds(8)) }
    #expect(victim.statistics(now: .milliseconds(8)).peers == 1, "chunks behind the last one")
    #expect(victim.lastChunk == 40 && victim.window.newest == 40)
  }

  @Test func `cannot write to the terminal of a viewer`() throws {
    var victim = try Foe.victim { configuration in
      configuration.makeTopology = { name, _ throws(ParameterError) in
        throw ParameterError("there is no topology '\(name)' here")
      }
    }
    var foe = try Foe(1)
    victim.start(bootstrap: [foe.address], now: .zero)
    for _ in 0..<3 { try foe.hear(&victim, now: .zero) }
    foe.hello(&victim, now: .zero)
    try foe.sendDescriptor(&victim, topology: "\u{1B}]0;owned\u{07}", now: .zero)
    for notice in victim.takeNotices() {
      if case .sentence(let text) = notice {
        #expect(text.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "\(text.debugDescription)")
      }
    }
  }
}

@Suite struct `A hostile child` {
  private func served(_ chunks: UInt64 = 200) throws -> (Peer, Foe) {
    var source = try Foe.victim(.source) { $0.window = 20_000 }
    for chunk in 0..<chunks {
      let payload = [UInt8](repeating: 1, count: Foe.chunkSize)
      try unsafe source.publish(
        chunk: chunk,
        payload: payload.span.bytes,
        isEntry: true,
        isLast: false,
        now: .zero
      )
    }
    var foe = try Foe(1)
    try foe.connect(&source, now: .milliseconds(1))
    return (source, foe)
  }

  @Test func `cannot buy much work with one datagram of requests`() throws {
    var (source, foe) = try served(8000)
    let ask = Extension.Ask(number: 7, epoch: 1, purpose: .data, stripes: .first(1), from: 0, note: [])
    foe.say(&source, .ask, ask.encode(), now: .milliseconds(2))
    try foe.hear(&source, now: .milliseconds(2))
    let before = source.statistics(now: .milliseconds(3)).rejected
    foe.say(&source, now: .milliseconds(3)) { bytes in
      for _ in 0..<160 { Foe.format.appendRequest(7000...7999, to: &bytes) }
    }
    // What lies behind the work that one datagram may make was not read.
    #expect(source.statistics(now: .milliseconds(3)).rejected == before + 1)
  }

  @Test func `gets few answers to one datagram of questions`() throws {
    var (source, foe) = try served()
    let ask = Extension.Ask(number: 7, epoch: 1, purpose: .data, stripes: .first(1), from: 1000, note: [])
    foe.say(&source, .ask, ask.encode(), now: .milliseconds(2))
    try foe.hear(&source, now: .milliseconds(2))
    let before = foe.datagrams
    foe.say(&source, now: .milliseconds(3)) { bytes in
      for number in 0..<40 {
        let body =
          number.isMultiple(of: 2)
          ? ask.encode() : Extension.Ping(token: 1, isAttached: true, depth: 1).encode()
        let kind: Extension.Kind = number.isMultiple(of: 2) ? .ask : .ping
        unsafe WireFormat.appendExtension(kind: kind.rawValue, body: body.span.bytes, to: &bytes)
      }
    }
    try foe.hear(&source, now: .milliseconds(3))
    #expect(foe.datagrams - before <= 16)
  }

  @Test func `cannot make a peer check and sign hellos without end`() throws {
    var (source, foe) = try served()
    let before = foe.datagrams
    for step in 0..<100 {
      foe.hello(&source, now: .milliseconds(4 + step), times: 6)
      try foe.hear(&source, now: .milliseconds(4 + step))
    }
    print("600 hellos in 100 ms get \(foe.datagrams - before) datagrams")
    #expect(foe.datagrams - before <= Channel.helloLimit + 8)
  }

  @Test func `cannot name a third party as its address`() throws {
    var (source, foe) = try served()
    let third = Address(ipv4: 0x0808_0808, port: 53)
    var liar = try Foe(2)
    try liar.connect(&source, now: .milliseconds(2), claiming: third)
    let index = try #require(source.channels.firstIndex { $0.address == liar.address })
    #expect(source.directory.contact(of: source.channels[index].peer)?.address == liar.address)
    // Another port of its own host is its own affair.
    var neighbour = try Foe(3)
    let own = Address(ipv4: 0xC633_6403, port: 9)
    try neighbour.connect(&source, now: .milliseconds(2), claiming: own)
    let other = try #require(source.channels.firstIndex { $0.address == neighbour.address })
    #expect(source.directory.contact(of: source.channels[other].peer)?.address == own)
    _ = foe
  }

  @Test func `cannot take the address that another is known by`() throws {
    var (source, foe) = try served()
    let honest = try #require(source.channels.first { $0.address == foe.address }).peer
    // On the same host, so that the claim is credible.
    var thief = try Foe(2, host: 1)
    try thief.connect(&source, now: .milliseconds(2), claiming: foe.address)
    #expect(source.directory.peer(at: foe.address) == honest)
    foe.say(&source, now: .milliseconds(3)) { _ in }
  }
}

@Suite struct `Strangers that know nothing` {
  @Test func `are not asked for chunks while somebody is whom the topology chose`() throws {
    var victim = try Foe.victim()
    var parent = try Foe(1)
    try parent.feed(&victim, from: 10, now: .zero)
    try parent.sendChunk(10, to: &victim, now: .milliseconds(1))
    var strangers = try (2..<22).map { try Foe($0) }
    for index in strangers.indices {
      try strangers[index].connect(&victim, now: .milliseconds(2))
      let channel = try #require(victim.byLocal[strangers[index].remote])
      victim.channels[channel].roles[0].isSpare = true
      strangers[index].say(&victim, now: .milliseconds(3)) { Foe.format.appendHave(10...60, to: &$0) }
    }
    try parent.sendChunk(14, to: &victim, now: .milliseconds(4))
    // Long enough for two tries.
    for step in 1...4 {
      let now = Duration.milliseconds(4 + 10 * step)
      parent.say(&victim, now: now) { _ in }
      victim.timeout(now: now)
      var packets: [(Address, [UInt8])] = []
      victim.flush { sent, heads, _, _ in
        for index in sent.indices {
          var bytes: [UInt8] = []
          bytes.append(bytes: heads.extracting(sent[index].head.range))
          packets.append((sent[index].address, bytes))
        }
      }
      for (address, bytes) in packets where bytes.count > 4 && bytes[4] == MessageType.request {
        if address == parent.address {
          parent.requests.append(0...0)
        } else {
          strangers[0].requests.append(0...0)
        }
      }
    }
    #expect(!parent.requests.isEmpty)
    #expect(strangers[0].requests.isEmpty)
  }
}

@Suite struct `A flood of first handshakes` {
  @Test func `in others' names does not keep an honest newcomer out`() throws {
    var victim = try Foe.victim(.source)
    var honest = try Foe(1)
    try honest.knock(&victim, now: .zero)
    // All that come within its round trip.
    for number in 0..<8_000 as Range<UInt32> {
      var spoofed = try Foe(2, host: 100 + number)
      try spoofed.knock(&victim, now: .milliseconds(1))
    }
    honest.hello(&victim, now: .milliseconds(2))
    #expect(victim.statistics(now: .milliseconds(2)).peers == 1)
  }

  @Test func `is forgotten, and its records are bounded`() throws {
    let victimNumbers = ChannelNumbers()
    var victim = try Foe.victim(.source, numbers: victimNumbers)
    for number in 0..<20_000 as Range<UInt32> {
      var spoofed = try Foe(2, host: 100 + number)
      try spoofed.knock(&victim, now: .milliseconds(1))
    }
    #expect(victimNumbers.count == Newcomers.limit)
    victim.timeout(now: .seconds(10))
    #expect(victimNumbers.count == 0)
  }

  @Test func `that is repeated is answered with the same channel`() throws {
    var victim = try Foe.victim(.source)
    var newcomer = try Foe(1)
    try newcomer.knock(&victim, now: .zero)
    let first = newcomer.remote
    try newcomer.knock(&victim, now: .milliseconds(300))
    #expect(newcomer.remote == first && first != 0)
    newcomer.hello(&victim, now: .milliseconds(400))
    // Its first datagram was on the way twice.
    try newcomer.knock(&victim, now: .milliseconds(500))
    #expect(newcomer.remote == first)
    #expect(victim.statistics(now: .milliseconds(500)).peers == 1)
  }
}

@Suite struct `A topology that answers itself for ever` {
  /// Connects to a peer that cannot be reached whenever it hears that it cannot.
  struct Stubborn: Topology {
    static let manifest = Manifest(name: "stubborn", version: "1.0.0", summary: "Never gives up")
    var heard = 0

    init() {}
    init(parameters: Parameters) throws(ParameterError) {}

    mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
      switch event {
      case .start: context.emit(.discover(limit: 1))
      case .discovered(let candidates):
        for candidate in candidates { connect(candidate.peer, &context) }
      case .linkDown(let peer, _, _):
        heard += 1
        connect(peer, &context)
      case .timer: context.emit(.setTimer(2, at: context.now + .seconds(1)))
      default: break
      }
    }

    private func connect(_ peer: PeerRef, _ context: inout TopologyContext) {
      context.emit(.connect(peer, .data, .first(1), from: nil, note: []))
      context.emit(.setTimer(1, at: context.now + .seconds(1)))
    }
  }

  @Test func `does not hang the peer, nor lose its own events`() throws {
    var victim = try Foe.victim(.source) { configuration in
      configuration.makeTopology = { _, _ in Stubborn() }
    }
    // Our own address cannot be dialled.
    victim.discovered([(Foe.victimAddress, nil)], now: .zero)
    for step in 1...5 {
      let before = (victim.courses.first?.topology as? Stubborn)?.heard ?? 0
      #expect(victim.nextTimeout ?? .seconds(99) <= .milliseconds(step))
      victim.timeout(now: .milliseconds(step))
      let after = (victim.courses.first?.topology as? Stubborn)?.heard ?? 0
      #expect(after > before && after - before <= 4096)
    }
  }
}
