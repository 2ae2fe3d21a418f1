import Support
import Testing

@testable import Lab

@Suite struct `What is going to happen` {
  /// Many at one time, many in one step of the calendar, and some eras ahead.
  static func delay(_ random: inout SplitMix64) -> Int64 {
    switch Int.random(in: 0..<4, using: &random) {
    case 0: 0
    case 1: Int64.random(in: 0..<2_000, using: &random)
    case 2: Int64.random(in: 0..<3_000_000, using: &random)
    default: Int64.random(in: 0..<900_000_000, using: &random)
    }
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func `comes in the order of time and, at one time, of scheduling`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var queue = CalendarQueue<ChunkEvent>()
    var expected: [(time: Int64, number: UInt32)] = []
    var scheduled: UInt32 = 0
    var taken: [(time: Int64, number: UInt32)] = []
    func schedule(at time: Int64) {
      queue.schedule(ChunkEvent(.timer, at: time, to: 0, first: scheduled))
      expected.append((time, scheduled))
      scheduled += 1
    }
    for _ in 0..<1500 { schedule(at: Self.delay(&random)) }
    var end: Int64 = 0
    while queue.count > 0 {
      end += 10_000_000
      while let event = queue.next(until: end) {
        #expect(event.time <= end, "seed \(seed)")
        taken.append((event.time, event.first))
        if scheduled < 4000 { schedule(at: event.time + Self.delay(&random)) }
      }
    }
    expected.sort { ($0.time, $0.number) < ($1.time, $1.number) }
    let isInOrder = taken.elementsEqual(expected) { $0 == $1 }
    #expect(isInOrder && taken.count == 4000, "seed \(seed)")
  }
}
