internal import Emulator
internal import Glibc
internal import Lab
internal import PluginKit
internal import Text

/// Runs plans with real peers, and the same plans simulated.
struct LabEmulate: ~Copyable {
  private let options: LabRunOptions
  private let experiment: Experiment
  private let topologies: LabTopologies
  private var results: Results
  private var comparison = SimToReal()
  private var console: Console

  init(_ options: LabRunOptions, _ topologies: LabTopologies) throws {
    var experiment = options.experiment
    do throws(EmulationError) {
      experiment.scenario = try EmulatedRun.prepared(experiment.scenario)
    } catch {
      throw UsageError(error.description)
    }
    experiment.fidelity = .packet
    self.options = options
    self.experiment = experiment
    self.topologies = topologies
    // What is simulated and what is emulated stand beside each other as compositions do.
    var doubled = experiment
    doubled.compositions = experiment.compositions.flatMap { composition in
      ["simulated", "emulated"].map {
        Composition(name: "\(composition.name) \($0)", parts: composition.parts)
      }
    }
    results = Results(doubled)
    console = Console(isSource: false, verbosity: options.isQuiet ? .quiet : .normal)
  }

  /// Runs everything, and gives the tables to print.
  mutating func run() throws -> String {
    try topologies.check(options, experiment.fidelity)
    let plans = experiment.seeds.map { Plan(experiment.scenario, seed: $0) }
    let program = EmulatedRun.Program(
      path: Self.ownPath,
      plugins: options.plugins.map(LabRunOptions.absolute)
    )
    // What cannot be emulated is said before anything is made.
    for plan in plans {
      for composition in experiment.compositions {
        do throws(EmulationError) {
          _ = try EmulatedRun(plan, composition, program, folder: "")
        } catch {
          throw UsageError(error.description)
        }
      }
    }
    if let obstacle = Testbed.obstacle { throw CommandError("nothing can be emulated here: \(obstacle)") }
    let folder = try ResultFolder.create(options.folder ?? OutputFolder.freeName(experiment.scenario.name))
    try writeInputs(folder.files)
    var simulated: [[ReportLine.Run]] = []
    for job in experiment.jobs {
      let name = experiment.compositions[job.composition].name
      console.show(terminal: "simulating \(name), seed \(job.seed)")
      guard let run = try experiment.run(job, makeTopology: topologies.make, goesOn: { _ in true }) else {
        continue
      }
      try keep(run, Experiment.Job(composition: 2 * job.composition, seed: job.seed), "packet", folder)
      if job.composition == 0 { simulated.append([]) }
      simulated[simulated.count - 1].append(run)
    }
    let isWhole = try emulate(plans, simulated, program, folder)
    console.finish()
    try results.write(to: folder.files, hasReport: true, comparison: comparison) { console.say($0) }
    console.say("look at: \(folder.path)/report.html   again: \(folder.path)/rerun")
    let text = results.table + "\n" + comparison.table
    guard isWhole else {
      _ = Descriptor.write(text, to: STDOUT_FILENO)
      throw CommandError(
        "interrupted: \(results.count) of \(2 * experiment.jobs.count) runs are in \(folder.path)"
      )
    }
    return text
  }

  /// Runs the plans with real peers; false when a signal came.
  private mutating func emulate(
    _ plans: [Plan],
    _ simulated: [[ReportLine.Run]],
    _ program: EmulatedRun.Program,
    _ folder: borrowing ResultFolder
  ) throws -> Bool {
    console.show(terminal: "making network namespaces")
    var testbed = try Testbed.open(hosts: plans.map(\.peers.count).max() ?? 0)
    let jobs = experiment.jobs
    for (number, job) in jobs.enumerated() {
      let composition = experiment.compositions[job.composition]
      let place = Int(job.seed - experiment.seeds.lowerBound)
      let plan = plans[place]
      let run = try EmulatedRun(plan, composition, program, folder: "\(folder.path)/peers-\(number)")
      let length = plan.scenario.phases.end.milliseconds
      let outcome = try run.run(on: &testbed) { part in
        let left = length * (Double(jobs.count - number) - part)
        let text =
          "\(composition.name), seed \(job.seed): run \(number + 1) of \(jobs.count), "
          + "\(Number.fixed(part * 100, decimals: 0)) %, \(LabRun.time(left)) left"
        console.show(terminal: text, log: text, at: part * length + Double(number) * length)
      }
      guard let outcome else { return false }
      for complaint in outcome.complaints {
        console.say("\(composition.name), seed \(job.seed): \(complaint)")
      }
      let emulated = ReportLine.Run(
        seed: job.seed,
        measurement: outcome.measurement,
        bound: simulated[place][job.composition].bound
      )
      try keep(
        emulated,
        Experiment.Job(composition: 2 * job.composition + 1, seed: job.seed),
        "emulated",
        folder
      )
      comparison.add(
        SimToReal.Pair(
          composition: composition.name,
          simulated: simulated[place][job.composition],
          emulated: emulated,
          busy: outcome.busy
        )
      )
    }
    return true
  }

  private mutating func keep(
    _ run: ReportLine.Run,
    _ job: Experiment.Job,
    _ engine: String,
    _ folder: borrowing ResultFolder
  ) throws {
    results.add(run, of: job)
    try folder.append(
      run.json(composition: experiment.compositions[job.composition / 2].name, engine: engine)
    )
  }

  // MARK: Files

  private func writeInputs(_ folder: OutputFolder) throws {
    try folder.write(experiment.scenario.name + ".json5", options.scenarioFile)
    var arguments = [
      experiment.scenario.name + ".json5", "--topology", options.topologies.joined(separator: ","), "--seeds",
      "\(experiment.seeds.lowerBound)-\(experiment.seeds.upperBound)",
    ]
    if let peers = options.peers { arguments += ["--peers", String(peers)] }
    if let rate = options.rate { arguments += ["--rate", String(rate)] }
    for plugin in options.plugins { arguments += ["--plugin", LabRunOptions.absolute(plugin)] }
    let rerun = """
      #!/bin/sh
      # Runs all of it again with freshet \(Version.number), into a new folder here. What real peers do is not the same twice.
      set -eu
      cd "$(dirname "$0")"
      "${FRESHET:-freshet}" lab emulate \(arguments.map(\.quotedForShell).joined(separator: " ")) --output "${1:-again}"

      """
    try folder.write("rerun", rerun, isExecutable: true)
  }

  /// The program that this is: the peers are what the user runs, not what is installed.
  private static var ownPath: String { LabRunOptions.absolute("/proc/self/exe") }
}
