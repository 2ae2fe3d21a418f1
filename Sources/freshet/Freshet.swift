import Glibc
import Integrity
import Node

/// The command from its arguments to its exit status.
enum Freshet {
  /// Runs what was asked for.
  ///
  /// Every error ends here, as one sentence on standard error.
  static func run(arguments: [String], environment: [String: String]) -> Int32 {
    do throws(any Error) {
      switch try Invocation(arguments: arguments, environment: environment) {
      case .overview: try say(Help.overview)
      case .version: try say(Version.text)
      case .help(let command): try say(Help.text(command))
      case .broadcast(let options): try Run.broadcast(options, control: ControlClient.folder(environment))
      case .topology(let task): try say(task.run(environment))
      case .join(let options): try Run.join(options)
      case .seed(let options): try Run.seed(options)
      case .fetch(let options): try Run.fetch(options)
      case .inspect(let options): try Inspection.run(options, environment: environment)
      case .plugins(let libraries): try say(PluginList.text(Run.plugins(libraries: libraries)))
      case .newPlugin(let package):
        try say(package.write(taken: try Run.registry([]).names("topology")))
      case .members(let task): try say(task.run())
      case .lab(.scenarios(let name)): try say(LabTask.list(name))
      case .lab(.run(let options)):
        var run = LabRun(options, try Run.topologies(options.plugins))
        try say(run.run())
      case .lab(.emulate(let options)):
        var run = try LabEmulate(options, try Run.topologies(options.plugins))
        try say(run.run())
      case .lab(.plan(let plan)): try say(plan.write(try Run.topologies(plan.experiments[0].plugins)))
      case .lab(.merge(let merge)): try say(merge.run())
      case .lab(.check(let options)) where options.isWorker: try CheckWorker.run(options)
      case .lab(.check(let options)):
        var run = CheckRun(options)
        try say(run.run())
      case .generateKey(let path, let algorithm):
        let key = try StreamKey.create(algorithm, at: path)
        try say(
          "\(path): \(algorithm), swarm id \(key.swarmID)\nBroadcast with it: freshet broadcast INPUT --key \(path)\n"
        )
      }
      return 0
    } catch let error as UsageError {
      complain(error.description)
      return 64
    } catch {
      complain("\(error)")
      return 1
    }
  }

  private static func say(_ text: String) throws(CommandError) {
    guard let code = Descriptor.write(text, to: STDOUT_FILENO) else { return }
    throw CommandError("standard output cannot be written: \(unsafe String(cString: strerror(code)))")
  }

  private static func complain(_ sentence: String) {
    _ = Descriptor.write("freshet: \(sentence)\n", to: STDERR_FILENO)
  }

  /// This process's environment.
  static var environment: [String: String] {
    var variables: [String: String] = [:]
    var next = unsafe environ
    while let entry = unsafe next.pointee {
      let text = unsafe String(cString: entry)
      if let equals = text.firstIndex(of: "=") {
        variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
      }
      unsafe next += 1
    }
    return variables
  }
}
