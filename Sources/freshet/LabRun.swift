internal import Glibc
internal import Lab
internal import PluginKit
internal import Text

/// Runs an experiment: threads, progress, signals and the result folder.
struct LabRun: ~Copyable {
  private enum Outcome: Sendable {
    case run(ReportLine.Run)
    case failed(String)
  }

  /// How often progress is shown, in nanoseconds.
  private static let tick = 200_000_000

  private let options: LabRunOptions
  private let experiment: Experiment
  private let topologies: LabTopologies
  private var results: Results
  private var console: Console
  private var failure: String?
  private var wasInterrupted = false
  private var signals = sigset_t()

  init(_ options: LabRunOptions, _ topologies: LabTopologies) {
    self.options = options
    experiment = options.experiment
    self.topologies = topologies
    results = Results(options.experiment)
    console = Console(isSource: false, verbosity: options.isQuiet ? .quiet : .normal)
  }

  /// Runs everything, and gives the table to print.
  mutating func run() throws -> String {
    for part in experiment.compositions.flatMap(\.parts) {
      do throws(ParameterError) {
        _ = try topologies.make(part.topology, part.parameters)
      } catch {
        throw UsageError("--topology: \(error)")
      }
    }
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGINT)
    unsafe sigaddset(&signals, SIGTERM)
    // The threads inherit it, so that only this one hears them, and only where it can do something about it.
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    defer { unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil) }
    let folder = try ResultFolder.create(options.folder ?? ResultFolder.freeName(experiment.scenario.name))
    try writeInputs(folder)
    try runAll(folder)
    console.finish()
    try writeResults(folder)
    let jobs = experiment.jobs.count
    if let failure {
      throw CommandError("\(failure); \(results.count) of \(jobs) runs are in \(folder.path)")
    }
    console.say("look at: \(folder.path)/report.html   again: \(folder.path)/rerun")
    guard !wasInterrupted else {
      _ = Descriptor.write(results.table, to: STDOUT_FILENO)
      throw CommandError("interrupted: \(results.count) of \(jobs) runs are in \(folder.path)")
    }
    return results.table
  }

  // MARK: Running

  private mutating func runAll(_ folder: borrowing ResultFolder) throws {
    let experiment = experiment
    let make = topologies.make
    let jobs = experiment.jobs
    let workers = Workers<Outcome>(count: jobs.count, threads: options.jobs ?? processorCount()) {
      index,
      goesOn in
      do {
        return try experiment.run(jobs[index], makeTopology: make, goesOn: goesOn).map(Outcome.run)
      } catch {
        return .failed("\(experiment.compositions[jobs[index].composition].name): \(error)")
      }
    }
    let began = Self.now
    while true {
      let progress = workers.progress
      for (job, outcome) in workers.takeOutcomes() {
        switch outcome {
        case .run(let run):
          results.add(run, of: jobs[job])
          let name = experiment.compositions[jobs[job].composition].name
          try folder.append(run.json(composition: name, fidelity: experiment.fidelity))
        case .failed(let sentence):
          failure = failure ?? sentence
          workers.stop()
        }
      }
      if progress.isOver { break }
      show(progress, of: jobs.count, after: Self.now - began)
      var time = timespec(tv_sec: 0, tv_nsec: Self.tick)
      if unsafe sigtimedwait(&signals, nil, &time) > 0 {
        // Who asks twice does not wait for what is under way.
        if wasInterrupted { break }
        wasInterrupted = true
        console.say("stopping; what is finished is kept")
        workers.stop()
      }
    }
  }

  private mutating func show(_ progress: Workers<Outcome>.Progress, of count: Int, after milliseconds: Double)
  {
    let part = progress.done / Double(max(1, count))
    var text = "\(progress.finished) of \(count) runs, \(Number.fixed(part * 100, decimals: 0)) %"
    if part > 0.001 { text += ", \(Self.time(milliseconds * (1 - part) / part)) left" }
    console.show(terminal: text, log: text, at: milliseconds)
  }

  /// `1 h 20 min`, `3 min 10 s`, `12 s`.
  static func time(_ milliseconds: Double) -> String {
    let seconds = Int(max(0, min(milliseconds / 1000, 1e9)).rounded(.up))
    switch seconds {
    case 3600...: return "\(seconds / 3600) h \(seconds / 60 % 60) min"
    case 60...: return "\(seconds / 60) min \(seconds % 60) s"
    default: return "\(seconds) s"
    }
  }

  private static var now: Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) * 1000 + Double(time.tv_nsec) / 1e6
  }

  // MARK: Files

  private func writeInputs(_ folder: borrowing ResultFolder) throws {
    try folder.write(experiment.scenario.name + ".json5", options.scenarioFile)
    for file in options.compositionFiles { try folder.write("compositions/" + file.name, file.bytes) }
    try folder.write("experiment.json", Array(description.utf8))
    try folder.write("rerun", Array(rerun.utf8), isExecutable: true)
  }

  private mutating func writeResults(_ folder: borrowing ResultFolder) throws {
    try folder.write("runs.csv", Array(results.csv.utf8))
    try folder.write("traces.txt", Array(results.traces.utf8))
    try folder.write("table.txt", Array(results.table.utf8))
    try writeReport(folder)
  }

  private mutating func writeReport(_ folder: borrowing ResultFolder) throws {
    let report = Report(
      scenario: experiment.scenario,
      lines: results.lines,
      engine: experiment.fidelity.rawValue,
      rerun: "\(folder.path)/rerun",
      bounds: Bounds(Plan(experiment.scenario, seed: experiment.seeds.lowerBound))
    )
    guard !report.lines.isEmpty else { return }
    for plot in report.plots {
      for (name, table) in plot.tables { try folder.write("plots/" + name, Array(table.utf8)) }
      try folder.write("plots/\(plot.name).gp", Array(plot.script.utf8))
    }
    if let sentence = Gnuplot.draw(report.plots.map { $0.name + ".gp" }, in: folder.path + "/plots") {
      console.say(sentence)
    }
    var pictures: [String: String] = [:]
    for plot in report.plots {
      if let bytes = try? LabFile.read("\(folder.path)/plots/\(plot.name).svg") {
        pictures[plot.name] = String(decoding: bytes, as: UTF8.self)
      }
    }
    try folder.write("report.html", Array(report.page(pictures: pictures).utf8))
  }

  /// What ran: versions, options and plugins.
  private var description: String {
    let compositions = experiment.compositions.map { composition in
      let parts = composition.parts.map { part in
        "{\"topology\":\(part.topology.quotedAsJSON),\"version\":\((topologies.versions[part.topology] ?? "").quotedAsJSON),"
          + "\"parameters\":\(part.parameters.quotedAsJSON),\"share\":\(Number.fixed(part.share, decimals: 6))}"
      }
      return "    {\"name\":\(composition.name.quotedAsJSON),\"parts\":[\(parts.joined(separator: ","))]}"
    }
    return """
      {
        "freshet": \(Version.number.quotedAsJSON),
        "interface": \(Version.interface),
        "scenario": \(experiment.scenario.name.quotedAsJSON),
        "peers": \(experiment.scenario.count),
        "fidelity": \(experiment.fidelity.rawValue.quotedAsJSON),
        "first_seed": \(experiment.seeds.lowerBound),
        "last_seed": \(experiment.seeds.upperBound),
        "compositions": [
      \(compositions.joined(separator: ",\n"))
        ]
      }

      """
  }

  private var rerun: String {
    var arguments = [
      "lab", "run", experiment.scenario.name + ".json5", "--topology",
      options.topologies.joined(separator: ","),
      "--seeds", "\(experiment.seeds.lowerBound)-\(experiment.seeds.upperBound)", "--fidelity",
      experiment.fidelity.rawValue,
    ]
    if let peers = options.peers { arguments += ["--peers", String(peers)] }
    for plugin in options.plugins { arguments += ["--plugin", Self.absolute(plugin)] }
    return """
      #!/bin/sh
      # Runs all of it again with freshet \(Version.number), into a new folder here, and compares what happened in each run.
      set -eu
      cd "$(dirname "$0")"
      again=${1:-again}
      "${FRESHET:-freshet}" \(arguments.map(Self.quoted).joined(separator: " ")) --output "$again"
      if grep -vxFf "$again/traces.txt" traces.txt; then
        echo "these runs went another way" >&2
        exit 1
      fi
      echo "all $(wc -l < traces.txt) runs went the same way"

      """
  }

  /// As a shell reads it back.
  private static func quoted(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy {
      0x61...0x7A ~= $0 || 0x41...0x5A ~= $0 || 0x2C...0x3A ~= $0 || $0 == 0x3D || $0 == 0x5F
    }
    return isPlain && !text.isEmpty ? text : "'" + text.replacing("'", with: "'\\''") + "'"
  }

  private static func absolute(_ path: String) -> String {
    guard let resolved = unsafe realpath(path, nil) else { return path }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }
}

/// The topologies that an experiment can use.
struct LabTopologies: Sendable {
  let make: Experiment.MakeTopology
  /// By name.
  let versions: [String: String]
}
