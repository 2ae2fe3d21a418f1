import Branching
import PluginKit
import Support
import Testing

@testable import Striped

/// One peer of a striped swarm, and what it says to each event.
private struct StripedBench {
  final class Directory: PeerDirectory {
    func contact(of peer: PeerRef) -> Contact? { StripedBench.contact(Int(peer.number)) }
    func peer(for contact: Contact) -> PeerRef { PeerRef(UInt32(truncatingIfNeeded: contact.id.ring)) }
  }

  static let rate: UInt64 = 1_000_000
  /// Its ring makes stripe 3 of 4 its home.
  static let me = 99

  var striped: Striped
  var now = Duration.zero
  var random = RandomSource(seed: 1)
  var held: [ClosedRange<UInt64>] = []

  init(_ text: String = "") throws {
    striped = try Striped(parameters: Parameters(text, declared: Striped.manifest.parameters))
  }

  static func contact(_ number: Int) -> Contact {
    Contact(
      id: PeerID(InlineWords(UInt64(number), 1, 2, 3)),
      address: Address(ipv4: 0x0a00_0000 &+ UInt32(truncatingIfNeeded: number), port: 7574)
    )
  }

  static func hello(_ number: Int, copies: Double) -> Hello {
    Hello(
      id: contact(number).id,
      capacity: Capacity(upload: UInt64(copies * Double(rate))),
      isAttached: true,
      depth: 0,
      address: contact(number).address
    )
  }

  mutating func handle(_ event: TopologyEvent) -> [TopologyAction] {
    var context = TopologyContext(
      now: now,
      me: Self.contact(Self.me),
      epoch: 1,
      window: WindowState(first: 0, last: held.last?.upperBound, newestEntry: nil, size: 100),
      stream: StreamProperties(rate: Self.rate, chunkSize: 1316, stripes: striped.branches.count),
      held: held,
      random: random,
      directory: Directory()
    )
    striped.handle(event, &context)
    random = context.random
    return context.actions
  }

  mutating func begin(_ role: Role = .relay, copies: Double) -> [TopologyAction] {
    handle(.start(role)) + handle(.capacity(Capacity(upload: UInt64(copies * Double(Self.rate)))))
      + handle(.discovered([Candidate(peer: PeerRef(1), isAttached: true)]))
  }

  func link(_ number: Int, _ stripes: StripeSet) -> Link {
    Link(
      peer: PeerRef(UInt32(number)),
      purpose: .data,
      stripes: stripes,
      hello: Self.hello(number, copies: 4),
      isParent: true,
      roundTrip: .milliseconds(10)
    )
  }

  func view(_ stripe: Int, census: Census = Census(), pulse: UInt64 = 1) -> [UInt8] {
    var view = View(standing: .attached, depth: 0, pulse: pulse, path: [])
    view.sequence = UInt32(pulse)
    view.census = census
    return Letter(stripe: stripe, .word(Message.view(view).encoded)).encoded
  }

  /// Attaches to the source, peer 1, in all stripes.
  mutating func attach(copies: Double) {
    _ = begin(copies: copies)
    _ = handle(.linkUp(link(1, .first(striped.branches.count))))
    for stripe in striped.branches.indices {
      _ = handle(.message(PeerRef(1), epoch: 1, bytes: view(stripe)))
    }
  }

  func ask(_ number: Int, _ stripes: StripeSet, copies: Double = 2, slots: UInt8 = 0) -> TopologyEvent {
    var notes = NoteList()
    for stripe in stripes.stripes { _ = notes.append(stripe, AskNote(slots: slots).encoded) }
    return .inbound(
      Inbound(
        peer: PeerRef(UInt32(number)),
        hello: Self.hello(number, copies: copies),
        purpose: .data,
        stripes: stripes,
        from: nil,
        note: notes.bytes
      )
    )
  }

  func plain(_ number: UInt32) -> TopologyEvent {
    .inbound(Inbound(peer: PeerRef(number), hello: nil, purpose: .data, stripes: StripeSet(0), from: nil))
  }
}

extension [TopologyAction] {
  fileprivate var asked: [(peer: PeerRef, stripes: [Int], from: UInt64?)] {
    compactMap {
      guard case .connect(let peer, .data, let stripes, let from, _) = $0 else { return nil }
      return (peer, stripes.stripes, from)
    }
  }

  fileprivate func accepted(_ number: UInt32) -> [Int] {
    for case .accept(PeerRef(number), let stripes, _) in self { return stripes.stripes }
    return []
  }

  fileprivate func letters(to number: UInt32) -> [Letter] {
    compactMap {
      if case .send(PeerRef(number), let bytes) = $0 { Letter(bytes) } else { nil }
    }
  }
}

@Suite struct `A peer of a striped swarm` {
  @Test func `asks the source once for all stripes`() throws {
    var bench = try StripedBench()
    let asked = bench.begin(copies: 2).asked
    #expect(asked.count == 1)
    #expect(asked.first?.peer == PeerRef(1) && asked.first?.stripes == [0, 1, 2, 3])
    #expect(asked.first?.from == nil)
  }

