internal import Node
package import Swarm
internal import Text

/// What a running peer says about itself, from one look at its statistics to the next.
///
/// A value without a clock: the times are those in the statistics.
package struct StatusLine {
  /// One figure: as a log says it, as a narrow terminal does, and what it is worth where not all fit.
  private struct Part {
    var long: String
    var short: String
    /// The greatest goes first.
    var rank: Int
  }

  private static let separator = "  "
  /// Room for the ^C that the terminal writes behind the line.
  private static let margin = 3

  private let isSource: Bool
  private var previous = Statistics()
  private var down = 0.0
  private var up = 0.0

  package init(isSource: Bool) { self.isSource = isSource }

  /// Takes note of newer statistics.
  package mutating func update(_ statistics: Statistics) {
    let seconds = (statistics.timeMilliseconds - previous.timeMilliseconds) / 1000
    if seconds > 0 {
      let (now, before) =
        isSource
        ? (statistics.inputBytes, previous.inputBytes) : (statistics.bytesIn, previous.bytesIn)
      down = Double(now &- min(before, now)) * 8 / seconds
      up = Double(statistics.bytesOut &- min(previous.bytesOut, statistics.bytesOut)) * 8 / seconds
    }
    previous = statistics
  }

  /// The line for a terminal of `width` columns: short words where the long ones do not fit, and what still does not
  /// is left out, the least important first.
  package func terminal(width: Int) -> String {
    let room = width - Self.margin
    if log.count <= room { return log }
    var parts = parts
    while !parts.isEmpty {
      let line = parts.map(\.short).joined(separator: Self.separator)
      if line.count <= room { return line }
      guard let least = parts.indices.max(by: { parts[$0].rank < parts[$1].rank }) else { break }
      parts.remove(at: least)
    }
    return ""
  }

  /// The whole line, for a log.
  package var log: String { parts.map(\.long).joined(separator: Self.separator) }

  /// Whether things are as they should be, so that the figures say it all.
  private var isFlowing: Bool { isSource ? previous.children > 0 : previous.parent != nil }

  private var state: String {
    if isSource { return isFlowing ? "sending" : "waiting for viewers" }
    return isFlowing ? "receiving" : "looking for a parent"
  }

  /// All figures, in the order in which they are shown.
  private var parts: [Part] {
    let now = previous
    var parts = [Part(long: state, short: state, rank: isFlowing ? 10 : 0)]
    func add(_ long: String, _ short: String? = nil, rank: Int) {
      parts.append(Part(long: long, short: short ?? long, rank: rank))
    }
    add("in \(Number.rate(down))", "in \(Number.shortRate(down))", rank: 2)
    add("out \(Number.rate(up))", "out \(Number.shortRate(up))", rank: isSource ? 1 : 7)
    // Without a parent it would tell of a chunk from long ago.
    if let behind = now.behindLiveMilliseconds, !isSource, now.parent != nil {
      let seconds = Number.fixed(behind / 1000, decimals: 2)
      add("\(seconds) s behind live", "lag \(seconds)s", rank: 3)
    }
    let peers = "\(UInt64(now.peers).grouped) \(now.peers == 1 ? "peer" : "peers")"
    let children = UInt64(now.children).grouped
    if isSource { add("\(peers), feeding \(children)", "feeding \(children)", rank: 3) }
    if let depth = now.depth, !isSource { add("depth \(depth)", rank: 4) }
    if isSource {
      add("late \(now.late.grouped)", rank: 4)
    } else {
      add("lost \(now.lost.grouped)", rank: 1)
      add("repaired \(now.repaired.grouped)", rank: 5)
    }
    add("rejected \(now.rejected.grouped)", rank: 6)
    if !isSource { add("\(peers), feeding \(children)", "feeding \(children)", rank: 8) }
    let fill = Number.fixed(now.windowFill * 100, decimals: 0)
    add("window \(fill) %", "window \(fill)%", rank: 9)
    return parts
  }
}
