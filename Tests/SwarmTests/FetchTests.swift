import Support
import Testing
import Wire

@testable import Swarm

@Suite("Choosing what to ask whom for")
struct FetchTests {
  private static func everything(_ count: UInt64) -> IntervalSet {
    var all = IntervalSet()
    all.insert(0...count - 1)
    return all
  }

  private static func ask(
    _ fetch: inout Fetch,
    _ source: Int,
    _ available: IntervalSet,
    _ random: inout SplitMix64,
    now: Duration = .zero
  ) -> [ChunkRange] {
    var ranges: [ChunkRange] = []
    fetch.ask(
      source,
      having: available,
      roundTrip: .milliseconds(20),
      now: now,
      using: &random,
      &ranges
    )
    return ranges
  }

  @Test("the last chunk is asked for first, and in order the rest follows from the beginning")
  func inOrder() {
    var fetch = Fetch(chunkCount: 1000, order: .inOrder)
    var random = SplitMix64(seed: 1)
    fetch.join(0)
    let ranges = Self.ask(&fetch, 0, Self.everything(1000), &random)
    #expect(ranges == [999...999, 0...254])
    #expect(fetch.outstanding(0) == FetchSource.firstLimit)
  }

  @Test("what the fewest have is asked for first")
  func rarest() {
    let count: UInt64 = 64 * 20
    for seed in 0..<20 as Range<UInt64> {
      var fetch = Fetch(chunkCount: count, order: .rarestFirst)
      var random = SplitMix64(seed: seed)
      let rare = 64 * (seed % 19)...64 * (seed % 19) + 63
      for source in 0..<3 {
        fetch.join(source)
        var some = Self.everything(count)
        if source > 0 { some.remove(rare) }
        for range in some.ranges { fetch.offers(source, range, some) }
      }
      let ranges = Self.ask(&fetch, 0, Self.everything(count), &random)
      // Before it only the piece of the last chunk, which is begun and tells the size.
      #expect(ranges.prefix(3).contains { $0.lowerBound == rare.lowerBound }, "seed \(seed): \(ranges)")
    }
  }

  @Test("no chunk is asked for twice, none that a source has not, and in the end everything has come")
  func schedule() {
    for seed in 0..<50 as Range<UInt64> {
      var random = SplitMix64(seed: seed)
      let count = random.next() % 3000 + 1
      var fetch = Fetch(chunkCount: count, order: random.next() % 2 == 0 ? .inOrder : .rarestFirst)
      var having: [IntervalSet] = []
      for source in 0..<4 {
        var some = IntervalSet()
        if source == 0 {
          some = Self.everything(count)
        } else {
          for _ in 0..<random.next() % 8 {
            let first = random.next() % count
            some.insert(first...min(count - 1, first + random.next() % 200))
          }
        }
        fetch.join(source)
        for range in some.ranges { fetch.offers(source, range, some) }
        having.append(some)
      }
      var asked = [[UInt64]](repeating: [], count: 4)
      var here: Set<UInt64> = []
      var now = Duration.zero
      var events = 0
      while !fetch.isComplete, events < 100_000 {
        events += 1
        now += .microseconds(Int64(random.next() % 2000))
        let source = Int(random.next() % 4)
        switch random.next() % 20 {
        case 0:
          for (silent, chunks) in fetch.timeout(now: now) {
            asked[silent].removeAll { chunk in chunks.contains { $0.contains(chunk) } }
          }
        case 1:
          fetch.leave(source)
          asked[source] = []
          fetch.join(source)
          for range in having[source].ranges { fetch.offers(source, range, having[source]) }
        case 2 where !asked[source].isEmpty:
          let lost = asked[source].removeFirst()
          fetch.failed(lost, from: source, now: now)
        case 3..<8:
          for range in Self.ask(&fetch, source, having[source], &random, now: now) {
            #expect(having[source].covers(range), "seed \(seed)")
            for chunk in range {
              #expect(!here.contains(chunk), "seed \(seed): chunk \(chunk) is here")
              asked[source].append(chunk)
            }
          }
        default:
          guard !asked[source].isEmpty else { continue }
          // Some never come, and are overtaken.
          if random.next() % 50 == 0 {
            asked[source].removeFirst()
            continue
          }
          let chunk = asked[source].removeFirst()
          fetch.arrived(chunk, from: source, now: now)
          here.insert(chunk)
        }
        #expect(fetch.heldCount == UInt64(here.count), "seed \(seed)")
      }
      #expect(fetch.isComplete, "seed \(seed): \(here.count) of \(count) after \(events) events")
    }
  }

