import Glibc
import Synchronization

/// Held from the making of pipes until they are marked and the child has them, so that no other child inherits them.
let spawning = Mutex(())

/// What a program said and how it ended.
public struct RunResult: Sendable {
  /// Its exit status; 128 plus the signal's number when a signal ended it.
  public var status: Int32
  public var output: [UInt8]
  public var errors: String

  /// Standard output as text.
  public var text: String { String(decoding: output, as: UTF8.self) }
}

/// A program that cannot be started.
public struct RunError: Error, CustomStringConvertible {
  public let description: String

  public init(description: String) { self.description = description }
}

/// Runs a program to its end and gathers what it writes.
///
/// The program is looked up in `PATH` when its name has no slash; `input` is what it reads from standard input, and
/// `environment` is added to this process's own.
@discardableResult
public func run(
  _ path: String,
  _ arguments: [String] = [],
  input: [UInt8] = [],
  environment: [String: String] = [:]
) throws -> RunResult {
  let (child, inlet, outlet, errors) = try spawning.withLock { _ in
    try spawn(path, arguments, environment)
  }

  var result = RunResult(status: 0, output: [], errors: "")
  var complaint: [UInt8] = []
  // One loop for all three pipes, so that neither side waits for the other; a child that does not read its input
  // must not end this process.
  var broken = sigset_t()
  var masked = sigset_t()
  unsafe sigemptyset(&broken)
  unsafe sigaddset(&broken, SIGPIPE)
  unsafe pthread_sigmask(SIG_BLOCK, &broken, &masked)
  defer {
    var immediately = timespec()
    unsafe sigtimedwait(&broken, nil, &immediately)
    unsafe pthread_sigmask(SIG_SETMASK, &masked, nil)
  }
  _ = fcntl(inlet, F_SETFL, O_NONBLOCK)
  var written = 0
  var open: (input: Bool, output: Bool, errors: Bool) = (true, true, true)
  if input.isEmpty {
    close(inlet)
    open.input = false
  }
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while open.output || open.errors || open.input {
    var descriptors = [
      pollfd(fd: open.input ? inlet : -1, events: Int16(POLLOUT), revents: 0),
      pollfd(fd: open.output ? outlet : -1, events: Int16(POLLIN), revents: 0),
      pollfd(fd: open.errors ? errors : -1, events: Int16(POLLIN), revents: 0),
    ]
    guard unsafe poll(&descriptors, 3, -1) >= 0 || errno == EINTR else { break }
    if descriptors[0].revents != 0 {
      let count = unsafe input.withUnsafeBytes { bytes in
        unsafe write(inlet, bytes.baseAddress.map { unsafe $0 + written }, bytes.count - written)
      }
      if count > 0 { written += count }
      if written == input.count || (count < 0 && errno != EAGAIN && errno != EINTR) {
        close(inlet)
        open.input = false
      }
    }
    if descriptors[1].revents != 0 {
      let count = unsafe read(outlet, &buffer, buffer.count)
      if count > 0 { result.output += buffer[..<count] }
      if count <= 0 { open.output = false }
    }
    if descriptors[2].revents != 0 {
      let count = unsafe read(errors, &buffer, buffer.count)
      if count > 0 { complaint += buffer[..<count] }
      if count <= 0 { open.errors = false }
    }
  }
  close(outlet)
  close(errors)
  if open.input { close(inlet) }
  var code: Int32 = 0
  while unsafe waitpid(child, &code, 0) < 0 && errno == EINTR {}
  result.status = code & 0x7f == 0 ? (code >> 8) & 0xff : 128 + (code & 0x7f)
  result.errors = String(decoding: complaint, as: UTF8.self)
  return result
}

/// A directory that vanishes with the value.
public struct TemporaryDirectory: ~Copyable {
  public let path: String

  public init() throws {
    var template = Array("/tmp/freshet-test-XXXXXX".utf8CString)
    guard let made = unsafe mkdtemp(&template) else {
      throw RunError(description: "no temporary directory")
    }
    path = unsafe String(cString: made)
  }

  public func file(_ name: String) -> String { path + "/" + name }

  deinit { _ = try? run("rm", ["-rf", path]) }
}

/// Reads a whole file.
public func contents(of path: String) throws -> [UInt8] {
  let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw RunError(description: "cannot read \(path)") }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = unsafe read(descriptor, &buffer, buffer.count)
    guard count > 0 else { return bytes }
    bytes += buffer[..<count]
  }
}

/// Writes a whole file, created anew.
public func write(_ bytes: [UInt8], to path: String) throws {
  let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  guard descriptor >= 0 else { throw RunError(description: "cannot write \(path)") }
  defer { close(descriptor) }
  var written = 0
  while written < bytes.count {
    let count = unsafe bytes.withUnsafeBytes { buffer in
      unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + written }, buffer.count - written)
    }
    guard count > 0 else { throw RunError(description: "cannot write \(path)") }
    written += count
  }
}

func spawn(
  _ path: String,
  _ arguments: [String],
  _ environment: [String: String]
) throws -> (child: pid_t, inlet: Int32, outlet: Int32, errors: Int32) {
  var inlet: [Int32] = [-1, -1]
  var outlet: [Int32] = [-1, -1]
  var errors: [Int32] = [-1, -1]
  guard unsafe pipe(&inlet) == 0, unsafe pipe(&outlet) == 0, unsafe pipe(&errors) == 0
  else { throw RunError(description: "no pipe for \(path)") }
  for end in inlet + outlet + errors { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  var actions = unsafe posix_spawn_file_actions_t()
  unsafe posix_spawn_file_actions_init(&actions)
  defer { unsafe posix_spawn_file_actions_destroy(&actions) }
  unsafe posix_spawn_file_actions_adddup2(&actions, inlet[0], 0)
  unsafe posix_spawn_file_actions_adddup2(&actions, outlet[1], 1)
  unsafe posix_spawn_file_actions_adddup2(&actions, errors[1], 2)
  var words: [UnsafeMutablePointer<CChar>?] = unsafe ([path] + arguments).map { unsafe strdup($0) }
  unsafe words.append(nil)
  var variables: [UnsafeMutablePointer<CChar>?] = unsafe []
  var inherited = unsafe environ
  while let variable = unsafe inherited.pointee {
    let name = unsafe String(cString: variable).prefix { $0 != "=" }
    if environment[String(name)] == nil { unsafe variables.append(strdup(variable)) }
    unsafe inherited += 1
  }
  for (name, value) in environment { unsafe variables.append(strdup("\(name)=\(value)")) }
  unsafe variables.append(nil)
  defer {
    unsafe words.forEach { unsafe free($0) }
    unsafe variables.forEach { unsafe free($0) }
  }
  var child: pid_t = 0
  let status = unsafe posix_spawnp(&child, path, &actions, nil, words, variables)
  for end in [inlet[0], outlet[1], errors[1]] { close(end) }
  guard status == 0 else {
    for end in [inlet[1], outlet[0], errors[0]] { close(end) }
    throw RunError(description: unsafe "cannot run \(path): \(String(cString: strerror(status)))")
  }
  return (child, inlet[1], outlet[0], errors[0])
}
