import FoundationEssentials
import Glibc

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
    let decoder = JSONDecoder()
    decoder.allowsJSON5 = true
    guard let root = try? decoder.decode(Element.self, from: Data(bytes)) else {
      throw UsageError("the configuration \(path) is not valid JSON5: write { name: value, … }")
    }
    guard case .object(let object) = root else {
      throw UsageError("the configuration \(path) is not one object: write { name: value, … }")
    }
    let options = Command.all.flatMap(\.options)
    var values: [String: [String]] = [:]
    for (name, element) in object.sorted(by: { $0.key < $1.key }) {
      guard let option = options.first(where: { $0.name == name }), name != Settings.config.option.name else {
        throw UsageError(
          "unknown key '\(name)' in \(path)" + Suggestion.phrase(name, among: options.map(\.name))
        )
      }
      switch element {
      case .none: continue
      case .text(let text): values[name] = [text]
      case .list(let list) where option.repeats:
        var texts: [String] = []
        for case .text(let text) in list { texts.append(text) }
        guard texts.count == list.count else {
          throw UsageError("\(name) in \(path): write one text, or several in brackets")
        }
        values[name] = texts
      case .list, .object:
        throw UsageError("\(name) in \(path): write one text, number, true or false")
      }
    }
    self.values = values
  }

  private enum Element: Decodable {
    case none
    case text(String)
    case list([Element])
    case object([String: Element])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        self = .none
      } else if let value = try? container.decode(Bool.self) {
        self = .text(value ? "yes" : "no")
      } else if let value = try? container.decode(Int64.self) {
        self = .text(String(value))
      } else if let value = try? container.decode(Double.self) {
        self = .text(Number.text(value, decimals: 6))
      } else if let value = try? container.decode(String.self) {
        self = .text(value)
      } else if let values = try? container.decode([Element].self) {
        self = .list(values)
      } else {
        self = .object(try container.decode([String: Element].self))
      }
    }
  }
}
