import Integrity
import Support
import Testing

@Suite struct NTPTimestampTests {
  @Test func `The time of the vectors is that of the format`() {
    let timestamp = NTPTimestamp(sinceUnixEpoch: .milliseconds(1_700_000_000_500))
    #expect(timestamp.rawValue == 0xE8FE_6F80_8000_0000)
    #expect(timestamp.sinceUnixEpoch == .milliseconds(1_700_000_000_500))
    #expect(timestamp.description == "2023-11-14T22:13:20.500000Z")
  }

  @Test func `Times around the end of an era are written, read and subtracted`() {
    let end = NTPTimestamp(sinceUnixEpoch: .seconds(2_085_978_495) + .nanoseconds(999_999_999))
    let start = NTPTimestamp(sinceUnixEpoch: .seconds(2_085_978_496))
    #expect(start.rawValue == 0)
    #expect(end.rawValue >> 32 == 0xFFFF_FFFF)
    #expect(start.description == "2036-02-07T06:28:16.000000Z")
    #expect(end.isBefore(start))
    #expect(!start.isBefore(end))
    #expect(start.duration(since: end) > .zero)
    #expect(start.duration(since: end) < .nanoseconds(2))
    #expect(end.duration(since: start) < .zero)
    #expect(NTPTimestamp(sinceUnixEpoch: .zero).description == "1970-01-01T00:00:00.000000Z")
    #expect(NTPTimestamp(sinceUnixEpoch: .milliseconds(-1)).description == "1969-12-31T23:59:59.999000Z")
    #expect(NTPTimestamp(sinceUnixEpoch: .seconds(951_782_400)).description == "2000-02-29T00:00:00.000000Z")
  }

  @Test func `Times come back to the nanosecond and differences are exact`() {
    for seed in UInt64(1)...2_000 {
      var random = SplitMix64(seed: seed)
      let first =
        Duration.seconds(Int64.random(in: 0..<4_000_000_000, using: &random))
        + .nanoseconds(Int64.random(in: 0..<1_000_000_000, using: &random))
      let timestamp = NTPTimestamp(sinceUnixEpoch: first)
      #expect(timestamp.sinceUnixEpoch == first, "seed \(seed)")
      let step =
        Duration.seconds(Int64.random(in: -1_000_000...1_000_000, using: &random)) + .milliseconds(500)
      let second = NTPTimestamp(sinceUnixEpoch: first + step)
      let error = second.duration(since: timestamp) - step
      #expect(error > .nanoseconds(-1) && error < .nanoseconds(1), "seed \(seed)")
      #expect(second.isBefore(timestamp) == (step < .zero), "seed \(seed)")
    }
  }

  @Test func `No value traps`() {
    let values: [UInt64] = [0, 1, 1 << 31, 1 << 32, 1 << 63, (1 << 63) - 1, .max - 1, .max]
    for first in values {
      let timestamp = NTPTimestamp(rawValue: first)
      #expect(!timestamp.description.isEmpty)
      for second in values { _ = timestamp.duration(since: NTPTimestamp(rawValue: second)) }
    }
    for time in [Duration.seconds(Int64.max), .seconds(Int64.min), .nanoseconds(-1)] {
      _ = NTPTimestamp(sinceUnixEpoch: time)
    }
  }

  @Test func `A chunk is old by its neighbours and not by a clock`() {
    func consistent(_ timestamp: UInt64, _ below: UInt64?, _ above: UInt64?) -> Bool {
      TimestampOrder.isConsistent(timestamp, below: below, above: above)
    }
    #expect(consistent(0, nil, nil))
    #expect(consistent(5, 5, 5))
    #expect(consistent(5, 4, 6))
    #expect(!consistent(3, 4, 6))
    #expect(!consistent(7, 4, 6))
    #expect(consistent(7, 4, nil))
    #expect(!consistent(3, 4, nil))
    #expect(!consistent(7, nil, 6))
    #expect(consistent(1, .max, 2))
    #expect(!consistent(.max, 1, nil))
  }
}
