package import PluginKit

extension Manifest {
  private static let nameLimit = 32
  private static let parameterLimit = 64
  private static let summaryLimit = 200

  /// What is impossible in a manifest of a plugin of this kind; `nil` when nothing is.
  package func problem(kind: String) -> String? {
    guard Self.isName(name) else {
      return "the name '\(Self.shown(name))' is not made of at most \(Self.nameLimit) lower-case letters, "
        + "digits and hyphens"
    }
    guard !version.isEmpty, version.utf8.count <= Self.nameLimit,
      version.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
    else { return "the version '\(Self.shown(version))' is not one like 1.2.0" }
    guard Self.isLine(summary) else {
      return "the summary is not one line of at most \(Self.summaryLimit) bytes"
    }
    guard parameters.count <= Self.parameterLimit else {
      return "it has \(parameters.count) parameters, and \(Self.parameterLimit) is the most"
    }
    var names: Set<String> = []
    for parameter in parameters {
      guard Self.isParameterName(parameter.name) else {
        return "the parameter name '\(Self.shown(parameter.name))' is not made of at most \(Self.nameLimit) "
          + "letters, digits, hyphens and underscores"
      }
      guard names.insert(parameter.name).inserted else {
        return "the parameter '\(parameter.name)' is declared twice"
      }
      guard Self.isLine(parameter.summary) else {
        return "the summary of the parameter '\(parameter.name)' is not one line of at most "
          + "\(Self.summaryLimit) bytes"
      }
      if let problem = parameter.problem { return problem }
    }
    for case .fanOut(let name) in claims {
      guard let parameter = parameters.first(where: { $0.name == name }), case .integer = parameter.kind
      else {
        return "it claims a fan-out of '\(Self.shown(name))', which is no whole-number parameter"
      }
    }
    for case .children(let count) in claims where count < 1 {
      return "it claims that nobody has more than \(count) children, which is no tree"
    }
    for case .repair(let time) in claims where time <= .zero {
      return "it claims to repair within no time, which nothing can"
    }
    return problem(traits: kind == "transport")
  }

  private func problem(traits areNeeded: Bool) -> String? {
    guard let traits else {
      return areNeeded ? "a transport must say its traits, and it has none" : nil
    }
    guard areNeeded else { return "only a transport has traits" }
    // The least that IPv6 lets pass, without its headers, and the most that a UDP datagram holds.
    guard (1232...65507).contains(traits.mtu) || traits.carrier == .stream && traits.mtu > 0 else {
      return "an MTU of \(traits.mtu) bytes is not between 1232 and 65507"
    }
    return nil
  }

  private static func isName(_ text: String) -> Bool {
    (1...nameLimit).contains(text.utf8.count)
      && text.utf8.allSatisfy { $0.isIdentifier && $0 != UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
      && text.lowercased() == text
  }

  private static func isParameterName(_ text: String) -> Bool {
    (1...nameLimit).contains(text.utf8.count)
      && text.utf8.allSatisfy { $0.isIdentifier || $0 == UInt8(ascii: "-") }
  }

  private static func isLine(_ text: String) -> Bool {
    (1...summaryLimit).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
  }

  /// A text that may be anything, made fit for a sentence.
  private static func shown(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(nameLimit).map { $0.value < 0x20 ? "?" : $0 }))
  }
}

extension Parameter {
  /// What is impossible in its range or default.
  fileprivate var problem: String? {
    switch kind {
    case .integer(let range, let value): range.contains(value) ? nil : outside
    case .number(let range, let value):
      range.lowerBound.isFinite && range.upperBound.isFinite && range.contains(value) ? nil : outside
    case .boolean: nil
    case .duration(let range, let value):
      range.lowerBound >= .zero && range.contains(value) ? nil : outside
    case .choice(let values, let value):
      !values.isEmpty && values.contains(value) && values.allSatisfy(Self.isPlain) ? nil : outside
    case .text(let limit, let value):
      limit >= 0 && value.utf8.count <= limit && Self.isPlain(value) ? nil : outside
    // What a later PluginKit adds is not for this host to judge.
    @unknown default: nil
    }
  }

  private var outside: String {
    "the default '\(defaultText)' of the parameter '\(name)' is not in \(rangeText)"
  }

  /// Whether it can be written as `name=value,name=value`.
  private static func isPlain(_ text: String) -> Bool {
    text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f && $0 != UInt8(ascii: ",") }
  }
}
