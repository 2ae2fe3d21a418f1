internal import Glibc

/// A file, pipe or terminal that is written to by a thread that must not wait in it for ever.
struct SlowDescriptor: Sendable {
  /// Why not everything was written.
  enum Obstacle: Equatable {
    /// Nobody wants to wait any more.
    case late
    /// The other end was closed.
    case noReader
    /// An error number.
    case code(Int32)
  }

  /// How often it is looked whether waiting still makes sense, in milliseconds.
  private static let interval: Int32 = 100

  let descriptor: Int32
  /// Whether it is a regular file, which is never waited for.
  let isFile: Bool

  init(_ descriptor: Int32) {
    self.descriptor = descriptor
    var status = stat()
    isFile = unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// Whether the other end of a pipe was closed.
  var hasNoReader: Bool {
    var ready = pollfd(fd: descriptor, events: 0, revents: 0)
    return unsafe poll(&ready, 1, 0) > 0 && ready.revents & Int16(POLLERR) != 0
  }

  /// Writes all bytes; `isLate` is asked while nobody reads.
  func put(_ bytes: ArraySlice<UInt8>, isLate: () -> Bool) -> (count: Int, obstacle: Obstacle?) {
    var written = 0
    while written < bytes.count {
      if !isFile {
        var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        let count = unsafe poll(&ready, 1, Self.interval)
        if count == 0 || (count < 0 && errno == EINTR) {
          if isLate() { return (written, .late) }
          continue
        }
      }
      // A pipe that is ready takes this much without blocking.
      let most = isFile ? bytes.count - written : min(bytes.count - written, Int(PIPE_BUF))
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + written }, most)
      }
      if count >= 0 {
        written += count
        continue
      }
      switch errno {
      case EINTR, EAGAIN: continue
      case EPIPE: return (written, .noReader)
      default: return (written, .code(errno))
      }
    }
    return (written, nil)
  }
}

/// Makes a write to a closed pipe an error code on this thread, not the death of the process.
func blockBrokenPipes() {
  var broken = sigset_t()
  unsafe sigemptyset(&broken)
  unsafe sigaddset(&broken, SIGPIPE)
  unsafe pthread_sigmask(SIG_BLOCK, &broken, nil)
}
