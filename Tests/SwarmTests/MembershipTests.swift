import Integrity
import Lab
import PluginKit
import Testing
import Wire

@testable import Swarm

/// An authority of a test's swarm, and what it gives out.
struct Club {
  static let now = Duration.seconds(1_800_000_000)

  let authority: CertificateAuthority

  init(_ swarm: SwarmName) throws { authority = try CertificateAuthority.generate(swarm, now: Self.now) }

  func member(
    _ identity: PeerIdentity,
    place: String? = nil,
    from start: Duration = .zero,
    until end: Duration = .seconds(86_400)
  ) throws -> Membership {
    try Membership(
      authority: authority.authority,
      certificate: authority.issue(
        name: "member",
        publicKey: identity.publicKey,
        place: place,
        now: Self.now + start,
        notAfter: Self.now + end
      ),
      identity: identity
    )
  }

  /// Makes a peer a member under the identity that it has.
  func admit(_ configuration: inout PeerConfiguration, until end: Duration = .seconds(86_400)) {
    do {
      configuration.membership = try member(configuration.identity, until: end)
    } catch {
      Issue.record("\(error)")
    }
  }
}

@Suite struct `A closed swarm` {
  /// A source that is closed, and its club.
  private func victim(_ role: Role = .source) throws -> (Peer, Club) {
    let club = try Club(.live(Foe.key().swarmID))
    let peer = try Foe.victim(role) { configuration in
      configuration.clockOffset = Club.now
      club.admit(&configuration)
    }
    return (peer, club)
  }

  /// Sends a first handshake with something behind it; gives how many datagrams came back.
  private func knock(_ foe: inout Foe, _ victim: inout Peer, _ certificate: [UInt8]?, now: Duration = .zero)
    throws
    -> Int
  {
    foe.datagrams = 0
    var datagram = try foe.firstDatagram()
    if let certificate { unsafe WireFormat.appendPexCertificate(certificate.span.bytes, to: &datagram) }
    victim.receive(datagram.span, from: foe.address, now: now)
    try foe.hear(&victim, now: now)
    return foe.datagrams
  }

  @Test func `does not answer who shows no certificate, and keeps nothing of it`() throws {
    var (source, _) = try victim()
    for number in 1...50 as ClosedRange<UInt32> {
      var foe = try Foe(number)
      #expect(try knock(&foe, &source, nil) == 0)
    }
    #expect(source.newcomers.isEmpty && source.numbers.count == 0 && source.directory.count == 0)
  }

