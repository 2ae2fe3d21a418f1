internal import Glibc

/// A program that plays what is written to its standard input.
struct Player {
  let process: pid_t
  let name: String
  /// The end of the pipe that is written to.
  let inlet: Int32

  /// Programs that are looked for, in this order, and how they play MPEG-TS from a pipe soon.
  ///
  /// Neither is told to keep no buffer: it would throw away the first picture, which it probes.
  private static let known: [[String]] = [
    [
      "ffplay", "-hide_banner", "-loglevel", "fatal", "-nostats", "-window_title", "Freshet", "-autoexit",
      "-framedrop", "-probesize", "1000000", "-analyzeduration", "500000", "-f", "mpegts", "-i", "pipe:0",
    ],
    [
      "mpv", "--no-terminal", "--title=Freshet", "--cache=no", "--audio-buffer=0.1", "--demuxer=lavf",
      "--demuxer-lavf-format=mpegts", "--demuxer-lavf-analyzeduration=0.5",
      "--demuxer-lavf-probesize=1000000", "-",
    ],
  ]

  /// The first player that is installed, as a command.
  static func find() throws(MediaError) -> [String] {
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    for command in known {
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
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else {
      throw MediaError("cannot start '\(program)': \(systemError(errno))")
    }
    // Neither end may stay open in another child, or the player never sees the end.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO)
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
    close(ends[0])
    guard status == 0 else {
      close(ends[1])
      throw MediaError("cannot start '\(program)': \(systemError(status))")
    }
    let name = program.split(separator: "/").last.map { String($0) } ?? program
    return Player(process: process, name: name, inlet: ends[1])
  }

  /// Waits until the player has ended; one that takes longer than the patience is told to.
  ///
  /// The patience is in nanoseconds.
  func end(patience: Int64) {
    let deadline = monotonicNow() &+ patience
    var wasTold = false
    while true {
      var status: Int32 = 0
      let ended = unsafe waitpid(process, &status, WNOHANG)
      if ended == process || (ended < 0 && errno != EINTR) { return }
      if monotonicNow() >= deadline {
        kill(process, wasTold ? SIGKILL : SIGTERM)
        if wasTold {
          _ = unsafe waitpid(process, &status, 0)
          return
        }
        wasTold = true
        // As long again for leaving in order.
        for _ in 0..<50 {
          usleep(10_000)
          if unsafe waitpid(process, &status, WNOHANG) == process { return }
        }
        continue
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
