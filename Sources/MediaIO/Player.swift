internal import Glibc
internal import Threads

/// A program that plays what is written to its standard input.
///
/// What it writes to standard error is kept from the user, since sound and graphics libraries complain there about
/// things that do no harm; only when the player fails are its last words shown.
struct Player {
  /// How the process ended, and what it said last.
  private struct State {
    /// As waitpid says it; nil while it runs.
    var status: Int32?
    var errors: [UInt8] = []
    /// Whether nobody can say more.
    var hasSaidAll = false
  }

  /// How much of what it said last is kept, in bytes.
  private static let errorLimit = 2048
  /// How long a player that has closed its input may take to end, in nanoseconds.
  private static let farewell: Int64 = 1_000_000_000

  let process: pid_t
  let name: String
  /// The end of the pipe that is written to.
  let inlet: Int32
  private let state = Monitor(State())

  /// What is played.
  enum Input {
    /// MPEG-TS on standard input, as soon as possible.
    case stream
    /// Any file on standard input, in which nobody can seek.
    case pipe
    case file(String)
  }

  /// Programs that are looked for, in this order, and how they play.
  ///
  /// Neither is told to keep no buffer: it would throw away the first picture, which it probes.
  private static func known(_ input: Input) -> [[String]] {
    let ffplay = [
      "ffplay", "-hide_banner", "-loglevel", "fatal", "-nostats", "-window_title", "Freshet", "-autoexit",
    ]
    let mpv = ["mpv", "--no-terminal", "--title=Freshet"]
    return switch input {
    case .stream:
      [
        ffplay + [
          "-framedrop", "-probesize", "1000000", "-analyzeduration", "500000", "-f", "mpegts", "-i", "pipe:0",
        ],
        mpv + [
          "--cache=no", "--audio-buffer=0.1", "--demuxer=lavf", "--demuxer-lavf-format=mpegts",
          "--demuxer-lavf-analyzeduration=0.5", "--demuxer-lavf-probesize=1000000", "-",
        ],
      ]
    case .pipe: [ffplay + ["-i", "pipe:0"], mpv + ["-"]]
    case .file(let path): [ffplay + ["-i", "file:" + path], mpv + ["--", path]]
    }
  }

  /// The first player that is installed, as a command.
  static func find(for input: Input) throws(MediaError) -> [String] {
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    for command in known(input) {
      for directory in path.split(separator: ":") {
        if unsafe access("\(directory)/\(command[0])", X_OK) == 0 {
          return ["\(directory)/\(command[0])"] + command.dropFirst()
        }
      }
    }
    throw MediaError(
      "no player found: install ffplay (package ffmpeg) or mpv, or write to a file with --output"
    )
  }

  static func start(_ command: [String]) throws(MediaError) -> Player {
    guard let program = command.first else { throw MediaError("no player was named") }
    let input = try pipe(for: program)
    let errors: (reading: Int32, writing: Int32)
    do throws(MediaError) {
      errors = try pipe(for: program)
    } catch {
      close(input.reading)
      close(input.writing)
      throw error
    }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, input.reading, STDIN_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, errors.writing, STDERR_FILENO)
    // Standard output may be carrying the stream itself.
    unsafe posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    // What this process does with signals is not the player's affair.
    var none = sigset_t()
    var all = sigset_t()
    unsafe sigemptyset(&none)
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var words: [UnsafeMutablePointer<CChar>?] = unsafe command.map { unsafe strdup($0) }
    unsafe words.append(nil)
    defer { unsafe words.forEach { unsafe free($0) } }
    var process: pid_t = 0
    let status = unsafe posix_spawnp(&process, program, &actions, &attributes, words, environ)
    close(input.reading)
    close(errors.writing)
    guard status == 0 else {
      close(input.writing)
      close(errors.reading)
      throw MediaError("cannot start '\(program)': \(systemError(status))")
    }
    let name = program.split(separator: "/").last.map { String($0) } ?? program
    let player = Player(process: process, name: name, inlet: input.writing)
    let hasThread = startThread { [state = player.state] in
      listen(errors.reading, state)
      close(errors.reading)
      state.change { $0.hasSaidAll = true }
    }
    if !hasThread {
      close(errors.reading)
      player.state.change { $0.hasSaidAll = true }
    }
    return player
  }

  /// A pipe of which neither end stays open in another child, or the player would never see the end.
  private static func pipe(for program: String) throws(MediaError) -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [-1, -1]
    guard unsafe Glibc.pipe(&ends) == 0 else {
      throw MediaError("cannot start '\(program)': \(systemError(errno))")
    }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }

  /// Keeps the end of what comes until nobody can write any more.
  private static func listen(_ descriptor: Int32, _ state: Monitor<State>) {
    var buffer = [UInt8](repeating: 0, count: 1024)
    while true {
      let count = unsafe read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      state.change { state in
        state.errors += buffer[..<count]
        if state.errors.count > errorLimit { state.errors.removeFirst(state.errors.count - errorLimit) }
      }
    }
  }

  /// Why nothing more can be written to it, as a sentence: it was closed, or it failed.
  func reasonOfEnd() -> String {
    let deadline = monotonicNow() &+ Self.farewell
    while !hasEnded, monotonicNow() < deadline { usleep(10_000) }
    _ = state.wait(until: deadline) { $0.status == nil || $0.hasSaidAll ? () : nil }
    return complaint ?? "the player (\(name)) was closed"
  }

  /// How a player that has ended failed, as a sentence; nil when it did not.
  var complaint: String? {
    let (status, errors) = state.read { ($0.status, $0.errors) }
    guard let status, status != 0 else { return nil }
    // The low bits are the signal that ended it.
    let end = status & 0x7f == 0 ? "status \(status >> 8 & 0xff)" : "signal \(status & 0x7f)"
    let said = Self.lastWords(errors)
    return "the player (\(name)) failed with \(end)" + (said.isEmpty ? "" : ": \(said)")
  }

  /// The last two lines, as one line of plain text.
  private static func lastWords(_ bytes: [UInt8]) -> String {
    let lines = bytes.split { $0 == 10 || $0 == 13 }.map { line in
      String(decoding: line.filter { $0 >= 32 && $0 != 127 }, as: UTF8.self).prefix(200)
    }
    return lines.filter { !$0.allSatisfy(\.isWhitespace) }.suffix(2).joined(separator: "; ")
  }

  /// Whether the process is gone; it is waited for here only.
  var hasEnded: Bool {
    state.change { state in
      if state.status != nil { return true }
      var status: Int32 = 0
      let ended = unsafe waitpid(process, &status, WNOHANG)
      if ended == process || (ended < 0 && errno != EINTR) { state.status = status }
      return state.status != nil
    }
  }

  /// Waits until the player has ended; one that takes longer than the patience is told to.
  ///
  /// The patience is in nanoseconds.
  func end(patience: Int64) {
    var deadline = monotonicNow() &+ patience
    var wasTold = false
    while !hasEnded {
      if monotonicNow() >= deadline {
        kill(process, wasTold ? SIGKILL : SIGTERM)
        // Half a second for leaving in order.
        deadline = monotonicNow() &+ 500_000_000
        wasTold = true
      }
      usleep(10_000)
    }
  }
}

/// What the system says about an error number.
func systemError(_ number: Int32) -> String {
  unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
    guard let start = buffer.baseAddress else { return "error \(number)" }
    guard unsafe strerror_r(number, start, 256) == 0 else { return "error \(number)" }
    return unsafe String(cString: start)
  }
}
