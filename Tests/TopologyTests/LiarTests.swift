import Branching
import PluginKit
import Support
import Testing
import Tree

@Suite struct `A tree among liars` {
  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `comes back together after any bytes from its own members`(seed: UInt64) throws {
    let world = try World(seed: seed, tree("fanout=3"))
    for _ in 0..<12 { world.join() }
    #expect(world.settle(.seconds(5)))
    world.watch(for: .seconds(2))
    let contacts = world.hosts.map(\.contact)
    for _ in 0..<2000 {
      let victim = world.hosts[Int.random(in: 0..<12, using: &world.random)]
      let bytes = hostileBytes(contacts, &world.random)
      guard let near = victim.sides.keys.sorted().randomElement(using: &world.random) else { continue }
      let peer = victim.directory.ref(near)
      world.deliver(
        Bool.random(using: &world.random)
          ? .message(peer, epoch: 1, bytes: bytes)
          : inbound(from: peer, contacts, bytes, &world.random),
        to: victim
      )
      world.run(for: .milliseconds(1))
    }
    // The liars fall silent; what they said must not keep anybody away from the stream.
    let silent = world.now
    #expect(world.settle(.seconds(60)), "seed \(seed): \(world.unattached)")
    print("seed \(seed): together \(world.now - silent) after the last lie")
    world.watch(for: .seconds(30))
    #expect(world.unattached.isEmpty, "seed \(seed): \(world.unattached)")
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `takes in any event in any order without a trap`(seed: UInt64) throws {
    let world = try World(seed: seed, tree("fanout=\(1 + seed)"))
    for _ in 0..<12 { world.join() }
    world.run(for: .seconds(1))
    let contacts = world.hosts.map(\.contact)
    for _ in 0..<3000 {
      let victim = world.hosts[Int.random(in: 0..<12, using: &world.random)]
      let bytes = hostileBytes(contacts, &world.random)
      let peer = victim.directory.ref(Int.random(in: 0..<14, using: &world.random))
      let others = contacts.map { Candidate(peer: victim.directory.peer(for: $0), contact: $0) }
      let event: TopologyEvent =
        switch Int.random(in: 0..<9, using: &world.random) {
        case 0, 1: .message(peer, epoch: UInt32.random(in: 0...1, using: &world.random), bytes: bytes)
        case 2: inbound(from: peer, contacts, bytes, &world.random)
        case 3, 4:
          .linkUp(
            Link(
              peer: peer,
              purpose: Bool.random(using: &world.random) ? .data : .spare,
              stripes: StripeSet(0),
              hello: Bool.random(using: &world.random) ? nil : hello(contacts, &world.random),
              isParent: Bool.random(using: &world.random),
              roundTrip: .seconds(Int64.random(in: 0...(1 << 40), using: &world.random)),
              note: bytes
            )
          )
        case 5: .linkDown(peer, [.refused, .closed, .lied][bytes.count % 3], redirect: others)
        case 6: .silence(peer, for: .milliseconds(Int64.random(in: 0...1000, using: &world.random)))
        case 7: .timer(UInt32.random(in: 0...7, using: &world.random))
        default:
          .capacity(Capacity(upload: UInt64.random(in: 0...(.max), using: &world.random)))
        }
      world.deliver(event, to: victim)
      world.run(for: .milliseconds(1))
    }
  }

  private func hello(_ contacts: [Contact], _ random: inout SplitMix64) -> Hello {
    let contact = contacts[Int.random(in: 0..<contacts.count, using: &random)]
    return Hello(
      id: contact.id,
      capacity: Capacity(upload: .random(in: 0...(.max), using: &random)),
      isAttached: true,
      depth: .max,
      address: contact.address
    )
  }

  private func inbound(
    from peer: PeerRef,
    _ contacts: [Contact],
    _ note: [UInt8],
    _ random: inout SplitMix64
  ) -> TopologyEvent {
    .inbound(
      Inbound(
        peer: peer,
        hello: hello(contacts, &random),
        purpose: Purpose(rawValue: UInt8.random(in: 0...2, using: &random)) ?? .data,
        stripes: StripeSet(rawValue: .random(in: 0...(.max), using: &random)),
        from: .random(in: 0...(.max), using: &random),
        note: note
      )
    )
  }

  /// Messages that are almost right, or not at all.
  private func hostileBytes(_ contacts: [Contact], _ random: inout SplitMix64) -> [UInt8] {
    func number<Integer: FixedWidthInteger>(_: Integer.Type) -> Integer {
      switch Int.random(in: 0..<4, using: &random) {
      case 0: .max
      case 1: 0
      default: .random(in: .min ... .max, using: &random)
      }
    }
    func some(_ limit: Int) -> [Contact] {
      (0..<Int.random(in: 0...limit, using: &random)).compactMap { _ in
        contacts.randomElement(using: &random)
      }
    }
    var bytes: [UInt8]
    switch Int.random(in: 0..<6, using: &random) {
    case 0:
      var view = View(
        standing: Standing(rawValue: UInt8.random(in: 0...2, using: &random)) ?? .attached,
        depth: Int(number(UInt16.self)),
        pulse: number(UInt64.self),
        path: (0..<Int.random(in: 0...View.pathLimit, using: &random)).map { _ in number(UInt64.self) }
      )
      view.sequence = number(UInt32.self)
      view.rank = number(UInt8.self)
      view.siblings = some(4)
      view.ancestors = some(2)
      view.root = contacts.randomElement(using: &random)
      bytes = Message.view(view).encoded
    case 1:
      bytes =
        Message.report(
          Report(
            sequence: number(UInt32.self),
            standing: .attached,
            slots: 2,
            size: number(UInt32.self),
            height: number(UInt16.self),
            offers: some(4).map {
              Offer(
                kind: .free,
                depth: number(UInt16.self),
                lag: number(UInt16.self),
                slots: number(UInt16.self),
                contact: $0
              )
            }
          )
        ).encoded
    case 2: bytes = Message.move(to: some(4)).encoded
    case 3:
      let words = [Message.lift, .ping, .settle(at: some(4))]
      bytes = words[Int.random(in: 0..<3, using: &random)].encoded
    case 4:
      bytes =
        AskNote(
          slots: 2,
          lost: contacts.randomElement(using: &random)?.id.ring,
          rank: number(UInt8.self),
          children: (0..<Int.random(in: 0...48, using: &random)).map { _ in number(UInt64.self) }
        ).encoded
    default:
      bytes = (0..<Int.random(in: 0...1024, using: &random)).map { _ in number(UInt8.self) }
    }
    if !bytes.isEmpty, Int.random(in: 0..<3, using: &random) == 0 {
      let at = Int.random(in: 0..<bytes.count, using: &random)
      bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    }
    if Int.random(in: 0..<6, using: &random) == 0 {
      bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
    }
    return bytes
  }

  @Test func `every message is read back as it was written, and cut short it is none`() {
    var random = SplitMix64(seed: 9)
    var read = 0
    for _ in 0..<300 {
      let contacts = (0..<4).map { _ in
        Contact(
          id: PeerID(InlineWords(random.next(), random.next(), random.next(), random.next())),
          address: Address(ipv6: random.next(), random.next(), port: 7574)
        )
      }
      let bytes = hostileBytes(contacts, &random)
      guard let message = Message(bytes) else { continue }
      read += 1
      #expect(message.encoded == bytes)
      #expect(bytes.count <= TopologyContext.messageLimit)
      for count in 0..<bytes.count { #expect(Message(Array(bytes.prefix(count))) == nil) }
      #expect(Message(bytes + [0]) == nil)
    }
    #expect(read > 60)
  }
}
