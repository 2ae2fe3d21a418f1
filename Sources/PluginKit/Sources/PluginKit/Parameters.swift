/// A setting that a plugin takes, with its type, range and default.
public struct Parameter: Sendable, Hashable {
  /// What values a parameter takes.
  public enum Kind: Sendable, Hashable {
    case integer(ClosedRange<Int>, default: Int)
    case number(ClosedRange<Double>, default: Double)
    case boolean(default: Bool)
    /// A time: `250ms`, `2s`, `1m`.
    case duration(ClosedRange<Duration>, default: Duration)
    case choice([String], default: String)
    /// Free text of at most `limit` bytes.
    case text(limit: Int, default: String)
  }

  public let name: String
  public let kind: Kind
  /// What it does, in one sentence without a full stop.
  public let summary: String

  public init(_ name: String, _ kind: Kind, _ summary: String) {
    self.name = name
    self.kind = kind
    self.summary = summary
  }

  /// The default, as a user would write it.
  public var defaultText: String {
    switch kind {
    case .integer(_, let value): String(value)
    case .number(_, let value): String(value)
    case .boolean(let value): value ? "yes" : "no"
    case .duration(_, let value): Self.text(value)
    case .choice(_, let value): value
    case .text(_, let value): value
    }
  }

  /// The range, as a user would read it.
  public var rangeText: String {
    switch kind {
    case .integer(let range, _): "\(range.lowerBound)...\(range.upperBound)"
    case .number(let range, _): "\(range.lowerBound)...\(range.upperBound)"
    case .boolean: "yes or no"
    case .duration(let range, _): "\(Self.text(range.lowerBound))...\(Self.text(range.upperBound))"
    case .choice(let values, _): values.joined(separator: " or ")
    case .text(let limit, _): "at most \(limit) bytes"
    }
  }

  static func text(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    let milliseconds = attoseconds / 1_000_000_000_000_000
    return milliseconds == 0 ? "\(seconds)s" : "\(seconds * 1000 + milliseconds)ms"
  }

  fileprivate func check(_ text: String) throws(ParameterError) {
    let isValid: Bool =
      switch kind {
      case .integer(let range, _): Int(text).map(range.contains) ?? false
      case .number(let range, _): Double(text).map(range.contains) ?? false
      case .boolean: Parameters.boolean(text) != nil
      case .duration(let range, _): Parameters.duration(text).map(range.contains) ?? false
      case .choice(let values, _): values.contains(text)
      case .text(let limit, _): text.utf8.count <= limit
      }
    guard isValid else {
      throw ParameterError("\(name)=\(text) is not possible: \(name) takes \(rangeText)")
    }
  }
}

/// Why a plugin refused its parameters, as a sentence for the one who gave them.
public struct ParameterError: Error, Hashable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
}

/// The values of a plugin's parameters, checked against its manifest.
public struct Parameters: Sendable, Hashable {
  private let declared: [Parameter]
  private let given: [String: String]

  /// Reads `name=value,name=value`; what is not named keeps its default.
  ///
  /// - Throws: ``ParameterError`` for an unknown name, a name given twice or a value out of range.
  public init(_ text: String = "", declared: [Parameter]) throws(ParameterError) {
    var given: [String: String] = [:]
    for pair in text.split(separator: ",") {
      guard let equals = pair.firstIndex(of: "=") else {
        throw ParameterError("'\(pair)' is no parameter: write name=value")
      }
      let name = String(pair[..<equals])
      guard let parameter = declared.first(where: { $0.name == name }) else {
        let known = declared.map(\.name).joined(separator: ", ")
        throw ParameterError(
          declared.isEmpty
            ? "there is no parameter '\(name)'" : "there is no parameter '\(name)', only \(known)"
        )
      }
      guard given[name] == nil else { throw ParameterError("the parameter '\(name)' is given twice") }
      let value = String(pair[pair.index(after: equals)...])
      try parameter.check(value)
      given[name] = value
    }
    self.declared = declared
    self.given = given
  }

  /// The values as `name=value,…` in the manifest's order, without those that were not given.
  public var text: String {
    declared.compactMap { parameter in given[parameter.name].map { "\(parameter.name)=\($0)" } }
      .joined(separator: ",")
  }

  /// How many stripes the stream is cut into: the parameter of that name, 1 where the plugin has none.
  ///
  /// Chunk `c` belongs to stripe `c mod stripes`. The source announces the number, so that all peers count alike.
  public var stripes: Int {
    guard let parameter = declared.first(where: { $0.name == "stripes" }), case .integer = parameter.kind
    else { return 1 }
    return max(1, min(integer("stripes"), StripeSet.limit))
  }

  public func integer(_ name: String) -> Int {
    guard case .integer(_, let value) = parameter(name).kind else {
      preconditionFailure("\(name) is no integer")
    }
    return given[name].flatMap(Int.init) ?? value
  }

  public func number(_ name: String) -> Double {
    guard case .number(_, let value) = parameter(name).kind else {
      preconditionFailure("\(name) is no number")
    }
    return given[name].flatMap(Double.init) ?? value
  }

  public func boolean(_ name: String) -> Bool {
    guard case .boolean(let value) = parameter(name).kind else {
      preconditionFailure("\(name) is no boolean")
    }
    return given[name].flatMap(Self.boolean) ?? value
  }

  public func duration(_ name: String) -> Duration {
    guard case .duration(_, let value) = parameter(name).kind else {
      preconditionFailure("\(name) is no time")
    }
    return given[name].flatMap(Self.duration) ?? value
  }

  /// The value of a choice or of a text.
  public func text(_ name: String) -> String { given[name] ?? parameter(name).defaultText }

  private func parameter(_ name: String) -> Parameter {
    guard let parameter = declared.first(where: { $0.name == name }) else {
      preconditionFailure("the manifest declares no parameter '\(name)'")
    }
    return parameter
  }

  static func boolean(_ text: String) -> Bool? {
    switch text {
    case "yes", "true", "on", "1": true
    case "no", "false", "off", "0": false
    default: nil
    }
  }

  /// Reads `250ms`, `2s`, `1.5s`, `1m`, `2h`; at most 30 days.
  public static func duration(_ text: String) -> Duration? {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let milliseconds: Double
    switch text[digits.endIndex...] {
    case "ms": milliseconds = 1
    case "s", "": milliseconds = 1000
    case "m": milliseconds = 60_000
    case "h": milliseconds = 3_600_000
    default: return nil
    }
    guard let value = Double(digits), value.isFinite, value * milliseconds <= 30 * 86_400_000 else {
      return nil
    }
    return .microseconds(Int64(value * milliseconds * 1000))
  }
}
