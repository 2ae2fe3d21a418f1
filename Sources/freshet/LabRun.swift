internal import Glibc
internal import Lab
internal import PluginKit
internal import Text
internal import Threads

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
    try topologies.check(options, experiment.fidelity)
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGINT)
    unsafe sigaddset(&signals, SIGTERM)
    // The threads inherit it, so that only this one hears them, and only where it can do something about it.
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    defer { unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil) }
    let folder = try ResultFolder.create(options.folder ?? OutputFolder.freeName(experiment.scenario.name))
    try options.write(to: folder.files, versions: topologies.versions)
    try runAll(folder)
    console.finish()
    try results.write(to: folder.files, hasReport: options.hasReport) { console.say($0) }
    let jobs = experiment.jobs.count
    if let failure {
      throw CommandError("\(failure); \(results.count) of \(jobs) runs are in \(folder.path)")
    }
    if options.hasReport {
      console.say("look at: \(folder.path)/report.html   again: \(folder.path)/rerun")
    }
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
    let began = Self.milliseconds
    while true {
      let progress = workers.progress
      for (job, outcome) in workers.takeOutcomes() {
        switch outcome {
        case .run(let run):
          results.add(run, of: jobs[job])
          let name = experiment.compositions[jobs[job].composition].name
          try folder.append(run.json(composition: name, engine: experiment.fidelity.rawValue))
        case .failed(let sentence):
          failure = failure ?? sentence
          workers.stop()
        }
      }
      if progress.isOver { break }
      show(progress, of: jobs.count, after: Self.milliseconds - began)
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

  static var milliseconds: Double { Double(monotonicNow()) / 1e6 }

  /// `1 h 20 min`, `3 min 10 s`, `12 s`.
  static func time(_ milliseconds: Double) -> String {
    let seconds = Int(max(0, min(milliseconds / 1000, 1e9)).rounded(.up))
    switch seconds {
    case 3600...: return "\(seconds / 3600) h \(seconds / 60 % 60) min"
    case 60...: return "\(seconds / 60) min \(seconds % 60) s"
    default: return "\(seconds) s"
    }
  }
}

/// The topologies that an experiment can use.
struct LabTopologies: Sendable {
  let make: Experiment.MakeTopology
  /// By name.
  let versions: [String: String]

  /// Throws when a plugin is not there or does not take its parameters, or the scenario needs another fidelity.
  func check(_ options: LabRunOptions, _ fidelity: Experiment.Fidelity) throws(UsageError) {
    if options.recordings.isEmpty {
      do throws(FileError) {
        _ = try Scenario(options.scenarioFile, file: options.scenarioPath, makeTopology: make)
      } catch {
        throw UsageError(error.description)
      }
    }
    if fidelity == .chunk, options.experiment.scenario.changesTopology {
      throw UsageError(
        "\(options.scenarioPath) changes the topology, which only whole peers can: add --fidelity packet"
      )
    }
    for part in options.experiment.compositions.flatMap(\.parts) {
      do throws(ParameterError) {
        _ = try make(part.topology, part.parameters)
      } catch {
        throw UsageError("--topology: \(error)")
      }
    }
  }
}
