package import Integrity
internal import JSON5

/// What a command line asks for.
package enum Invocation {
  case overview
  case version
  case help(Command)
  case broadcast(BroadcastOptions)
  case topology(SwapTask)
  case join(JoinOptions)
  case inspect(InspectOptions)
  case seed(SeedOptions)
  case fetch(FetchOptions)
  case plugins(libraries: [String])
  case newPlugin(PluginPackage)
  case generateKey(path: String, SignatureAlgorithm)
  case members(MembersTask)
  case lab(LabTask)

  /// Reads the arguments behind the program's own name.
  package init(arguments: [String], environment: [String: String] = [:]) throws(UsageError) {
    try self.init(arguments: arguments, environment: environment, load: ConfigurationFile.load)
  }

  /// Reads the arguments, with configuration files from `load`.
  package init(
    arguments: [String],
    environment: [String: String],
    load: (String) throws(UsageError) -> ConfigurationFile
  ) throws(UsageError) {
    guard let first = arguments.first else {
      self = .overview
      return
    }
    switch first {
    case "--help", "-h":
      self = .overview
      return
    case "--version", "-V", "version":
      self = .version
      return
    case "help":
      let rest = arguments.dropFirst()
      guard let name = rest.first else {
        self = .overview
        return
      }
      self = .help(try Self.command(name, rest.dropFirst()).command)
      return
    default: break
    }
    let (command, rest) = try Self.command(first, arguments.dropFirst())
    // Help is given however wrong the rest is; what stands behind "--" is no option.
    if rest.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
      self = .help(command)
      return
    }
    let values = try Values(command, arguments: Array(rest), environment: environment, load: load)
    switch command.name {
    case Command.broadcast.name: self = .broadcast(try BroadcastOptions(values))
    case Command.topology.name: self = .topology(try SwapTask(values))
    case Command.join.name: self = .join(try JoinOptions(values))
    case Command.seed.name: self = .seed(try SeedOptions(values))
    case Command.fetch.name: self = .fetch(try FetchOptions(values))
    case Command.inspect.name: self = .inspect(try InspectOptions(values))
    case Command.plugins.name: self = .plugins(libraries: try values.all(Settings.plugin))
    case Command.pluginNew.name: self = .newPlugin(try PluginPackage(values))
    case Command.generateKey.name:
      self = .generateKey(path: try Read.file(values.operands[0]), try values.value(Settings.algorithm))
    default:
      if let task = try MembersTask(command, values) {
        self = .members(task)
      } else if let task = try LabTask(command, values) {
        self = .lab(task)
      } else {
        preconditionFailure("\(command.name) is declared and not read")
      }
    }
  }

  /// The command that one or two words name, and what is behind them.
  private static func command(
    _ first: String,
    _ rest: ArraySlice<String>
  ) throws(UsageError) -> (command: Command, rest: ArraySlice<String>) {
    if let command = Command.all.first(where: { $0.name == first }) { return (command, rest) }
    let twoWords = Command.all.filter { $0.name.hasPrefix(first + " ") }
    if let command = twoWords.first {
      guard let second = rest.first, !second.hasPrefix("-") else { return (command, rest) }
      if let exact = twoWords.first(where: { $0.name == "\(first) \(second)" }) {
        return (exact, rest.dropFirst())
      }
      let known = twoWords.map { "'\($0.name)'" }.joined(separator: ", ")
      throw UsageError("there is no command '\(first) \(second)', only \(known)")
    }
    if first.hasPrefix("-") {
      throw UsageError("the command comes first: freshet COMMAND \(first) …; see 'freshet help'")
    }
    if first.lowercased().hasPrefix("ppspp:") {
      throw UsageError("to watch a link, write: freshet join '\(first)' --play")
    }
    let names = Command.all.map(\.name) + ["help", "key", "ca", "lab", "plugin", "version"]
    let guess = Suggestion.phrase(first, among: names)
    throw UsageError(
      "there is no command '\(first)'" + (guess.isEmpty ? "; 'freshet help' lists them" : guess)
    )
  }
}
