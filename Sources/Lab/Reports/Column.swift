internal import Text

/// A figure that reports compare compositions by.
package struct Column: Sendable {
  package let name: String
  package let unit: String
  /// What it is, in one sentence.
  package let meaning: String
  /// Whether more of it is better; `nil` where neither is.
  package let moreIsBetter: Bool?
  package let decimals: Int
  package let value: @Sendable (ReportLine.Run) -> Double?

  /// What all runs of a composition showed.
  package func spread(_ line: ReportLine) -> Spread? {
    let values = line.values(value)
    // A delay that some runs never reached has no median that means anything.
    guard values.count == line.runs.count else { return nil }
    return Spread(values)
  }

  /// A value in this column's unit.
  package func text(_ value: Double) -> String { Number.fixed(value, decimals: decimals) }

  /// The columns of every table, the most important first.
  package static let all: [Column] = [
    Column("delivered", "%", "Expected deliveries that came before the deadline.", more: true, 3) {
      $0.measurement.delivered * 100
    },
    Column("p50", "ms", "The delay that half of all expected deliveries kept.", more: false, 0) {
      $0.delay(0.5)
    },
    Column("p99", "ms", "The delay that 99 of 100 kept; – where fewer ever came.", more: false, 0) {
      $0.delay(0.99)
    },
    Column("p99 / bound", "×", "The same, as a multiple of what no topology can beat.", more: false, 2) {
      $0.ratio
    },
    Column("copies", "×", "Chunks that arrived for each that was new; 1 is the optimum.", more: false, 3) {
      $0.measurement.copies
    },
    Column("control", "%", "Bytes on the wire that were no chunk.", more: false, 2) {
      $0.measurement.controlShare * 100
    },
    Column("source", "×", "Copies of the stream that the source sent.", more: nil, 2) {
      $0.measurement.sourceFactor
    },
    Column(
      "start p50",
      "ms",
      "From joining to the first picture, for half of those who came.",
      more: false,
      0
    ) {
      $0.measurement.starts.quantile(0.5).map { Double($0) / 1e6 }
    },
    Column("worst peers", "%", "What the peer got in time that one in a hundred falls below.", more: true, 2)
    { run in
      let parts = run.measurement.peerParts
      return parts.isEmpty ? nil : Double(parts[parts.count / 100]) * 100
    },
    Column("plugin calls", "", "Calls of the topology for each delivery.", more: false, 2) { run in
      let measurement = run.measurement
      guard measurement.arrivals > 0 else { return nil }
      return Double(measurement.calls) / Double(measurement.arrivals)
    },
  ]

  private init(
    _ name: String,
    _ unit: String,
    _ meaning: String,
    more: Bool?,
    _ decimals: Int,
    _ value: @escaping @Sendable (ReportLine.Run) -> Double?
  ) {
    self.name = name
    self.unit = unit
    self.meaning = meaning
    moreIsBetter = more
    self.decimals = decimals
    self.value = value
  }

  /// Which lines are best, those included whose interval reaches the best median.
  package func best(_ lines: [ReportLine]) -> Set<Int> {
    guard let moreIsBetter, lines.count > 1 else { return [] }
    let spreads = lines.map(spread)
    let medians = spreads.compactMap { $0?.median }
    guard let best = moreIsBetter ? medians.max() : medians.min() else { return [] }
    return Set(
      spreads.indices.filter { index in
        guard let spread = spreads[index] else { return false }
        return moreIsBetter ? spread.interval.upperBound >= best : spread.interval.lowerBound <= best
      }
    )
  }
}