  @Test func `asks in a stripe for the chunk behind the last one that it has of it`() throws {
    for (stripe, from) in [(0, 141), (1, 138), (2, 143), (3, 140)] as [(Int, UInt64)] {
      var bench = try StripedBench()
      bench.attach(copies: 2)
      bench.held = [100...140, 142...142]
      let parting = Letter(stripe: stripe, .parting([StripedBench.contact(7)])).encoded
      let asked = bench.handle(.message(PeerRef(1), epoch: 1, bytes: parting)).asked
      #expect(asked.first?.from == from, "stripe \(stripe)")
    }
  }

  @Test func `feeds others in one stripe only, as many as the upload carries`() throws {
    var bench = try StripedBench()
    bench.attach(copies: 0.9)
    var fed: [Int] = []
    for number in 10..<16 { fed += bench.handle(bench.ask(number, .first(4))).accepted(UInt32(number)) }
    #expect(fed == [3, 3, 3], "a peer with 0.9 of a copy carries three quarters of one")
  }

  @Test func `as the source feeds all stripes alike`() throws {
    var bench = try StripedBench()
    _ = bench.handle(.start(.source))
    _ = bench.handle(.capacity(Capacity(upload: 3_600_000)))
    var fed = [0, 0, 0, 0]
    for number in 10..<20 {
      for stripe in bench.handle(bench.ask(number, .first(4))).accepted(UInt32(number)) { fed[stripe] += 1 }
    }
    #expect(fed == [3, 3, 3, 3], "an eighth of the upload stays for the rest")
  }

  @Test func `says for each stripe where to go when it takes only some`() throws {
    var bench = try StripedBench()
    bench.attach(copies: 2)
    let actions = bench.handle(bench.ask(10, .first(4)))
    #expect(actions.accepted(10) == [3])
    let refused = actions.letters(to: 10).compactMap { letter in
      if case .refusal = letter.content { letter.stripe } else { nil }
    }
    #expect(refused == [0, 1, 2])
  }

  @Test func `follows the way that it is told for one stripe while others are accepted`() throws {
    var bench = try StripedBench()
    _ = bench.begin(copies: 2)
    let way = Letter(stripe: 2, .refusal([StripedBench.contact(7)])).encoded
    let asked = bench.handle(.message(PeerRef(1), epoch: 1, bytes: way)).asked
    #expect(asked.map(\.peer) == [PeerRef(7)] && asked.first?.stripes == [2])
    let actions = bench.handle(.linkUp(bench.link(1, [StripeSet(0), StripeSet(1), StripeSet(3)])))
    let declared = actions.compactMap { action -> Int? in
      if case .declareParent(let stripe, PeerRef(1), _) = action { stripe } else { nil }
    }
    #expect(declared == [0, 1, 3])
  }

  @Test func `keeps a parent that parts in one stripe in the others`() throws {
    var bench = try StripedBench()
    bench.attach(copies: 2)
    let parting = Letter(stripe: 1, .parting([StripedBench.contact(7)])).encoded
    let actions = bench.handle(.message(PeerRef(1), epoch: 1, bytes: parting))
    #expect(actions.contains(.declareParent(stripe: 1, nil, depth: 0)))
    #expect(actions.asked.map(\.peer) == [PeerRef(7)] && actions.asked.first?.stripes == [1])
    #expect(bench.striped.branches.map(\.hasParent) == [true, false, true, true])
  }

  @Test func `ends a link only with the last stripe that uses it`() throws {
    var bench = try StripedBench("stripes=2")
    bench.attach(copies: 2)
    for stripe in 0..<2 {
      let word = Message.move(to: [StripedBench.contact(7)]).encoded
      let letter = Letter(stripe: stripe, .word(word)).encoded
      let asked = bench.handle(.message(PeerRef(1), epoch: 1, bytes: letter)).asked
      #expect(asked.map(\.peer) == [PeerRef(7)])
      let actions = bench.handle(.linkUp(bench.link(7, StripeSet(stripe))))
      if stripe == 0 {
        #expect(actions.contains(.stop(stripe: 0, PeerRef(1))))
        #expect(actions.letters(to: 1).contains(Letter(stripe: 0, .parting([]))))
      } else {
        #expect(actions.contains(.disconnect(PeerRef(1), redirect: [])))
      }
    }
  }

  @Test func `tells a child that does not know that it is none any more`() throws {
    var bench = try StripedBench()
    bench.attach(copies: 2)
    let report = Report(standing: .attached, slots: 0, size: 1, height: 0, offers: [])
    let letter = Letter(stripe: 3, .word(Message.report(report).encoded)).encoded
    let actions = bench.handle(.message(PeerRef(10), epoch: 1, bytes: letter))
    #expect(actions.letters(to: 10) == [Letter(stripe: 3, .parting([]))])
  }

