import Lab
import PluginKit
import Testing

@Suite struct `A chunk world` {
  /// Bytes of a chunk of the usual size on the wire.
  static let chunk = 1316 + 102 + 28

  static func serialisation(_ upload: UInt64) -> Duration {
    .nanoseconds(Int64(UInt64(chunk) * 8_000_000_000 / upload))
  }

  @Test func `takes serialisation and propagation to a single child`() throws {
    let plan = Plan.uniform(count: 1, upload: 4_000_000, source: 4_000_000)
    var world = try ChunkWorld(plan, .tree(), makeTopology: makeTopology)
    let result = world.run()
    print(result.summary)
    #expect(result.expected > 1800)
    #expect(result.delivered == 1)
    let wanted = (Self.serialisation(4_000_000) + .milliseconds(20)).nanoseconds
    #expect(result.delays.greatest >= wanted)
    // Now and then a message goes ahead.
    #expect(abs(result.delays.mean - Double(wanted)) < 50_000)
    #expect(result.split.deliveries == 10)
    #expect(result.split.propagation == 10 * 20_000_000)
  }

  @Test func `adds up along a chain`() throws {
    let plan = Plan.uniform(count: 10, upload: 4_000_000, source: 4_000_000, every: .milliseconds(200))
    var world = try ChunkWorld(plan, .chain, makeTopology: makeTopology)
    let result = world.run()
    print(result.summary)
    #expect(result.delivered == 1)
    let hop = (Self.serialisation(4_000_000) + .milliseconds(20)).nanoseconds
    // Ten peers at one to ten hops.
    #expect(result.depths == [UInt32](repeating: 1, count: 11))
    #expect(abs(result.delays.mean / (Double(hop) * 5.5) - 1) < 0.01)
    #expect(abs(Double(result.delays.greatest) / Double(hop * 10) - 1) < 0.02)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `lets a thousand peers join a tree at once`(seed: UInt64) throws {
    let plan = Plan.uniform(
      count: 1000,
      upload: 4_400_000,
      source: 8_800_000,
      stream: Scenario.Stream(chunkSize: 8192),
      latency: .disc(least: .milliseconds(10), greatest: .milliseconds(60)),
      phases: Scenario.Phases(
        ramp: .seconds(1),
        settle: .seconds(4),
        measure: .seconds(3),
        drain: .seconds(3)
      ),
      seed: seed
    )
    var world = try ChunkWorld(plan, .tree(fanout: 2), makeTopology: makeTopology)
    let result = world.run()
    print("seed \(seed): \(result.summary)")
    #expect(result.delivered > 0.999, "seed \(seed)")
    #expect(result.neverStarted == 0, "seed \(seed)")
    #expect(result.depths.reduce(0, +) == 1001, "seed \(seed)")
  }
}
