internal import Glibc

/// What `--chunk-times` of one peer holds.
struct ChunkLog {
  struct Line: Equatable {
    var chunk: UInt64
    /// Nanoseconds of the monotonic clock.
    var here: Int64
    var out: Int64
    var isEntry: Bool
  }

  private(set) var lines: [Line] = []

  /// Reads a file; empty when there is none, since a peer may have ended before it had a chunk.
  init(path: String) {
    guard let file = unsafe fopen(path, "re") else { return }
    defer { unsafe fclose(file) }
    var text: UnsafeMutablePointer<CChar>?
    var room = 0
    defer { unsafe free(text) }
    while case let count = unsafe getline(&text, &room, file), count > 0, let start = unsafe text {
      if let line = Self.line(unsafe String(cString: start)) { lines.append(line) }
    }
  }

  /// The head, and a line that was cut off when its peer was killed, are none.
  static func line(_ text: String) -> Line? {
    guard text.hasSuffix("\n") else { return nil }
    let fields = text.dropLast().split(separator: ",", omittingEmptySubsequences: false)
    guard fields.count == 4, let chunk = UInt64(fields[0]), let here = Int64(fields[1]),
      let out = Int64(fields[2]), fields[3] == "0" || fields[3] == "1"
    else { return nil }
    return Line(chunk: chunk, here: here, out: out, isEntry: fields[3] == "1")
  }
}
