internal import Glibc
internal import Lab

/// Two processes that examine the same worlds with their hash tables in different orders.
struct CheckPair: ~Copyable {
  private let arguments: [String]
  /// Always the same order.
  private var first: CheckProcess
  /// An order of its own.
  private var second: CheckProcess

  /// Starts both.
  static func start(_ options: CheckOptions) throws(CommandError) -> CheckPair {
    let arguments =
      ["lab", "check", options.operand] + options.plugins.flatMap { ["--plugin", $0] } + ["--worker"]
    let first = try CheckProcess.start(arguments, isOrderly: true)
    return CheckPair(arguments, first, try CheckProcess.start(arguments, isOrderly: false))
  }

  private init(_ arguments: [String], _ first: consuming CheckProcess, _ second: consuming CheckProcess) {
    self.arguments = arguments
    self.first = first
    self.second = second
  }

  /// What the plugin claims, as a sentence; to be asked for before anything else.
  ///
  /// - Throws: `UsageError` when it cannot be used, with its own words.
  mutating func introduction() throws -> String {
    _ = second.line()
    guard let line = first.line() else {
      let ending = first.ending()
      if ending.signal == nil, !ending.complaint.isEmpty {
        throw UsageError(String(ending.complaint.drop { $0 != " " }.dropFirst()))
      }
      throw CommandError(Self.sentence(ending) + " before there is any world")
    }
    guard line.hasPrefix("ready ") else { throw UsageError(String(line.drop { $0 != " " }.dropFirst())) }
    return String(line.dropFirst(6))
  }

  /// Examines one world twice.
  ///
  /// `tells`: whether to give what the peers did.
  mutating func judge(
    _ seed: UInt64,
    _ reductions: [Reduction] = [],
    tells: Bool = false
  ) throws -> CheckAnswer {
    let world = ([String(seed)] + reductions.map(\.text)).joined(separator: " ")
    first.say((tells ? "+" : "") + world)
    second.say((tells ? "+" : "") + world)
    let answers = (Self.answer(&first), Self.answer(&second))
    guard let one = answers.0 else { return try restart(first: true) }
    guard let other = answers.1 else { return try restart(first: false) }
    guard one.violation == nil, one != other else { return one }
    if other.violation != nil { return other }
    return Self.difference(one, other)
  }

  private static func answer(_ process: inout CheckProcess) -> CheckAnswer? {
    var lines: [String] = []
    while let line = process.line() {
      lines.append(line)
      if CheckAnswer.isLast(line) { return CheckAnswer(lines) }
    }
    return nil
  }

  private mutating func restart(first isFirst: Bool) throws -> CheckAnswer {
    let ending = isFirst ? first.ending() : second.ending()
    // The other one's answer may be under way; with two new ones nothing is mixed up.
    first = try CheckProcess.start(arguments, isOrderly: true)
    second = try CheckProcess.start(arguments, isOrderly: false)
    _ = first.line()
    _ = second.line()
    let rule: Violation.Rule = ending.signal == SIGVTALRM ? .end : .trap
    return CheckAnswer(trace: 0, violation: Violation(rule, at: .max, Self.sentence(ending)))
  }

  private static func sentence(_ ending: CheckProcess.Ending) -> String {
    guard ending.signal != SIGVTALRM else { return "the plugin does not come back from an event" }
    let what =
      ending.signal.map { "the plugin ends the process (\(unsafe String(cString: strsignal($0))))" }
      ?? "the plugin ends the process"
    return ending.complaint.isEmpty ? what : what + ": " + ending.complaint
  }

  /// Where two runs of one world begin to differ.
  private static func difference(_ one: CheckAnswer, _ other: CheckAnswer) -> CheckAnswer {
    var sentence = "the same world goes another way when hash tables are in another order: "
    var answer = one
    let places = max(one.scenes.count, other.scenes.count)
    let place = (0..<places).first {
      $0 >= one.scenes.count || $0 >= other.scenes.count || one.scenes[$0] != other.scenes[$0]
    }
    let last = max(one.scenes.last?.time ?? .max, other.scenes.last?.time ?? .max)
    if let place {
      let scenes = [one, other].map { answer in place < answer.scenes.count ? answer.scenes[place] : nil }
      let words = scenes.map { scene in
        scene.map { "\($0.peer == 0 ? "the source" : "peer \($0.peer)") \($0.text)" } ?? "nothing happens"
      }
      sentence += "here \(words[0]), there \(words[1])"
      answer.scenes = Array(one.scenes[..<place])
      answer.violation = Violation(.order, at: scenes.compactMap { $0?.time }.min() ?? last, sentence)
    } else {
      sentence += "what is sent, or when, differs"
      answer.violation = Violation(.order, at: last, sentence)
    }
    return answer
  }
}
