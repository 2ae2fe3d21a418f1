internal import Node
package import Swarm
internal import Text

/// How a fetch goes, in one line.
///
/// A value without a clock: the times are those in the statistics.
package struct FetchLine {
  private var progress: ContentProgress?
  private var time = 0.0
  /// Chunks in a second, smoothed over some of them.
  private var rate = 0.0
  private var bytesPerSecond = 0.0
  private var bytesIn: UInt64 = 0

  package init() {}

  /// Takes note of newer figures.
  package mutating func update(_ now: ContentProgress, _ statistics: Statistics) {
    let seconds = (statistics.timeMilliseconds - time) / 1000
    if seconds > 0 {
      // What was there before a fetch went on did not come now.
      let before = progress?.held ?? now.held - min(now.held, statistics.chunksIn)
      let chunks = Double(now.held &- min(before, now.held)) / seconds
      rate = rate == 0 ? chunks : rate * 0.7 + chunks * 0.3
      bytesPerSecond = Double(statistics.bytesIn &- min(bytesIn, statistics.bytesIn)) / seconds
    }
    progress = now
    time = statistics.timeMilliseconds
    bytesIn = statistics.bytesIn
  }

  package var text: String {
    guard let progress else { return "" }
    guard let count = progress.count else { return "asking how much there is" }
    if progress.isComplete { return "complete, serving" }
    var parts = [
      "\(Number.fixed(Double(progress.held * 1000 / max(count, 1)) / 10, decimals: 1)) %",
      Number.rate(bytesPerSecond * 8), "\(progress.sources) \(progress.sources == 1 ? "source" : "sources")",
    ]
    if rate > 0 { parts.append("\(left(Double(count - progress.held) / rate)) left") }
    return parts.joined(separator: "  ")
  }

  private func left(_ seconds: Double) -> String {
    guard seconds < 360_000 else { return "days" }
    let whole = UInt64(seconds.rounded(.up))
    if whole < 60 { return "\(whole) s" }
    return whole < 3600 ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole / 60 % 60) min"
  }
}
