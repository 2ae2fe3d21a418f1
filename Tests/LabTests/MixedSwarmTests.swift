import Lab
import Testing

@Suite struct `Topologies in hard worlds` {
  private static let rate: UInt64 = 2_000_000

  /// 8 KiB chunks, ways of 10 to 60 ms, a source of four copies.
  private static func scenario(
    _ groups: [Scenario.Group],
    chunkSize: Int = 8192,
    count: Int = 60,
    churn: Churn? = nil
  ) -> Scenario {
    Scenario(
      name: "hard",
      stream: Scenario.Stream(rate: rate, chunkSize: chunkSize),
      source: Access(upload: 4 * rate),
      groups: groups,
      count: count,
      churn: churn,
      phases: Scenario.Phases(
        ramp: .seconds(5),
        settle: .seconds(10),
        measure: .seconds(20),
        drain: .seconds(4)
      )
    )
  }

  private static func run(_ scenario: Scenario, _ topology: String, seed: UInt64) throws -> Measurement {
    let part = Composition.Part(
      String(topology.prefix { $0 != ":" }),
      parameters: String(topology.drop { $0 != ":" }.dropFirst())
    )
    var world = try ChunkWorld(
      Plan(scenario, seed: seed),
      Composition(name: topology, parts: [part]),
      makeTopology: makeTopology
    )
    let result = world.run()
    print("\(topology), seed \(seed): \(result.summary)")
    return result
  }

  @Test(arguments: ["striped", "superpeer", "tree:fanout=8"], [1, 2] as [UInt64])
  func `are fed where few can feed many and many less than one`(topology: String, seed: UInt64) throws {
    let groups = [
      Scenario.Group(name: "strong", share: 0.2, access: Access(upload: 6 * Self.rate)),
      Scenario.Group(name: "weak", share: 0.8, access: Access(upload: Self.rate * 9 / 10)),
    ]
    let result = try Self.run(Self.scenario(groups), topology, seed: seed)
    #expect(result.delivered >= 0.995, "seed \(seed)")
    #expect(result.copies < 1.05, "seed \(seed)")
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `in stripes are fed where peers stay for a minute`(seed: UInt64) throws {
    let groups = [Scenario.Group(access: Access(upload: Self.rate * 22 / 10))]
    let churn = Churn(life: .exponential(mean: .seconds(60)))
    let result = try Self.run(Self.scenario(groups, churn: churn), "striped", seed: seed)
    #expect(result.delivered >= 0.995, "seed \(seed)")
    #expect(result.copies < 1.2, "seed \(seed)")
  }

  /// Two copies with their headers would fill these uploads to the last bit.
  @Test(arguments: ["tree", "superpeer"], [1, 2] as [UInt64])
  func `in chains are fed where peers stay for a minute`(topology: String, seed: UInt64) throws {
    let groups = [Scenario.Group(access: Access(upload: Self.rate * 22 / 10))]
    let churn = Churn(life: .exponential(mean: .seconds(60)))
    let scenario = Self.scenario(groups, chunkSize: 1316, count: 30, churn: churn)
    let result = try Self.run(scenario, topology, seed: seed)
    #expect(result.delivered >= 0.99, "seed \(seed)")
    #expect(result.copies < 1.05, "seed \(seed)")
  }
}
