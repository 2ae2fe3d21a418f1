import PluginKit
import Testing

@testable import Seeded

@Suite struct `The tree of a chunk` {
  private static func tree(_ count: Int, fanout: (Int) -> Int, weight: (Int) -> UInt32) -> ChunkTree {
    ChunkTree(seeds: (0..<count).map { ChunkTree.Seed(weight: weight($0), fanout: fanout($0)) })
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `gives everybody exactly one parent, in few hops`(seed: UInt64) {
    var random = RandomSource(seed: seed)
    let fanouts = (0..<300).map { _ in 2 + Int(random.next() % 7) }
    let tree = Self.tree(300, fanout: { fanouts[$0] }, weight: { UInt32(1000 + $0) })
    for _ in 0..<50 {
      let chunk = random.next()
      let order = tree.order(for: chunk)
      let isWhole = order.places.first == 0 && order.places.sorted() == Array(0..<300)
      #expect(isWhole, "seed \(seed), chunk \(chunk)")
      var fed = [Int](repeating: 0, count: 300)
      var depth = [Int](repeating: 0, count: 300)
      var isDownward = true
      for place in 0..<300 {
        for child in order.children(of: place) {
          isDownward = isDownward && child > place
          fed[child] += 1
          depth[child] = depth[place] + 1
        }
      }
      let isTree = fed == [0] + [Int](repeating: 1, count: 299)
      #expect(isTree && isDownward, "seed \(seed), chunk \(chunk)")
      #expect((depth.max() ?? 99) <= 6, "seed \(seed), chunk \(chunk)")
    }
  }

  @Test func `has everybody send as its upload is worth, chunk after chunk`() {
    // A fifth has more than six times the upload of the others, and one none at all.
    func weight(_ number: Int) -> UInt32 { number == 99 ? 0 : number % 5 == 0 ? 12_000 : 1800 }
    let tree = Self.tree(100, fanout: { $0 == 0 ? 3 : 8 }, weight: weight)
    var sent = [Int](repeating: 0, count: 100)
    for chunk in 1...4000 as ClosedRange<UInt64> {
      let order = tree.order(for: chunk)
      for place in 0..<100 { sent[order.places[place]] += order.children(of: place).count }
    }
    #expect(sent.reduce(0, +) == 99 * 4000 && sent[99] == 0)
    let strong = sent.enumerated().filter { $0.offset > 0 && $0.offset % 5 == 0 }.map(\.element)
    let weak = sent.enumerated().filter { $0.offset % 5 != 0 && $0.offset != 99 }.map(\.element)
    let ratio = Double(strong.reduce(0, +) * weak.count) / Double(weak.reduce(0, +) * strong.count)
    #expect(ratio > 6 && ratio < 7.4, "a strong peer sends \(ratio) times what a weak one does")
    // With a rate of 2 Mbit/s the weak have 1.8 Mbit/s to give.
    #expect(Double(weak.max() ?? .max) / 4000 < 0.9)
  }

  @Test func `with too little fan-out still leaves nobody out`() {
    for (fanout, weight) in [(0, 0), (1, 0), (1, 5), (2, 5)] {
      let tree = Self.tree(9, fanout: { _ in fanout }, weight: { $0 == 4 ? UInt32(weight) : 0 })
      let order = tree.order(for: 7)
      let children = (0..<9).flatMap { Array(order.children(of: $0)) }
      #expect(children.sorted() == Array(1..<9), "fan-out \(fanout), weight \(weight)")
    }
    #expect(ChunkTree(seeds: []).order(for: 1).places.isEmpty)
    #expect(ChunkTree(seeds: [ChunkTree.Seed(weight: 1, fanout: 1)]).order(for: 1).children(of: 0).isEmpty)
  }
}

@Suite struct `The list of a seeded swarm` {
  private static func contact(_ number: UInt32) -> Contact {
    var random = RandomSource(seed: UInt64(number))
    let id = PeerID((0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    return Contact(
      id: id ?? PeerID(InlineWords()),
      address: Address(ipv6: random.next(), random.next(), port: 7574)
    )
  }

  private static func entry(_ number: UInt32) -> Roll.Entry {
    Roll.Entry(number: number, contact: contact(number), upload: number * 100, isReachable: number % 3 > 0)
  }

  @Test func `messages survive the way, and anything else is none`() {
    var delta = Roll.Delta(version: 1 << 40)
    delta.left = (0..<UInt32(Roll.Delta.leftLimit)).map { $0 }
    delta.uploads = (0..<UInt32(Roll.Delta.uploadLimit)).map { Roll.Upload(number: $0, upload: $0 * 7) }
    delta.joined = (0..<UInt32(Roll.Delta.joinedLimit)).map(Self.entry)
    let part = (0..<UInt32(Message.partLimit)).map(Self.entry)
    let messages: [Message] = [
      .want(5), .silent(7), .delta(delta), .delta(Roll.Delta(version: 2)),
      .part(version: 9, part: 1, of: Message.partsLimit, part), .part(version: 0, part: 0, of: 1, []),
      .window(entry: 5, last: 9),
    ]
    var random = RandomSource(seed: 1)
    for message in messages {
      let bytes = message.encoded
      let isSame = Message(bytes) == message
      #expect(isSame && bytes.count <= TopologyContext.messageLimit)
      for length in 0..<bytes.count {
        let isNone = Message(Array(bytes.prefix(length))) == nil
        #expect(isNone, "\(length) bytes of \(bytes.count)")
      }
      for _ in 0..<500 {
        var changed = bytes
        changed[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
        guard case .part(_, let place, let count, let entries) = Message(changed) else { continue }
        #expect(place < count && count <= Message.partsLimit && entries.count <= Message.partLimit)
      }
    }
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `what a peer says it has is known again, as long as it is new`(seed: UInt64) {
    var random = RandomSource(seed: seed)
    var possession = Possession()
    var held: Set<UInt64> = []
    var first: UInt64 = 1000
    while first < 2500 {
      let last = first + random.next() % 150
      possession.insert(first...last)
      held.formUnion(first...last)
      first = last + 2 + random.next() % 5
    }
    let wrong = (1000...2600 as ClosedRange<UInt64>).filter { possession.contains($0) != held.contains($0) }
    #expect(wrong.isEmpty, "seed \(seed): \(wrong)")
    possession.insert(0...(.max))
    #expect(possession.contains(.max - 1) && !possession.contains(1000))
  }

  @Test func `changes lead from one version to the next, and only in order`() {
    var roll = Roll(version: 1, entries: [Self.entry(0)])
    var first = Roll.Delta(version: 2)
    first.joined = [Self.entry(2), Self.entry(1)]
    var second = Roll.Delta(version: 3)
    second.left = [1, 0]
    second.uploads = [Roll.Upload(number: 2, upload: 5), Roll.Upload(number: 9, upload: 5)]
    let isEarly = roll.apply(second)
    let isFirst = roll.apply(first)
    let numbers = roll.entries.map(\.number)
    #expect(!isEarly && isFirst && numbers == [0, 1, 2])
    let isSecond = roll.apply(second)
    let isTwice = roll.apply(second)
    let left = roll.entries.map(\.number)
    #expect(isSecond && !isTwice && left == [0, 2] && roll.entries[1].upload == 5)
  }

  @Test func `newcomers wait until they can be fed, feed nobody at first, and then do`() throws {
    var registrar = Registrar()
    var roll = Roll(version: 1, entries: [Self.entry(0)])
    for number in 1...10 as ClosedRange<UInt32> {
      registrar.register(Self.contact(number), upload: 2200, isReachable: true, now: .zero)
    }
    func revise(_ now: Duration) -> Roll.Delta? {
      let delta = registrar.delta(for: roll, own: 0, rate: 1000, copies: 2, now: now)
      if let delta { _ = roll.apply(delta) }
      return delta
    }
    #expect(revise(.zero)?.joined.count == 2 && revise(.milliseconds(400)) == nil)
    // The source and two others carry five copies.
    #expect(revise(.milliseconds(500))?.uploads.count == 2)
    #expect(roll.entries.count == 6)
    registrar.remove(Self.contact(1).id)
    #expect(revise(.milliseconds(600))?.left == [1])
    // The word of one about another is not enough; that of two is.
    registrar.suspect(2, by: Self.contact(3).id, isOwn: false, now: .milliseconds(700))
    #expect(revise(.milliseconds(700))?.uploads.isEmpty ?? true)
    registrar.suspect(2, by: Self.contact(4).id, isOwn: false, now: .milliseconds(800))
    #expect(revise(.milliseconds(800))?.uploads == [Roll.Upload(number: 2, upload: 0)])
    _ = revise(.seconds(4))
    #expect(roll.entries.first { $0.number == 2 }?.upload == 2200)
    #expect(roll.entries.count == 10)
  }

  @Test func `when the source's upload changes, the list says so`() {
    var registrar = Registrar()
    var roll = Roll(version: 1, entries: [Self.entry(0)])
    let delta = registrar.delta(for: roll, own: 3400, rate: 1000, copies: 2, now: .zero)
    let isTaken = delta.map { roll.apply($0) }
    #expect(isTaken == true && roll.entries[0].upload == 3400)
    #expect(registrar.delta(for: roll, own: 3400, rate: 1000, copies: 2, now: .seconds(1)) == nil)
  }

  @Test func `whoever nobody can feed is let in after five seconds`() {
    var registrar = Registrar()
    let roll = Roll(version: 1, entries: [Self.entry(0)])
    for number in 1...5 as ClosedRange<UInt32> {
      registrar.register(Self.contact(number), upload: 0, isReachable: true, now: .zero)
    }
    #expect(registrar.delta(for: roll, own: 0, rate: 1000, copies: 1, now: .zero)?.joined.count == 1)
    #expect(registrar.delta(for: roll, own: 0, rate: 1000, copies: 1, now: .seconds(5))?.joined.count == 4)
  }
}
