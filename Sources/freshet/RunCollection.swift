internal import Glibc
internal import Lab

/// The runs of a scenario as they are found.
struct RunCollection {
  var results: Results
  var lines: [String] = []
  /// The versions of plugins and of freshet that made the runs, by name.
  var versions: [String: Set<String>] = [:]
  private let experiment: Experiment
  private var seen: [Experiment.Job: (trace: UInt64, folder: String)] = [:]

  init(_ experiment: Experiment) {
    self.experiment = experiment
    results = Results(experiment)
  }

  var missing: [Experiment.Job] { experiment.jobs.filter { seen[$0] == nil } }

  mutating func read(_ folder: String, say: (String) -> Void) throws {
    let file = folder + "/runs.ndjson"
    var status = stat()
    // A run that was broken off before it wrote anything is one that is missing.
    guard unsafe lstat(file, &status) == 0 else { return }
    try note(folder, say: say)
    var number = 0
    try LabFile.forEachLine(file) { line in
      number += 1
      let place = "\(file), run \(number)"
      let record = try RunRecord(line, file: place)
      guard let composition = experiment.compositions.firstIndex(where: { $0.name == record.composition }),
        experiment.seeds.contains(record.run.seed), record.fidelity == experiment.fidelity
      else { throw CommandError("\(place): a run of another experiment") }
      let job = Experiment.Job(composition: composition, seed: record.run.seed)
      let trace = record.run.measurement.trace
      if let other = seen[job] {
        guard other.trace == trace else {
          throw CommandError(
            "\(record.composition), seed \(job.seed), went two ways: in \(other.folder) and in \(folder); "
              + "are there different builds of freshet or of a plugin?"
          )
        }
        say("\(record.composition), seed \(job.seed), is there twice, with the same outcome; one is taken")
        return
      }
      seen[job] = (trace, folder)
      results.add(record.run(in: experiment.scenario), of: job)
      lines.append(String(decoding: line, as: UTF8.self))
    }
  }

  /// Notices when another version made these runs than those before.
  private mutating func note(_ folder: String, say: (String) -> Void) throws {
    for (name, version) in try LabRunOptions.versions(folder: folder).sorted(by: { $0.key < $1.key }) {
      guard versions[name, default: []].insert(version).inserted, versions[name]?.count == 2 else { continue }
      say("runs of different versions of \(name) are merged: \(versions[name, default: []].sorted())")
    }
  }
}
