internal import Glibc

/// A file that holds datagrams: a capture, or a text.
package enum Recording: ~Copyable {
  case frames(Capture)
  case lines(LineFile)

  /// Opens a file, or standard input by the name `-`, and sees what it is by its first byte.
  package static func open(_ path: String) throws(CaptureError) -> Recording {
    let file = unsafe path == "-" ? fdopen(STDIN_FILENO, "rb") : fopen(path, "rbe")
    guard let file = unsafe file else {
      throw CaptureError("\(path) cannot be read: \(unsafe String(cString: strerror(errno)))")
    }
    let first = unsafe fgetc(file)
    guard unsafe ferror(file) == 0 else {
      let reason = unsafe String(cString: strerror(errno))
      unsafe fclose(file)
      throw CaptureError("\(path) cannot be read: \(reason)")
    }
    unsafe ungetc(first, file)
    switch first {
    // How pcap of either byte order and precision begins, and pcapng.
    case 0xA1, 0xD4, 0x4D, 0x0A:
      do throws(CaptureError) {
        return .frames(try unsafe Capture.read(file))
      } catch {
        throw CaptureError("\(path == "-" ? "standard input" : path) is no capture: \(error)")
      }
    default: return .lines(unsafe LineFile(adopting: file))
    }
  }
}

/// The lines of a text file.
@safe package struct LineFile: ~Copyable {
  private let file: UnsafeMutablePointer<FILE>

  init(adopting file: UnsafeMutablePointer<FILE>) { unsafe self.file = file }

  deinit { unsafe fclose(file) }

  /// The next line without its end; nil when there are no more.
  ///
  /// Of a line that is longer than `limit` the first `limit + 1` bytes.
  package mutating func next(limit: Int) -> [UInt8]? {
    var line: [UInt8] = []
    while true {
      let letter = unsafe getc_unlocked(file)
      if letter == EOF { return line.isEmpty ? nil : line }
      if letter == 0x0A { return line }
      if line.count <= limit { line.append(UInt8(truncatingIfNeeded: letter)) }
    }
  }
}
