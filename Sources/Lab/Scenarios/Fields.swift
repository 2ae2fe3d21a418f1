internal import JSON5

/// The keys of one object of a file, each read once; what is left over is refused.
struct Fields {
  let file: String
  let position: Position
  /// How a sentence names the object.
  let noun: String
  private let members: [Element.Member]
  /// What can be written here, in the order in which it is documented.
  private let known: [String]

  /// Takes an object with none but `known` keys.
  init(_ element: Element, noun: String, file: String, known: [String]) throws(FileError) {
    self.file = file
    self.noun = noun
    self.known = known
    position = element.position
    guard case .object(let members) = element.kind else {
      throw FileError(
        "\(noun) is an object like { \(known[0]): … }, not \(element.noun)",
        file: file,
        at: element.position
      )
    }
    self.members = members
    for member in members where !known.contains(member.name) {
      let guess = Suggestion.phrase(member.name, among: known)
      throw FileError(
        "unknown key '\(member.name)' in \(noun)"
          + (guess.isEmpty ? "; possible are \(known.joined(separator: ", "))" : guess),
        file: file,
        at: member.position
      )
    }
  }

  subscript(name: String) -> Element? {
    precondition(known.contains(name), "\(name) is no key of \(noun)")
    return members.first { $0.name == name }?.value
  }

  /// The keys that are there, in the order of the file.
  var names: [String] { members.map(\.name) }

  /// A value that must be there.
  func required<Value>(
    _ name: String,
    _ read: (Element, Reading) throws(FileError) -> Value
  ) throws(FileError) -> Value {
    guard let element = self[name] else { throw fail("\(noun) needs the key '\(name)'") }
    return try read(element, Reading(name: name, file: file))
  }

  /// A value, or another where there is none.
  func value<Value>(
    _ name: String,
    otherwise: Value,
    _ read: (Element, Reading) throws(FileError) -> Value
  ) throws(FileError) -> Value {
    guard let element = self[name] else { return otherwise }
    return try read(element, Reading(name: name, file: file))
  }

  func fail(_ reason: String, at position: Position? = nil) -> FileError {
    FileError(reason, file: file, at: position ?? self.position)
  }
}

/// What a value is read for: the key it stands behind and the file.
struct Reading {
  var name: String
  var file: String

  func fail(_ reason: String, _ element: Element) -> FileError {
    FileError(reason, file: file, at: element.position)
  }

  /// Says what is possible.
  func refuse(_ element: Element, takes what: String) -> FileError {
    fail("\(name) takes \(what), not \(shown(element))", element)
  }

  private func shown(_ element: Element) -> String {
    switch element.kind {
    case .string(let text):
      "'\(String(text.unicodeScalars.prefix(40).map { $0.value < 0x20 ? " " : Character($0) }))'"
    case .integer(let value): String(value)
    case .number(let value): "\(value)"
    default: element.noun
    }
  }
}
