/// How long chunks stay here, from their arrival to their sending, in buckets that grow by a sixteenth.
///
/// Its size is fixed; adding allocates nothing.
struct HopHistogram {
  /// Sixteen buckets for each power of two up to 2^40 ns, eighteen minutes.
  private static let octaves = 40
  private static let steps = 16

  private var counts = [UInt64](repeating: 0, count: octaves * steps)
  private(set) var count: UInt64 = 0

  mutating func add(_ time: Duration) {
    counts[Self.bucket(time.nanoseconds)] += 1
    count += 1
  }

  /// The time that a part of all times does not exceed, `nil` while there is none.
  ///
  /// - Parameter part: 0.5 for the median, 0.99 for what 99 of 100 do not exceed.
  /// - Returns: the middle of the bucket, at most a thirty-second off.
  func quantile(_ part: Double) -> Duration? {
    guard count > 0 else { return nil }
    let rank = UInt64(max(0, min(1, part)) * Double(count - 1))
    var seen: UInt64 = 0
    for (bucket, number) in counts.enumerated() where number > 0 {
      seen += number
      if seen > rank { return .nanoseconds(Self.middle(bucket)) }
    }
    return nil
  }

  private static func bucket(_ nanoseconds: Int64) -> Int {
    let value = UInt64(clamping: nanoseconds)
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

extension Duration {
  /// In whole nanoseconds, cut to what 64 bits hold.
  var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return seconds < 0 ? .min : .max }
    let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return carry ? (seconds < 0 ? .min : .max) : sum
  }

  var milliseconds: Double { Double(nanoseconds) / 1e6 }
}
