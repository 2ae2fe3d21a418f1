internal import Glibc

extension Report {
  /// All pictures of the report, in the order in which it shows them.
  package var plots: [Plot] {
    [deliveryPlot, missingPlot, frontPlot, timelinePlot, splitPlot, depthPlot, peerPlot].compactMap(\.self)
  }

  /// A line with its interval for each composition.
  private func curves(_ name: String, _ curve: (ReportLine) -> Curve) -> (
    tables: [String: String], drawing: String
  ) {
    var tables: [String: String] = [:]
    var bands: [String] = []
    var middles: [String] = []
    for (index, line) in lines.enumerated() {
      let table = "\(name)-\(index).tsv"
      let curve = curve(line)
      guard !curve.points.isEmpty else { continue }
      tables[table] = curve.table
      let colour = Plot.colour(index)
      if line.runs.count > 1 {
        bands.append(
          "'\(table)' using 1:3:4 with filledcurves fillcolor '\(colour)' fillstyle transparent solid 0.15 notitle"
        )
      }
      middles.append(
        "'\(table)' using 1:2 with lines linecolor '\(colour)' linewidth 2 title \(Plot.quoted(line.composition))"
      )
    }
    return (tables, (bands + middles).joined(separator: ", \\\n  "))
  }

  private var deadline: Double { scenario.stream.deadline.milliseconds }

  /// Where curves over the deadline begin, in milliseconds.
  private var firstDeadline: Double {
    let least = lines.flatMap(\.runs).compactMap { $0.bound.half }.min().map { Double($0) / 1e6 } ?? 1
    return max(1, least / 3)
  }

  private var deliveryPlot: Plot {
    var (tables, drawing) = curves("delivery") { $0.deliveryCurve(from: firstDeadline, to: deadline) }
    // What would be possible: the bound at a hundred parts of all peers.
    let bounds = boundCurve
    if !bounds.isEmpty {
      tables["delivery-bound.tsv"] = bounds.map { "\($0.time)\t\($0.part)" }.joined(separator: "\n") + "\n"
      drawing +=
        ", \\\n  'delivery-bound.tsv' using 1:2 with lines linecolor '#000000' dashtype 3 linewidth 1.4 title 'bound'"
    }
    return Plot(
      name: "delivery",
      title: "Delivery over deadline",
      caption: """
        Which part of all expected deliveries had come after a time. The dotted line is the bound: no topology can be \
        to the left of it. Bands are 95 % intervals over the seeds.
        """,
      tables: tables,
      commands: [
        "set logscale x", "set xrange [\(firstDeadline):\(deadline)]", "set yrange [0:1.02]",
        "set xlabel 'deadline, ms'", "set ylabel 'part delivered'", "set key bottom right", "plot \(drawing)",
      ]
    )
  }

  private var missingPlot: Plot? {
    let (tables, drawing) = curves("missing") { line in
      let curve = line.deliveryCurve(from: firstDeadline, to: deadline)
      // A logarithm has no zero: what is better than one in a million is drawn there.
      return Curve(
        points: curve.points.compactMap { point in
          let parts = [
            point.spread.interval.lowerBound, point.spread.median, point.spread.interval.upperBound,
          ]
          let missing = parts.map { max(1e-6, 1 - $0) }
          return Spread(missing).map { Curve.Point(x: point.x, spread: $0) }
        }
      )
    }
    guard !drawing.isEmpty else { return nil }
    return Plot(
      name: "missing",
      title: "What is missing",
      caption:
        "The same from below, on a logarithmic scale: which part had not come yet. One more nine is one line further down.",
      tables: tables,
      commands: [
        "set logscale xy", "set xrange [\(firstDeadline):\(deadline)]", "set yrange [1e-6:1.2]",
        "set format y '%g'", "set xlabel 'deadline, ms'", "set ylabel 'part missing'",
        "set key bottom left",
        "plot \(drawing)", "set format y",
      ]
    )
  }

  private var frontPlot: Plot? {
    var places: (x: [Double], y: [Double]) = ([], [])
    var tables: [String: String] = [:]
    var drawing: [String] = []
    for (index, line) in lines.enumerated() {
      let overhead = line.values { ($0.measurement.overhead - 1) * 100 }
      let lag = line.values { $0.delay(0.99) ?? deadline }
      let quality = line.values(\.measurement.delivered)
      guard let x = Spread(overhead), let y = Spread(lag), let part = Spread(quality) else { continue }
      let table = "front-\(index).tsv"
      let missing = max(1e-6, 1 - part.median)
      places.x.append(max(0.01, x.median))
      places.y.append(y.median)
      tables[table] =
        "\(max(0.01, x.median))\t\(y.median)\t\(0.8 - log10(missing) / 2.2)\t\(line.composition)\n"
      let colour = Plot.colour(index)
      drawing.append(
        "'\(table)' using 1:2:3 with points pointtype 7 pointsize variable linecolor '\(colour)' notitle, \\\n  "
          + "'\(table)' using 1:2:4 with labels left offset 1.4,0.4 textcolor '\(colour)' notitle"
      )
    }
    guard !drawing.isEmpty else { return nil }
    return Plot(
      name: "front",
      title: "Overhead, lag and quality",
      caption: """
        Bytes beyond one copy a peer, against the delay that 99 of 100 expected deliveries kept (at the upper end: fewer \
        did). The larger the dot, the fewer chunks were missing. It is said that nobody has all three: low, left and large.
        """,
      tables: tables,
      commands: [
        "set logscale xy", "set xrange [\(Self.room(places.x, right: 3))]",
        "set yrange [\(Self.room(places.y, right: 1.5))]",
        "set xlabel 'overhead, %'", "set ylabel '99 of 100 within, ms'", "unset key",
        "plot \(drawing.joined(separator: ", \\\n  "))",
      ]
    )
  }

