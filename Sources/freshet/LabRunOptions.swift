package import Lab

/// All that `freshet lab run` was asked for, its files read.
package struct LabRunOptions: Sendable {
  package var experiment: Experiment
  /// The scenario's file as it is, and those of compositions by their names.
  package var scenarioFile: [UInt8]
  /// How sentences name that file.
  package var scenarioPath: String
  package var compositionFiles: [(name: String, bytes: [UInt8])] = []
  /// As `rerun` has to write it, with the files where they are in the result folder.
  package var topologies: [String] = []
  /// Recordings that are replayed instead of the scenario, as files.
  package var recordings: [(name: String, bytes: [UInt8])] = []
  package var peers: Int?
  /// Bits per second instead of the scenario's.
  package var rate: UInt64?
  package var folder: String?
  package var jobs: Int?
  package var plugins: [String]
  package var isQuiet: Bool
  /// Whether a report is made; many runs that will be merged need none of their own.
  package var hasReport: Bool

  init(_ values: Values) throws(UsageError) { try self.init(values, scenario: values.operands[0]) }

  /// Reads what was given for the scenario `name`; paths of files begin with `base`: nothing, or a folder and `/`.
  ///
  /// What replays has recordings for its operands, and no scenario.
  init(
    _ values: Values,
    scenario name: String,
    base: String = "",
    seeds: Setting<ClosedRange<UInt64>> = Settings.seeds,
    replays: Bool = false
  ) throws(UsageError) {
    guard let text = try values.optional(Settings.compositions) else {
      throw UsageError(
        "--topology A,B,… is missing: what is to be compared? ('freshet plugins' lists what there is)"
      )
    }
    scenarioPath = name
    var files: [(name: String, bytes: [UInt8])] = []
    do throws(FileError) {
      let scenario: Scenario
      var plan: Plan?
      if replays {
        scenarioFile = []
        recordings = try LabReplay.files(values.operands)
        let replayed = try LabReplay.plan(recordings, values.operands)
        plan = replayed
        scenario = replayed.scenario
      } else {
        scenarioFile = try Self.scenarioFile(name, base)
        scenario = try Scenario(scenarioFile, file: name)
      }
      let compositions = try Composition.list(text) { path throws(FileError) in
        let bytes = try LabFile.read(base + path)
        let own = path.split(separator: "/").last.map(String.init) ?? path
        guard !files.contains(where: { $0.name == own }) else {
          throw FileError("a second file of this name; the results keep both in one folder", file: path)
        }
        files.append((own, bytes))
        return bytes
      }
      experiment = Experiment(scenario: scenario, compositions: compositions, seeds: 1...1)
      experiment.recorded = plan
    } catch {
      throw !replays && name == error.file && Library.file(name) == nil && !name.hasSuffix(".json5")
        ? LabTask.unknown(name) : UsageError(error.description)
    }
    peers = try values.optional(Settings.peers)
    if let peers { experiment.scenario.count = peers }
    rate = try values.optional(Settings.streamRate)
    if let rate { experiment.scenario.scale(to: rate) }
    experiment.seeds = try values.value(seeds)
    experiment.fidelity = try values.value(Settings.fidelity)
    compositionFiles = files
    topologies = experiment.compositions.map(\.name)
    var given = files.makeIterator()
    // Compositions from files come in the order in which they were read.
    for (index, part) in Self.arguments(text).enumerated() where part.hasSuffix(".json5") {
      if let file = given.next() { topologies[index] = "compositions/" + file.name }
    }
    folder = try values.optional(Settings.resultFolder)
    jobs = try values.optional(Settings.jobs)
    plugins = try values.all(Settings.plugin)
    isQuiet = try values.isOn(Settings.noProgress)
    hasReport = try !values.isOn(Settings.noReport)
  }

  /// The arguments between commas that are no parameters of the one before.
  private static func arguments(_ text: String) -> [Substring] {
    text.split(separator: ",").filter { part in
      part.firstIndex(of: "=").map { part[..<$0].contains(":") } ?? true
    }
  }

  private static func scenarioFile(_ name: String, _ base: String) throws(FileError) -> [UInt8] {
    if let file = Library.file(name) { return file }
    guard name.hasSuffix(".json5") || name.contains("/") else {
      throw FileError("there is no such scenario", file: name)
    }
    return try LabFile.read(base + name)
  }
}
