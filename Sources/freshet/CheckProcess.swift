internal import Glibc

/// A child process with which lines are exchanged, until it ends or is ended.
struct CheckProcess: ~Copyable {
  /// How it ended.
  struct Ending: Hashable {
    /// The signal that ended it; nil when it ended by itself.
    var signal: Int32?
    /// The line with which it complained, if it did.
    var complaint: String
  }

  /// The most of a complaint that is read, in bytes.
  private static let complaintLimit = 4096

  private let process: pid_t
  private let socket: Int32
  private let errors: Int32
  private var buffer: [UInt8] = []
  private var hasEnded = false

  /// Starts this program anew; `isOrderly`: with hash tables in an order that is always the same, else in one of its own.
  static func start(_ arguments: [String], isOrderly: Bool) throws(CommandError) -> CheckProcess {
    var ends: [Int32] = [-1, -1]
    // From the beginning closed in other children, which are started at the same time.
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw failure(errno) }
    var template = Array("/tmp/freshet-XXXXXX".utf8CString)
    let errors = unsafe mkstemp(&template)
    guard errors >= 0 else { throw failure(errno) }
    unsafe unlink(template)
    _ = fcntl(errors, F_SETFD, FD_CLOEXEC)
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
    var variables = Freshet.environment.filter { $0.key != hashing }.map { "\($0.key)=\($0.value)" }
    // A trap is to be reported in one line, and at once.
    variables.append("SWIFT_BACKTRACE=enable=no")
    if isOrderly { variables.append(hashing + "=1") }
    let words = unsafe (["freshet"] + arguments).map { unsafe strdup($0) } + [nil]
    let environment = unsafe variables.map { unsafe strdup($0) } + [nil]
    defer { unsafe (words + environment).forEach { unsafe free($0) } }
    var process = pid_t()
    let code = unsafe posix_spawn(&process, "/proc/self/exe", &actions, nil, words, environment)
    close(ends[1])
    guard code == 0 else {
      close(ends[0])
      close(errors)
      throw failure(code)
    }
    return CheckProcess(process: process, socket: ends[0], errors: errors)
  }

  private static let hashing = "SWIFT_DETERMINISTIC_HASHING"

  private static func failure(_ code: Int32) -> CommandError {
    CommandError("a second process cannot be started: \(unsafe String(cString: strerror(code)))")
  }

  private init(process: pid_t, socket: Int32, errors: Int32) {
    self.process = process
    self.socket = socket
    self.errors = errors
  }

  deinit {
    close(socket)
    close(errors)
    guard !hasEnded else { return }
    kill(process, SIGKILL)
    while waitpid(process, nil, 0) < 0 && errno == EINTR {}
  }

  /// Says a line.
  func say(_ line: String) { _ = Descriptor.write(line + "\n", to: socket) }

  /// The next line that it says; nil when it has ended, or is ended because it says nothing for too long.
  mutating func line() -> String? {
    while true {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        defer { buffer.removeFirst(end + 1) }
        return String(decoding: buffer[..<end], as: UTF8.self)
      }
      var waiting = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
      let count = unsafe poll(&waiting, 1, Self.patience)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        // It waits for something that does not come.
        kill(process, SIGVTALRM)
        return nil
      }
      var bytes = [UInt8](repeating: 0, count: 65536)
      let size = unsafe read(socket, &bytes, bytes.count)
      if size < 0, errno == EINTR { continue }
      guard size > 0 else { return nil }
      buffer += bytes[..<size]
    }
  }

  /// In milliseconds; far more than the processor time that it gives itself.
  private static let patience: Int32 = 300_000

  /// How it ended, after it said no more.
  mutating func ending() -> Ending {
    var status: Int32 = 0
    if !hasEnded { while unsafe waitpid(process, &status, 0) < 0 && errno == EINTR {} }
    hasEnded = true
    var bytes = [UInt8](repeating: 0, count: Self.complaintLimit)
    let size = unsafe pread(errors, &bytes, bytes.count, 0)
    let lines = String(decoding: bytes[..<max(0, size)], as: UTF8.self).split(separator: "\n")
    let complaint = lines.first { $0.contains("Fatal error") } ?? lines.last ?? ""
    let signal = status & 0x7F
    return Ending(signal: signal == 0 ? nil : signal, complaint: String(complaint.prefix(300)))
  }
}
