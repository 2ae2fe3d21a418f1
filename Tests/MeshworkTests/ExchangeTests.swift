import Meshwork
import PluginKit
import Testing

/// One peer of a mesh whose neighbours are numbers.
struct MeshBench {
  final class Directory: PeerDirectory {
    func contact(of peer: PeerRef) -> Contact? { MeshBench.contact(Int(peer.number)) }
    func peer(for contact: Contact) -> PeerRef { PeerRef(UInt32(truncatingIfNeeded: contact.id.ring)) }
  }

  static let rate: UInt64 = 2_000_000
  var now = Duration.seconds(1)
  var stripes = 1
  private var random = RandomSource(seed: 1)
  private let directory = Directory()

  static func contact(_ number: Int) -> Contact {
    Contact(
      id: PeerID(InlineWords(UInt64(number), 1, 2, 3)),
      address: Address(ipv4: 0x0a00_0000 + UInt32(number), port: 7574)
    )
  }

  static func neighbour(_ number: Int, upload: UInt64 = 2 * rate) -> Membership.Neighbour {
    Membership.Neighbour(
      peer: PeerRef(UInt32(number)),
      upload: upload,
      roundTrip: .milliseconds(50),
      since: .zero
    )
  }

  static func hello(_ number: Int, upload: UInt64 = 2 * rate) -> Hello {
    let contact = contact(number)
    return Hello(
      id: contact.id,
      capacity: Capacity(upload: upload),
      isAttached: true,
      depth: nil,
      address: contact.address
    )
  }

  static func link(
    _ number: Int,
    _ purpose: Purpose = .spare,
    stripes: StripeSet = [],
    isParent: Bool = false
  ) -> Link {
    Link(
      peer: PeerRef(UInt32(number)),
      purpose: purpose,
      stripes: stripes,
      hello: hello(number),
      isParent: isParent,
      roundTrip: .milliseconds(50)
    )
  }

  mutating func run(_ body: (inout TopologyContext) -> Void) -> [TopologyAction] {
    var context = TopologyContext(
      now: now,
      me: Self.contact(99),
      epoch: 1,
      window: WindowState(first: 0, last: nil, newestEntry: nil, size: 150),
      stream: StreamProperties(rate: Self.rate, chunkSize: 8192, stripes: stripes),
      held: [],
      random: random,
      directory: directory
    )
    body(&context)
    random = context.random
    return context.actions
  }
}

extension [TopologyAction] {
  var requests: [(chunk: UInt64, peer: UInt32)] {
    compactMap {
      if case .request(let chunks, let peer) = $0 { (chunks.lowerBound, peer.number) } else { nil }
    }
  }
  /// How many chunks are offered, and to how many.
  var offers: [(peer: UInt32, chunks: Int)] {
    compactMap {
      guard case .send(let peer, let bytes) = $0, case .offer(_, let bits) = Note(bytes) else { return nil }
      return (peer.number, bits.prefix(bits.count / 2).reduce(0) { $0 + $1.nonzeroBitCount })
    }
  }
}

@Suite struct `An exchange of chunks` {
  private func offer(_ chunks: ClosedRange<UInt64>) -> Note {
    var set = ChunkSet()
    set.insert(chunks)
    let words = (chunks.lowerBound >> 6...chunks.upperBound >> 6).map { set.word($0) }
    return .offer(word: chunks.lowerBound >> 6, bits: words + words)
  }

  private func begun(_ bench: inout MeshBench, partners: Int, role: Role = .relay) -> Exchange {
    var exchange = Exchange()
    exchange.role = role
    exchange.upload = 4 * MeshBench.rate
    _ = bench.run {
      exchange.begin(&$0)
      for number in 0..<partners { exchange.add(MeshBench.neighbour(number), &$0) }
    }
    return exchange
  }

  @Test func `asks one of those who offer a chunk, and another one when that fails`() {
    var bench = MeshBench()
    var exchange = begun(&bench, partners: 2)
    let first = bench.run { _ = exchange.hear(offer(100...100), from: PeerRef(0), &$0) }.requests
    #expect(first.map(\.chunk) == [100])
    #expect(first.map(\.peer) == [0])
    #expect(bench.run { _ = exchange.hear(offer(100...100), from: PeerRef(1), &$0) }.requests.isEmpty)
    let second = bench.run { exchange.failed(PeerRef(0), 100...100, .linkDown, &$0) }.requests
    #expect(second.map(\.peer) == [1])
    let arrival = ChunkArrival(chunk: 100, from: PeerRef(1), note: 0)
    #expect(bench.run { exchange.arrived([arrival], &$0) }.requests.isEmpty)
    #expect(exchange.held.contains(100))
  }

  @Test func `asks nobody for more at once than it seems to carry`() {
    var bench = MeshBench()
    var exchange = begun(&bench, partners: 1)
    let asked = bench.run { _ = exchange.hear(offer(64...120), from: PeerRef(0), &$0) }.requests
    #expect(asked.count == Int(Partner.firstWindow))
    bench.now += .milliseconds(40)
    // Each answer that came quickly makes room for itself and a little more.
    var more = 0
    for (chunk, _) in asked {
      let arrival = ChunkArrival(chunk: chunk, from: PeerRef(0), note: 0)
      more += bench.run { exchange.arrived([arrival], &$0) }.requests.count
    }
    #expect(more >= asked.count)
    #expect(more <= asked.count + 2)
  }

