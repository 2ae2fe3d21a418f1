import Integrity
import Lab
import PluginKit
import Support
import Testing
import Wire

@testable import Swarm

@Suite struct `Who asks for peers` {
  private static let lan = Address(ipv4: 0x0A01_0001, port: 9)

  private func asked(_ foe: inout Foe, _ victim: inout Peer, now: Duration) throws -> [Address] {
    foe.named = []
    foe.say(&victim, now: now) { WireFormat.appendPexRequest(to: &$0) }
    try foe.hear(&victim, now: now)
    return foe.named
  }

  /// Foes that have opened a channel to a victim, from 10.1.0.1 on.
  private func connected(_ count: Int, to victim: inout Peer) throws -> [Foe] {
    try (1...count).map { number in
      var foe = try Foe(UInt32(number), at: Address(ipv4: 0x0A01_0000 + UInt32(number), port: 9))
      try foe.connect(&victim, now: .zero)
      return foe
    }
  }

  @Test func `hears of others that were heard from in the last minute, not of itself`() throws {
    var victim = try Foe.victim()
    var foes = try connected(3, to: &victim)
    #expect(Set(try asked(&foes[0], &victim, now: .seconds(1))) == [foes[1].address, foes[2].address])
    // Only the first two are heard from again.
    for now in [55, 59] { foes[1].say(&victim, now: .seconds(now)) { _ in } }
    foes[0].say(&victim, now: .seconds(61)) { _ in }
    #expect(try asked(&foes[0], &victim, now: .seconds(61)) == [foes[1].address])
  }

  @Test func `is answered once in ten seconds`() throws {
    var victim = try Foe.victim()
    var foes = try connected(2, to: &victim)
    #expect(try asked(&foes[0], &victim, now: .seconds(1)).count == 1)
    #expect(try asked(&foes[0], &victim, now: .milliseconds(10_900)).isEmpty)
    #expect(try asked(&foes[0], &victim, now: .seconds(11)).count == 1)
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `hears of eight at most, chosen at random`(seed: UInt64) throws {
    var victim = try Foe.victim { $0.seed = seed }
    var foes = try connected(40, to: &victim)
    let first = try asked(&foes[0], &victim, now: .seconds(1))
    let second = try asked(&foes[0], &victim, now: .seconds(12))
    #expect(first.count == 8 && Set(first).count == 8 && second.count == 8, "seed \(seed)")
    #expect(Set(first) != Set(second), "seed \(seed)")
    #expect(!first.contains(foes[0].address) && !first.contains(Foe.victimAddress))
  }

  @Test func `from the Internet hears of nobody, as nothing vouches for bare addresses there`() throws {
    var victim = try Foe.victim()
    _ = try connected(3, to: &victim)
    var near = try Foe(11)
    var far = try Foe(12)
    try near.connect(&victim, now: .zero)
    try far.connect(&victim, now: .zero)
    #expect(try asked(&far, &victim, now: .seconds(1)).isEmpty)
  }

  @Test func `never hears of a private address from outside, even where all is exchanged`() throws {
    var victim = try Foe.victim { $0.exchange = .everywhere }
    var foes = try connected(3, to: &victim)
    var near = try Foe(11)
    var far = try Foe(12)
    var other = try Foe(13, at: Address(ipv4: 0xC0A8_0105, port: 9))
    for now in [Duration.zero] {
      try near.connect(&victim, now: now)
      try far.connect(&victim, now: now)
      try other.connect(&victim, now: now)
    }
    #expect(try asked(&far, &victim, now: .seconds(1)) == [near.address])
    // One private network is not another.
    #expect(Set(try asked(&other, &victim, now: .seconds(1))) == [near.address, far.address])
    let inside = Set(try asked(&foes[0], &victim, now: .seconds(1)))
    #expect(inside == [foes[1].address, foes[2].address, near.address, far.address])
  }

  @Test func `is not answered by a source, which does not even say that it knows the question`() throws {
    var source = try Foe.victim(.source)
    var foes = try connected(3, to: &source)
    #expect(try asked(&foes[0], &source, now: .seconds(1)).isEmpty)
    var willing = try Foe.victim(.source) { $0.exchange = .privateNetworks }
    foes = try connected(3, to: &willing)
    #expect(try asked(&foes[0], &willing, now: .seconds(1)).count == 2)
  }
}

/// Goes wherever it is redirected to.
private struct Follower: Topology {
  static let manifest = Manifest(name: "follower", version: "1.0.0", summary: "Follows each redirect")

