import Net
import Swarm

/// How long chunks take from their signing to a viewer's output.
///
/// Whoever joins begins in the past, so only chunks that were signed after the first one was put out count. The times
/// come from two clocks; they are as true as both show the same time of day.
struct OutputDelay {
  /// What `within_2s` means by in time.
  private static let deadline: Duration = .seconds(2)

  private var times = TimeHistogram()
  private var lost: UInt64 = 0
  private var inTime: UInt64 = 0
  private var began: Duration?

  /// Notes a chunk that is put out now.
  ///
  /// - Parameters:
  ///   - signed: when its source signed it, since 1970.
  ///   - now: the time since 1970.
  ///   - skipped: how many chunks just before it were given up.
  mutating func add(signed: Duration, now: Duration, skipped: UInt64) {
    guard let began else {
      began = now
      return
    }
    guard signed >= began else { return }
    let delay = now - signed
    times.add(delay)
    if delay <= Self.deadline { inTime += 1 }
    lost += skipped
  }

  /// Adds what was measured; a chunk that was given up took longer than all others.
  func complete(_ statistics: inout Statistics) {
    guard times.count > 0 else { return }
    statistics.delayMedianMilliseconds = times.quantile(0.5, endless: lost)?.milliseconds
    statistics.delayP99Milliseconds = times.quantile(0.99, endless: lost)?.milliseconds
    statistics.delayP9999Milliseconds = times.quantile(0.9999, endless: lost)?.milliseconds
    statistics.within2Seconds = Double(inTime) / Double(times.count + lost)
  }
}
