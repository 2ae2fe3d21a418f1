internal import CSockets
internal import Glibc

/// A file in memory without a name, for what a program reads or says.
struct Scratch: ~Copyable {
  /// What a program says beyond this is not looked at.
  private static let limit = 1 << 16

  let descriptor: Int32

  /// Makes one that holds `text`; who is given the descriptor reads from the beginning.
  init(_ text: String = "") throws(EmulationError) {
    descriptor = freshet_memory_file()
    guard descriptor >= 0 else {
      throw EmulationError("no file in memory: \(Emulator.text(of: -descriptor))")
    }
    var bytes = Array(text.utf8)
    let count = bytes.count
    guard unsafe pwrite(descriptor, &bytes, count, 0) == count else {
      throw EmulationError("no room for a file in memory")
    }
  }

  deinit { close(descriptor) }

  /// What it holds now.
  var text: String {
    var bytes = [UInt8](repeating: 0, count: Self.limit)
    let count = unsafe pread(descriptor, &bytes, bytes.count, 0)
    return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
  }

  /// The last line that says something, for a sentence about what went wrong.
  var lastLine: Substring? { text.split(separator: "\n").last }
}
