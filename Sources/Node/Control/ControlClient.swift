internal import Glibc
internal import Net

/// Speaks to a broadcast that runs on this machine.
package enum ControlClient {
  /// How long a swap may take, in seconds.
  private static let patience: UInt32 = 120

  /// Where the sockets of a user's broadcasts are, by the environment.
  package static func folder(_ environment: [String: String]) -> String {
    if let runtime = environment["XDG_RUNTIME_DIR"], runtime.hasPrefix("/") { return runtime + "/freshet" }
    return "/tmp/freshet-\(geteuid())"
  }

  /// Makes the folder, or says why nobody may put a socket into it.
  static func prepare(_ folder: String) -> String? {
    if unsafe mkdir(folder, 0o700) != 0, errno != EEXIST {
      return "\(folder) cannot be made: \(SystemError(code: errno))"
    }
    var status = stat()
    guard unsafe lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
      status.st_uid == geteuid(), status.st_mode & 0o077 == 0
    else { return "\(folder) is not a folder that only its owner may look into" }
    return nil
  }

  /// The socket of the broadcast that listens at a port.
  static func path(_ folder: String, port: UInt16) -> String { "\(folder)/\(port)-\(getpid()).sock" }

  /// Changes the topology of the broadcast at a port, or of the only one there is, and waits until it is done.
  ///
  /// - Throws: `NodeError` with one sentence when there is none, or more than one, or it did not answer.
  package static func swap(
    _ request: Control.Request,
    port: UInt16?,
    in folder: String
  ) throws(NodeError) -> Control.Answer {
    var found = running(in: folder)
    if let port { found.removeAll { $0.port != port } }
    guard let first = found.first else {
      throw .control(
        port.map { "no broadcast of yours runs on this machine at port \($0)" }
          ?? "no broadcast of yours runs on this machine (looked in \(folder))"
      )
    }
    guard found.count == 1 else {
      let ports = found.map { String($0.port) }.joined(separator: ", ")
      throw .control(
        "\(found.count) broadcasts of yours run on this machine: choose one with --port (\(ports))"
      )
    }
    guard first.connection.send(line: request.json), case .whole(let line) = first.connection.line(),
      let answer = Control.Answer(json: line)
    else { throw .control("the broadcast at port \(first.port) ended, or did not answer") }
    return answer
  }

  /// Who listens; what those who are gone left behind is removed.
  private static func running(in folder: String) -> [(port: UInt16, connection: LocalConnection)] {
    var found: [(port: UInt16, connection: LocalConnection)] = []
    for name in names(in: folder) {
      guard name.hasSuffix(".sock"), let dash = name.firstIndex(of: "-"), let port = UInt16(name[..<dash])
      else {
        continue
      }
      let path = folder + "/" + name
      do throws(SystemError) {
        found.append((port, try LocalConnection.connect(to: path, seconds: patience)))
      } catch {
        if error.code == ECONNREFUSED { unsafe unlink(path) }
      }
    }
    return found.sorted { $0.port < $1.port }
  }

  private static func names(in folder: String) -> [String] {
    guard let directory = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      names.append(name)
    }
    return names.sorted()
  }
}
