internal import Glibc
internal import Lab
internal import Node
internal import PluginKit
internal import Text

/// A process that examines worlds which it is told of on standard input, a line each: `17 p3 d1` is the world of seed 17
/// without peer 3, where peer 1 stays; a `+` before it asks for all that is seen there.
///
/// A plugin may end the process or never come back: that is why it runs in one of its own.
enum CheckWorker {
  /// Processor time that one world may take, in seconds; some hundred times what it takes.
  private static let worldLimit: Int = {
    #if DEBUG
      60
    #else
      1
    #endif
  }()

  static func run(_ options: CheckOptions) throws {
    // What a plugin prints is no answer.
    let answers = dup(STDOUT_FILENO)
    let nowhere = unsafe open("/dev/null", O_WRONLY | O_CLOEXEC)
    guard answers >= 0, nowhere >= 0, dup2(nowhere, STDOUT_FILENO) >= 0 else {
      throw CommandError("this process has no files left")
    }
    func say(_ line: String) { _ = Descriptor.write(line + "\n", to: answers) }

    let plugins = try Run.topologies(options.plugins)
    let part: Composition.Part
    do {
      startWatch()
      let name = try options.name ?? plugin(options.plugins.last ?? "")
      part = Composition.Part(name, parameters: options.parameters)
      let topology = try plugins.make(part.topology, part.parameters)
      say("ready " + claims(type(of: topology).manifest))
    } catch {
      say("refused \(error)")
      return
    }
    while let line = readLine() {
      let words = line.drop { $0 == "+" }.split(separator: " ")
      guard let seed = words.first.flatMap({ UInt64($0) }) else {
        return say("refused '\(line)' is no world")
      }
      let plan = Plan.trial(seed: seed).simplified(by: words.dropFirst().compactMap { Reduction($0) })
      startWatch()
      let examination = try Examination(plan, part, makeTopology: plugins.make)
      var answer = CheckAnswer(trace: examination.trace, violation: examination.violation)
      if line.hasPrefix("+") { answer.scenes = examination.scenes }
      for line in answer.lines { say(line) }
    }
  }

  /// The signal that this raises ends the process of a plugin that does not come back, whatever signals the starter
  /// of this process had blocked.
  private static func startWatch() {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGVTALRM)
    unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    var time = itimerval()
    time.it_value.tv_sec = worldLimit
    unsafe setitimer(__itimer_which_t(ITIMER_VIRTUAL.rawValue), &time, nil)
  }

  private static func plugin(_ file: String) throws -> String {
    let loaded = try PluginLoader.load(file)
    guard loaded.kind == "topology" else {
      throw CommandError("\(file) is a \(loaded.kind), and only topologies can be checked")
    }
    return loaded.manifest.name
  }

  private static func claims(_ manifest: Manifest) -> String {
    let claims = manifest.claims.compactMap { claim -> String? in
      switch claim {
      case .noDuplicates: "no duplicates"
      case .noLoops: "no loops"
      case .fanOut(let parameter): "no more children than \(parameter)"
      case .logarithmicDepth: "logarithmic depth"
      case .children(let count): "no more than \(count) " + (count == 1 ? "child" : "children")
      case .repair(let time): "repair within \(Number.text(time / .seconds(1), decimals: 3)) s"
      @unknown default: nil
      }
    }
    return claims.isEmpty ? "it claims nothing" : "it claims " + claims.joined(separator: ", ")
  }
}
