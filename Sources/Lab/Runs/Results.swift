internal import Text

/// What an experiment has shown so far.
package struct Results: Sendable {
  package let experiment: Experiment
  /// The finished runs of each composition, in the order of their seeds.
  private var runs: [[ReportLine.Run]]

  package init(_ experiment: Experiment) {
    self.experiment = experiment
    runs = Array(repeating: [], count: experiment.compositions.count)
  }

  package mutating func add(_ run: ReportLine.Run, of job: Experiment.Job) {
    let place = runs[job.composition].firstIndex { $0.seed > run.seed } ?? runs[job.composition].count
    runs[job.composition].insert(run, at: place)
  }

  package var count: Int { runs.reduce(0) { $0 + $1.count } }

  /// One for each composition, those without a finished run too.
  package var lines: [ReportLine] {
    zip(experiment.compositions, runs).map { ReportLine(composition: $0.name, runs: $1) }
  }

  // MARK: Files

  /// One line for each run, with the figures of the tables.
  package var csv: String {
    let heads = Column.all.map { $0.unit.isEmpty ? $0.name : "\($0.name) [\($0.unit)]" }
    var text = (["composition", "seed"] + heads + ["trace"]).map(Self.field).joined(separator: ",") + "\n"
    for line in lines {
      for run in line.runs {
        let values = Column.all.map { column in
          column.value(run).map { Number.fixed($0, decimals: column.decimals + 3) } ?? ""
        }
        let fields = [line.composition, String(run.seed)] + values + [run.measurement.trace.hexadecimal]
        text += fields.map(Self.field).joined(separator: ",") + "\n"
      }
    }
    return text
  }

  /// Composition, seed and hash of each run.
  package var traces: String {
    var text = ""
    for line in lines {
      for run in line.runs {
        text += "\(line.composition) \(run.seed) \(run.measurement.trace.hexadecimal)\n"
      }
    }
    return text
  }

  /// How each change of the topology went: of all peers and seeds together.
  private var swaps: String {
    var text = ""
    for line in lines {
      guard var all = line.runs.first?.measurement.swaps, !all.isEmpty else { continue }
      for run in line.runs.dropFirst() {
        for (place, swap) in run.measurement.swaps.enumerated() where place < all.count {
          all[place].add(swap)
        }
      }
      for swap in all {
        func gap(_ part: Double) -> String {
          swap.gaps.quantile(part).map { Number.fixed(Double($0) / 1e6, decimals: 0) } ?? "–"
        }
        text +=
          "\(line.composition), at \(Number.text(Double(swap.at) / 1e9, decimals: 3)) s to \(swap.topology): "
          + "longest gap p50 \(gap(0.5)) ms, p99 \(gap(0.99)) ms, greatest \(gap(1)) ms; "
          + "\(swap.lost) chunks lost, \(swap.duplicates) came twice (\(swap.gaps.count) peers)\n"
      }
    }
    return text.isEmpty ? "" : text + "\n"
  }

  private static func field(_ text: String) -> String {
    text.contains(where: { ",\"\n".contains($0) }) ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text
  }

  // MARK: The table

  /// The columns that fit a terminal.
  private static let columns = ["delivered", "p50", "p99", "p99 / bound", "copies", "control"]

  /// One line for each composition: medians with their intervals; a star for the best, and what cannot be told from it.
  package var table: String {
    let columns = Self.columns.compactMap { name in Column.all.first { $0.name == name } }
    let lines = lines.filter { !$0.runs.isEmpty }
    var rows = [
      ["composition", "seeds"] + columns.map { $0.unit.isEmpty ? $0.name : "\($0.name) \($0.unit)" }
    ]
    let best = columns.map { $0.best(lines) }
    for (index, line) in lines.enumerated() {
      rows.append(
        [line.composition, String(line.runs.count)]
          + columns.enumerated().map { place, column in
            guard let spread = column.spread(line) else { return "–" }
            let interval = spread.interval
            return column.text(spread.median) + (best[place].contains(index) ? "*" : " ")
              + " [\(column.text(interval.lowerBound)), \(column.text(interval.upperBound))]"
          }
      )
    }
    let widths = rows[0].indices.map { place in rows.map { $0[place].count }.max() ?? 0 }
    let body = rows.map { row in
      row.enumerated().map { place, cell in
        cell + String(repeating: " ", count: widths[place] - cell.count)
      }.joined(separator: "  ").trimmingSpaces
    }.joined(separator: "\n")
    return body + "\n\n" + swaps
      + "Median over seeds and its 95 % interval by order statistics (fewer than six seeds: least and greatest).\n"
      + "* the best, and what cannot be told from it. p99 / bound: times the least possible delay.\n"
      + (experiment.fidelity.remark.map { $0 + "\n" } ?? "")
  }
}

extension String {
  fileprivate var trimmingSpaces: String {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }
}

extension UInt64 {
  /// Sixteen hexadecimal digits.
  package var hexadecimal: String {
    let digits = String(self, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
