package import Lab

/// All that `freshet lab check` was asked for.
package struct CheckOptions: Hashable, Sendable {
  /// The topology as the user named it: `tree:fanout=2`, or `./libMine.so:rays=3`.
  package var operand: String
  /// Its name, when it is not named by its file.
  package var name: String?
  package var parameters: String
  /// Libraries to load.
  package var plugins: [String]
  package var seeds: ClosedRange<UInt64>
  package var jobs: Int?
  package var isQuiet: Bool
  package var isWorker: Bool

  init(_ values: Values) throws(UsageError) {
    operand = values.operands[0]
    plugins = try values.all(Settings.plugin)
    let colon = operand.lastIndex(of: ":") ?? operand.endIndex
    let place = String(operand[..<colon])
    parameters = String(operand[colon...].dropFirst())
    if place.contains("/") || place.hasSuffix(".so") {
      plugins.append(try Read.file(place))
    } else {
      name = place
    }
    seeds = try values.value(Settings.trials)
    jobs = try values.optional(Settings.jobs)
    isQuiet = try values.isOn(Settings.noProgress)
    isWorker = try values.isOn(Settings.worker)
  }
}

/// What one process says of one world, as a line: `fine TRACE`, or `broken TRACE RULE TIME SENTENCE`.
package struct CheckAnswer: Hashable, Sendable {
  package var trace: UInt64
  package var violation: Violation?
  /// Only where it was asked for; each a line before: `scene TIME PEER TEXT`.
  package var scenes: [Examination.Scene] = []

  package init(trace: UInt64, violation: Violation?) {
    self.trace = trace
    self.violation = violation
  }

  package var lines: [String] {
    let told = scenes.map { "scene \($0.time) \($0.peer) \($0.text)" }
    guard let violation else { return told + ["fine \(trace.hexadecimal)"] }
    return told + [
      "broken \(trace.hexadecimal) \(violation.rule.rawValue) \(violation.time) \(violation.sentence)"
    ]
  }

  /// Reads lines, of which the last ends the answer; nil for what is none.
  package init?(_ lines: [String]) {
    guard let last = lines.last else { return nil }
    let words = last.split(separator: " ", maxSplits: 4)
    guard words.count >= 2, let trace = UInt64(words[1], radix: 16) else { return nil }
    self.trace = trace
    if words[0] == "broken" {
      guard words.count == 5, let rule = Violation.Rule(rawValue: String(words[2])),
        let time = Int64(words[3])
      else { return nil }
      violation = Violation(rule, at: time, String(words[4]))
    }
    for line in lines.dropLast() {
      let words = line.split(separator: " ", maxSplits: 3)
      guard words.count == 4, let time = Int64(words[1]), let peer = Int(words[2]) else { return nil }
      scenes.append(Examination.Scene(time: time, peer: peer, text: String(words[3])))
    }
  }

  /// Whether a line ends an answer.
  package static func isLast(_ line: String) -> Bool { !line.hasPrefix("scene ") }
}
