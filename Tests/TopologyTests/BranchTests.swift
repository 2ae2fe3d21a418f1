import Branching
import PluginKit
import Testing

/// One peer, and what it says to each event.
private struct Bench {
  final class Directory: PeerDirectory {
    func contact(of peer: PeerRef) -> Contact? { Bench.contact(Int(peer.number)) }
    func peer(for contact: Contact) -> PeerRef { PeerRef(UInt32(truncatingIfNeeded: contact.id.ring)) }
  }

  var branch: Branch
  var now = Duration.zero
  var random = RandomSource(seed: 1)
  var last: UInt64?
  var epoch: UInt32 = 1

  init(fanout: Int = 2) { branch = Branch(Shape(fanout: fanout)) }

  static func contact(_ number: Int) -> Contact {
    Contact(
      id: PeerID(InlineWords(UInt64(number), 1, 2, 3)),
      address: Address(ipv4: 0x0a00_0000 + UInt32(number), port: 7574)
    )
  }

  static func hello(_ number: Int, upload: UInt64 = 8_000_000) -> Hello {
    Hello(
      id: contact(number).id,
      capacity: Capacity(upload: upload),
      isAttached: true,
      depth: 0,
      address: contact(number).address
    )
  }

  mutating func handle(_ event: TopologyEvent) -> [TopologyAction] {
    var context = TopologyContext(
      now: now,
      me: Self.contact(99),
      epoch: epoch,
      window: WindowState(first: 0, last: last, newestEntry: nil, size: 100),
      stream: StreamProperties(rate: 1_000_000, chunkSize: 1316, stripes: 1),
      held: [],
      random: random,
      directory: Directory()
    )
    branch.handle(event, &context)
    random = context.random
    return context.actions
  }

  mutating func begin(_ role: Role = .relay, upload: UInt64 = 8_000_000) {
    _ = handle(.start(role))
    _ = handle(.capacity(Capacity(upload: upload)))
  }

  /// Attaches to peer 1, a child of the source 0.
  mutating func attach() {
    begin()
    _ = handle(.discovered([Candidate(peer: PeerRef(1), isAttached: true)]))
    _ = handle(.linkUp(link(1)))
    var view = View(standing: .attached, depth: 1, pulse: 1, path: [0])
    view.sequence = 1
    view.ancestors = [Self.contact(0)]
    view.root = Self.contact(0)
    _ = handle(.message(PeerRef(1), epoch: 1, bytes: Message.view(view).encoded))
  }

  func link(_ number: Int, isPlain: Bool = false, purpose: Purpose = .data) -> Link {
    Link(
      peer: PeerRef(UInt32(number)),
      purpose: purpose,
      stripes: StripeSet(0),
      hello: isPlain ? nil : Self.hello(number),
      isParent: purpose == .data,
      roundTrip: .milliseconds(10)
    )
  }

  func ask(
    _ number: Int,
    _ purpose: Purpose = .data,
    from: UInt64? = nil,
    isPlain: Bool = false,
    note: AskNote = AskNote(slots: 2)
  ) -> TopologyEvent {
    .inbound(
      Inbound(
        peer: PeerRef(UInt32(number)),
        hello: isPlain ? nil : Self.hello(number),
        purpose: purpose,
        stripes: StripeSet(0),
        from: from,
        note: isPlain ? [] : note.encoded
      )
    )
  }
}

extension [TopologyAction] {
  fileprivate func accepts(_ number: UInt32) -> Bool {
    contains {
      if case .accept(PeerRef(number), _, _) = $0 { true } else { false }
    }
  }

  fileprivate func refuses(_ number: UInt32) -> Bool {
    contains {
      if case .refuse(PeerRef(number), _, _) = $0 { true } else { false }
    }
  }

  fileprivate func redirect(of number: UInt32) -> [PeerRef]? {
    for case .refuse(PeerRef(number), _, let redirect) in self { return redirect }
    return nil
  }

