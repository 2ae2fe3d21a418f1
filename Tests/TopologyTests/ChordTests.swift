import PluginKit
import Testing

@testable import Chord

/// Peers that know each other as a ring that has settled lets them: neighbours on both sides, and two fingers in each
/// doubling of distance.
private struct SettledRing {
  static let neighbours = 6
  let places: [UInt32]
  private var known: [[Int]] = []

  init(count: Int, random: inout RandomSource) {
    var places: Set<UInt32> = []
    while places.count < count { places.insert(UInt32(truncatingIfNeeded: random.next())) }
    let sorted = places.sorted()
    self.places = sorted
    var sets: [Set<Int>] = []
    for index in 0..<count {
      var others: Set<Int> = []
      for step in 1...Self.neighbours {
        others.insert((index + step) % count)
        others.insert(((index - step) % count + count) % count)
      }
      for shift in 0..<28 {
        for part in 0..<2 {
          let distance =
            (UInt32(1) << UInt32(31 - shift)) &+ UInt32(part) &* (UInt32(1) << UInt32(30 - shift))
          let target = sorted[index] &+ distance
          others.insert(sorted.firstIndex { $0 >= target } ?? 0)
        }
      }
      others.remove(index)
      sets.append(others)
    }
    // A connection serves both sides.
    for index in 0..<count { for other in sets[index] { sets[other].insert(index) } }
    for index in 0..<count {
      known.append(sets[index].sorted { sorted[$0] &- sorted[index] < sorted[$1] &- sorted[index] })
    }
  }

  /// How often each peer gets a chunk that one of them is to spread over the whole ring, and in how many steps at most.
  func spread(from root: Int, fanout: Int, random: inout RandomSource) -> (copies: [Int], depth: Int) {
    var copies = [Int](repeating: 0, count: places.count)
    var work = [(peer: root, section: Section(ringFrom: places[root]), depth: 0)]
    var deepest = 0
    while let (peer, section, depth) = work.popLast() {
      copies[peer] += 1
      guard copies[peer] == 1 else { continue }
      deepest = max(deepest, depth)
      let origin = places[peer]
      let division = Division(
        places: known[peer].map { places[$0] &- origin },
        weights: known[peer].map { UInt64($0 % 5) },
        near: Self.neighbours
      )
      for part in section.parts(from: origin) {
        for piece in division.pieces(of: part, count: fanout, lot: &random) {
          let section = Section(piece.range.lowerBound &+ origin, piece.range.upperBound &+ origin)
          work.append((known[peer][piece.delegate], section, depth + 1))
        }
      }
    }
    return (copies, deepest)
  }
}

@Suite struct `A section of the ring` {
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `falls into what is ahead and what is behind a place in it, and nothing else`(seed: UInt64) {
    var random = RandomSource(seed: seed)
    for _ in 0..<100 {
      let section = Section(
        UInt32(truncatingIfNeeded: random.next()),
        UInt32(truncatingIfNeeded: random.next())
      )
      let place = UInt32(truncatingIfNeeded: random.next())
      #expect(Section(note: section.note) == section, "seed \(seed)")
      let parts = section.parts(from: place)
      let samples = [section.first, section.last, place, place &+ 1, place &- 1]
      for sample in samples + (0..<10).map({ _ in UInt32(truncatingIfNeeded: random.next()) }) {
        let isIn = section.contains(sample) && sample != place
        #expect(parts.count { $0.contains(sample &- place) } == (isIn ? 1 : 0), "seed \(seed)")
      }
    }
  }

  @Test func `of a single place has no parts for who stands there`() {
    #expect(Section(7, 7).parts(from: 7).isEmpty)
    #expect(Section(7, 7).isSingle)
    #expect(Section(ringFrom: 7).parts(from: 7) == [1...UInt32.max])
    #expect(!Section(ringFrom: 7).isSingle)
  }
}

