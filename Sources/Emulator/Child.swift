internal import CSockets
internal import Glibc

/// A program that this one started, in a process group of its own so that signals from a terminal do not reach it.
struct Child {
  let process: pid_t

  /// Where the standard streams of a program go; what is `nil` goes nowhere.
  struct Streams {
    var input: Int32?
    var output: Int32?
    var errors: Int32?
  }

  /// Starts a program, looked up in `PATH` when it has no slash; in the network namespace `space` instead of this process's.
  ///
  /// Its threads run as ordinary ones, whatever those of this process do.
  static func start(
    _ program: String,
    _ arguments: [String],
    in space: String? = nil,
    _ streams: Streams = Streams()
  ) throws(EmulationError) -> Child {
    var here: Int32?
    if let space {
      let entered = unsafe freshet_space_enter(space)
      guard entered >= 0 else {
        throw EmulationError("cannot enter the network namespace '\(space)': \(text(of: -entered))")
      }
      here = entered
    }
    let (process, code) = spawn(program, arguments, streams)
    if let here, case let status = freshet_space_leave(here), status < 0 {
      throw EmulationError("cannot leave the network namespace again: \(text(of: -status))")
    }
    guard code == 0 else { throw EmulationError("\(program) cannot be started: \(text(of: code))") }
    return Child(process: process)
  }

  private static func spawn(_ program: String, _ arguments: [String], _ streams: Streams) -> (pid_t, Int32) {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    for (number, stream) in [streams.input, streams.output, streams.errors].enumerated() {
      let number = Int32(number)
      if let stream {
        unsafe posix_spawn_file_actions_adddup2(&actions, stream, number)
      } else {
        unsafe posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)
      }
    }
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    var ordinary = sched_param()
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setpgroup(&attributes, 0)
    unsafe posix_spawnattr_setschedpolicy(&attributes, SCHED_OTHER)
    unsafe posix_spawnattr_setschedparam(&attributes, &ordinary)
    let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSCHEDULER
    unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
    let words = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
    let variables = unsafe environment.map { unsafe strdup($0) } + [nil]
    defer {
      for index in unsafe words.indices { unsafe free(words[index]) }
      for index in unsafe variables.indices { unsafe free(variables[index]) }
    }
    var process = pid_t()
    let code = unsafe posix_spawnp(&process, program, &actions, &attributes, words, variables)
    return (process, code)
  }

  /// This process's own, without what would change how a peer behaves.
  private static var environment: [String] {
    var variables: [String] = []
    var next = unsafe environ
    while let entry = unsafe next.pointee {
      let text = unsafe String(cString: entry)
      if !text.hasPrefix("FRESHET_") || text.hasPrefix("FRESHET_PLUGIN_PATH=") { variables.append(text) }
      unsafe next += 1
    }
    return variables
  }

  /// Runs a program to its end; it reads `input`.
  ///
  /// Throws the first line that it wrote to standard error, when it failed.
  static func run(
    _ program: String,
    _ arguments: [String],
    in space: String? = nil,
    input: String = ""
  ) throws(EmulationError) {
    let given = try Scratch(input)
    let errors = try Scratch()
    let streams = Streams(input: given.descriptor, errors: errors.descriptor)
    let status = try start(program, arguments, in: space, streams).wait()
    guard status != 0 else { return }
    let line = errors.text.split(separator: "\n").first ?? "exit status \(status)"
    throw EmulationError("'\(([program] + arguments).joined(separator: " "))' failed: \(line)")
  }

  func signal(_ number: Int32) { kill(process, number) }

  /// How it ended, if it has: its exit status, or 128 plus the number of the signal that ended it.
  ///
  /// To be asked no more once it was told.
  var status: Int32? {
    var code: Int32 = 0
    guard unsafe waitpid(process, &code, WNOHANG) == process else { return nil }
    return Self.status(code)
  }

  /// Waits for its end.
  @discardableResult
  func wait() -> Int32 {
    var code: Int32 = 0
    while unsafe waitpid(process, &code, 0) < 0 && errno == EINTR {}
    return Self.status(code)
  }

  private static func status(_ code: Int32) -> Int32 {
    code & 0x7F == 0 ? (code >> 8) & 0xFF : 128 + (code & 0x7F)
  }
}

/// The system's words for an error.
func text(of code: Int32) -> String { unsafe String(cString: strerror(code)) }