  /// A range on a logarithmic axis that leaves room around some values, and for labels behind them.
  private static func room(_ values: [Double], right: Double) -> String {
    "\((values.min() ?? 1) / 1.6):\((values.max() ?? 1) * right)"
  }

  private var timelinePlot: Plot? {
    let (tables, drawing) = curves("timeline", \.timeline)
    guard !drawing.isEmpty else { return nil }
    let start = scenario.phases.measured.lowerBound
    let marks = scenario.happenings.map { happening in
      let x = (happening.at - start).milliseconds / 1000
      return "set arrow from first \(x), graph 0 to first \(x), graph 1 nohead dashtype 2 linecolor '#888888'"
    }
    return Plot(
      name: "timeline",
      title: "Through time",
      caption: """
        Which part of the chunks of each second came in time. \
        \(marks.isEmpty ? "Nothing happens here but the churn." : "Dashed lines: what the scenario does to the swarm.")
        """,
      tables: tables,
      commands: marks + [
        "set xrange [*:*]", "set yrange [*:1.005]", "set xlabel 'seconds of the measurement'",
        "set ylabel 'part in time'", "set key bottom right", "plot \(drawing)", "unset arrow",
      ]
    )
  }

  private var splitPlot: Plot? {
    let parts: [(name: String, value: (Measurement.DelaySplit) -> Int64)] = [
      ("propagation", \.propagation), ("serialisation", \.serialisation), ("queue", \.queue),
      ("request", \.request), ("repair", \.repair),
    ]
    var rows: [String] = []
    for line in lines {
      let splits = line.runs.map(\.measurement.split).filter { $0.deliveries > 0 }
      guard !splits.isEmpty else { continue }
      let means = parts.map { part in
        splits.reduce(0) { $0 + Double(part.value($1)) / Double($1.deliveries) } / Double(splits.count) / 1e6
      }
      rows.append("\(line.composition)\t" + means.map { "\($0)" }.joined(separator: "\t"))
    }
    guard !rows.isEmpty else { return nil }
    let drawing = parts.enumerated().map { index, part in
      let column = index == 0 ? "using 2:xticlabels(1)" : "using \(index + 2)"
      return "'split.tsv' \(column) title '\(part.name)' linecolor '\(Plot.colour(index))'"
    }
    return Plot(
      name: "split",
      title: "Where the time goes",
      caption: "The mean delay of sampled deliveries, by what it was spent on along their whole way.",
      tables: ["split.tsv": rows.joined(separator: "\n") + "\n"],
      commands: [
        "set style data histograms", "set style histogram rowstacked", "set style fill solid 0.85 noborder",
        "set boxwidth 0.6", "set yrange [0:*]", "set ylabel 'ms'", "unset xlabel",
        "set key outside right top",
        "plot \(drawing.joined(separator: ", \\\n  "))",
      ]
    )
  }

  private var depthPlot: Plot? {
    var tables: [String: String] = [:]
    var drawing: [String] = []
    for (index, line) in lines.enumerated() {
      guard let run = line.runs.first, run.measurement.depths.count > 2 else { continue }
      let total = Double(run.measurement.depths.reduce(0) { $0 + UInt64($1) })
      guard total > 0 else { continue }
      let table = "depth-\(index).tsv"
      tables[table] =
        run.measurement.depths.enumerated().dropFirst().map { "\($0.offset)\t\(Double($0.element) / total)" }
        .joined(separator: "\n") + "\n"
      drawing.append(
        "'\(table)' using 1:2 with linespoints pointtype 7 pointsize 0.6 linecolor '\(Plot.colour(index))' "
          + "title \(Plot.quoted(line.composition))"
      )
    }
    guard !drawing.isEmpty else { return nil }
    return Plot(
      name: "depth",
      title: "How deep peers stand",
      caption: "Which part of the peers stood how many hops below the source when the first run ended.",
      tables: tables,
      commands: [
        "set xrange [0:*]", "set yrange [0:*]", "set xlabel 'hops'", "set ylabel 'part of the peers'",
        "set key top right",
        "plot \(drawing.joined(separator: ", \\\n  "))",
      ]
    )
  }

  private var peerPlot: Plot? {
    let (tables, drawing) = curves("peers", \.peerCurve)
    guard !drawing.isEmpty else { return nil }
    return Plot(
      name: "peers",
      title: "Who fares worst",
      caption:
        "What each peer got in time, the unluckiest first: a steep start on the left is a few peers who suffer, not all a little.",
      tables: tables,
      commands: [
        "set logscale x", "set xrange [0.01:1]", "set yrange [*:1.005]", "set xlabel 'part of the peers'",
        "set ylabel 'part in time'", "set key bottom right", "plot \(drawing)",
      ]
    )
  }
}