  @Test func `does not answer to a certificate that is false, expired, early or from elsewhere`() throws {
    var (source, club) = try victim()
    let foreign = try Club(.live(Foe.key().swarmID))
    var foe = try Foe(1)
    let good = try club.member(foe.identity).certificate.der
    var changed = good
    changed[changed.count - 3] ^= 1
    let bad: [(String, [UInt8])] = [
      ("empty", []), ("garbage", [UInt8](repeating: 0x30, count: 300)), ("changed", changed),
      ("foreign", try foreign.member(foe.identity).certificate.der),
      ("too long", good + [UInt8](repeating: 0, count: 1000)),
      ("elsewhere", try club.member(foe.identity, place: "192.0.2.1:99").certificate.der),
      ("a name", try club.member(foe.identity, place: "peer.example:99").certificate.der),
    ]
    for (what, der) in bad { #expect(try knock(&foe, &source, der) == 0, "\(what)") }
    let brief = try club.member(foe.identity, until: .seconds(5)).certificate.der
    let early = try club.member(foe.identity, from: .seconds(1000)).certificate.der
    #expect(try knock(&foe, &source, early) == 0)
    #expect(try knock(&foe, &source, brief, now: .seconds(6)) == 0)
    #expect(source.newcomers.isEmpty)
    #expect(try knock(&foe, &source, good, now: .seconds(6)) == 1)
  }

  @Test func `does not answer with more bytes than came`() throws {
    for place in [nil, "198.51.100.1:4001"] {
      var (source, club) = try victim()
      var foe = try Foe(1)
      let der = try club.member(foe.identity, place: place).certificate.der
      let sent = try foe.firstDatagram().count + 3 + der.count
      foe.bytes = 0
      #expect(try knock(&foe, &source, der) == 1)
      print("\(foe.bytes) bytes for \(sent)")
      #expect(foe.bytes > 300 && foe.bytes <= sent)
    }
  }

  @Test func `gives a thief of a certificate nothing but a handshake`() throws {
    var (source, club) = try victim()
    for chunk in 0..<8 as Range<UInt64> {
      let payload = [UInt8](repeating: 1, count: Foe.chunkSize)
      try unsafe source.publish(
        chunk: chunk,
        payload: payload.span.bytes,
        isEntry: true,
        isLast: false,
        now: .zero
      )
    }
    let owner = try Foe(1)
    var thief = try Foe(2)
    let der = try club.member(owner.identity).certificate.der
    #expect(try knock(&thief, &source, der) == 1)
    thief.bytes = 0
    // It acts as a plain peer, then proves an id that is not the certificate's.
    thief.say(&source, now: .milliseconds(1)) { bytes in
      Foe.format.appendRequest(0...7, to: &bytes)
      WireFormat.appendPexRequest(to: &bytes)
    }
    for step in 1...40 {
      source.timeout(now: .milliseconds(step * 50))
      thief.say(&source, now: .milliseconds(step * 50)) { Foe.format.appendRequest(0...7, to: &$0) }
      try thief.hear(&source, now: .milliseconds(step * 50))
    }
    thief.hello(&source, now: .seconds(3))
    try thief.hear(&source, now: .seconds(3))
    #expect(thief.bytes == 0)
    #expect(source.statistics(now: .seconds(3)).peers == 0)
    var member = try Foe(1)
    _ = try knock(&member, &source, der, now: .seconds(3))
    member.hello(&source, now: .seconds(3))
    try member.hear(&source, now: .seconds(3))
    #expect(source.statistics(now: .seconds(3)).peers == 1)
  }

  @Test func `checks few signatures of strangers, and members all the same`() throws {
    var (source, club) = try victim()
    var member = try Foe(1)
    let good = try club.member(member.identity).certificate.der
    #expect(try knock(&member, &source, good) == 1)
    var refused = 0
    var foe = try Foe(2)
    for number in 0..<300 {
      // All that is looked at before the signature is right.
      var forged = good
      forged[forged.count - 1 - number % 30] ^= UInt8(1 + number / 30)
      if try knock(&foe, &source, forged) == 0 { refused += 1 }
    }
    #expect(refused == 300)
    var again = try Foe(1)
    #expect(try knock(&again, &source, good) == 1, "a known certificate costs nothing")
    var stranger = try Foe(3)
    let other = try club.member(stranger.identity).certificate.der
    #expect(try knock(&stranger, &source, other) == 0, "the budget is spent")
    #expect(try knock(&stranger, &source, other, now: .seconds(1)) == 1)
  }

  @Test func `accepts no more from a responder without a certificate than its handshake`() throws {
    let club = try Club(.live(Foe.key().swarmID))
    var viewer = try Foe.victim { configuration in
      configuration.clockOffset = Club.now
      club.admit(&configuration)
    }
    var foe = try Foe(1)
    try foe.feed(&viewer, from: 0, now: .zero)
    for chunk in 0..<20 as Range<UInt64> { try foe.sendChunk(chunk, to: &viewer, now: .milliseconds(10)) }
    #expect(foe.asks.isEmpty)
    #expect(viewer.statistics(now: .milliseconds(10)).chunksIn == 0 && viewer.descriptor == nil)
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `carries a stream among its members and to nobody else`(seed: UInt64) throws {
    let key = try StreamKey.generate()
    let club = try Club(.live(key.swarmID))
    let path = Path(delay: .milliseconds(5), loss: 0.02)
    let scene = try Scene(seed: seed, rate: 300_000, key: key, path: path) { club.admit(&$0) }
    for number in 0..<5 { scene.viewer(at: .milliseconds(100 * number)) { club.admit(&$0) } }
    let stranger = scene.viewer()
    let impostor = scene.viewer { configuration in
      // Of an authority that calls itself the same.
      if let other = try? Club(.live(key.swarmID)) { other.admit(&configuration) }
    }
    let plain = try PlainPeer(number: 1, scene.broadcast, dials: [scene.source.address], now: .zero)
    scene.world.add(plain)
    var leaked = 0
    let outsiders = [stranger.address, impostor.address, plain.address]
    scene.world.observer = { _, from, to, _ in
      if outsiders.contains(to), !outsiders.contains(from) { leaked += 1 }
    }
    scene.run(for: .seconds(6))
    for viewer in scene.viewers.prefix(5) { scene.expectWhole(viewer) }
    #expect(leaked == 0, "seed \(seed)")
    #expect(stranger.output.readings.isEmpty && impostor.output.readings.isEmpty && plain.chunks.isEmpty)
    #expect(!stranger.seats[0].notices.contains { $0.notice == .connected })
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `parts from a member whose certificate runs out`(seed: UInt64) throws {
    let key = try StreamKey.generate()
    let club = try Club(.live(key.swarmID))
    let scene = try Scene(seed: seed, rate: 300_000, key: key) { club.admit(&$0) }
    let brief = scene.viewer { club.admit(&$0, until: .seconds(4)) }
    let lasting = scene.viewer { club.admit(&$0) }
    scene.run(for: .seconds(3))
    #expect(brief.output.last.map { $0.chunk } ?? 0 > 0)
    scene.run(for: .seconds(6))
    let end = scene.broadcast.published.last { $0.time < .milliseconds(5500) }?.chunk ?? 0
    #expect((brief.output.last?.chunk ?? 0) <= end, "seed \(seed)")
    scene.expectWhole(lasting)
    #expect(
      brief.seats[0].notices.contains { notice in
        if case .sentence(let text) = notice.notice { text.contains("expired") } else { false }
      }
    )
  }
}

@Suite struct `Certificates in exchange` {
  @Test func `name members across the Internet, and bad ones are not looked at for long`() throws {
    let club = try Club(.live(Foe.key().swarmID))
    var relay = try Foe.victim { configuration in
      configuration.clockOffset = Club.now
      club.admit(&configuration)
    }
    func join(_ number: UInt32, place: Bool) throws -> Foe {
      var foe = try Foe(number)
      let place = place ? foe.address.description : nil
      let der = try club.member(foe.identity, place: place).certificate.der
      var datagram = try foe.firstDatagram()
      unsafe WireFormat.appendPexCertificate(der.span.bytes, to: &datagram)
      relay.receive(datagram.span, from: foe.address, now: .zero)
      try foe.hear(&relay, now: .zero)
      foe.hello(&relay, now: .zero)
      try foe.hear(&relay, now: .zero)
      return foe
    }
    var asker = try join(1, place: true)
    let placed = try join(2, place: true)
    _ = try join(3, place: false)
    asker.say(&relay, now: .seconds(1)) { WireFormat.appendPexRequest(to: &$0) }
    try asker.hear(&relay, now: .seconds(1))
    #expect(asker.named.isEmpty)
    asker.certificates.removeAll { $0 == relay.configuration.membership?.certificate.der }
    #expect(asker.certificates.count == 1)
    let told = asker.certificates.first.flatMap { der in
      unsafe club.authority.authority.check(der.span.bytes, at: Club.now)
    }
    #expect(told?.place == placed.address.description)

    // The other way round: what we are told.
    relay.askForPeers()
    let far = try Foe(7, at: Address(ipv4: 0x0808_0808, port: 5))
    let good = try club.member(far.identity, place: far.address.description).certificate.der
    func tell(_ bad: Int) {
      asker.say(&relay, now: .milliseconds(1100)) { bytes in
        for number in 0..<bad {
          unsafe WireFormat.appendPexCertificate([UInt8(number)].span.bytes, to: &bytes)
        }
        unsafe WireFormat.appendPexCertificate(good.span.bytes, to: &bytes)
      }
    }
    tell(Exchange.defectiveLimit)
    #expect(!relay.directory.knows(far.address))
    relay.timeout(now: .seconds(40))
    for now in [40, 41] { asker.say(&relay, now: .seconds(now)) { _ in } }
    relay.askForPeers()
    asker.say(&relay, now: .seconds(42)) { unsafe WireFormat.appendPexCertificate(good.span.bytes, to: &$0) }
    #expect(relay.directory.knows(far.address))
  }
}