  @Test("what was overtaken is asked for again after a grace, and the grace grows when it was too short")
  func overtaken() {
    var fetch = Fetch(chunkCount: 100, order: .inOrder)
    var random = SplitMix64(seed: 1)
    fetch.join(0)
    let all = Self.everything(100)
    #expect(Self.ask(&fetch, 0, all, &random) == [99...99, 0...98])
    fetch.arrived(99, from: 0, now: .milliseconds(1))
    fetch.arrived(1, from: 0, now: .milliseconds(1))
    #expect(fetch.nextTimeout == .milliseconds(1) + FetchSource.firstGrace)
    #expect(fetch.timeout(now: .milliseconds(6)).isEmpty)
    #expect(fetch.openCount == 1)
    // It comes after all.
    fetch.arrived(0, from: 0, now: .milliseconds(7))
    #expect(fetch.openCount == 0)
    fetch.arrived(3, from: 0, now: .milliseconds(10))
    #expect(fetch.nextTimeout == .milliseconds(10) + FetchSource.firstGrace * 2)
  }

  @Test("a silent source loses what it was asked for, and is asked for little until it sends again")
  func silent() {
    var fetch = Fetch(chunkCount: 10_000, order: .inOrder)
    var random = SplitMix64(seed: 1)
    fetch.join(0)
    _ = Self.ask(&fetch, 0, Self.everything(10_000), &random)
    let patience = FetchSource.patience + .milliseconds(80)
    #expect(fetch.nextTimeout == patience)
    let silent = fetch.timeout(now: patience)
    #expect(silent.map(\.source) == [0])
    #expect(silent.first?.chunks == [9999...9999, 0...254])
    #expect(fetch.openCount == 10_000)
    let again = Self.ask(&fetch, 0, Self.everything(10_000), &random, now: patience)
    #expect(again == [9999...9999, 0...UInt64(FetchSource.lowestLimit) - 2])
    #expect(fetch.nextTimeout == patience * 3)
  }

  @Test("in the end who is done takes over half of what the slowest was asked for")
  func takeOver() {
    var fetch = Fetch(chunkCount: 200, order: .inOrder)
    var random = SplitMix64(seed: 1)
    let all = Self.everything(200)
    for source in 0..<2 { fetch.join(source) }
    #expect(Self.ask(&fetch, 0, all, &random) == [199...199, 0...198])
    #expect(Self.ask(&fetch, 1, all, &random).isEmpty)
    #expect(fetch.hasIdleSource)
    var ranges: [ChunkRange] = []
    #expect(fetch.takeOver(1, having: all, now: .zero, &ranges) == 0)
    #expect(ranges == [99...198])
    #expect(fetch.outstanding(0) == 100)
    #expect(fetch.outstanding(1) == 100)
    #expect(!fetch.hasIdleSource)
  }

  @Test("who chokes is asked for nothing, and what it was asked for is open again")
  func choke() {
    var fetch = Fetch(chunkCount: 100, order: .inOrder)
    var random = SplitMix64(seed: 1)
    fetch.join(0)
    _ = Self.ask(&fetch, 0, Self.everything(100), &random)
    fetch.choke(0, true)
    #expect(fetch.openCount == 100)
    #expect(Self.ask(&fetch, 0, Self.everything(100), &random).isEmpty)
    fetch.choke(0, false)
    #expect(!Self.ask(&fetch, 0, Self.everything(100), &random).isEmpty)
  }

  @Test("a piece is a multiple of 64 chunks, and there are at most 4096")
  func pieces() {
    for count in [1, 64, 65, 262_144, 262_145, 10_485_760] as [UInt64] {
      let fetch = Fetch(chunkCount: count, order: .rarestFirst)
      #expect(fetch.pieceSize % 64 == 0)
      #expect(fetch.pieceCount <= 4096)
      #expect(UInt64(fetch.pieceCount) * fetch.pieceSize >= count)
    }
  }
}