  @Test(arguments: [1, 2, 4] as [UInt64])
  func `offers no more than the upload carries`(copies: UInt64) {
    var bench = MeshBench()
    var exchange = begun(&bench, partners: 30, role: .source)
    exchange.upload = copies * MeshBench.rate
    var offered = 0
    var chunk: UInt64 = 0
    // 8 KiB chunks at 2 Mbit/s come every 33 ms.
    for step in 0..<3000 {
      bench.now += .milliseconds(10)
      var actions: [TopologyAction] = []
      if step % 3 == 0 {
        chunk += 1
        let arrival = ChunkArrival(chunk: chunk, from: PeerRef(99), note: 0)
        actions += bench.run { exchange.arrived([arrival], &$0) }
      }
      actions += bench.run { _ = exchange.timer(2, &$0) }
      // Offers repeat the words in which something is new: each chunk counts once.
      offered = exchange.partners.reduce(0) { sum, partner in
        sum
          + (partner.offered.bottom...partner.offered.top).reduce(0) {
            $0 + partner.offered.word($1).nonzeroBitCount
          }
      }
    }
    let each = Double(offered) / Double(chunk)
    #expect(each <= Double(copies))
    #expect(each > Double(copies) * 0.6)
  }

  @Test func `goes on when a neighbour says to have what does not exist yet`() {
    var bench = MeshBench()
    var exchange = begun(&bench, partners: 3)
    _ = bench.run { _ = exchange.hear(offer(1 << 50...1 << 50), from: PeerRef(0), &$0) }
    _ = bench.run { _ = exchange.hear(offer(100...100), from: PeerRef(1), &$0) }
    let asked = bench.run { _ = exchange.hear(offer(101...101), from: PeerRef(2), &$0) }.requests
    #expect(asked.contains { $0.chunk == 101 && $0.peer == 2 })
    #expect(exchange.newest < 1000)
  }

  @Test func `does not ask for what is pushed, until it was passed over`() {
    var bench = MeshBench()
    bench.stripes = 2
    var exchange = begun(&bench, partners: 1)
    exchange.fed = StripeSet(0)
    let asked = bench.run { _ = exchange.hear(offer(100...101), from: PeerRef(0), &$0) }.requests
    #expect(asked.map(\.chunk) == [101])
    #expect(bench.run { exchange.missed([100], &$0) }.requests.map(\.chunk) == [100])
  }
}

@Suite struct `Subscriptions to stripes` {
  private func begun(_ bench: inout MeshBench, _ role: Role, upload: UInt64, near: Int) -> Subscriptions {
    bench.stripes = 4
    var subscriptions = Subscriptions(stripes: 4)
    subscriptions.role = role
    subscriptions.upload = upload
    _ = bench.run { context in
      for number in 0..<near { subscriptions.add(MeshBench.neighbour(number), &context) }
    }
    return subscriptions
  }

  private func inbound(_ number: Int, _ stripes: StripeSet) -> Inbound {
    Inbound(
      peer: PeerRef(UInt32(number)),
      hello: MeshBench.hello(number),
      purpose: .data,
      stripes: stripes,
      from: nil
    )
  }

  @Test func `are granted as far as the upload carries them`() {
    var bench = MeshBench()
    var subscriptions = begun(&bench, .source, upload: 4 * MeshBench.rate, near: 20)
    var routes = 0
    for number in 0..<20 {
      let actions = bench.run { subscriptions.answer(inbound(number, .first(4)), &$0) }
      routes += actions.count { if case .route = $0 { true } else { false } }
    }
    // Three quarters of sixteen.
    #expect(routes == 12)
    #expect(
      subscriptions.load(StreamProperties(rate: MeshBench.rate, chunkSize: 8192, stripes: 4)) == 3
        * MeshBench.rate
    )
  }

  @Test func `go to another neighbour when a parent is silent`() {
    var bench = MeshBench()
    var subscriptions = begun(&bench, .relay, upload: MeshBench.rate, near: 2)
    func asked(_ actions: [TopologyAction]) -> [UInt32] {
      actions.compactMap { if case .connect(let peer, .data, _, _, _) = $0 { peer.number } else { nil } }
    }
    let first = bench.run { subscriptions.hear(1, 0, from: PeerRef(0), &$0) }
    #expect(asked(first) == [0])
    _ = bench.run { subscriptions.granted(MeshBench.link(0, .data, stripes: .first(4), isParent: true), &$0) }
    #expect(subscriptions.fed == .first(4))
    #expect(asked(bench.run { subscriptions.hear(1, 0, from: PeerRef(1), &$0) }).isEmpty)
    let second = bench.run { subscriptions.doubt(PeerRef(0), &$0) }
    #expect(subscriptions.fed == [])
    #expect(asked(second).contains(1))
    #expect(!asked(second).contains(0))
  }
}
