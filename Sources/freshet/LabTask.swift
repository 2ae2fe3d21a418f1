internal import Glibc
internal import JSON5
package import Lab

/// What `freshet lab …` was asked for.
package enum LabTask: Sendable {
  case scenarios(name: String?)
  case run(LabRunOptions)

  init?(_ command: Command, _ values: Values) throws(UsageError) {
    switch command.name {
    case Command.labScenarios.name:
      let name = values.operands.first
      if let name, Library.file(name) == nil { throw Self.unknown(name) }
      self = .scenarios(name: name)
    case Command.labRun.name: self = .run(try LabRunOptions(values))
    default: return nil
    }
  }

  /// What `freshet lab scenarios` prints.
  package static func list(_ name: String?) throws(FileError) -> String {
    if let name, let file = Library.file(name) { return String(decoding: file, as: UTF8.self) }
    var text = ""
    let width = Library.names.map(\.count).max() ?? 0
    for name in Library.names {
      guard let scenario = try Library.scenario(name) else { continue }
      text += name + String(repeating: " ", count: width - name.count) + "  \(scenario.summary)\n"
    }
    return text
      + "\n'freshet lab scenarios NAME' prints one; 'freshet lab run NAME --topology tree,chain' runs it.\n"
  }

  static func unknown(_ name: String) -> UsageError {
    let guess = Suggestion.phrase(name, among: Library.names)
    return UsageError(
      "there is no scenario '\(name)'"
        + (guess.isEmpty
          ? "; 'freshet lab scenarios' lists them, and a file of your own ends in .json5" : guess)
    )
  }
}

/// All that `freshet lab run` was asked for, its files read.
package struct LabRunOptions: Sendable {
  package var experiment: Experiment
  /// The scenario's file as it is, and those of compositions by their names.
  package var scenarioFile: [UInt8]
  package var compositionFiles: [(name: String, bytes: [UInt8])] = []
  /// As `rerun` has to write it, with the files where they are in the result folder.
  package var topologies: [String] = []
  package var peers: Int?
  package var folder: String?
  package var jobs: Int?
  package var plugins: [String]
  package var isQuiet: Bool

  init(_ values: Values) throws(UsageError) {
    guard let text = try values.optional(Settings.compositions) else {
      throw UsageError(
        "'lab run' needs --topology A,B,…: what is to be compared? ('freshet plugins' lists what there is)"
      )
    }
    let name = values.operands[0]
    var files: [(name: String, bytes: [UInt8])] = []
    do throws(FileError) {
      scenarioFile = try Self.scenarioFile(name)
      let scenario = try Scenario(scenarioFile, file: name)
      let compositions = try Composition.list(text) { path throws(FileError) in
        let bytes = try LabFile.read(path)
        let base = path.split(separator: "/").last.map(String.init) ?? path
        guard !files.contains(where: { $0.name == base }) else {
          throw FileError("a second file of this name; the results keep both in one folder", file: path)
        }
        files.append((base, bytes))
        return bytes
      }
      experiment = Experiment(scenario: scenario, compositions: compositions, seeds: 1...1)
    } catch {
      throw name == error.file && Library.file(name) == nil && !name.hasSuffix(".json5")
        ? LabTask.unknown(name) : UsageError(error.description)
    }
    peers = try values.optional(Settings.peers)
    if let peers { experiment.scenario.count = peers }
    experiment.seeds = try values.value(Settings.seeds)
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
  }

  /// The arguments between commas that are no parameters of the one before.
  private static func arguments(_ text: String) -> [Substring] {
    text.split(separator: ",").filter { part in
      part.firstIndex(of: "=").map { part[..<$0].contains(":") } ?? true
    }
  }

  private static func scenarioFile(_ name: String) throws(FileError) -> [UInt8] {
    if let file = Library.file(name) { return file }
    guard name.hasSuffix(".json5") || name.contains("/") else {
      throw FileError("there is no such scenario", file: name)
    }
    return try LabFile.read(name)
  }
}

/// Files that a researcher wrote.
enum LabFile {
  static func read(_ path: String) throws(FileError) -> [UInt8] {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      throw FileError("it cannot be read: \(unsafe String(cString: strerror(errno)))", file: path)
    }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while bytes.count <= Element.sizeLimit {
      let count = unsafe Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw FileError("it cannot be read: \(unsafe String(cString: strerror(errno)))", file: path)
      }
      guard count > 0 else { return bytes }
      bytes += buffer[..<count]
    }
    throw FileError("it is longer than \(Element.sizeLimit) bytes", file: path)
  }
}
