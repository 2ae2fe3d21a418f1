internal import Lab

extension Results {
  /// Writes tables, hashes and the report; `say` hears what is not as usual.
  ///
  /// `comparison` is that of emulated runs with simulated ones; real runs have no hashes.
  func write(
    to folder: OutputFolder,
    hasReport: Bool,
    comparison: SimToReal? = nil,
    say: (String) -> Void
  ) throws {
    try folder.write("runs.csv", csv)
    if comparison == nil { try folder.write("traces.txt", traces) }
    try folder.write("table.txt", table + (comparison.map { "\n" + $0.table } ?? ""))
    let lines = lines
    guard hasReport, lines.contains(where: { !$0.runs.isEmpty }) else { return }
    let report = Report(
      scenario: experiment.scenario,
      lines: lines,
      engine: comparison == nil ? experiment.fidelity.rawValue : "emulation, and packet",
      rerun: "\(folder.path)/rerun",
      bounds: Bounds(experiment.plan(seed: experiment.seeds.lowerBound)),
      comparison: comparison ?? SimToReal()
    )
    for plot in report.plots {
      for (name, table) in plot.tables { try folder.write("plots/" + name, table) }
      try folder.write("plots/\(plot.name).gp", plot.script)
    }
    if let sentence = Gnuplot.draw(report.plots.map { $0.name + ".gp" }, in: folder.path + "/plots") {
      say(sentence)
    }
    var pictures: [String: String] = [:]
    for plot in report.plots {
      if let bytes = try? LabFile.read("\(folder.path)/plots/\(plot.name).svg") {
        pictures[plot.name] = String(decoding: bytes, as: UTF8.self)
      }
    }
    try folder.write("report.html", report.page(pictures: pictures))
  }
}