  /// Whom it asks for chunks, and from which one on.
  fileprivate var asked: [(PeerRef, UInt64?)] {
    compactMap {
      if case .connect(let peer, .data, _, let from, _) = $0 { (peer, from) } else { nil }
    }
  }
}

@Suite struct `A place in a tree` {
  @Test func `asks the peer that is attached first, for its newest entry`() {
    var bench = Bench()
    bench.begin()
    let some = [
      Candidate(peer: PeerRef(5), isAttached: false), Candidate(peer: PeerRef(6)),
      Candidate(peer: PeerRef(7), isAttached: true),
    ]
    let asked = bench.handle(.discovered(some)).asked
    #expect(asked.map(\.0) == [PeerRef(7)] && asked.map(\.1) == [nil])
  }

  @Test func `follows a redirect at once`() {
    var bench = Bench()
    bench.begin()
    _ = bench.handle(.discovered([Candidate(peer: PeerRef(7), isAttached: true)]))
    let actions = bench.handle(
      .linkDown(PeerRef(7), .refused, redirect: [Candidate(peer: PeerRef(8)), Candidate(peer: PeerRef(9))])
    )
    #expect(actions.asked.map(\.0) == [PeerRef(8)])
  }

  @Test func `takes nobody before it is attached itself`() {
    var bench = Bench()
    bench.begin()
    #expect(bench.handle(bench.ask(4)).refuses(4))
    bench.attach()
    let actions = bench.handle(bench.ask(4, from: 17))
    #expect(actions.accepts(4))
    #expect(actions.contains(.route(stripe: 0, to: PeerRef(4), from: 17)))
  }

  @Test func `takes no ancestor, and nobody whose child stands above`() {
    var bench = Bench(fanout: 8)
    bench.attach()
    #expect(bench.handle(bench.ask(1)).refuses(1), "its parent")
    #expect(bench.handle(bench.ask(0)).refuses(0), "its grandparent")
    let above = AskNote(slots: 2, children: [55, 1])
    #expect(bench.handle(bench.ask(4, note: above)).refuses(4), "the parent of its parent, as it says")
  }

  @Test func `one silence is no reason to leave, two are`() {
    var bench = Bench()
    bench.attach()
    bench.now = .seconds(1)
    bench.last = 41
    #expect(bench.handle(.silence(PeerRef(1), for: .milliseconds(160))).asked.isEmpty)
    #expect(bench.handle(.silence(PeerRef(1), for: .milliseconds(230))).asked.isEmpty)
    let actions = bench.handle(.silence(PeerRef(1), for: .milliseconds(300)))
    #expect(actions.contains(.disconnect(PeerRef(1), redirect: [])))
    #expect(actions.asked.map(\.0) == [PeerRef(0)] && actions.asked.map(\.1) == [42])
    #expect(actions.contains(.declareParent(stripe: 0, nil, depth: 0)))
  }

  @Test func `a silence that has ended counts no more`() {
    var bench = Bench()
    bench.attach()
    bench.now = .seconds(1)
    for _ in 0..<5 {
      #expect(bench.handle(.silence(PeerRef(1), for: .milliseconds(160))).asked.isEmpty)
      #expect(bench.handle(.silence(PeerRef(1), for: .milliseconds(240))).asked.isEmpty)
    }
  }

