import Lab
import PluginKit
import Testing

@Suite struct `Both engines` {
  static let stream = Scenario.Stream(rate: 400_000)

  /// With room in every upload: where there is none, backlogs from joining stay, and they differ.
  static func plan(seed: UInt64) -> Plan {
    Plan.uniform(
      count: 50,
      upload: 2_000_000,
      source: 4_000_000,
      stream: stream,
      latency: .disc(least: .milliseconds(10), greatest: .milliseconds(60)),
      phases: Scenario.Phases(
        ramp: .seconds(3),
        settle: .seconds(7),
        measure: .seconds(5),
        drain: .seconds(4)
      ),
      every: .milliseconds(60),
      seed: seed
    )
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `agree on the delays of a tree of fifty peers`(seed: UInt64) throws {
    let plan = Self.plan(seed: seed)
    var world = try ChunkWorld(plan, .tree(fanout: 2), makeTopology: makeTopology)
    let chunks = world.run()
    let packets = try PacketRun(plan, .tree(fanout: 2), makeTopology: makeTopology).run()
    print("seed \(seed): packets: \(packets.summary)")
    print("seed \(seed): chunks: \(chunks.summary)")
    for part in [0.5, 0.9, 0.99] {
      let times = (chunks.delays.quantile(part) ?? 0, packets.delays.quantile(part) ?? 0)
      print("seed \(seed): p\(part): chunks \(times.0 / 1_000_000) ms, packets \(times.1 / 1_000_000) ms")
    }
    #expect(packets.delivered > 0.99 && chunks.delivered > 0.99, "seed \(seed)")
    let median = Double(chunks.delays.quantile(0.5) ?? 0) / Double(packets.delays.quantile(0.5) ?? 1)
    #expect(abs(median - 1) < 0.2, "seed \(seed): \(median)")
    print(
      "seed \(seed): packets \(packets.split), calls \(packets.calls), chunks \(chunks.split), calls \(chunks.calls)"
    )
    for (part, tolerance) in [(\Measurement.DelaySplit.serialisation, 0.05), (\.propagation, 0.15)] {
      let of = [packets.split, chunks.split].map { Double($0[keyPath: part]) / Double(max(1, $0.hops)) }
      #expect(abs(of[0] / of[1] - 1) < tolerance, "seed \(seed): \(of) ns a hop")
    }
    let hops = [packets.split, chunks.split].map { Double($0.hops) / Double(max(1, $0.deliveries)) }
    #expect(packets.split.deliveries == chunks.split.deliveries, "seed \(seed)")
    #expect(abs(hops[0] / hops[1] - 1) < 0.2, "seed \(seed): \(hops) hops")
  }

  /// With uploads that carry all stripes, and not much more: what is asked for in vain is what others lack.
  @Test func `agree on a striped swarm of eight whose uplinks are narrow`() throws {
    let file = try #require(Library.file("steady"))
    var scenario = try Scenario(file, file: "steady")
    scenario.count = 8
    scenario.scale(to: 400_000)
    scenario.groups[0].access.upload = 1_200_000
    scenario.phases.measure = .seconds(5)
    let plan = Plan(scenario, seed: 1)
    let striped = Composition(name: "striped", parts: [.init("striped")])
    var world = try ChunkWorld(plan, striped, makeTopology: makeTopology)
    let chunks = world.run()
    let packets = try PacketRun(plan, striped, makeTopology: makeTopology).run()
    print("packets: \(packets.summary)")
    print("chunks: \(chunks.summary)")
    #expect(abs(packets.delivered - chunks.delivered) <= 0.005, "\(packets.delivered), \(chunks.delivered)")
    let median = Double(packets.delays.quantile(0.5) ?? 0) / Double(chunks.delays.quantile(0.5) ?? 1)
    #expect(abs(median - 1) < 0.15, "\(median)")
    #expect(packets.copies < 1.05, "\(packets.copies)")
  }
}
