import Glibc
import Lab
import PluginKit
import Tree

/// What a delivered chunk costs the engine at packet fidelity, with the product's own peers: 2 Mbit/s in chunks of
/// 1,316 bytes, a window of 5 s, a tree.
struct PacketBench {
  private static let stream = Scenario.Stream(rate: 2_000_000)
  private static let ramp = Duration.seconds(10)

  let count: Int
  let seconds: Int
  /// Bits per second that each peer uploads.
  let upload: UInt64

  private var plan: Plan {
    let scenario = Scenario(
      name: "benchmark",
      stream: Self.stream,
      source: Access(upload: Self.stream.rate * 8),
      groups: [Scenario.Group(access: Access(upload: upload))],
      count: count,
      phases: Scenario.Phases(
        ramp: Self.ramp,
        settle: .seconds(5),
        measure: .seconds(seconds),
        drain: .seconds(4)
      )
    )
    return Plan(benchmark: scenario, upload: upload) { index in
      .milliseconds(100) + (Self.ramp - .milliseconds(100)) * index / count
    }
  }

  /// Runs it, with a line for every second of the stream, and prints what it cost.
  func run() throws {
    let plan = plan
    let start = ContinuousClock.now
    let run = try PacketRun(plan, Composition(name: "tree", parts: [.init("tree", parameters: "fanout=2")])) {
      _,
      parameters throws(ParameterError) in
      try Tree(parameters: Parameters(parameters, declared: Tree.manifest.parameters))
    }
    var time = Duration.zero
    while time < plan.scenario.phases.end {
      time += .seconds(1)
      run.run(until: time)
      print(
        "\(time) of \(plan.scenario.phases.end) after \(ContinuousClock.now - start), "
          + "\(spent.seconds) s of processor, \(spent.memory) MB"
      )
      fflush(nil)
    }
    let result = try run.run()
    let delivered = result.arrivals - result.duplicates
    let wall = ContinuousClock.now - start
    print("\(count) peers, \(delivered) chunks delivered in \(run.datagrams) datagrams")
    print("\(wall) on the wall, \(spent.seconds) s of processor, at most \(spent.memory) MB")
    print("\(spent.seconds * 1e6 / Double(max(delivered, 1))) us a delivery")
    func delay(_ part: Double) -> String {
      result.delays.quantile(part, of: result.expected).map { "\($0 / 1_000_000) ms" } ?? "never"
    }
    print(
      "delivered \(result.delivered), p50 \(delay(0.5)), p99 \(delay(0.99)), copies \(result.copies), "
        + "control \(result.controlShare), repaired \(result.repaired), overflowed \(result.overflowed)"
    )
    print(
      "starts p50 \((result.starts.quantile(0.5) ?? 0) / 1_000_000) ms, never \(result.neverStarted) of \(result.joins), "
        + "depths \(result.depths)"
    )
    print("trace \(String(result.trace, radix: 16))")
  }
}

/// Seconds of the processor, which others on the machine do not lengthen as they do the time on the wall, and the most
/// memory in MB.
var spent: (seconds: Double, memory: Int) {
  var usage = rusage()
  unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  let seconds = [usage.ru_utime, usage.ru_stime].reduce(0) {
    $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6
  }
  return (seconds, usage.ru_maxrss / 1024)
}
