internal import JSON5

/// What was given for the options of one command: flags over environment over configuration file.
struct Values {
  /// A value with where it stood, for the sentence when it is wrong.
  struct Given: Equatable {
    var text: String
    var source: String
  }

  private(set) var operands: [String] = []
  private var given: [String: [Given]] = [:]

  /// What a setting was set to, or its default.
  ///
  /// - Precondition: the setting has a default.
  func value<Value>(_ setting: Setting<Value>) throws(UsageError) -> Value {
    if let value = try optional(setting) { return value }
    guard let standard = setting.option.standard else {
      preconditionFailure("--\(setting.option.name) has no default")
    }
    return try setting.read(standard)
  }

  /// What a setting was set to, if it was.
  func optional<Value>(_ setting: Setting<Value>) throws(UsageError) -> Value? {
    guard let last = given[setting.option.name]?.last else { return nil }
    return try read(setting, last)
  }

  func isOn(_ setting: Setting<Bool>) throws(UsageError) -> Bool { try optional(setting) ?? false }

  /// All that a repeating setting was set to.
  func all<Value>(_ setting: Setting<Value>) throws(UsageError) -> [Value] {
    var values: [Value] = []
    for item in given[setting.option.name] ?? [] { values.append(try read(setting, item)) }
    return values
  }

  private func read<Value>(_ setting: Setting<Value>, _ given: Given) throws(UsageError) -> Value {
    do throws(UsageError) {
      return try setting.read(given.text)
    } catch {
      throw UsageError("\(given.source): \(error)")
    }
  }
}

extension Values {
  /// Reads the arguments behind a command's name, then fills in from environment and configuration file.
  ///
  /// `load` gives the values of a configuration file.
  init(
    _ command: Command,
    arguments: [String],
    environment: [String: String],
    load: (String) throws(UsageError) -> ConfigurationFile
  ) throws(UsageError) {
    try readArguments(arguments, of: command)
    try readEnvironment(environment, of: command)
    guard command.options.contains(where: { $0.name == Settings.config.option.name }),
      let path = try optional(Settings.config)
    else { return }
    let file = try load(path)
    for (name, texts) in file.values.sorted(by: { $0.key < $1.key }) {
      guard let option = command.options.first(where: { $0.name == name }), given[name] == nil else {
        continue
      }
      given[option.name] = texts.map { Given(text: $0, source: "\(name) in \(path)") }
    }
  }

  private mutating func readArguments(_ arguments: [String], of command: Command) throws(UsageError) {
    var rest = arguments[...]
    var onlyOperands = false
    while let argument = rest.popFirst() {
      if onlyOperands || argument == "-" || !argument.hasPrefix("-") {
        operands.append(argument)
        continue
      }
      if argument == "--" {
        onlyOperands = true
        continue
      }
      let equals = argument.firstIndex(of: "=") ?? argument.endIndex
      let flag = String(argument[..<equals])
      let option = try Self.option(flag, of: command)
      let text: String
      if equals != argument.endIndex {
        text = String(argument[argument.index(after: equals)...])
      } else if let placeholder = option.placeholder {
        // A key in base64url may begin with a dash.
        guard let next = rest.first, !next.hasPrefix("--"), next != "-h" else {
          throw UsageError("\(flag) needs a value: write \(flag) \(placeholder)")
        }
        text = next
        rest.removeFirst()
      } else {
        text = "yes"
      }
      given[option.name, default: []].append(Given(text: text, source: flag))
    }
    guard operands.count >= command.operands.count(where: { !$0.isOptional }) else {
      let missing = command.operands[operands.count]
      throw UsageError(
        "'\(command.name)' needs \(missing.name): freshet \(command.usage); see 'freshet help \(command.name)'"
      )
    }
    guard operands.count <= command.operands.count || command.operands.last?.repeats == true else {
      let extra = operands[command.operands.count]
      throw UsageError("'\(extra)' is one argument too many for '\(command.usage)'")
    }
  }

  private static func option(_ flag: String, of command: Command) throws(UsageError) -> Option {
    let name = String(flag.drop { $0 == "-" })
    if flag.hasPrefix("--"), let option = command.options.first(where: { $0.name == name }) { return option }
    if flag.hasPrefix("--"),
      let other = Command.all.first(where: { $0.options.contains { $0.name == name } })
    {
      throw UsageError("\(flag) is an option of '\(other.name)', not of '\(command.name)'")
    }
    let guess = Suggestion.phrase(name, among: command.options.map(\.name)) { "--\($0)" }
    throw UsageError(
      "unknown option \(flag)" + (guess.isEmpty ? "; see 'freshet help \(command.name)'" : guess)
    )
  }

  private mutating func readEnvironment(
    _ environment: [String: String],
    of command: Command
  ) throws(UsageError) {
    let known = Command.all.flatMap(\.options).map(\.variable) + ["FRESHET_PLUGIN_PATH"]
    for (name, text) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix("FRESHET_") {
      guard known.contains(name) else {
        throw UsageError(
          "unknown environment variable \(name)" + Suggestion.phrase(name, among: known)
        )
      }
      guard !text.isEmpty, let option = command.options.first(where: { $0.variable == name }),
        given[option.name] == nil
      else { continue }
      let texts = option.repeats ? text.split(separator: ":").map(String.init) : [text]
      given[option.name] = texts.map { Given(text: $0, source: name) }
    }
  }
}
