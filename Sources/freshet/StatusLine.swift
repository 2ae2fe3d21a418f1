package import Swarm

/// What a running peer says about itself, from one look at its statistics to the next.
///
/// A value without a clock: the times are those in the statistics.
package struct StatusLine {
  private let isSource: Bool
  private var previous = Statistics()
  private var down = 0.0
  private var up = 0.0

  package init(isSource: Bool) { self.isSource = isSource }

  /// Takes note of newer statistics.
  package mutating func update(_ statistics: Statistics) {
    let seconds = (statistics.timeMilliseconds - previous.timeMilliseconds) / 1000
    if seconds > 0 {
      down = Double(statistics.bytesIn &- min(previous.bytesIn, statistics.bytesIn)) * 8 / seconds
      up = Double(statistics.bytesOut &- min(previous.bytesOut, statistics.bytesOut)) * 8 / seconds
    }
    previous = statistics
  }

  /// The line for a terminal of `width` columns: what does not fit is left out, the least important first.
  package func terminal(width: Int) -> String {
    var line = ""
    for part in parts {
      let longer = line.isEmpty ? part : line + "  " + part
      // Room for the ^C that the terminal writes behind it.
      guard longer.count + 2 < width else { break }
      line = longer
    }
    return line
  }

  /// The whole line, for a log.
  package var log: String { parts.joined(separator: "  ") }

  private var state: String {
    if isSource { return previous.children == 0 ? "waiting for viewers" : "sending" }
    return previous.parent == nil ? "looking for a parent" : "receiving"
  }

  /// The most important first.
  private var parts: [String] {
    let now = previous
    var parts = [state]
    if !isSource { parts.append("in \(Number.rate(down))") }
    parts.append("out \(Number.rate(up))")
    // Without a parent it would tell of a chunk from long ago.
    if let behind = now.behindLiveMilliseconds, !isSource, now.parent != nil {
      parts.append(Number.fixed(behind / 1000, decimals: 2) + " s behind live")
    }
    parts.append("\(now.peers) \(now.peers == 1 ? "peer" : "peers"), feeding \(now.children)")
    if let depth = now.depth, !isSource { parts.append("depth \(depth)") }
    parts.append("window \(Number.fixed(now.windowFill * 100, decimals: 0)) %")
    if !isSource { parts.append("lost \(now.lost)") }
    parts.append(isSource ? "late \(now.late)" : "repaired \(now.repaired)")
    parts.append("rejected \(now.rejected)")
    return parts
  }
}
