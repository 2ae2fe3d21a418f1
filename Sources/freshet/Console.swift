import Glibc
package import Swarm

/// Standard error, where a running command talks to its user.
///
/// On a terminal the status is one line that is written over; elsewhere it is a log line every few seconds.
package struct Console: ~Copyable {
  private let verbosity: Verbosity
  private let isTerminal: Bool
  private var status: StatusLine
  private var hasStatus = false
  private var nextLog = 0.0
  /// Between log lines, in milliseconds.
  private static let logInterval = 5000.0

  package init(isSource: Bool, verbosity: Verbosity) {
    self.verbosity = verbosity
    isTerminal = isatty(STDERR_FILENO) == 1
    status = StatusLine(isSource: isSource)
  }

  /// Says something that happened, above the status line.
  package mutating func say(_ text: String) {
    guard verbosity != .quiet else { return }
    line(text)
  }

  /// Says something that only matters to who looks closely.
  package mutating func detail(_ text: String) {
    guard verbosity == .verbose else { return }
    line(text)
  }

  /// Says something that went wrong.
  package mutating func warn(_ text: String) { line("freshet: " + text) }

  /// Shows how it goes; to be called once a second.
  package mutating func show(_ statistics: Statistics) {
    guard verbosity != .quiet else { return }
    status.update(statistics)
    let line = status.terminal(width: Self.width(of: STDERR_FILENO, otherwise: 80))
    show(terminal: line, log: status.log, at: statistics.timeMilliseconds)
  }

  /// Shows a status of another kind at a time in milliseconds; without one in a log, on a terminal only.
  package mutating func show(terminal line: String, log: String = "", at time: Double? = nil) {
    guard verbosity != .quiet else { return }
    if isTerminal {
      Self.write("\r" + line + "\u{1B}[K")
      hasStatus = true
    } else if let time, time >= nextLog {
      nextLog = time + Self.logInterval
      Self.write(Self.clock(time) + "  " + log + "\n")
    }
  }

  /// Leaves the cursor on a line of its own.
  package mutating func finish() {
    if hasStatus { Self.write("\n") }
    hasStatus = false
  }

  private mutating func line(_ text: String) {
    Self.write((hasStatus ? "\r\u{1B}[K" : "") + text + "\n")
    hasStatus = false
  }

  private static func clock(_ milliseconds: Double) -> String {
    let seconds = Int(max(0, min(milliseconds, 1e12)) / 1000)
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    return "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
  }

  /// The columns of a terminal; `otherwise` for what is none.
  static func width(of descriptor: Int32, otherwise: Int) -> Int {
    var size = winsize()
    guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return otherwise }
    return Int(size.ws_col)
  }

  private static func write(_ text: String) { _ = Descriptor.write(text, to: STDERR_FILENO) }
}

/// Whole texts to file descriptors.
package enum Descriptor {
  /// Writes all of `text`; the error number when that is not possible.
  package static func write(_ text: String, to descriptor: Int32) -> Int32? {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 {
        bytes = bytes.dropFirst(count)
      } else if errno == EAGAIN {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        unsafe poll(&waiting, 1, -1)
      } else if errno != EINTR {
        return errno
      }
    }
    return nil
  }
}