  init() {}
  init(parameters: Parameters) throws(ParameterError) {}

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    let candidates: [Candidate] =
      switch event {
      case .discovered(let candidates): candidates
      case .linkDown(_, _, let redirect): redirect
      default: []
      }
    for candidate in candidates {
      context.emit(.connect(candidate.peer, .data, .first(1), from: nil, note: []))
    }
  }
}

@Suite struct `What exchange names` {
  @Test func `counts only when it was asked for, from the same network, and within bounds`() throws {
    var victim = try Foe.victim { $0.exchange = .everywhere }
    var foe = try Foe(1)
    func flood(_ now: Duration, _ host: UInt32, _ count: UInt32) {
      foe.say(&victim, now: now) { bytes in
        for number in 0..<count {
          // A network of its own for each.
          WireFormat.appendPexResponse(address: host + number << 16, port: 5, to: &bytes)
        }
      }
    }
    try foe.connect(&victim, now: .zero)
    flood(.milliseconds(1), 0x1400_0001, 50)
    #expect(victim.directory.count == 1, "nobody asked")
    victim.askForPeers()
    try foe.hear(&victim, now: .milliseconds(2))
    #expect(foe.peerRequests == 1)
    // Private addresses, this machine, multicast, nowhere.
    for host in [0x0A00_0001, 0x7F00_0001, 0xE000_0001, 0x0000_0001] as [UInt32] {
      flood(.milliseconds(3), host, 1)
    }
    #expect(victim.directory.count == 1)
    flood(.milliseconds(4), 0x1400_0001, 50)
    #expect(victim.directory.count == 1 + Exchange.answerLimit - 4)
    flood(.seconds(20), 0x1500_0001, 50)
    #expect(victim.directory.count == 1 + Exchange.answerLimit - 4)
  }

  /// First handshakes, by address, that a victim sends while time passes.
  private func dialled(_ victim: inout Peer, from start: Duration, for time: Duration) -> [Address: Int] {
    var dials: [Address: Int] = [:]
    var now = start
    while now < start + time {
      victim.timeout(now: now)
      victim.flush { packets, heads, _, _ in
        for index in packets.indices {
          let head = packets[index].head.range
          let channel = unsafe heads.unsafeLoadUnaligned(fromByteOffset: head.lowerBound, as: UInt32.self)
          if channel == 0 { dials[packets[index].address, default: 0] += 1 }
        }
      }
      now += .milliseconds(25)
    }
    return dials
  }

  @Test func `is dialled at a bounded pace whatever a parent redirects to`() throws {
    var victim = try Foe.victim { $0.makeTopology = { _, _ in Follower() } }
    var foes: [Foe] = []
    var now = Duration.milliseconds(1)
    for number in 1...60 as ClosedRange<UInt32> {
      var foe = try Foe(number)
      try foe.connect(&victim, now: now)
      if number == 1 { try foe.sendDescriptor(&victim, now: now) }
      foes.append(foe)
    }
    // Each connection is refused, and the refusal names eight ports of one that has nothing to do with it.
    for (number, var foe) in foes.enumerated() {
      victim.discovered([(foe.address, nil)], now: now)
      try foe.hear(&victim, now: now)
      guard let ask = foe.asks.last else { continue }
      let redirect = try (0..<8).map { port in
        let identity = try Foe(UInt32(1000 + number * 8 + port)).identity
        return Extension.Suggestion(
          contact: Contact(
            id: PeerID(identity.id) ?? PeerID(InlineWords()),
            address: Address(ipv4: 0x0808_0808, port: UInt16(1 + number * 8 + port))
          ),
          isAttached: true
        )
      }
      let answer = Extension.Answer(
        number: ask.number,
        isAccepted: false,
        stripes: ask.stripes,
        redirect: redirect
      )
      foe.say(&victim, .answer, answer.encode(), now: now)
    }
    #expect(foes.count == 60)
    let dials = dialled(&victim, from: now, for: .seconds(4))
    now += .seconds(4)
    let allowed = DialBudget.burst + Int(4 / 0.125) + 1
    print("\(dials.count) addresses dialled with \(dials.values.reduce(0, +)) datagrams")
    #expect(dials.count > 0 && dials.count <= allowed)
    #expect(dials.values.allSatisfy { $0 <= 8 })
  }

