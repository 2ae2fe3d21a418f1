internal import Text

/// What was simulated beside what was emulated: how far the simulator can be believed.
package struct SimToReal: Sendable {
  /// One plan, run in both ways.
  package struct Pair: Sendable {
    package var composition: String
    package var simulated: ReportLine.Run
    package var emulated: ReportLine.Run
    /// The part of their time that all processors were busy during the emulation, 0 to 1.
    package var busy: Double

    package init(
      composition: String,
      simulated: ReportLine.Run,
      emulated: ReportLine.Run,
      busy: Double
    ) {
      self.composition = composition
      self.simulated = simulated
      self.emulated = emulated
      self.busy = busy
    }
  }

  /// What a difference means.
  package enum Verdict: Hashable, Sendable {
    case within
    case outside
    /// The processors were too busy for real peers to keep their time.
    case doesNotCount(busy: Double)
    /// The figure has no goal.
    case none

    var text: String {
      switch self {
      case .within: "within"
      case .outside: "OUTSIDE"
      case .doesNotCount(let busy):
        "does not count: processors \(Number.fixed(busy * 100, decimals: 0)) % busy"
      case .none: ""
      }
    }
  }

  /// One figure of one pair.
  package struct Row: Sendable {
    package var composition: String
    package var seed: UInt64
    package var figure: String
    package var simulated: String
    package var emulated: String
    package var difference: String
    package var goal: String
    package var verdict: Verdict

    var cells: [String] {
      [composition, String(seed), figure, simulated, emulated, difference, goal, verdict.text]
    }
  }

  /// How far a figure may be off.
  private enum Goal {
    /// In the figure's own unit.
    case points(Double)
    /// As a part of what was simulated.
    case part(Double)

    var text: String {
      switch self {
      case .points(let limit): "± \(Number.text(limit, decimals: 2)) points"
      case .part(let limit): "± \(Number.fixed(limit * 100, decimals: 0)) %"
      }
    }
  }

  /// Measured while all processors together were busier than this, a row does not count.
  package static let busyLimit = 0.5
  private static let goals: [(figure: String, goal: Goal?)] = [
    ("delivered", .points(0.5)), ("p50", .part(0.15)), ("p99", .part(0.25)), ("copies", nil),
    ("control", nil),
    ("start p50", nil),
  ]
  private static let head = [
    "composition", "seed", "figure", "simulated", "emulated", "difference", "goal", "verdict",
  ]

  private var pairs: [Pair] = []

  package init() {}

  package mutating func add(_ pair: Pair) { pairs.append(pair) }

  package var isEmpty: Bool { pairs.isEmpty }

  package var rows: [Row] {
    pairs.flatMap { pair in
      Self.goals.compactMap { name, goal in
        Column.all.first { $0.name == name }.map { Self.row($0, goal, pair) }
      }
    }
  }

  private static func row(_ column: Column, _ goal: Goal?, _ pair: Pair) -> Row {
    let simulated = column.value(pair.simulated)
    let emulated = column.value(pair.emulated)
    let unit = column.unit.isEmpty ? "" : " \(column.unit)"
    func text(_ value: Double?) -> String { value.map { column.text($0) + unit } ?? "–" }
    var difference = "–"
    var isWithin = simulated == nil && emulated == nil
    if let simulated, let emulated {
      let points = emulated - simulated
      let part = simulated == 0 ? (points == 0 ? 0 : Double.infinity) : points / simulated.magnitude
      func signed(_ value: Double, _ decimals: Int) -> String {
        (value > 0 ? "+" : "") + Number.fixed(value, decimals: decimals)
      }
      switch goal {
      case .points(let limit):
        difference = signed(points, 3) + " points"
        isWithin = points.magnitude <= limit
      case .part(let limit):
        difference = signed(part * 100, 1) + " %"
        isWithin = part.magnitude <= limit
      case nil: difference = signed(part * 100, 1) + " %"
      }
    }
    let verdict: Verdict =
      goal == nil
      ? .none
      : pair.busy > busyLimit ? .doesNotCount(busy: pair.busy) : isWithin ? .within : .outside
    return Row(
      composition: pair.composition,
      seed: pair.emulated.seed,
      figure: column.name,
      simulated: text(simulated),
      emulated: text(emulated),
      difference: difference,
      goal: goal?.text ?? "",
      verdict: verdict
    )
  }

  /// How many goals were met, of those that count; in one sentence.
  package var sentence: String {
    let verdicts = rows.map(\.verdict)
    let met = verdicts.count { $0 == .within }
    let missed = verdicts.count { $0 == .outside }
    let other = verdicts.count { if case .doesNotCount = $0 { true } else { false } }
    return "\(met) of \(met + missed) figures are within their goals"
      + (other == 0
        ? "." : "; \(other) do not count, since the processors were more than half busy meanwhile.")
  }

  /// For a terminal.
  package var table: String {
    let rows = [Self.head] + rows.map(\.cells)
    let widths = Self.head.indices.map { place in rows.map { $0[place].count }.max() ?? 0 }
    let lines = rows.map { row in
      var line = row.enumerated().map { place, cell in
        cell + String(repeating: " ", count: widths[place] - cell.count)
      }.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }
    return lines.joined(separator: "\n") + "\n\n" + sentence + "\n"
  }

  /// For a report.
  var page: String {
    guard !isEmpty else { return "" }
    let head = Self.head.map { "<th>\($0)</th>" }.joined()
    let body = rows.map { row in
      let cells = row.cells.enumerated().map { place, cell in
        let text = Report.escaped(cell)
        return place == 0
          ? "<th>\(text)</th>" : "<td>\(row.verdict == .outside ? "<b>\(text)</b>" : text)</td>"
      }
      return "<tr>\(cells.joined())</tr>"
    }
    return """
      <section><h2>Simulated and real</h2>
      <p>The same plan simulated datagram by datagram, and with real processes and sockets on this machine. Bold: beyond
      the goal. \(Report.escaped(sentence))</p>
      <div class="wide"><table><thead><tr>\(head)</tr></thead>
      <tbody>\(body.joined(separator: "\n"))</tbody></table></div></section>
      """
  }
}
