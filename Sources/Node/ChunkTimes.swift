import Glibc

/// A file that says when each chunk was made, or came, and when it was put out.
///
/// CSV: the chunk's number, two times in nanoseconds of the system's monotonic clock, which all processes of one
/// machine share, and 1 for a chunk with which a decoder can begin.
final class ChunkTimes {
  private static let head = "chunk,here,out,entry\n"
  private let path: String
  private let descriptor: Int32
  /// The monotonic clock's nanoseconds at the host's zero.
  private let origin: Int64
  private var pending = Array(head.utf8)

  /// Makes the file anew.
  init(_ path: String, origin: Int64) throws(NodeError) {
    descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw .output("--chunk-times: \(path) cannot be written: \(unsafe String(cString: strerror(errno)))")
    }
    self.path = path
    self.origin = origin
  }

  deinit { close(descriptor) }

  /// Notes a chunk: when it was made, or here and verified, and when it was put out, by the host's clock.
  func add(_ chunk: UInt64, here: Duration, out: Duration, isEntry: Bool) {
    let times = [here, out].map { String($0.nanoseconds &+ origin) }
    pending += "\(chunk),\(times[0]),\(times[1]),\(isEntry ? 1 : 0)\n".utf8
  }

  /// Writes what waits; to be called once a second, since nothing else bounds it.
  ///
  /// - Throws: when it cannot be written, such as on a full disk.
  func flush() throws(NodeError) {
    while !pending.isEmpty {
      let count = unsafe pending.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        pending.removeFirst(count)
      } else if errno != EINTR {
        throw .output("--chunk-times: \(path) cannot be written: \(unsafe String(cString: strerror(errno)))")
      }
    }
  }
}
