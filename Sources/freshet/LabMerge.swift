internal import Glibc
internal import Lab

/// The runs of many commands as one result: what `freshet lab merge` does.
package struct LabMerge: Sendable {
  /// Folders that `lab plan` or `lab run` wrote.
  let folders: [String]
  let output: String?
  let isQuiet: Bool

  /// More missing runs than these are only counted.
  private static let shownLimit = 8

  init(_ values: Values) throws(UsageError) {
    var folders: [String] = []
    for operand in values.operands { folders.append(try Read.file(operand)) }
    self.folders = folders
    output = try values.optional(Settings.resultFolder)
    isQuiet = try values.isOn(Settings.noProgress)
  }

  /// Joins everything, writes a result folder for each scenario and gives the tables.
  func run() throws -> String {
    let say = { (sentence: String) in
      if !isQuiet { _ = Descriptor.write(sentence + "\n", to: STDERR_FILENO) }
    }
    var studies: [LabStudy] = []
    for study in try folders.flatMap(LabStudy.list) {
      let name = study.options.experiment.scenario.name
      if let index = studies.firstIndex(where: { $0.options.experiment.scenario.name == name }) {
        try studies[index].take(study)
      } else {
        studies.append(study)
      }
    }
    if studies.count > 1, let output { _ = try OutputFolder(new: output) }
    var text = ""
    var missing = 0
    for study in studies {
      let name = study.options.experiment.scenario.name
      var collection = RunCollection(study.options.experiment)
      for folder in study.runs { try collection.read(folder, say: say) }
      let own = output.map { studies.count > 1 ? "\($0)/\(name)" : $0 } ?? OutputFolder.freeName(name)
      let folder = try ResultFolder.create(own)
      for line in collection.lines { try folder.append(line) }
      try study.options.write(to: folder.files, versions: collection.versions.compactMapValues(\.first))
      try collection.results.write(to: folder.files, hasReport: true, say: say)
      say("look at: \(own)/report.html")
      if studies.count > 1 { text += "\(name)\n" }
      text += collection.results.table + (studies.count > 1 ? "\n" : "")
      let lost = collection.missing
      missing += lost.count
      guard !lost.isEmpty else { continue }
      let shown = lost.prefix(Self.shownLimit).map {
        "\(study.options.experiment.compositions[$0.composition].name) \($0.seed)"
      }
      say(
        "\(name): \(lost.count) of \(study.options.experiment.jobs.count) runs missing: "
          + shown.joined(separator: ", ") + (lost.count > shown.count ? ", …" : "")
      )
      if let plan = study.plan { try writeMissing(lost, study.options, plan, say: say) }
    }
    guard missing == 0 else {
      _ = Descriptor.write(text, to: STDOUT_FILENO)
      throw CommandError("\(missing) run\(missing == 1 ? " is" : "s are") missing; the rest is merged")
    }
    return text
  }

  private func writeMissing(
    _ jobs: [Experiment.Job],
    _ options: LabRunOptions,
    _ plan: String,
    say: (String) -> Void
  ) throws {
    let commands = LabPlan.commands(options)
    let all = options.experiment.jobs
    let lines = jobs.compactMap { job in all.firstIndex(of: job).map { commands[$0] + "\n" } }
    let name = "missing-\(options.experiment.scenario.name)"
    try OutputFolder(existing: plan).write(name, lines.joined())
    say("to make up for them: cd \(plan) && parallel < \(name)")
  }
}
