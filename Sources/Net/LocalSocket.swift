internal import CSockets
internal import Glibc

/// A socket of this machine that only its owner can connect to; its file goes with it.
package struct LocalListener: ~Copyable {
  package let descriptor: Int32
  private let path: String

  private init(_ descriptor: Int32, _ path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  /// Listens at a path; what is left there of somebody who is gone makes room.
  package static func listen(at path: String) throws(SystemError) -> LocalListener {
    unsafe unlink(path)
    return LocalListener(try SystemError.check(unsafe freshet_local_listen(path)), path)
  }

  /// The next one who has connected; nil when nobody waits.
  package func accept() -> LocalConnection? {
    let descriptor = freshet_local_accept(descriptor)
    return descriptor < 0 ? nil : LocalConnection(adopting: descriptor)
  }

  deinit {
    close(descriptor)
    unsafe unlink(path)
  }
}

/// One end of a connection within this machine, over which lines go.
package final class LocalConnection {
  /// The longest line, in bytes.
  package static let lineLimit = 8192

  package let descriptor: Int32
  private var bytes: [UInt8] = []

  fileprivate init(adopting descriptor: Int32) { self.descriptor = descriptor }

  /// Connects to who listens at a path; ``line()`` then waits for at most `seconds`.
  package static func connect(to path: String, seconds: UInt32) throws(SystemError) -> LocalConnection {
    LocalConnection(adopting: try SystemError.check(unsafe freshet_local_connect(path, seconds)))
  }

  deinit { close(descriptor) }

  package enum Line: Hashable, Sendable {
    case whole(String)
    /// Its end has not come yet.
    case unfinished
    /// The other side is gone, or sends what is no line.
    case none
  }

  /// The next line, without its end.
  package func line() -> Line {
    var piece = [UInt8](repeating: 0, count: 1024)
    while true {
      if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: bytes[..<end], as: UTF8.self)
        bytes.removeSubrange(...end)
        return .whole(line)
      }
      guard bytes.count < Self.lineLimit else { return .none }
      let count = unsafe freshet_local_read(descriptor, &piece, piece.count)
      if count == -EAGAIN { return .unfinished }
      guard count > 0 else { return .none }
      bytes += piece[..<Int(count)]
    }
  }

  /// Sends a line; false when the other side does not take it at once.
  @discardableResult
  package func send(line: String) -> Bool {
    let bytes = Array((line + "\n").utf8)
    return unsafe Int(freshet_local_write(descriptor, bytes, bytes.count)) == bytes.count
  }
}
