package import JSON5

/// What is wrong in a file that a user wrote, as one sentence with the place: `churn.json5:12:5: …`.
package struct FileError: Error, Hashable, CustomStringConvertible {
  package let file: String
  /// Nil when the file as a whole is meant.
  package let position: Position?
  package let reason: String

  package init(_ reason: String, file: String, at position: Position? = nil) {
    self.reason = reason
    self.file = file
    self.position = position
  }

  package var description: String { position.map { "\(file):\($0): \(reason)" } ?? "\(file): \(reason)" }
}
