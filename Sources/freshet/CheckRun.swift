internal import Glibc
internal import Lab
internal import Synchronization

/// Tries to prove a topology wrong: many worlds, and the one in which it fails made as simple as it can be.
struct CheckRun: ~Copyable {
  /// As many worlds meet the same two orders of hash tables.
  private static let batch = 20
  /// One world alone meets so many orders.
  private static let orders = 8
  /// How often progress is shown, in microseconds.
  private static let tick: UInt32 = 100_000

  private enum Outcome: Sendable {
    case held
    case broken(seed: UInt64, Violation)
    case failed(String)
  }

  private let options: CheckOptions
  private var console: Console
  private let began = LabRun.milliseconds

  init(_ options: CheckOptions) {
    self.options = options
    console = Console(isSource: false, verbosity: options.isQuiet ? .quiet : .normal)
  }

  /// - Returns: what to print when everything held.
  /// - Throws: `CommandError` when something did not; the story has been printed then.
  mutating func run() throws -> String {
    // A process that has ended takes no more worlds.
    signal(SIGPIPE, SIG_IGN)
    var pair = try CheckPair.start(options)
    let claims = try pair.introduction()
    guard let (seed, violation) = try sweep() else {
      console.finish()
      let count = options.seeds.count
      return
        "\(options.operand): \(claims); \(count) \(count == 1 ? "world" : "worlds") could not prove it wrong\n"
    }
    try tell(seed, violation, &pair)
    return ""
  }

  // MARK: Many worlds

  private mutating func sweep() throws -> (seed: UInt64, Violation)? {
    let options = options
    let count = options.seeds.count
    let rounds = count == 1 ? Self.orders : 1
    let size = (count + Self.batch - 1) / Self.batch
    /// The lowest seed that was found to be broken: those above need not be tried.
    let lowest = Atomic<UInt64>(.max)
    let workers = Workers<Outcome>(
      count: size * rounds,
      threads: options.jobs ?? max(1, processorCount() / 2)
    ) {
      job,
      goesOn in
      let first = options.seeds.lowerBound + UInt64(job % size * Self.batch)
      let last = min(options.seeds.upperBound, first + UInt64(Self.batch - 1))
      do {
        var pair = try CheckPair.start(options)
        _ = try pair.introduction()
        for seed in first...last where seed < lowest.load(ordering: .relaxed) {
          guard goesOn(Double(seed - first) / Double(last - first + 1)) else { return nil }
          guard let violation = try pair.judge(seed).violation else { continue }
          lowest.min(seed, ordering: .relaxed)
          return .broken(seed: seed, violation)
        }
        return .held
      } catch {
        return .failed("\(error)")
      }
    }
    var found: (seed: UInt64, Violation)?
    while true {
      let progress = workers.progress
      for (_, outcome) in workers.takeOutcomes() {
        switch outcome {
        case .held: break
        case .broken(let seed, let violation): if seed < found?.seed ?? .max { found = (seed, violation) }
        case .failed(let sentence): throw CommandError(sentence)
        }
      }
      if progress.isOver { return found }
      show(part: progress.done / Double(size * rounds), "worlds", of: count)
      usleep(Self.tick)
    }
  }

  private mutating func show(part: Double, _ what: String, of count: Int) {
    let elapsed = LabRun.milliseconds - began
    var text = "\(Int(part * Double(count))) of \(count) \(what)"
    if part > 0.001 { text += ", \(LabRun.time(elapsed * (1 - part) / part)) left" }
    console.show(terminal: text, log: text, at: elapsed)
  }

  // MARK: One world

  private mutating func tell(_ seed: UInt64, _ violation: Violation, _ pair: inout CheckPair) throws {
    let whole = Plan.trial(seed: seed)
    // Who never comes back takes long to find out about.
    let limit = violation.rule == .end ? 40 : Plan.shrinkingLimit
    var attempts = 0
    // The order of hash tables in which it went wrong may not be the one of these processes.
    let isThere = try (0..<Self.orders).contains { _ in
      if try pair.judge(seed).violation?.rule == violation.rule { return true }
      pair = try CheckPair.start(options)
      _ = try pair.introduction()
      return false
    }
    let reductions =
      try !isThere
      ? []
      : whole.shrunk(limit: limit) { reductions in
        attempts += 1
        console.show(
          terminal: "world \(seed) went wrong; making it simpler, attempt \(attempts) of at most \(limit)"
        )
        return try pair.judge(seed, reductions).violation?.rule == violation.rule
      }
    let answer = try pair.judge(seed, reductions, tells: true)
    console.finish()
    let found = answer.violation ?? violation
    let plan = whole.simplified(by: reductions)
    let story = Story(plan, answer.scenes, found).text
    let libraries = options.plugins.filter { !options.operand.hasPrefix($0) }
    let words = [options.operand] + libraries.flatMap { ["--plugin", $0] } + ["--seeds", "\(seed)-\(seed)"]
    let again = words.map(\.quotedForShell).joined(separator: " ")
    let text = """
      World \(seed): \(whole.peers.count - 1) peers at first, made simpler: \(story)
      again: freshet lab check \(again)

      """
    _ = Descriptor.write(text, to: STDOUT_FILENO)
    throw CommandError("\(options.operand) is wrong in world \(seed): \(found.sentence)")
  }
}