@Suite struct `A division` {
  @Test(arguments: 1...50 as ClosedRange<UInt64>)
  func `covers a part once, with a delegate in each piece`(seed: UInt64) {
    var random = RandomSource(seed: seed)
    let places = Set(
      (0..<Int(random.next() % 60 + 1)).map { _ in UInt32(truncatingIfNeeded: random.next()) | 1 }
    )
    .sorted()
    let division = Division(places: places, weights: places.map { _ in random.next() % 4 }, near: 4)
    let part = 1...UInt32(truncatingIfNeeded: random.next() | 0xFFFF)
    let count = Int(random.next() % 16 + 1)
    let pieces = division.pieces(of: part, count: count, lot: &random)
    #expect(pieces.count <= count, "seed \(seed)")
    #expect(pieces.isEmpty == !places.contains { part.contains($0) }, "seed \(seed)")
    for piece in pieces { #expect(piece.range.contains(places[piece.delegate]), "seed \(seed)") }
    let ordered = pieces.map(\.range).sorted { $0.lowerBound < $1.lowerBound }
    guard !ordered.isEmpty else { return }
    #expect(ordered.first?.lowerBound == part.lowerBound && ordered.last?.upperBound == part.upperBound)
    for (piece, next) in zip(ordered, ordered.dropFirst()) {
      #expect(piece.upperBound + 1 == next.lowerBound, "seed \(seed)")
    }
  }

  @Test func `spares who cannot send`() {
    let division = Division(places: [10, 20, 30, 40], weights: [0, 1, 0, 5], near: 4)
    for seed in 1...20 as ClosedRange<UInt64> {
      var random = RandomSource(seed: seed)
      let pieces = division.pieces(of: 1...100, count: 2, lot: &random)
      #expect(pieces.map(\.delegate).sorted() == [1, 3], "seed \(seed)")
    }
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `brings a chunk to everybody on a settled ring exactly once, in few steps`(seed: UInt64) {
    var random = RandomSource(seed: seed)
    for count in [2, 7, 40, 300, 1000] {
      let ring = SettledRing(count: count, random: &random)
      for _ in 0..<3 {
        let root = Int(random.next() % UInt64(count))
        let (copies, depth) = ring.spread(from: root, fanout: 4, random: &random)
        #expect(copies == [Int](repeating: 1, count: count), "seed \(seed), \(count) peers")
        // No more than as if each piece were a half.
        #expect(depth <= 1 + Int.bitWidth - count.leadingZeroBitCount, "seed \(seed), \(count) peers")
      }
    }
  }
}

@Suite struct `A message of the ring` {
  private static func named(_ number: UInt64) -> Named {
    let contact = Contact(
      id: PeerID(InlineWords(number, 1, 2, 3)),
      address: Address(ipv6: number, 7, port: 7574)
    )
    return Named(contact, upload: number * 1000)
  }

  @Test func `is read as it was written, and fits into a message of the host`() {
    let list = (0..<UInt64(Message.listLimit)).map(Self.named)
    let messages: [Message] = [
      .find(target: 1 << 63 | 5, token: 77, hops: 3), .found(token: 9, list), .found(token: 9, []),
      .stabilise(list), .neighbours(list), .leaving(list), .burden(12),
    ]
    for message in messages {
      #expect(Message(message.encoded) == message)
      #expect(message.encoded.count <= TopologyContext.messageLimit)
    }
  }

  @Test func `names no more peers than its limit`() {
    let list = (0..<UInt64(Message.listLimit + 5)).map(Self.named)
    #expect(Message(Message.stabilise(list).encoded) == .stabilise(Array(list.prefix(Message.listLimit))))
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `is nothing when it is cut short, too long or changed beyond reading`(seed: UInt64) {
    var random = RandomSource(seed: seed)
    let whole = Message.found(token: 4, (1...3).map(Self.named)).encoded
    for count in whole.indices { #expect(Message(Array(whole[..<count])) == nil) }
    #expect(Message(whole + [0]) == nil)
    #expect(Message([]) == nil)
    for _ in 0..<500 {
      let bytes = (0..<Int(random.next() % 200)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      if let message = Message(bytes) { #expect(Message(message.encoded) == message, "seed \(seed)") }
    }
  }
}

@Suite struct `A busy peer on the ring` {
  @Test func `wants less, one that is idle wants more, and both within bounds`() {
    var burden = Burden()
    var told: [UInt8] = []
    for second in 1...60 {
      burden.add(100)
      if let willingness = burden.look(time: 0.01, now: .seconds(second)) { told.append(willingness) }
    }
    #expect(told == told.sorted(by: >) && told.last == 1)
    told = []
    for second in 61...160 {
      burden.add(10)
      if let willingness = burden.look(time: 0.01, now: .seconds(second)) { told.append(willingness) }
    }
    #expect(told == told.sorted() && (told.last ?? 0) > Burden.normal)
    #expect(told.allSatisfy { $0 <= 64 })
    for second in 161...170 {
      burden.add(50)
      #expect(burden.look(time: 0.01, now: .seconds(second)) == nil)
    }
  }

  @Test func `waits for a chunk that was overtaken as long as others took, within bounds`() {
    var patience = Patience()
    patience.wait(for: 5...6, now: .seconds(1))
    #expect(patience.overdue(now: .milliseconds(1199)).isEmpty)
    patience.came(5, now: .milliseconds(1300))
    #expect(patience.time == .milliseconds(375))
    #expect(patience.overdue(now: .milliseconds(1300)) == [5...6])
    patience.wait(for: 7...7, now: .seconds(2))
    #expect(patience.overdue(now: .milliseconds(2374)).isEmpty)
    #expect(patience.overdue(now: .milliseconds(2375)) == [7...7])
    #expect(patience.due == nil)
    patience.wait(for: 9...9, now: .seconds(2))
    patience.came(9, now: .seconds(9))
    #expect(patience.time == .milliseconds(500))
    #expect(patience.overdue(now: .seconds(9)) == [9...9])
    // Who has no answer asks again ever later.
    var pauses: [Duration] = []
    for _ in 0..<6 {
      patience.waitAgain(for: 9...9, now: .zero)
      pauses.append((patience.due ?? .zero) - .milliseconds(5))
      _ = patience.overdue(now: .seconds(9))
    }
    #expect(pauses == [100, 200, 400, 800, 1600, 1600].map { .milliseconds($0) })
    for chunk in 0..<UInt64(2 * Patience.limit) { patience.wait(for: chunk...chunk, now: .seconds(10)) }
    #expect(patience.overdue(now: .seconds(11)).count == Patience.limit)
  }
}
