import Glibc
import JSON5
internal import Text

/// Options from a JSON5 file: one object whose keys are the names of options.
package struct ConfigurationFile {
  private static let limit = 1 << 16

  /// What each option was set to; several texts only for an option that repeats.
  let values: [String: [String]]

  /// Reads the file at `path`.
  static func load(_ path: String) throws(UsageError) -> ConfigurationFile {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      throw UsageError("the configuration \(path) cannot be read: \(unsafe String(cString: strerror(errno)))")
    }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while bytes.count <= limit {
      let count = unsafe read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw UsageError(
          "the configuration \(path) cannot be read: \(unsafe String(cString: strerror(errno)))"
        )
      }
      guard count > 0 else { return try ConfigurationFile(bytes, path: path) }
      bytes += buffer[..<count]
    }
    throw UsageError("the configuration \(path) is longer than \(limit) bytes")
  }

  /// Reads the bytes of a file; `path` is for the sentence when something is wrong.
  package init(_ bytes: [UInt8], path: String) throws(UsageError) {
    let root: Element
    do throws(SyntaxError) {
      root = try Element(bytes)
    } catch {
      throw UsageError("the configuration \(path):\(error.position) is not valid JSON5: \(error.reason)")
    }
    guard case .object(let members) = root.kind else {
      throw UsageError("the configuration \(path) is not one object: write { name: value, … }")
    }
    let options = Command.all.flatMap(\.options)
    var values: [String: [String]] = [:]
    for member in members {
      let name = member.name
      guard let option = options.first(where: { $0.name == name }), name != Settings.config.option.name else {
        throw UsageError(
          "unknown key '\(name)' in \(path):\(member.position)"
            + Suggestion.phrase(name, among: options.map(\.name))
        )
      }
      if case .null = member.value.kind { continue }
      if let text = Self.text(member.value) {
        values[name] = [text]
      } else if option.repeats, case .array(let list) = member.value.kind {
        values[name] = list.compactMap(Self.text)
        guard values[name]?.count == list.count else {
          throw UsageError(
            "\(name) in \(path):\(member.value.position): write one text, or several in brackets"
          )
        }
      } else {
        throw UsageError("\(name) in \(path):\(member.value.position): write one text, number, true or false")
      }
    }
    self.values = values
  }

  /// A value as the command line would give it; nil for a list, an object or null.
  private static func text(_ element: Element) -> String? {
    switch element.kind {
    case .boolean(let value): value ? "yes" : "no"
    case .integer(let value): String(value)
    case .number(let value): Number.text(value, decimals: 6)
    case .string(let value): value
    case .null, .array, .object: nil
    }
  }
}
