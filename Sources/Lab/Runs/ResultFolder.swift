internal import Glibc

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
  package let files: OutputFolder
  private let lines: Int32

  package var path: String { files.path }

  /// Makes a new folder.
  ///
  /// Throws `OutputFolder.Failure`; also when there is something already.
  package static func create(_ path: String) throws(OutputFolder.Failure) -> ResultFolder {
    let files = try OutputFolder(new: path)
    let file = path + "/runs.ndjson"
    let lines = unsafe open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, 0o666)
    guard lines >= 0 else { throw OutputFolder.Failure(file, errno) }
    return ResultFolder(files: files, lines: lines)
  }

  private init(files: OutputFolder, lines: Int32) {
    self.files = files
    self.lines = lines
  }

  deinit { close(lines) }

  /// Adds a finished run at once, so that it is kept whatever happens then.
  package func append(_ line: String) throws(OutputFolder.Failure) {
    try OutputFolder.put(Array((line + "\n").utf8), lines, path + "/runs.ndjson")
  }
}
