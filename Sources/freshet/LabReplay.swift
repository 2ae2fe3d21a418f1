internal import Glibc
internal import Lab

/// The recordings that `freshet lab replay` was given.
enum LabReplay {
  /// Where a result folder keeps them.
  static let folder = "recordings"
  /// The longest recording, in bytes: as long as a peer makes one.
  private static let limit = 64 << 20

  /// Reads files, and all files of folders; their names are unique.
  static func files(_ operands: [String]) throws(FileError) -> [(name: String, bytes: [UInt8])] {
    var files: [(name: String, bytes: [UInt8])] = []
    for operand in operands {
      let names = LabFile.names(in: operand)
      let paths = names.isEmpty ? [operand] : names.map { operand + "/" + $0 }
      for path in paths {
        let own = path.split(separator: "/").last.map(String.init) ?? path
        guard !files.contains(where: { $0.name == own }) else {
          throw FileError("a second recording of this name; the results keep them in one folder", file: path)
        }
        files.append((own, try LabFile.read(path, limit: limit)))
      }
    }
    return files
  }

  /// The plan of what was recorded, named after the first operand.
  static func plan(_ files: [(name: String, bytes: [UInt8])], _ operands: [String]) throws(FileError) -> Plan
  {
    var recordings: [Recording] = []
    for file in files { recordings.append(try Recording(file.bytes, file: file.name)) }
    let base = operands[0].split(separator: "/").last.map(String.init) ?? "recording"
    let stem = base.prefix { $0 != "." }
    return try Replay.plan(recordings, name: stem.isEmpty ? "recording" : String(stem))
  }
}
