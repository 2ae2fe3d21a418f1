import Glibc
import Lab
import PluginKit
import Tree

// What a delivered chunk costs the engine at chunk fidelity: `LabBenchmarks [PEERS] [SECONDS] [RAMP] [source]`.
//
// A tree carries a stream of 1 Mbit/s in chunks of 16 KiB for so many seconds to peers that upload 5.5 Mbit/s each. In
// each of equal parts of the ramp as many peers join as have before; by `source` they know the source alone, otherwise a
// tracker. Large worlds are mostly spent waiting for memory: GLIBC_TUNABLES=glibc.malloc.hugetlb=1 helps them.
//
// `LabBenchmarks packets [PEERS] [SECONDS] [UPLOAD]` does the same at packet fidelity, with 2 Mbit/s in chunks of 1,316 bytes.

if CommandLine.arguments.dropFirst().first == "packets" {
  let arguments = CommandLine.arguments.dropFirst(2).compactMap { Int($0) }
  try PacketBench(
    count: arguments.first ?? 1000,
    seconds: arguments.count > 1 ? arguments[1] : 60,
    upload: arguments.count > 2 ? UInt64(arguments[2]) : 6_000_000
  ).run()
  exit(0)
}

let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
let count = max(1, numbers.first ?? 10_000)
let seconds = numbers.count > 1 ? numbers[1] : 60
let doublings = log2(Double(max(count, 2)))
let ramp = numbers.count > 2 ? Double(numbers[2]) : 4 * doublings
let knowsSourceOnly = CommandLine.arguments.last == "source"

let upload: UInt64 = 5_500_000
let scenario = Scenario(
  name: "benchmark",
  stream: Scenario.Stream(rate: 1_000_000, chunkSize: 16_384, deadline: .seconds(5)),
  source: Access(upload: 1_000_000_000),
  groups: [Scenario.Group(access: Access(upload: upload))],
  count: count,
  phases: Scenario.Phases(
    ramp: .milliseconds(Int(ramp * 1000)),
    settle: .seconds(5),
    measure: .seconds(seconds),
    drain: .seconds(5)
  )
)
var world = try ChunkWorld(
  Plan(benchmark: scenario, upload: upload) { index in
    let joins = max(0.1, ramp * (1 + log2(Double(index + 1) / Double(count)) / doublings))
    return .microseconds(Int64(joins * 1e6))
  },
  Composition(name: "tree", parts: [Composition.Part("tree", parameters: "fanout=4")]),
  discovery: knowsSourceOnly ? .source : .tracker
) { _, parameters throws(ParameterError) in
  try Tree(parameters: Parameters(parameters, declared: Tree.manifest.parameters))
}

func seconds(_ duration: Duration) -> Int { Int(duration / .seconds(1)) }
func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

let began = ContinuousClock.now
let end = seconds(scenario.phases.end)
var last = (delivered: UInt64(0), spent: 0.0)
for second in 1...end {
  world.run(until: .seconds(second))
  guard count >= 100_000 || second % 10 == 0 else { continue }
  let usage = spent
  let delivered = world.measurement.arrivals - world.measurement.duplicates
  let cost = (usage.seconds - last.spent) * 1e6 / Double(max(1, delivered - last.delivered))
  last = (delivered, usage.seconds)
  print(
    "\(second) of \(end) s, \(world.measurement.joins) peers, \(delivered) delivered, \(rounded(cost)) us each,",
    "\(seconds(ContinuousClock.now - began)) s on the wall, \(usage.memory) MB"
  )
  fflush(nil)
}
let result = world.run()
let wall = rounded((ContinuousClock.now - began) / .seconds(1))
let usage = spent
let delivered = result.arrivals - result.duplicates
func time(_ part: Double) -> String {
  result.delays.quantile(part, of: result.expected).map { "\($0 / 1_000_000) ms" } ?? "never"
}
print(
  "\(count) peers, \(delivered) deliveries, \(world.eventCount) events, \(result.calls) calls of a topology"
)
let cost = rounded(usage.seconds * 1e6 / Double(max(delivered, 1)))
print("\(wall) s on the wall, \(rounded(usage.seconds)) s of a processor, \(cost) us a delivery")
let share = rounded(Double(usage.memory) * 1024 / Double(count))
print("\(usage.memory) MB at most, \(share) KB a peer")
print("delivered \(result.delivered), p50 \(time(0.5)), p99 \(time(0.99)), copies \(result.copies)")
print(
  "starts p50 \((result.starts.quantile(0.5) ?? 0) / 1_000_000) ms, never \(result.neverStarted) of \(result.joins)"
)
print("control \(result.controlShare), depths \(result.depths), blame \(result.blame)")
print("trace \(String(result.trace, radix: 16))")
