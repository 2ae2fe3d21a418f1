import Glibc
import Synchronization

/// A program that runs beside the test, whose lines are waited for.
///
/// Ended by SIGKILL when the value goes before it has ended by itself.
public struct Program: ~Copyable {
  private let child: pid_t
  private let outlet: Int32
  private let errors: Int32
  private var open = (output: true, errors: true)
  private var lines: [UInt8] = []
  private var ended: Int32?
  /// What it wrote to standard error so far.
  public private(set) var complaint = ""

  /// Starts a program as `run` does, with nothing to read.
  public init(_ path: String, _ arguments: [String] = [], environment: [String: String] = [:]) throws {
    let (child, inlet, outlet, errors) = try spawning.withLock { _ in
      try spawn(path, arguments, environment)
    }
    close(inlet)
    self.child = child
    self.outlet = outlet
    self.errors = errors
  }

  /// The next whole line of standard output, without its end; nil when there are no more.
  ///
  /// - Throws: when none came in time.
  public mutating func line(within limit: Duration = .seconds(30)) throws -> String? {
    let deadline = ContinuousClock.now + limit
    while true {
      if let end = lines.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: lines[..<end], as: UTF8.self)
        lines.removeSubrange(...end)
        return line
      }
      guard open.output else { return nil }
      try gather(until: deadline)
    }
  }

  /// Waits until standard error holds `text`.
  ///
  /// - Throws: when it did not come in time, or cannot come any more.
  public mutating func waitForComplaint(_ text: String, within limit: Duration = .seconds(30)) throws {
    let deadline = ContinuousClock.now + limit
    while !complaint.contains(text) {
      guard open.errors else { throw RunError(description: "'\(text)' is not in: \(complaint)") }
      try gather(until: deadline)
    }
  }

  /// Sends a signal.
  public func signal(_ number: Int32) { if ended == nil { kill(child, number) } }

  /// Waits for the end and returns the exit status; 128 plus the signal's number when a signal ended it.
  ///
  /// - Throws: when it did not end in time.
  public mutating func wait(within limit: Duration = .seconds(30)) throws -> Int32 {
    if let ended { return ended }
    let deadline = ContinuousClock.now + limit
    while open.output || open.errors { try gather(until: deadline) }
    var code: Int32 = 0
    while unsafe waitpid(child, &code, 0) < 0 && errno == EINTR {}
    let status = code & 0x7f == 0 ? (code >> 8) & 0xff : 128 + (code & 0x7f)
    ended = status
    return status
  }

  /// Reads once from what has something.
  private mutating func gather(until deadline: ContinuousClock.Instant) throws {
    let left = ContinuousClock.now.duration(to: deadline) / .milliseconds(1)
    guard left > 0 else { throw RunError(description: "nothing came in time; it said: \(complaint)") }
    var descriptors = [
      pollfd(fd: open.output ? outlet : -1, events: Int16(POLLIN), revents: 0),
      pollfd(fd: open.errors ? errors : -1, events: Int16(POLLIN), revents: 0),
    ]
    unsafe poll(&descriptors, 2, Int32(min(left, 1e6)) + 1)
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    if descriptors[0].revents != 0 {
      let count = unsafe read(outlet, &buffer, buffer.count)
      if count > 0 { lines += buffer[..<count] } else { open.output = false }
    }
    if descriptors[1].revents != 0 {
      let count = unsafe read(errors, &buffer, buffer.count)
      if count > 0 {
        complaint += String(decoding: buffer[..<count], as: UTF8.self)
      } else {
        open.errors = false
      }
    }
  }

  deinit {
    close(outlet)
    close(errors)
    guard ended == nil else { return }
    kill(child, SIGKILL)
    var code: Int32 = 0
    while unsafe waitpid(child, &code, 0) < 0 && errno == EINTR {}
  }
}

/// The path of a program that was built beside the tests.
public func built(_ name: String) throws -> String {
  var buffer = [CChar](repeating: 0, count: 4096)
  let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
  let path = buffer[..<max(count, 0)].map { UInt8(bitPattern: $0) }
  guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else {
    throw RunError(description: "this test does not know where it is")
  }
  return String(decoding: path[...slash], as: UTF8.self) + name
}