  @Test func `a parent that is heard is not left for want of chunks while those further up mend it`() {
    var bench = Bench()
    bench.attach()
    func silences(_ milliseconds: ClosedRange<Int64>, began: Int64) -> Bool {
      for time in [milliseconds.lowerBound, milliseconds.upperBound] {
        bench.now = .milliseconds(time)
        let actions = bench.handle(.silence(PeerRef(1), for: .milliseconds(time - began)))
        if !actions.asked.isEmpty { return true }
      }
      return false
    }
    func hear(_ standing: Standing, at milliseconds: Int64, _ sequence: UInt32) {
      bench.now = .milliseconds(milliseconds)
      var view = View(standing: standing, depth: 1, pulse: 1, path: [0])
      view.sequence = sequence
      _ = bench.handle(.message(PeerRef(1), epoch: 1, bytes: Message.view(view).encoded))
    }
    hear(.waiting, at: 1000, 2)
    let leavesWaiting = silences(1300...1360, began: 600)
    #expect(!leavesWaiting, "nothing comes to the parent either")
    hear(.attached, at: 1400, 3)
    let leavesMended = silences(1450...1510, began: 600)
    #expect(!leavesMended, "the chunks are on their way")
    hear(.attached, at: 2400, 4)
    let leavesIdle = silences(2500...2560, began: 1450)
    #expect(leavesIdle, "it has been attached for as long as it brings nothing")
  }

  @Test func `an upload that is full to the last bit feeds one fewer, but for orphans`() {
    var bench = Bench(fanout: 8)
    // Two copies, without headers and acknowledgements.
    bench.begin(.source, upload: 2_100_000)
    #expect(bench.handle(bench.ask(4)).accepts(4))
    #expect(bench.handle(bench.ask(5)).refuses(5))
    let orphan = AskNote(slots: 2, lost: Bench.contact(4).id.ring)
    #expect(bench.handle(bench.ask(5, note: orphan)).accepts(5))
  }

  @Test func `one orphan has the place of the child that it lost at once`() {
    var bench = Bench(fanout: 8)
    bench.begin(.source, upload: 1_200_000)
    #expect(bench.handle(bench.ask(4)).accepts(4))
    #expect(bench.handle(bench.ask(5)).refuses(5))
    let left = AskNote(slots: 2, lost: Bench.contact(4).id.ring)
    #expect(bench.handle(bench.ask(6, note: left)).refuses(6), "it was told to go, and the other is there")
    let orphan = AskNote(slots: 2, lost: Bench.contact(4).id.ring, isSilent: true)
    #expect(bench.handle(bench.ask(6, note: orphan)).accepts(6))
    #expect(bench.handle(bench.ask(7, note: orphan)).refuses(7))
    // It is not the surplus: that is the one that may be dead.
    bench.now = .milliseconds(100)
    #expect(!bench.handle(.timer(1)).contains { if case .disconnect = $0 { true } else { false } })
    // The other lives: one of them goes.
    let report = Report(sequence: 1, standing: .attached, slots: 2, size: 1, height: 0, offers: [])
    let actions = bench.handle(.message(PeerRef(4), epoch: 1, bytes: Message.report(report).encoded))
    #expect(actions.contains(.disconnect(PeerRef(6), redirect: [])))
  }

  @Test func `whoever hangs below a child that is thought dead is taken even without chunks`() {
    var bench = Bench(fanout: 8)
    bench.attach()
    #expect(bench.handle(bench.ask(4)).accepts(4))
    var view = View(standing: .waiting, depth: 1, pulse: 1, path: [0])
    view.sequence = 2
    _ = bench.handle(.message(PeerRef(1), epoch: 1, bytes: Message.view(view).encoded))
    #expect(bench.handle(bench.ask(5)).refuses(5))
    let orphan = AskNote(slots: 2, lost: Bench.contact(4).id.ring)
    #expect(bench.handle(bench.ask(6, note: orphan)).accepts(6))
  }

  @Test func `leaves a parent that sees it above itself`() {
    var bench = Bench()
    bench.attach()
    var view = View(standing: .attached, depth: 7, pulse: 9, path: [3, 99])
    view.sequence = 2
    let actions = bench.handle(.message(PeerRef(1), epoch: 1, bytes: Message.view(view).encoded))
    #expect(actions.contains(.disconnect(PeerRef(1), redirect: [])))
  }

