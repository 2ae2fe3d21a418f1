internal import Glibc
internal import JSON5
internal import Lab

/// Files that a researcher wrote.
enum LabFile {
  static func read(_ path: String, limit: Int = Element.sizeLimit) throws(FileError) -> [UInt8] {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      throw FileError("it cannot be read: \(unsafe String(cString: strerror(errno)))", file: path)
    }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while bytes.count <= limit {
      let count = unsafe Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw FileError("it cannot be read: \(unsafe String(cString: strerror(errno)))", file: path)
      }
      guard count > 0 else { return bytes }
      bytes += buffer[..<count]
    }
    throw FileError("it is longer than \(limit) bytes", file: path)
  }

  /// The names of what is in a folder, in order; none when it cannot be read.
  static func names(in folder: String) -> [String] {
    guard let stream = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe String(cString: UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self))
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  /// Gives each line of a file to `body`; what is behind the last line feed is none.
  static func forEachLine(_ path: String, _ body: ([UInt8]) throws -> Void) throws {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      throw FileError("it cannot be read: \(unsafe String(cString: strerror(errno)))", file: path)
    }
    defer { close(file) }
    var line: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = unsafe Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw FileError("it cannot be read: \(unsafe String(cString: strerror(errno)))", file: path)
      }
      guard count > 0 else { return }
      var rest = buffer[..<count]
      while let end = rest.firstIndex(of: 0x0A) {
        try body(line + rest[..<end])
        line = []
        rest = rest[(end + 1)...]
      }
      line += rest
      guard line.count <= Element.sizeLimit else {
        throw FileError("a line is longer than \(Element.sizeLimit) bytes", file: path)
      }
    }
  }
}