  @Test func `cannot send us into our own network from outside`() throws {
    let victim = try Foe.victim()
    let contact = Contact(
      id: PeerID(try Foe(3).identity.id) ?? PeerID(InlineWords()),
      address: Address(ipv4: 0xC0A8_0001, port: 53)
    )
    let suggestion = Extension.Suggestion(contact: contact, isAttached: true)
    #expect(victim.candidates([suggestion], from: Address(ipv4: 0x0808_0808, port: 1)).isEmpty)
    #expect(victim.candidates([suggestion], from: Address(ipv4: 0x0A00_0001, port: 1)).count == 1)
  }

  @Test(arguments: 1...50 as ClosedRange<UInt64>)
  func `never costs more dials than the budget has`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var budget = DialBudget()
    var now = Duration.zero
    var times: [Duration] = []
    for _ in 0..<2000 {
      now += .milliseconds(Int.random(in: 0...[0, 3, 400].randomElement(using: &random)!, using: &random))
      if let time = budget.take(now: now) {
        #expect(time >= now && time - now <= DialBudget.patience)
        times.append(time)
      }
    }
    #expect(times == times.sorted())
    for (index, time) in times.enumerated() where index >= DialBudget.burst {
      let window = time - times[index - DialBudget.burst]
      #expect(window >= DialBudget.interval, "seed \(seed)")
    }
    let total = Double(times.count - DialBudget.burst) * 0.125
    #expect(Duration.seconds(total) <= now + DialBudget.patience, "seed \(seed)")
  }
}

@Suite struct `Peer exchange` {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func `lets viewers of a plain source find each other, and feed each other`(seed: UInt64) throws {
    let broadcast = try Broadcast(seed: seed, rate: 300_000)
    let world = World(seed: seed) { _, _ in Path(delay: .milliseconds(5), loss: 0.01) }
    let plain = try PlainPeer(number: 1, broadcast, injects: true, now: .zero)
    world.add(plain)
    world.run(until: .seconds(1))
    var viewers: [Host] = []
    for number in 0..<4 {
      let viewer = Host("viewer", number: UInt32(2 + number), seed: seed, makeTopology: Scene.makeTopology)
      try viewer.join(broadcast, bootstrap: [plain.address], now: world.now)
      world.add(viewer)
      viewers.append(viewer)
    }
    world.run(until: .seconds(12))
    for viewer in viewers {
      let peers = viewer.statistics(now: world.now).peers
      #expect(peers >= 3, "seed \(seed): \(peers)")
    }
    // The source's line breaks to all but one.
    let lost = Set(viewers.dropFirst().map(\.address))
    world.path = { from, to in
      let isCut = from == plain.address && lost.contains(to) || to == plain.address && lost.contains(from)
      return Path(delay: .milliseconds(5), loss: isCut ? 1 : 0)
    }
    world.run(until: .seconds(20))
    let newest = broadcast.published.last { $0.time < world.now - .seconds(2) }?.chunk ?? 0
    for viewer in viewers {
      #expect(viewer.output.isContiguous && (viewer.output.last?.chunk ?? 0) >= newest, "seed \(seed)")
    }
    #expect(plain.strange == 0)
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `floods do not cut a viewer off from the link's peers`(seed: UInt64) throws {
    let broadcast = try Broadcast(seed: seed, rate: 300_000)
    let world = World(seed: seed) { _, _ in Path(delay: .milliseconds(5)) }
    let honest = try PlainPeer(number: 1, broadcast, injects: true, now: .zero)
    world.add(honest)
    // Peers that speak the protocol, answer all questions with each other's names, and have nothing.
    let empty = try Broadcast(seed: seed, rate: 300_000, key: broadcast.key)
    let sybils = try (0..<60).map { try PlainPeer(number: UInt32(100 + $0), empty, now: .zero) }
    for sybil in sybils {
      sybil.names = sybils.map(\.address).filter { $0 != sybil.address }
      world.add(sybil)
    }
    honest.names = []
    let viewer = Host("viewer", number: 2, seed: seed, makeTopology: Scene.makeTopology)
    try viewer.join(broadcast, bootstrap: [sybils[0].address, honest.address], now: .zero)
    world.add(viewer)
    var dialled: Set<Address> = []
    world.observer = { bytes, from, to, _ in
      if from == viewer.address, bytes.starts(with: [0, 0, 0, 0]) { dialled.insert(to) }
    }
    var most = 0
    for second in 1...120 {
      world.run(until: .seconds(second))
      most = max(most, viewer.statistics(now: world.now).peers)
    }
    print("seed \(seed): at most \(most) links, \(dialled.count) of 60 dialled in two minutes")
    #expect(most <= 2 + Exchange.hintedLimit, "seed \(seed)")
    #expect(most > 2, "seed \(seed): the flood was of use to nobody")
    let newest = broadcast.published.last { $0.time < world.now - .seconds(1) }?.chunk ?? 0
    #expect(viewer.output.isContiguous && (viewer.output.last?.chunk ?? 0) >= newest, "seed \(seed)")
    #expect(viewer.peer.channels.contains { $0.isOpen && $0.address == honest.address })
  }

