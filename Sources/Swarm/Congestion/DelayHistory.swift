/// What one-way delays say about the queue on the way (RFC 6817, sections 2.4.2 and 3.1, and appendix A.2).
///
/// Delays are microseconds between two clocks that need not agree, so they may wrap; they are kept as differences from
/// the first one. Nothing here allocates.
struct DelayHistory {
  /// BASE_HISTORY: how many minutes a minimum is remembered.
  static let baseLength = 10
  /// CURRENT_FILTER: the most samples of half a round trip that are looked at.
  static let filterLength = 16
  /// The greatest difference between the rates of two clocks that is corrected; RFC 6817 expects up to 200 ppm.
  static let driftLimit = 250e-6
  /// How far minima may lie off a line, in microseconds, that is still taken for the drift of a clock.
  static let driftTolerance = 2000.0
  /// No queue is ten seconds long, in microseconds: somebody has set a clock, and the history begins anew.
  static let implausible: UInt64 = 10_000_000

  private struct Sample {
    /// Microseconds against ``origin``.
    var delay: Int64 = 0
    /// Our clock in microseconds.
    var at: Int64 = 0
  }

  private static let minute: Int64 = 60_000_000

  /// The lowest delay of each minute, by the minute's number; those not in ``filled`` saw none.
  private var base = [10 of Sample](repeating: Sample())
  private var filled: UInt16 = 0
  private var minute: Int64 = 0
  private var recent = [16 of Sample](repeating: Sample())
  private var recentCount = 0
  private var recentNext = 0
  private var origin: UInt64 = 0
  private var hasOrigin = false

  /// How much faster than ours the other side's clock runs.
  private(set) var drift = 0.0
  /// The lowest of the current delays above the base.
  private(set) var queueing: Duration = .zero

  /// Takes one sample; current are those of the last `span`, which must be less than a round trip.
  mutating func add(_ delay: UInt64, now: Duration, span: Duration) {
    let at = now.microseconds
    var offset = Int64(bitPattern: delay &- origin)
    if !hasOrigin || offset.distance(from: lowest(at)) > Self.implausible {
      begin(delay)
      offset = 0
    }
    let sample = Sample(delay: offset, at: at)
    keep(sample)
    recent[recentNext] = sample
    recentNext = (recentNext + 1) % Self.filterLength
    recentCount = min(recentCount + 1, Self.filterLength)
    queueing = .microseconds(max(0, current(since: at - span.microseconds) &- lowest(at)))
  }

  private mutating func begin(_ delay: UInt64) {
    origin = delay
    hasOrigin = true
    filled = 0
    drift = 0
    recentCount = 0
  }

  /// The base delay as it would be measured at a time; 0 before the first sample.
  private func lowest(_ at: Int64) -> Int64 {
    var lowest = Int64.max
    for slot in 0..<Self.baseLength where filled & 1 << slot != 0 {
      lowest = min(lowest, drifted(base[slot], to: at))
    }
    return lowest == .max ? 0 : lowest
  }

  private func drifted(_ sample: Sample, to at: Int64) -> Int64 {
    sample.delay &+ Int64(drift * Double(at - sample.at))
  }

  private func current(since limit: Int64) -> Int64 {
    var index = (recentNext + Self.filterLength - 1) % Self.filterLength
    var lowest = recent[index].delay
    for _ in 1..<max(recentCount, 1) {
      index = (index + Self.filterLength - 1) % Self.filterLength
      guard recent[index].at > limit else { break }
      lowest = min(lowest, recent[index].delay)
    }
    return lowest
  }

  private mutating func keep(_ sample: Sample) {
    let number = sample.at / Self.minute
    if filled != 0, number != minute {
      estimateDrift()
      // An idle minute knows nothing: its place stays empty.
      for passed in 1...min(max(number - minute, 1), Int64(Self.baseLength)) {
        filled &= ~(1 << slot(minute + passed))
      }
    }
    minute = number
    let slot = slot(number)
    if filled & 1 << slot == 0 || sample.delay < drifted(base[slot], to: sample.at) { base[slot] = sample }
    filled |= 1 << slot
  }

  private func slot(_ minute: Int64) -> Int { Int(minute % Int64(Self.baseLength)) }

  /// Fits a line to the minima; its slope is the median of the slopes between any two, which a few false ones do not bend.
  ///
  /// A route that changed, or a queue that never empties, leaves minima that lie on no line: then what was known stands.
  private mutating func estimateDrift() {
    var slopes = [45 of Double](repeating: 0)
    var slopeCount = 0
    for left in 0..<Self.baseLength where filled & 1 << left != 0 {
      for right in 0..<left where filled & 1 << right != 0 && base[left].at != base[right].at {
        slopes[slopeCount] =
          Double(base[left].delay &- base[right].delay) / Double(base[left].at - base[right].at)
        slopeCount += 1
      }
    }
    // Any two minima lie on a line; it takes three to say that it is one.
    guard slopeCount >= 3 else { return }
    let slope = median(&slopes, slopeCount)
    guard abs(slope) <= Self.driftLimit else { return }
    var offsets = [45 of Double](repeating: 0)
    var count = 0
    let reference = base[slot(minute)].at
    for slot in 0..<Self.baseLength where filled & 1 << slot != 0 {
      offsets[count] = Double(base[slot].delay) - slope * Double(base[slot].at - reference)
      count += 1
    }
    let middle = median(&offsets, count)
    var onLine = 0
    for index in 0..<count where abs(offsets[index] - middle) <= Self.driftTolerance { onLine += 1 }
    if onLine * 4 >= count * 3 { drift = slope }
  }

  private func median(_ values: inout [45 of Double], _ count: Int) -> Double {
    for index in 1..<count {
      let value = values[index]
      var place = index
      while place > 0, values[place - 1] > value {
        values[place] = values[place - 1]
        place -= 1
      }
      values[place] = value
    }
    return values[count / 2]
  }
}

extension Int64 {
  /// How far apart two numbers are, around the end as well.
  fileprivate func distance(from other: Int64) -> UInt64 { (self &- other).magnitude }
}
