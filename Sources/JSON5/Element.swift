/// A value of a JSON5 text, with the place where it stands there.
public struct Element: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case null
    case boolean(Bool)
    /// A number without fraction and exponent that fits.
    case integer(Int64)
    /// Any other number; infinite or none of all (NaN) too.
    case number(Double)
    case string(String)
    case array([Element])
    case object([Member])
  }

  /// A key of an object with its value; no object has a key twice.
  public struct Member: Hashable, Sendable {
    public var name: String
    /// Where the key stands.
    public var position: Position
    public var value: Element

    public init(name: String, position: Position, value: Element) {
      self.name = name
      self.position = position
      self.value = value
    }
  }

  public var kind: Kind
  public var position: Position

  public init(_ kind: Kind, at position: Position) {
    self.kind = kind
    self.position = position
  }

  /// The longest text that is read, in bytes of UTF-8.
  public static let sizeLimit = 4 << 20
  /// How deep arrays and objects may be nested.
  public static let depthLimit = 64

  /// Reads a text as the JSON5 standard (json5.org, version 1.0.0) says, and refuses what it only warns of: an object
  /// with the same key twice, and half of a surrogate pair.
  public init(_ bytes: [UInt8]) throws(SyntaxError) {
    var parser = try Parser(bytes)
    self = try parser.text()
  }

  /// What it is, for the sentence that says what it should have been.
  public var noun: String {
    switch kind {
    case .null: "null"
    case .boolean(let value): value ? "true" : "false"
    case .integer, .number: "a number"
    case .string: "a text"
    case .array: "a list"
    case .object: "an object"
    }
  }
}

/// A place in a text.
public struct Position: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// From 1 on.
  public var line: Int
  /// In Unicode scalars, from 1 on.
  public var column: Int

  public init(line: Int = 1, column: Int = 1) {
    self.line = line
    self.column = column
  }

  public static func < (left: Position, right: Position) -> Bool {
    (left.line, left.column) < (right.line, right.column)
  }

  /// As compilers write it behind the name of a file: `12:5`.
  public var description: String { "\(line):\(column)" }
}

/// Why a text is not JSON5.
public struct SyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
  public var position: Position
  /// A sentence without a full stop.
  public var reason: String

  public init(_ reason: String, at position: Position) {
    self.reason = reason
    self.position = position
  }

  public var description: String { "line \(position.line), column \(position.column): \(reason)" }
}
