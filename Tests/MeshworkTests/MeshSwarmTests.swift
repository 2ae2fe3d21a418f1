import Lab
import PluginKit
import Testing

@testable import Gossip
@testable import Pull
@testable import PushPull

@Suite struct `Meshes of peers` {
  private static let rate: UInt64 = 2_000_000

  /// 8 KiB chunks, ways of 10 to 60 ms, a source of four copies.
  private static func run(
    _ topology: String,
    seed: UInt64,
    groups: [Scenario.Group] = [Scenario.Group(access: Access(upload: rate * 22 / 10))],
    churn: Churn? = nil,
    weather: Weather = Weather()
  ) throws -> Measurement {
    let scenario = Scenario(
      name: "mesh",
      stream: Scenario.Stream(rate: rate, chunkSize: 8192),
      source: Access(upload: 4 * rate),
      groups: groups,
      count: 20,
      weather: weather,
      churn: churn,
      phases: Scenario.Phases(
        ramp: .seconds(2),
        settle: .seconds(4),
        measure: .seconds(5),
        drain: .seconds(3)
      )
    )
    let composition = Composition(name: topology, parts: [Composition.Part(topology)])
    var world = try ChunkWorld(Plan(scenario, seed: seed), composition) { name, text throws(ParameterError) in
      switch name {
      case "pull": try Pull(parameters: Parameters(text, declared: Pull.manifest.parameters))
      case "gossip": try Gossip(parameters: Parameters(text, declared: Gossip.manifest.parameters))
      default: try PushPull(parameters: Parameters(text, declared: PushPull.manifest.parameters))
      }
    }
    let result = world.run()
    print(
      "\(topology), seed \(seed): delivered \(result.delivered), copies \(result.copies), blame \(result.blame)"
    )
    return result
  }

  @Test(arguments: ["pull", "pushpull", "gossip"], [1] as [UInt64])
  func `get everything in time`(topology: String, seed: UInt64) throws {
    let result = try Self.run(topology, seed: seed)
    #expect(result.delivered >= 0.999, "seed \(seed)")
    // Trees that come about by themselves bring some chunks twice.
    #expect(result.copies < (topology == "gossip" ? 1.3 : 1.2), "seed \(seed)")
  }

  @Test(arguments: ["pull", "pushpull", "gossip"], [1] as [UInt64])
  func `are fed where few can feed many and many less than one`(topology: String, seed: UInt64) throws {
    let groups = [
      Scenario.Group(name: "strong", share: 0.2, access: Access(upload: 6 * Self.rate)),
      Scenario.Group(name: "weak", share: 0.8, access: Access(upload: Self.rate * 9 / 10)),
    ]
    let result = try Self.run(topology, seed: seed, groups: groups)
    #expect(result.delivered >= 0.995, "seed \(seed)")
  }

  @Test(arguments: ["pull", "pushpull", "gossip"])
  func `make up for what is lost`(topology: String) throws {
    let result = try Self.run(topology, seed: 3, weather: Weather(loss: 0.02))
    #expect(result.delivered >= 0.995)
  }

  @Test(arguments: ["pull", "pushpull", "gossip"])
  func `do the same whenever they are run with the same seed`(topology: String) throws {
    let churn = Churn(life: .exponential(mean: .seconds(30)))
    let first = try Self.run(topology, seed: 5, churn: churn)
    let second = try Self.run(topology, seed: 5, churn: churn)
    #expect(first.trace == second.trace)
    #expect(first.delivered > 0.9)
  }
}