  @Test func `believes neither an old view nor one from anybody but its parent, nor one of another epoch`() {
    var bench = Bench()
    bench.attach()
    var loop = View(standing: .attached, depth: 7, pulse: 9, path: [99])
    loop.sequence = 1
    #expect(bench.handle(.message(PeerRef(1), epoch: 1, bytes: Message.view(loop).encoded)).isEmpty)
    loop.sequence = 2
    #expect(bench.handle(.message(PeerRef(2), epoch: 1, bytes: Message.view(loop).encoded)).isEmpty)
    #expect(bench.handle(.message(PeerRef(1), epoch: 2, bytes: Message.view(loop).encoded)).isEmpty)
  }

  @Test func `leaves when the source's pulse stands still, unless it was stopped itself`() {
    func seconds(_ bench: inout Bench, _ range: ClosedRange<Int64>) -> Int64? {
      for second in range {
        bench.now = .seconds(second)
        if bench.handle(.timer(1)).contains(.disconnect(PeerRef(1), redirect: [])) { return second }
      }
      return nil
    }
    var bench = Bench()
    bench.attach()
    let left = seconds(&bench, 1...20)
    #expect(left.map { 8...14 ~= $0 } == true)

    var stopped = Bench()
    stopped.attach()
    #expect(seconds(&stopped, 1...3) == nil)
    #expect(seconds(&stopped, 60...63) == nil)
  }

  @Test func `a peer that speaks nothing but the RFC is a leaf within the upload`() {
    var bench = Bench(fanout: 2)
    bench.begin(.source, upload: 2_400_000)
    let actions = bench.handle(bench.ask(4, isPlain: true))
    #expect(actions.accepts(4))
    #expect(!actions.contains { if case .route = $0 { true } else { false } }, "it pulls")
    #expect(!actions.contains { if case .send = $0 { true } else { false } })
    #expect(bench.handle(bench.ask(5)).accepts(5))
    #expect(bench.handle(bench.ask(6, isPlain: true)).refuses(6))
    // One that relays takes the place of nobody who cannot be told to go elsewhere.
    #expect(bench.handle(bench.ask(7)).refuses(7))
    _ = bench.handle(.linkDown(PeerRef(4), .closed, redirect: []))
    #expect(bench.handle(bench.ask(7)).accepts(7))
  }

  @Test func `a parent that speaks nothing but the RFC counts as a source`() {
    var bench = Bench()
    bench.begin()
    _ = bench.handle(.discovered([Candidate(peer: PeerRef(1))]))
    let actions = bench.handle(.linkUp(bench.link(1, isPlain: true)))
    #expect(actions.contains(.declareParent(stripe: 0, PeerRef(1), depth: 1)))
    #expect(bench.handle(bench.ask(4)).accepts(4))
    for second in 1...30 as ClosedRange<Int64> {
      bench.now = .seconds(second)
      #expect(!bench.handle(.timer(1)).contains(.disconnect(PeerRef(1), redirect: [])))
    }
  }

  @Test
  func `a full peer redirects to the shallowest free place, and to nobody who is not attached`() {
    var bench = Bench(fanout: 2)
    bench.begin(.source, upload: 2_400_000)
    #expect(bench.handle(bench.ask(4)).accepts(4))
    #expect(bench.handle(bench.ask(5)).accepts(5))
    let deep = Offer(kind: .free, depth: 2, lag: 30, slots: 1, contact: Bench.contact(40))
    let near = Offer(kind: .free, depth: 1, lag: 90, slots: 1, contact: Bench.contact(50))
    func report(_ offers: [Offer], _ standing: Standing = .attached) -> [UInt8] {
      Message.report(
        Report(sequence: 1, standing: standing, slots: 2, size: 9, height: 3, offers: offers)
      ).encoded
    }
    _ = bench.handle(.message(PeerRef(4), epoch: 1, bytes: report([deep])))
    _ = bench.handle(.message(PeerRef(5), epoch: 1, bytes: report([near])))
    let first = bench.handle(bench.ask(6)).redirect(of: 6)
    #expect(first?.prefix(2) == [PeerRef(50), PeerRef(40)])
    // The one place there is taken now, as far as is known here; there is room below it, but no higher than elsewhere.
    #expect(bench.handle(bench.ask(7)).redirect(of: 7)?.first == PeerRef(40))

    var other = Bench(fanout: 2)
    other.begin(.source, upload: 2_400_000)
    _ = other.handle(other.ask(4))
    _ = other.handle(other.ask(5))
    _ = other.handle(.message(PeerRef(5), epoch: 1, bytes: report([near], .searching)))
    #expect(other.handle(other.ask(6)).redirect(of: 6) == [PeerRef(4)])
  }

