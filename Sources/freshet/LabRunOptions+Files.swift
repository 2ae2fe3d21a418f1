internal import Glibc
internal import JSON5
internal import Lab
internal import Text

/// What makes an experiment again, as files of a folder.
extension LabRunOptions {
  /// Writes the inputs, what they are run with, and a script that runs them.
  ///
  /// `versions` are those of the topologies, by name.
  func write(to folder: OutputFolder, versions: [String: String]) throws {
    try writeInputs(to: folder, in: "", versions: versions)
    try folder.write("rerun", rerun, isExecutable: true)
  }

  /// Writes the inputs alone; `place` is a folder in the folder, or nothing.
  func writeInputs(to folder: OutputFolder, in place: String, versions: [String: String]) throws {
    if recordings.isEmpty {
      try folder.write(place + experiment.scenario.name + ".json5", scenarioFile)
    }
    for file in recordings { try folder.write(place + LabReplay.folder + "/" + file.name, file.bytes) }
    for file in compositionFiles { try folder.write(place + "compositions/" + file.name, file.bytes) }
    try folder.write(place + "experiment.json", description(versions))
  }

  /// Reads back what ``write(to:versions:)`` wrote.
  init(folder path: String) throws {
    let file = path + "/experiment.json"
    guard case .array(let elements)? = Self.member("arguments", of: try Self.object(file))?.kind else {
      throw FileError("it is not what 'freshet lab run' or 'lab plan' wrote", file: file)
    }
    let arguments = elements.compactMap(Self.text)
    let values = try Values(
      Command.labRun,
      arguments: arguments,
      environment: [:],
      load: ConfigurationFile.load
    )
    try self.init(values, scenario: values.operands[0], base: path + "/")
  }

  /// The versions of freshet and of the topologies that made the runs of a folder, by name.
  static func versions(folder path: String) throws -> [String: String] {
    let root = try object(path + "/experiment.json")
    var versions: [String: String] = [:]
    versions["freshet"] = member("freshet", of: root).flatMap(text)
    guard case .array(let compositions)? = member("compositions", of: root)?.kind else { return versions }
    for composition in compositions {
      guard case .array(let parts)? = member("parts", of: composition)?.kind else { continue }
      for part in parts {
        guard let name = member("topology", of: part).flatMap(text) else { continue }
        versions[name] = member("version", of: part).flatMap(text)
      }
    }
    return versions
  }

  private static func object(_ file: String) throws -> Element {
    do {
      return try Element(try LabFile.read(file))
    } catch let error as SyntaxError {
      throw FileError(error.reason, file: file, at: error.position)
    }
  }

  private static func member(_ name: String, of element: Element) -> Element? {
    guard case .object(let members) = element.kind else { return nil }
    return members.first { $0.name == name }?.value
  }

  private static func text(_ element: Element) -> String? {
    if case .string(let text) = element.kind { text } else { nil }
  }

  /// Behind `freshet lab run`, in the folder where the inputs are: `place`, if it is another than this one.
  ///
  /// `composition` is the place of the only one to run, `seed` the only world.
  func arguments(in place: String = "", composition: Int? = nil, seed: UInt64? = nil) -> [String] {
    let chosen = composition.map { [topologies[$0]] } ?? topologies
    let named = chosen.map { $0.hasSuffix(".json5") ? place + $0 : $0 }
    let seeds = seed.map { "\($0)-\($0)" } ?? "\(experiment.seeds.lowerBound)-\(experiment.seeds.upperBound)"
    var arguments = [
      place + (recordings.isEmpty ? experiment.scenario.name + ".json5" : LabReplay.folder), "--topology",
      named.joined(separator: ","), "--seeds",
      seeds,
      "--fidelity", experiment.fidelity.rawValue,
    ]
    if let peers { arguments += ["--peers", String(peers)] }
    for plugin in plugins { arguments += ["--plugin", Self.absolute(plugin)] }
    return arguments
  }

  /// What ran: versions, options and plugins.
  private func description(_ versions: [String: String]) -> String {
    let compositions = experiment.compositions.map { composition in
      let parts = composition.parts.map { part in
        "{\"topology\":\(part.topology.quotedAsJSON),\"version\":\((versions[part.topology] ?? "").quotedAsJSON),"
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
        "arguments": [\(arguments().map(\.quotedAsJSON).joined(separator: ", "))],
        "compositions": [
      \(compositions.joined(separator: ",\n"))
        ]
      }

      """
  }

  private var rerun: String {
    """
    #!/bin/sh
    # Runs all of it again with freshet \(Version.number), into a new folder here, and compares what happened in each run.
    set -eu
    cd "$(dirname "$0")"
    again=${1:-again}
    "${FRESHET:-freshet}" lab \(recordings.isEmpty ? "run" : "replay") \(arguments().map(\.quotedForShell).joined(separator: " ")) --output "$again"
    if grep -vxFf "$again/traces.txt" traces.txt; then
      echo "these runs went another way" >&2
      exit 1
    fi
    echo "all $(wc -l < traces.txt) runs went the same way"

    """
  }

  static func absolute(_ path: String) -> String {
    guard let resolved = unsafe realpath(path, nil) else { return path }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }
}

extension String {
  /// As a shell reads it back.
  var quotedForShell: String {
    let isPlain = utf8.allSatisfy {
      0x61...0x7A ~= $0 || 0x41...0x5A ~= $0 || 0x2C...0x3A ~= $0 || $0 == 0x3D || $0 == 0x5F
    }
    return isPlain && !isEmpty ? self : "'" + replacing("'", with: "'\\''") + "'"
  }
}
