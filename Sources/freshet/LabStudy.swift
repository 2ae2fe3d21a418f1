internal import Lab

/// The runs of one scenario, in as many folders as there are.
struct LabStudy {
  var options: LabRunOptions
  /// The folder of its inputs.
  let path: String
  /// The folders of runs.
  var runs: [String]
  /// The plan's folder, if it comes from one.
  var plan: String?

  /// What a folder holds: the scenarios of a plan, or the one of a result.
  static func list(_ folder: String) throws -> [LabStudy] {
    let names = LabFile.names(in: folder)
    guard names.contains("commands") else {
      guard names.contains("experiment.json") else {
        throw CommandError("\(folder): neither 'freshet lab plan' nor 'freshet lab run' wrote this")
      }
      return [LabStudy(options: try LabRunOptions(folder: folder), path: folder, runs: [folder], plan: nil)]
    }
    let inputs = names.filter { LabFile.names(in: "\(folder)/\($0)").contains("experiment.json") }
    guard !inputs.isEmpty else { throw CommandError("\(folder): there is no scenario in this plan") }
    return try inputs.map { name in
      let path = "\(folder)/\(name)"
      let runs = LabFile.names(in: path + "/runs").map { "\(path)/runs/\($0)" }
      return LabStudy(options: try LabRunOptions(folder: path), path: path, runs: runs, plan: folder)
    }
  }

  /// Adds the runs of another folder with the same scenario.
  mutating func take(_ other: LabStudy) throws {
    let (left, right) = (options.experiment, other.options.experiment)
    let name = left.scenario.name
    guard options.scenarioFile == other.options.scenarioFile, options.peers == other.options.peers else {
      throw CommandError("\(path) and \(other.path) have different scenarios called '\(name)'")
    }
    guard left.fidelity == right.fidelity else {
      throw CommandError("\(path) and \(other.path) are of different fidelity")
    }
    for (index, composition) in right.compositions.enumerated() {
      if let same = left.compositions.first(where: { $0.name == composition.name }) {
        guard same == composition else {
          throw CommandError(
            "\(path) and \(other.path) have different compositions called '\(composition.name)'"
          )
        }
        continue
      }
      options.experiment.compositions.append(composition)
      options.topologies.append(other.options.topologies[index])
    }
    for file in other.options.compositionFiles
    where !options.compositionFiles.contains(where: { $0.name == file.name }) {
      options.compositionFiles.append(file)
    }
    options.experiment.seeds =
      min(left.seeds.lowerBound, right.seeds.lowerBound)...max(left.seeds.upperBound, right.seeds.upperBound)
    runs += other.runs
    plan = plan == other.plan ? plan : nil
  }
}