  @Test func `moves home to the stripe where slots are missing`() throws {
    var bench = try StripedBench()
    bench.attach(copies: 2)
    #expect(bench.striped.home == 3)
    for stripe in 0..<4 {
      let census = Census(peers: 100, slots: stripe == 1 ? 100 : 300)
      let letter = bench.view(stripe, census: census, pulse: 2)
      _ = bench.handle(.message(PeerRef(1), epoch: 1, bytes: letter))
    }
    // Each time with a chance of one half.
    for _ in 0..<20 where bench.striped.home == 3 {
      bench.now += .seconds(2)
      _ = bench.handle(.timer(Striped.Timer.balance))
    }
    #expect(bench.striped.home == 1)
    #expect(bench.handle(bench.ask(10, .first(4))).accepted(10) == [1])
  }

  @Test func `gives a plain peer, which pulls the whole stream, a slot of each stripe`() throws {
    var bench = try StripedBench()
    bench.attach(copies: 2.3)
    #expect(!bench.handle(bench.plain(20)).accepted(20).isEmpty)
    #expect(!bench.handle(bench.plain(21)).accepted(21).isEmpty)
    #expect(bench.handle(bench.plain(22)).accepted(22).isEmpty)
    #expect(bench.handle(bench.ask(10, .first(4))).accepted(10).isEmpty)
    _ = bench.handle(.linkDown(PeerRef(20), .closed, redirect: []))
    #expect(bench.handle(bench.ask(10, .first(4))).accepted(10) == [3])
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `survives whatever others say, and its memory stays bounded`(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let stripes = [1, 4, 64][Int(seed % 3)]
    var bench = try StripedBench("stripes=\(stripes)")
    _ = bench.begin(seed % 4 == 0 ? .source : .relay, copies: 4)
    for _ in 0..<1000 {
      bench.now += .milliseconds(Int.random(in: 0...50, using: &random))
      for action in bench.handle(hostileEvent(bench, &random)) {
        switch action {
        case .send(_, let bytes): #expect(bytes.count <= TopologyContext.messageLimit, "seed \(seed)")
        case .connect(_, _, _, _, let note), .accept(_, _, let note):
          #expect(note.count <= Inbound.noteLimit, "seed \(seed)")
        case .refuse(_, _, let redirect), .disconnect(_, let redirect):
          #expect(redirect.count <= TopologyContext.redirectLimit, "seed \(seed)")
        default: break
        }
      }
      let striped = bench.striped
      #expect(striped.wanted.count <= stripes && striped.asked.count <= Striped.askedLimit, "seed \(seed)")
      #expect(striped.timers.count <= 5 * stripes && striped.plain.count <= 20, "seed \(seed)")
    }
  }

  private func hostileEvent(_ bench: StripedBench, _ random: inout SplitMix64) -> TopologyEvent {
    let number = Int.random(in: 0..<40, using: &random)
    let peer = PeerRef(UInt32(number))
    let stripe = Int.random(in: 0..<64, using: &random)
    let contacts = (0..<Int.random(in: 0...4, using: &random)).map { StripedBench.contact($0) }
    let bytes =
      switch Int.random(in: 0..<4, using: &random) {
      case 0: Letter(stripe: stripe, .refusal(contacts)).encoded
      case 1: Letter(stripe: stripe, .parting(contacts)).encoded
      case 2: Letter(stripe: stripe, .word(Message.move(to: contacts).encoded)).encoded
      default:
        (0..<Int.random(in: 0...80, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      }
    let set = StripeSet(rawValue: .random(in: 0...(.max), using: &random))
    let redirect = [Candidate(peer: PeerRef(UInt32.random(in: 0..<40, using: &random)))]
    switch Int.random(in: 0..<9, using: &random) {
    case 0: return .message(peer, epoch: 1, bytes: bytes)
    case 1: return bench.ask(number, set.intersection(.first(8)), copies: 4, slots: 9)
    case 2:
      var link = bench.link(number, set)
      link.isParent = Bool.random(using: &random)
      link.note = bytes
      return .linkUp(link)
    case 3: return .linkDown(peer, [.refused, .closed, .lied, .silent][number % 4], redirect: redirect)
    case 4: return .silence(peer, for: .milliseconds(Int.random(in: 0...900, using: &random)))
    case 5: return .timer(UInt32.random(in: 0...3, using: &random))
    case 6: return .capacity(Capacity(upload: .random(in: 0...20_000_000, using: &random)))
    case 7: return .discovered(redirect)
    default: return bench.plain(UInt32(number))
    }
  }

  @Test func `reads notes of several stripes back, and leaves out what does not fit`() {
    var notes = NoteList()
    let big = [UInt8](repeating: 0, count: 512)
    #expect(notes.append(3, [1, 2, 3]) && notes.append(0, []) && !notes.append(1, big))
    let read = NoteList.read(notes.bytes)
    #expect(read.map(\.stripe) == [3, 0] && read.map(\.note) == [[1, 2, 3], []])
    for count in 0..<notes.bytes.count {
      #expect(NoteList.read(Array(notes.bytes.prefix(count))).count <= 1)
    }
  }
}
