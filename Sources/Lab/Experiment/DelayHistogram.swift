/// How long deliveries took, in buckets that grow by 1.1 percent; its size is fixed.
package struct DelayHistogram: Hashable, Sendable {
  /// Sixty-four buckets for each power of two from 2^14 ns (16 µs) to 2^40 ns (eighteen minutes).
  private static let firstOctave = 14
  private static let octaves = 26
  private static let steps = 64

  private var counts = [UInt32](repeating: 0, count: octaves * steps)
  package private(set) var count: UInt64 = 0
  package private(set) var greatest: Int64 = 0
  private var total = 0.0

  package init() {}

  /// Takes in one time in nanoseconds.
  package mutating func add(_ time: Int64) {
    counts[Self.bucket(time)] &+= 1
    count += 1
    greatest = max(greatest, time)
    total += Double(time)
  }

  /// Takes in what another has seen.
  package mutating func add(_ other: DelayHistogram) {
    for bucket in counts.indices { counts[bucket] &+= other.counts[bucket] }
    count += other.count
    greatest = max(greatest, other.greatest)
    total += other.total
  }

  /// The mean in nanoseconds; 0 when there is none.
  package var mean: Double { count == 0 ? 0 : total / Double(count) }

  /// The time in nanoseconds that a part of all does not exceed; `nil` when so many did not come.
  ///
  /// Of `expected`, those that did not come count as endless; without it only those that came count.
  package func quantile(_ part: Double, of expected: UInt64? = nil) -> Int64? {
    let needed = max(1, UInt64((part * Double(expected ?? count)).rounded(.up)))
    guard needed <= count else { return nil }
    var seen: UInt64 = 0
    for (bucket, number) in counts.enumerated() where number > 0 {
      seen += UInt64(number)
      if seen >= needed { return min(Self.middle(bucket), greatest) }
    }
    return greatest
  }

  /// How many did not exceed each bucket's upper end, in ascending order, empty buckets left out.
  package var cumulative: [(time: Int64, count: UInt64)] {
    var seen: UInt64 = 0
    var points: [(time: Int64, count: UInt64)] = []
    for (bucket, number) in counts.enumerated() where number > 0 {
      seen += UInt64(number)
      points.append((Self.lower(bucket + 1), seen))
    }
    return points
  }

  /// What ``cumulative``, ``greatest`` and ``mean`` said of another; `nil` when no histogram says so.
  package init?(cumulative points: [(time: Int64, count: UInt64)], greatest: Int64, mean: Double) {
    for point in points {
      guard point.time > Self.lower(0), point.count > count else { return nil }
      let bucket = Self.bucket(point.time - 1)
      guard point.time == Self.lower(bucket + 1),
        let number = UInt32(exactly: point.count - count), counts[bucket] == 0
      else { return nil }
      counts[bucket] = number
      count = point.count
    }
    self.greatest = greatest
    total = mean * Double(count)
  }

  private static func bucket(_ time: Int64) -> Int {
    let value = UInt64(max(time, 1 << Int64(firstOctave)))
    let octave = 63 - value.leadingZeroBitCount
    guard octave < firstOctave + octaves else { return octaves * steps - 1 }
    let step = Int(value >> UInt64(octave - 6)) & (steps - 1)
    return (octave - firstOctave) * steps + step
  }

  private static func lower(_ bucket: Int) -> Int64 {
    let octave = Int64(bucket / steps + firstOctave)
    return Int64(1) << octave + Int64(bucket % steps) << (octave - 6)
  }

  private static func middle(_ bucket: Int) -> Int64 { (lower(bucket) + lower(bucket + 1)) / 2 }
}
