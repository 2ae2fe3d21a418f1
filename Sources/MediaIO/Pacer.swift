/// Says when a packet is due on the wall clock, by its decoding time.
///
/// Every due time is computed from one anchor, so errors do not add up.
struct Pacer {
  /// How late a packet may be before the schedule moves, in nanoseconds.
  ///
  /// After a stall the stream goes on at its own speed instead of rushing.
  static let tolerance: Int64 = 1_000_000_000

  /// The wall clock at decoding time zero.
  private var anchor: Int64?
  /// Whether the schedule had to move because packets came too late.
  private(set) var isBehind = false

  /// - Parameters:
  ///   - time: the packet's decoding time in ticks of 90 kHz.
  ///   - now: the monotonic clock in nanoseconds.
  /// - Returns: the clock's reading at which the packet is due.
  mutating func due(_ time: Int64, now: Int64) -> Int64 {
    let (whole, rest) = time.quotientAndRemainder(dividingBy: Timeline.rate)
    let offset = whole &* 1_000_000_000 &+ rest &* 100_000 / 9
    if let anchor, now &- (anchor &+ offset) <= Self.tolerance { return anchor &+ offset }
    isBehind = isBehind || anchor != nil
    anchor = now &- offset
    return now
  }
}
