import Glibc
package import Swarm

/// Where `--stats` writes: one JSON object a line.
package struct StatisticsFile: ~Copyable {
  private let path: String
  private let descriptor: Int32
  private var isBroken = false

  private init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  /// Makes the file anew.
  package static func create(_ path: String) throws(CommandError) -> StatisticsFile {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw CommandError("--stats: \(path) cannot be written: \(unsafe String(cString: strerror(errno)))")
    }
    return StatisticsFile(path: path, descriptor: descriptor)
  }

  /// Adds one line.
  ///
  /// Returns a sentence the first time that it cannot be written, such as on a full disk.
  package mutating func append(_ statistics: Statistics) -> String? {
    guard !isBroken, let code = Descriptor.write(statistics.json + "\n", to: descriptor) else { return nil }
    isBroken = true
    return "--stats: \(path) cannot be written any more: \(unsafe String(cString: strerror(code)))"
  }

  deinit { close(descriptor) }
}
