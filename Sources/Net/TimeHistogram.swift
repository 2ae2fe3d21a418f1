/// How long something took each time, in buckets that grow by a sixteenth.
///
/// Its size is fixed; adding allocates nothing.
package struct TimeHistogram: Sendable {
  /// Sixteen buckets for each power of two up to 2^40 ns, eighteen minutes.
  private static let octaves = 40
  private static let steps = 16

  private var counts = [UInt64](repeating: 0, count: octaves * steps)
  package private(set) var count: UInt64 = 0

  package init() {}

  package mutating func add(_ time: Duration) {
    counts[Self.bucket(time)] += 1
    count += 1
  }

  /// The time that a part of all times does not exceed, `nil` when it is not known.
  ///
  /// - Parameters:
  ///   - part: 0.5 for the median, 0.99 for what 99 of 100 do not exceed.
  ///   - endless: so many more times were longer than all that were added.
  /// - Returns: the middle of the bucket, at most a thirty-second off.
  package func quantile(_ part: Double, endless: UInt64 = 0) -> Duration? {
    let needed = max(1, UInt64((max(0, min(1, part)) * Double(count + endless)).rounded(.up)))
    var seen: UInt64 = 0
    for (bucket, number) in counts.enumerated() {
      seen += number
      if seen >= needed { return .nanoseconds(Self.middle(bucket)) }
    }
    return nil
  }

  private static func bucket(_ time: Duration) -> Int {
    // Far more than the last bucket holds, and exact for every time below 104 days.
    let value = UInt64(max(0, min(time / .nanoseconds(1), 0x1p53)))
    guard value >= UInt64(steps) else { return Int(value) }
    let octave = 63 - value.leadingZeroBitCount
    let step = Int(value >> UInt64(octave - 4)) & (steps - 1)
    return min((octave - 3) * steps + step, octaves * steps - 1)
  }

  private static func middle(_ bucket: Int) -> Int64 {
    guard bucket >= steps else { return Int64(bucket) }
    let octave = bucket / steps + 3
    let width = Int64(1) << Int64(octave - 4)
    return Int64(1) << Int64(octave) + Int64(bucket % steps) * width + width / 2
  }
}
