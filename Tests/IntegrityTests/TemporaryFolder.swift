import Glibc
import Testing

/// A folder of its own for a test, removed with its files when the test ends.
struct TemporaryFolder: ~Copyable {
  let path: String

  init() throws {
    var template = Array("/tmp/freshet-integrity-XXXXXX".utf8CString)
    try #require(unsafe mkdtemp(&template) != nil)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    guard let folder = unsafe opendir(path) else { return }
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { _ = unsafe unlink("\(path)/\(name)") }
    }
    unsafe closedir(folder)
    unsafe rmdir(path)
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  var names: [String] {
    var names: [String] = []
    guard let folder = unsafe opendir(path) else { return [] }
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    unsafe closedir(folder)
    return names.sorted()
  }
}

/// Reads a whole file as text.
func readText(_ path: String) throws -> String {
  let file = try unsafe #require(unsafe fopen(path, "r"), "\(path) cannot be opened")
  defer { unsafe fclose(file) }
  var text: [UInt8] = []
  while case let byte = unsafe fgetc(file), byte != EOF { text.append(UInt8(truncatingIfNeeded: byte)) }
  return String(decoding: text, as: UTF8.self)
}

/// Writes a whole file that only its owner may read.
func writeText(_ text: some StringProtocol, to path: String, mode: mode_t = 0o600) throws {
  let file = try unsafe #require(unsafe fopen(path, "w"), "\(path) cannot be created")
  for byte in text.utf8 { unsafe fputc(Int32(byte), file) }
  unsafe fclose(file)
  try #require(unsafe chmod(path, mode) == 0)
}

func mode(of path: String) -> mode_t? {
  var status = stat()
  return unsafe stat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
}
