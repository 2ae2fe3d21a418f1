internal import Glibc
internal import JSON5

/// What a peer last said of itself in its `--stats`.
struct PeerFigures: Equatable {
  var chunksIn: UInt64 = 0
  var duplicate: UInt64 = 0
  var repaired: UInt64 = 0
  var rejected: UInt64 = 0
  var depth: Int?

  init() {}

  /// Reads the last whole line of a file; all zero where there is none.
  init(path: String) { self.init(line: Self.lastLine(path)) }

  private static func lastLine(_ path: String) -> String {
    guard let file = unsafe fopen(path, "re") else { return "" }
    defer { unsafe fclose(file) }
    var text: UnsafeMutablePointer<CChar>?
    var room = 0
    defer { unsafe free(text) }
    var last = ""
    while case let count = unsafe getline(&text, &room, file), count > 0, let start = unsafe text {
      let line = unsafe String(cString: start)
      if line.hasSuffix("}\n") { last = line }
    }
    return last
  }

  init(line: String) {
    guard let element = try? Element(Array(line.utf8)), case .object(let members) = element.kind else {
      return
    }
    for member in members {
      guard case .integer(let value) = member.value.kind, value >= 0 else { continue }
      switch member.name {
      case "chunks_in": chunksIn = UInt64(value)
      case "duplicate": duplicate = UInt64(value)
      case "repaired": repaired = UInt64(value)
      case "rejected": rejected = UInt64(value)
      case "depth": depth = Int(value)
      default: break
      }
    }
  }
}
