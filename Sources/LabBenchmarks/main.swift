import Glibc
import Lab
import PluginKit
import Tree

// What a delivered chunk costs the engine at chunk fidelity: `LabBenchmarks [PEERS] [RATE] [CHUNK SIZE] [SECONDS]`.

let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
let count = arguments.first ?? 10_000
let rate = arguments.count > 1 ? arguments[1] : 1_000_000
let chunkSize = arguments.count > 2 ? arguments[2] : 16_384
let seconds = arguments.count > 3 ? arguments[3] : 60

let upload = UInt64(rate) * 22 / 10
let scenario = Scenario(
  name: "benchmark",
  stream: Scenario.Stream(rate: UInt64(rate), chunkSize: chunkSize),
  source: Access(upload: UInt64(rate) * 64),
  groups: [Scenario.Group(access: Access(upload: upload))],
  count: count,
  phases: Scenario.Phases(ramp: .seconds(10), settle: .seconds(10), measure: .seconds(seconds))
)
var random = RandomSource(seed: 1)
var peers = [Plan.Planned(role: .source, joins: .zero, access: scenario.source)]
for index in 0..<count {
  let place = Plan.Place(
    x: Float(random.next() % 1400) / 1000 - 0.7,
    y: Float(random.next() % 1400) / 1000 - 0.7
  )
  // Each second twice as many as in all the time before: nobody waits for a place.
  let part = Double(index + 1) / Double(count)
  let joins = max(0.1, 10 + log2(part) * 10 / log2(Double(max(count, 2))))
  peers.append(
    Plan.Planned(joins: .milliseconds(Int(joins * 1000)), access: Access(upload: upload), place: place)
  )
}
let plan = Plan(scenario: scenario, seed: 1, peers: peers)
var world = try ChunkWorld(
  plan,
  Composition(name: "tree", parts: [Composition.Part("tree", parameters: "fanout=2")]),
  discovery: .tracker
) { _, parameters throws(ParameterError) in
  try Tree(parameters: Parameters(parameters, declared: Tree.manifest.parameters))
}
let result = world.run()
var usage = rusage()
unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
// Processor time, which others on the machine do not lengthen as they do the time on the wall.
let spent = Double(usage.ru_utime.tv_sec) * 1e9 + Double(usage.ru_utime.tv_usec) * 1e3
let delivered = result.arrivals - result.duplicates
print("\(count) peers, \(delivered) chunks delivered, \(spent / 1e9) s, \(usage.ru_maxrss / 1024) MB")
print(
  "\(spent / Double(max(delivered, 1))) ns a chunk, \(Double(result.calls) / Double(max(delivered, 1))) calls a chunk"
)
func time(_ part: Double) -> String {
  result.delays.quantile(part, of: result.expected).map { "\($0 / 1_000_000) ms" } ?? "never"
}
print("delivered \(result.delivered), p50 \(time(0.5)), p99 \(time(0.99)), copies \(result.copies)")
print(
  "starts p50 \((result.starts.quantile(0.5) ?? 0) / 1_000_000) ms, never \(result.neverStarted) of \(result.joins)"
)
print("control \(result.controlShare), depths \(result.depths), blame \(result.blame)")
print("trace \(String(result.trace, radix: 16))")
