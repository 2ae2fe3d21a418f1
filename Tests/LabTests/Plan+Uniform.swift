import Lab
import PluginKit

@testable import Chain
@testable import Chord
@testable import Striped
@testable import SuperPeer
@testable import Tree

extension Plan {
  /// A plan of like peers, the source first: made by hand, without dice.
  ///
  /// `upload` is in bits per second, 0 for no limit; `every` is the time between two that join, and zero lets all join at
  /// once.
  static func uniform(
    count: Int,
    upload: UInt64,
    source: UInt64,
    stream: Scenario.Stream = Scenario.Stream(),
    latency: Latency = .disc(least: .milliseconds(20), greatest: .milliseconds(20)),
    weather: Weather = Weather(),
    phases: Scenario.Phases = Scenario.Phases(
      ramp: .seconds(1),
      settle: .seconds(4),
      measure: .seconds(10),
      drain: .seconds(4)
    ),
    every: Duration = .zero,
    seed: UInt64 = 1
  ) -> Plan {
    let access = Access(upload: upload)
    let scenario = Scenario(
      name: "uniform",
      stream: stream,
      source: Access(upload: source),
      groups: [Scenario.Group(access: access)],
      count: count,
      latency: latency,
      weather: weather,
      phases: phases
    )
    var random = RandomSource(seed: seed)
    var peers = [Planned(role: .source, joins: .zero, access: scenario.source)]
    for index in 0..<count {
      let place = Place(x: Float(random.next() % 1000) / 1000, y: Float(random.next() % 1000) / 1000)
      peers.append(Planned(joins: .milliseconds(100) + every * index, access: access, place: place))
    }
    return Plan(scenario: scenario, seed: seed, peers: peers)
  }
}

extension Composition {
  static func tree(fanout: Int = 4) -> Composition {
    Composition(name: "tree", parts: [Part("tree", parameters: "fanout=\(fanout)")])
  }
  static let chain = Composition(name: "chain", parts: [Part("chain")])
}

/// The topologies that these tests link.
func makeTopology(_ name: String, _ parameters: String) throws(ParameterError) -> any Topology {
  switch name {
  case "tree": try Tree(parameters: Parameters(parameters, declared: Tree.manifest.parameters))
  case "chain": try Chain(parameters: Parameters(parameters, declared: Chain.manifest.parameters))
  case "chord": try Chord(parameters: Parameters(parameters, declared: Chord.manifest.parameters))
  case "striped": try Striped(parameters: Parameters(parameters, declared: Striped.manifest.parameters))
  case "superpeer":
    try SuperPeer(parameters: Parameters(parameters, declared: SuperPeer.manifest.parameters))
  default: throw ParameterError("there is no topology '\(name)' here")
  }
}

extension Measurement {
  /// What somebody who tries a topology wants to see first.
  var summary: String {
    func time(_ part: Double) -> String {
      delays.quantile(part, of: expected).map { "\($0 / 1_000_000) ms" } ?? "never"
    }
    return """
      delivered \(delivered) of \(expected); p50 \(time(0.5)), p99 \(time(0.99)), late \(late), \
      copies \(copies), control \(controlShare), overflowed \(overflowed), repaired \(repaired) of \(requested), \
      starts p50 \((starts.quantile(0.5) ?? 0) / 1_000_000) ms, never \(neverStarted) of \(joins), \
      depths \(depths), blame \(blame.sorted { $0.key.rawValue < $1.key.rawValue }), calls \(calls)
      """
  }
}