  @Test func `whoever gets chunks last is sent to a free place where they are sooner, once all is calm`() {
    var bench = Bench(fanout: 2)
    bench.begin(.source, upload: 4_000_000)
    #expect(bench.handle(bench.ask(4)).accepts(4))
    #expect(bench.handle(bench.ask(5)).accepts(5))
    let place = Bench.contact(50)
    func report(_ sequence: UInt32, reach: UInt16, _ offers: [Offer]) -> [UInt8] {
      var report = Report(
        sequence: sequence,
        standing: .attached,
        slots: 2,
        size: 9,
        height: 3,
        offers: offers
      )
      report.reach = reach
      return Message.report(report).encoded
    }
    let offers = [Offer(kind: .free, depth: 1, lag: 100, slots: 1, contact: place)]
    bench.now = .seconds(6)
    _ = bench.handle(.message(PeerRef(4), epoch: 1, bytes: report(1, reach: 110, [])))
    _ = bench.handle(.message(PeerRef(5), epoch: 1, bytes: report(1, reach: 0, offers)))
    let settle = TopologyAction.send(PeerRef(4), Message.settle(at: [place]).encoded)
    bench.now = .seconds(7)
    // It is not worth it.
    #expect(!bench.handle(.timer(1)).contains(settle))
    _ = bench.handle(.message(PeerRef(4), epoch: 1, bytes: report(2, reach: 300, [])))
    bench.now = .seconds(8)
    #expect(bench.handle(.timer(1)).contains(settle))
    // What it has set in motion it waits for.
    bench.now = .seconds(9)
    #expect(!bench.handle(.timer(1)).contains(settle))
  }

  @Test func `the word to settle elsewhere goes down to whoever has no children, and only from a parent`() {
    var bench = Bench(fanout: 2)
    bench.begin()
    _ = bench.handle(.discovered([Candidate(peer: PeerRef(1))]))
    _ = bench.handle(.linkUp(bench.link(1)))
    let word = Message.settle(at: [Bench.contact(50)]).encoded
    func asks(_ actions: [TopologyAction]) -> Bool {
      actions.contains { if case .connect(PeerRef(50), .data, _, _, _) = $0 { true } else { false } }
    }
    let stranger = asks(bench.handle(.message(PeerRef(9), epoch: 1, bytes: word)))
    #expect(!stranger)
    bench.now = .seconds(1)
    let isFollowed = asks(bench.handle(.message(PeerRef(1), epoch: 1, bytes: word)))
    #expect(isFollowed)

    var other = Bench(fanout: 2)
    other.begin()
    _ = other.handle(.discovered([Candidate(peer: PeerRef(1))]))
    _ = other.handle(.linkUp(other.link(1)))
    #expect(other.handle(other.ask(4)).accepts(4))
    let actions = other.handle(.message(PeerRef(1), epoch: 1, bytes: word))
    #expect(actions.contains(.send(PeerRef(4), word)))
    let isMoved = asks(actions)
    #expect(!isMoved)
  }

