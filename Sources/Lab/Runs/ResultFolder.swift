internal import Glibc
internal import JSON5

/// Where the results of an experiment are kept, with all that makes them again.
///
///     scenario.json5      as it was given, or as it ships
///     compositions/       files with several parts, if there were any
///     experiment.json     versions, options and plugins
///     runs.ndjson         all that each run showed, one JSON object a line
///     runs.csv            the figures of the tables, one run a line
///     traces.txt          a hash over all that happened in each run
///     table.txt           medians and intervals, as on the terminal
///     report.html         all of it to be looked at, on one page
///     plots/              its pictures as SVG and PNG, with gnuplot's scripts and their numbers
///     rerun               runs it all again and compares the hashes
package struct ResultFolder: ~Copyable {
  /// Why something cannot be written, as a sentence.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String

    init(_ path: String, _ code: Int32) {
      description = "\(path) cannot be written: \(unsafe String(cString: strerror(code)))"
    }
  }

  package let path: String
  private let lines: Int32

  /// Makes a new folder.
  ///
  /// Throws ``Failure``; also when there is something already.
  package static func create(_ path: String) throws(Failure) -> ResultFolder {
    guard unsafe mkdir(path, 0o777) == 0 else { throw Failure(path, errno) }
    let file = path + "/runs.ndjson"
    let lines = unsafe open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, 0o666)
    guard lines >= 0 else { throw Failure(file, errno) }
    return ResultFolder(path: path, lines: lines)
  }

  private init(path: String, lines: Int32) {
    self.path = path
    self.lines = lines
  }

  deinit { close(lines) }

  /// The first of `lab-NAME`, `lab-NAME-2`, … that does not exist.
  package static func freeName(_ scenario: String) -> String {
    var number = 1
    while true {
      let name = "lab-\(scenario)" + (number == 1 ? "" : "-\(number)")
      var status = stat()
      if unsafe lstat(name, &status) != 0 { return name }
      number += 1
    }
  }

  /// Writes a whole file, whose folder is made when it is not there.
  package func write(_ name: String, _ bytes: [UInt8], isExecutable: Bool = false) throws(Failure) {
    if let slash = name.lastIndex(of: "/") { unsafe mkdir(path + "/" + name[..<slash], 0o777) }
    let file = path + "/" + name
    let descriptor = unsafe open(
      file,
      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
      isExecutable ? 0o777 : 0o666
    )
    guard descriptor >= 0 else { throw Failure(file, errno) }
    defer { close(descriptor) }
    try Self.put(bytes, descriptor, file)
  }

  /// Adds a finished run at once, so that it is kept whatever happens then.
  package func append(_ line: String) throws(Failure) {
    try Self.put(Array((line + "\n").utf8), lines, path + "/runs.ndjson")
  }

  private static func put(_ bytes: [UInt8], _ descriptor: Int32, _ path: String) throws(Failure) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR {
        throw Failure(path, errno)
      }
    }
  }
}
