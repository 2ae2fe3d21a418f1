internal import JSON5
package import Lab

/// What `freshet lab …` was asked for.
package enum LabTask: Sendable {
  case scenarios(name: String?)
  case run(LabRunOptions)
  case emulate(LabRunOptions)
  case plan(LabPlan)
  case merge(LabMerge)
  case check(CheckOptions)

  init?(_ command: Command, _ values: Values) throws(UsageError) {
    switch command.name {
    case Command.labScenarios.name:
      let name = values.operands.first
      if let name, Library.file(name) == nil { throw Self.unknown(name) }
      self = .scenarios(name: name)
    case Command.labCheck.name: self = .check(try CheckOptions(values))
    case Command.labRun.name: self = .run(try LabRunOptions(values))
    case Command.labEmulate.name:
      self = .emulate(try LabRunOptions(values, scenario: values.operands[0], seeds: Settings.emulatedSeeds))
    case Command.labReplay.name:
      self = .run(try LabRunOptions(values, scenario: values.operands[0], replays: true))
    case Command.labPlan.name: self = .plan(try LabPlan(values))
    case Command.labMerge.name: self = .merge(try LabMerge(values))
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
