import Lab
import PluginKit
import Testing

@Suite struct `A Chord ring` {
  private static let chord = Composition(name: "chord", parts: [Composition.Part("chord")])

  private static func plan(
    _ groups: [Scenario.Group],
    count: Int,
    churn: Churn? = nil,
    measure: Duration = .seconds(6),
    happenings: [Scenario.Happening] = [],
    seed: UInt64
  ) -> Plan {
    let scenario = Scenario(
      name: "ring",
      stream: Scenario.Stream(chunkSize: 8192),
      source: Access(upload: 8_000_000),
      groups: groups,
      count: count,
      churn: churn,
      phases: Scenario.Phases(ramp: .seconds(2), settle: .seconds(8), measure: measure, drain: .seconds(4)),
      happenings: happenings
    )
    return Plan(scenario, seed: seed)
  }

  private static let like = [Scenario.Group(access: Access(upload: 4_400_000))]

  @Test(arguments: 1...2 as ClosedRange<UInt64>)
  func `brings everything to everybody, once and in time, while it is stable`(seed: UInt64) throws {
    let plan = Self.plan(Self.like, count: 40, seed: seed)
    var world = try ChunkWorld(plan, Self.chord, makeTopology: makeTopology)
    world.run(until: .seconds(10))
    let before = world.measurement
    let result = world.run()
    print("seed \(seed): \(result.summary)")
    #expect(result.delivered == 1, "seed \(seed)")
    // What was asked for before may still come.
    #expect(result.duplicates - before.duplicates <= 60, "seed \(seed)")
    #expect((result.delays.quantile(0.99, of: result.expected) ?? .max) < 500_000_000, "seed \(seed)")
    #expect(result.sourceFactor ?? 9 <= 4, "seed \(seed)")
  }

  @Test(arguments: 1...2 as ClosedRange<UInt64>)
  func `lets those who can send work for those who cannot`(seed: UInt64) throws {
    let groups = [
      Scenario.Group(name: "strong", share: 0.2, access: Access(upload: 12_000_000)),
      Scenario.Group(name: "weak", share: 0.8, access: Access(upload: 1_800_000)),
    ]
    let plan = Self.plan(groups, count: 40, seed: seed)
    var world = try ChunkWorld(plan, Self.chord, makeTopology: makeTopology)
    let result = world.run()
    print("seed \(seed): \(result.summary)")
    #expect(result.delivered > 0.99, "seed \(seed)")
  }

  @Test(arguments: 1...2 as ClosedRange<UInt64>)
  func `closes up when peers die and when they leave`(seed: UInt64) throws {
    let plan = Self.plan(
      Self.like,
      count: 40,
      churn: Churn(life: .exponential(mean: .seconds(60))),
      measure: .seconds(12),
      happenings: [
        Scenario.Happening(at: .seconds(14), .crash(part: 0.1)),
        Scenario.Happening(at: .seconds(18), .leave(part: 0.1, over: .seconds(2))),
      ],
      seed: seed
    )
    var world = try ChunkWorld(plan, Self.chord, makeTopology: makeTopology)
    let result = world.run()
    print("seed \(seed): \(result.summary)")
    #expect(result.delivered > 0.97, "seed \(seed)")
  }

  @Test func `goes the same way each time`() throws {
    let plan = Self.plan(Self.like, count: 20, measure: .seconds(2), seed: 5)
    var traces: [UInt64] = []
    for _ in 0..<2 {
      var world = try ChunkWorld(plan, Self.chord, makeTopology: makeTopology)
      traces.append(world.run().trace)
    }
    #expect(traces[0] == traces[1])
  }
}