  @Test func `whoever takes us for its parent and is none of our children is told to look elsewhere`() {
    var bench = Bench(fanout: 2)
    bench.begin(.source, upload: 4_000_000)
    let report = Message.report(Report(standing: .attached, slots: 2, size: 1, height: 0, offers: [])).encoded
    #expect(
      bench.handle(.message(PeerRef(4), epoch: 1, bytes: report)).contains(
        .disconnect(PeerRef(4), redirect: [])
      )
    )
    _ = bench.handle(bench.ask(4))
    #expect(
      !bench.handle(.message(PeerRef(4), epoch: 1, bytes: report)).contains(
        .disconnect(PeerRef(4), redirect: [])
      )
    )
  }

  @Test func `a report causes news only when it says something new`() {
    var bench = Bench()
    bench.attach()
    _ = bench.handle(bench.ask(4))
    bench.now = .milliseconds(100)
    _ = bench.handle(.timer(4))
    func report(_ sequence: UInt32, size: UInt32) -> TopologyEvent {
      var report = Report(standing: .attached, slots: 2, size: size, height: 1, offers: [])
      report.sequence = sequence
      return .message(PeerRef(4), epoch: 1, bytes: Message.report(report).encoded)
    }
    let news = TopologyAction.setTimer(4, at: .milliseconds(120))
    #expect(bench.handle(report(1, size: 9)) == [news])
    _ = bench.handle(.timer(4))
    #expect(bench.handle(report(2, size: 9)).isEmpty)
    #expect(bench.handle(report(3, size: 10)) == [news])
  }

  @Test func `a claim that a child is dead opens the slot for repair, and the child is asked`() {
    var bench = Bench(fanout: 2)
    bench.begin(.source, upload: 3_000_000)
    _ = bench.handle(bench.ask(4))
    _ = bench.handle(bench.ask(5))
    #expect(bench.handle(bench.ask(6)).refuses(6))
    #expect(bench.handle(bench.ask(6, note: AskNote(slots: 2, lost: 77))).refuses(6))
    let actions = bench.handle(bench.ask(6, from: 9, note: AskNote(slots: 2, lost: 4)))
    #expect(actions.accepts(6))
    #expect(actions.contains(.send(PeerRef(4), Message.ping.encoded)))
    bench.now = .milliseconds(500)
    #expect(bench.handle(.timer(5)).contains(.disconnect(PeerRef(4), redirect: [])))
    // It is one for one: the slot for repair is free again, and a second orphan hangs elsewhere.
    #expect(bench.handle(bench.ask(7, note: AskNote(slots: 2, lost: 4))).refuses(7))
  }

  @Test func `of two siblings only the later one may hang under the other while both look for a parent`() {
    var bench = Bench(fanout: 4)
    bench.attach()
    var view = View(standing: .attached, depth: 1, pulse: 2, path: [0])
    view.sequence = 2
    view.rank = 1
    view.siblings = [Bench.contact(20), Bench.contact(99), Bench.contact(22)]
    view.ancestors = [Bench.contact(0)]
    _ = bench.handle(.message(PeerRef(1), epoch: 1, bytes: Message.view(view).encoded))
    let actions = bench.handle(.linkDown(PeerRef(1), .silent, redirect: []))
    #expect(actions.asked.map(\.0) == [PeerRef(20)], "the one before it first")
    #expect(bench.handle(bench.ask(20, note: AskNote(slots: 2, lost: 1, rank: 0))).refuses(20))
    #expect(bench.handle(bench.ask(22, note: AskNote(slots: 2, lost: 1, rank: 2))).accepts(22))
    #expect(bench.handle(bench.ask(23, note: AskNote(slots: 2, lost: 8, rank: 3))).refuses(23))
  }

  @Test func `children that leave with grace are told where to go`() {
    var bench = Bench(fanout: 3)
    bench.attach()
    for child in [4, 5, 6] { #expect(bench.handle(bench.ask(child)).accepts(UInt32(child))) }
    let actions = bench.handle(.stop)
    #expect(actions.contains(.disconnect(PeerRef(4), redirect: [PeerRef(1)])), "the heir takes the slot")
    #expect(actions.contains(.disconnect(PeerRef(5), redirect: [PeerRef(4), PeerRef(1)])))
    #expect(actions.contains(.disconnect(PeerRef(1), redirect: [])))
    #expect(bench.handle(bench.ask(7)).isEmpty, "nothing is said after the end")
  }

  @Test func `an upload that shrinks sends children away, those that only watch first`() {
    var bench = Bench(fanout: 4)
    bench.begin(.source, upload: 8_000_000)
    _ = bench.handle(bench.ask(4))
    _ = bench.handle(bench.ask(5, note: AskNote(slots: 0)))
    _ = bench.handle(bench.ask(6))
    let actions = bench.handle(.capacity(Capacity(upload: 2_400_000)))
    let gone = actions.compactMap { if case .disconnect(let peer, _) = $0 { peer } else { nil } }
    #expect(gone == [PeerRef(5)])
  }

  @Test func `several starved children lower the fan-out, one alone does not`() {
    func starve(_ children: [Int]) -> Bench {
      var bench = Bench(fanout: 4)
      bench.begin(.source)
      for child in [4, 5, 6] { _ = bench.handle(bench.ask(child)) }
      for second in 1...3 as ClosedRange<Int64> {
        bench.now = .seconds(second)
        for child in children {
          let sample = LinkSample(
            roundTrip: .milliseconds(20),
            queuedBytes: 90_000,
            rate: 100_000,
            loss: 0,
            isStarved: true
          )
          _ = bench.handle(.linkSample(PeerRef(UInt32(child)), sample))
        }
      }
      return bench
    }
    var slow = starve([4, 5])
    #expect(slow.handle(slow.ask(7)).refuses(7))
    var fast = starve([4])
    #expect(fast.handle(fast.ask(7)).accepts(7))
  }

  @Test func `a swap begins with the peers that the other topology leaves`() {
    var bench = Bench()
    let members = [Candidate(peer: PeerRef(8)), Candidate(peer: PeerRef(3))]
    let handover = Handover(role: .relay, links: [bench.link(2)], members: members)
    let actions = bench.handle(.prepare(epoch: 2, handover))
    #expect(actions.asked.map(\.0) == [PeerRef(2)])
    #expect(bench.handle(.linkUp(bench.link(2))).contains(.ready(epoch: 2)))

    var source = Bench()
    let first = Handover(role: .source, links: [], members: [])
    #expect(source.handle(.prepare(epoch: 2, first)).contains(.ready(epoch: 2)))
  }

  @Test func `a spare link is asked of the grandparent, and ends when another one stands`() {
    var bench = Bench()
    bench.begin()
    _ = bench.handle(.discovered([Candidate(peer: PeerRef(1))]))
    _ = bench.handle(.linkUp(bench.link(1)))
    func view(_ sequence: UInt32, above: Int) -> TopologyEvent {
      var view = View(standing: .attached, depth: 2, pulse: 1, path: [UInt64(above), 0])
      view.sequence = sequence
      view.ancestors = [Bench.contact(above)]
      return .message(PeerRef(1), epoch: 1, bytes: Message.view(view).encoded)
    }
    let first = bench.handle(view(1, above: 30))
    #expect(first.contains(.connect(PeerRef(30), .spare, StripeSet(0), from: nil, note: [])))
    _ = bench.handle(.linkUp(bench.link(30, purpose: .spare)))
    let second = bench.handle(view(2, above: 31))
    #expect(second.contains(.connect(PeerRef(31), .spare, StripeSet(0), from: nil, note: [])))
    #expect(!second.contains(.disconnect(PeerRef(30), redirect: [])), "not before the new one stands")
    let third = bench.handle(.linkUp(bench.link(31, purpose: .spare)))
    #expect(third.contains(.disconnect(PeerRef(30), redirect: [])))
  }
}