  @Test func `takes two links from one teller, and two into one network`() throws {
    var victim = try Foe.victim { $0.exchange = .everywhere }
    func entry(_ host: UInt32, by teller: UInt32) -> PeerRef {
      let peer = victim.directory.peer(at: Address(ipv4: host, port: 7))
      victim.directory[peer]?.hintedBy = Address(ipv4: teller, port: 1)
      return peer
    }
    func dial(_ host: UInt32, by teller: UInt32) -> Bool {
      victim.connect(to: entry(host, by: teller)) != nil
    }
    let tells: [(UInt32, UInt32, Bool)] = [
      (0x1401_0001, 0x3000_0001, true), (0x1501_0001, 0x3000_0001, true),
      (0x1601_0001, 0x3000_0001, false),  // a third from one teller
      (0x1401_0002, 0x3000_0002, true), (0x1401_0003, 0x3000_0003, false),  // a third in 20.1/16
      (0x1701_0001, 0x3000_0003, true), (0x1801_0001, 0x3000_0004, true),
      (0x1901_0001, 0x3000_0005, false),  // a sixth
    ]
    for (host, teller, isTaken) in tells {
      #expect(dial(host, by: teller) == isTaken, "\(host >> 16) by \(teller)")
    }
    // What discovery finds has its places.
    victim.discovered([(Address(ipv4: 0x1401_0009, port: 7), nil)], now: .zero)
    #expect(victim.connect(to: victim.directory.peer(at: Address(ipv4: 0x1401_0009, port: 7))) != nil)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `gives a topology candidates when it looks for some`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 300_000)
    scene.viewers(4)
    scene.run(for: .seconds(4))
    var asked = 0
    scene.world.observer = { bytes, from, _, _ in
      if bytes.count == 5, bytes[4] == MessageType.pexRequest { asked += 1 }
    }
    // Their source and their discovery fail together.
    for viewer in scene.viewers { viewer.answersDiscovery = false }
    scene.kill(scene.source)
    scene.run(for: .seconds(5))
    #expect(asked > 0, "seed \(seed): orphans ask each other")
  }
}

@Suite struct `An address` {
  @Test(
    arguments: [
      ("10.0.0.1:5", .local(10)), ("127.0.0.1:5", .machine), ("172.31.0.1:5", .local(172)),
      ("172.32.0.1:5", .internet), ("192.168.3.4:5", .local(192)), ("169.254.0.1:5", .local(169)),
      ("100.64.0.1:5", .local(100)), ("100.128.0.1:5", .internet), ("224.0.0.1:5", .nowhere),
      ("255.255.255.255:5", .nowhere), ("0.0.0.0:5", .nowhere), ("8.8.8.8:0", .nowhere),
      ("[::1]:5", .machine), ("[::]:5", .nowhere), ("[fd00::1]:5", .local(0xFC)),
      ("[fe80::1]:5", .local(0xFE)),
      ("[ff02::1]:5", .nowhere), ("[2001:db8::1]:5", .internet),
    ] as [(String, Address.Network)]
  )
  func `belongs to a network`(text: String, network: Address.Network) throws {
    guard case .address(let address) = try Link.Endpoint(text, allowsPortZero: true) else {
      Issue.record("\(text) is an address")
      return
    }
    #expect(address.network == network, "\(text)")
  }
}
