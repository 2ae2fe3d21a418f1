/// One option of a command: everything that parsing, help, environment and configuration file say about it.
package struct Option: Sendable {
  /// As on the command line without the dashes, and as in a configuration file.
  package let name: String
  /// What stands for the value in help; nil for a switch, which is on when it is named.
  package let placeholder: String?
  /// What it does, in one sentence without a full stop.
  package let summary: String
  /// The value when nothing is given, as a user would write it.
  package let standard: String?
  /// Whether each mention adds a value; else the last one counts.
  package let repeats: Bool

  /// The name of its environment variable.
  package var variable: String {
    "FRESHET_" + name.uppercased().replacing("-", with: "_")
  }
}

/// An option with the type of its values.
package struct Setting<Value: Sendable>: Sendable {
  package let option: Option
  let read: @Sendable (String) throws(UsageError) -> Value

  init(
    _ name: String,
    _ placeholder: String,
    default standard: String? = nil,
    repeats: Bool = false,
    _ summary: String,
    read: @escaping @Sendable (String) throws(UsageError) -> Value
  ) {
    option = Option(
      name: name,
      placeholder: placeholder,
      summary: summary,
      standard: standard,
      repeats: repeats
    )
    self.read = read
  }
}

extension Setting<Bool> {
  /// A switch.
  init(_ name: String, _ summary: String) {
    option = Option(name: name, placeholder: nil, summary: summary, standard: nil, repeats: false)
    read = Read.boolean
  }
}

/// What is wrong with what a user asked for, as one sentence; the command ends with status 64.
package struct UsageError: Error, Hashable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}
