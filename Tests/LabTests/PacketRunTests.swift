import Lab
import PluginKit
import Testing

@testable import Chain
@testable import Tree

private func topology(_ name: String, _ parameters: String) throws(ParameterError) -> any Topology {
  switch name {
  case "tree": try Tree(parameters: Parameters(parameters, declared: Tree.manifest.parameters))
  case "chain": try Chain(parameters: Parameters(parameters, declared: Chain.manifest.parameters))
  default: throw ParameterError("there is no topology '\(name)' here")
  }
}

private let tree = Composition(name: "tree", parts: [.init("tree", parameters: "fanout=2")])

/// A small world with few chunks.
private func world(_ count: Int = 6) -> Scenario {
  Scenario(
    name: "small",
    stream: Scenario.Stream(rate: 200_000, deadline: .seconds(1)),
    source: Access(upload: 800_000),
    groups: [Scenario.Group(access: Access(upload: 600_000))],
    count: count,
    phases: Scenario.Phases(ramp: .seconds(1), settle: .seconds(2), measure: .seconds(5), drain: .seconds(2))
  )
}

struct PacketRunTests {
  @Test func `In a calm world everything comes in time, once, and is counted`() throws {
    let run = try PacketRun(Plan(world(), seed: 1), tree, makeTopology: topology)
    let seen = try run.run()
    // 19 chunks a second for five seconds, to each of six.
    #expect(seen.expected == 6 * 95)
    #expect(seen.inTime == seen.expected && seen.late == 0 && seen.delivered == 1)
    #expect(seen.timeline.map(\.expected) == [114, 114, 114, 114, 114])
    #expect(
      seen.timeline
        == seen.timeline.map { second in
          var second = second
          second.inTime = second.expected
          return second
        }
    )
    #expect(seen.peerParts == [1, 1, 1, 1, 1, 1])
    #expect(seen.joins == 6 && seen.neverStarted == 0 && seen.starts.count == 6)
    #expect(seen.blame.isEmpty && seen.calls > 100)
    #expect(seen.depths.first == 1 && seen.depths.reduce(0, +) == 7)
    #expect(seen.copies < 1.05 && seen.copies >= 1)
    #expect((0.001...0.3).contains(seen.controlShare))
    #expect((1.0...3).contains(seen.sourceFactor ?? 0))
    let least = try #require(seen.delays.quantile(0.01))
    // One way takes 10 ms at least, and the upload of a chunk 14 ms at the source.
    #expect(least > 20_000_000 && seen.delays.greatest < 1_000_000_000)
    // One chunk of each second; what its delay came from is all that there was.
    let split = seen.split
    let hops = Double(split.hops)
    #expect(split.deliveries == 30 && split.hops >= 30)
    let size = Double(1316 + 81 + 17 + 4 + SimulatedLink.headers) * 8e9
    #expect((size / 800_000...size / 600_000).contains(Double(split.serialisation) / hops))
    #expect((10e6...60e6).contains(Double(split.propagation) / hops))
    #expect(split.queue >= 0 && split.request == 0 && split.repair == 0)
    let sum = split.serialisation + split.propagation + split.queue
    let mean = sum / Int64(split.deliveries)
    #expect((least...seen.delays.greatest).contains(mean))
  }

  @Test func `What was lost on the way is repaired, and who is late has somebody to blame`() throws {
    var scenario = world()
    scenario.weather = Weather(loss: 0.1)
    scenario.stream.deadline = .milliseconds(250)
    let seen = try PacketRun(Plan(scenario, seed: 1), tree, makeTopology: topology).run()
    let (blamed, missed) = (seen.blame.values.reduce(0, +), seen.expected - seen.inTime)
    print("blame \(seen.blame) of \(missed), split \(seen.split)")
    #expect(blamed == missed && missed > 0)
    #expect((seen.blame[.repair] ?? 0) > 0)
    #expect(seen.split.repair > 0)
  }

  @Test func `Where uplinks carry two copies and little more, nobody asks for what is on its way`() throws {
    var scenario = world(7)
    scenario.stream.rate = 1_000_000
    scenario.source = Access(upload: 2_500_000)
    scenario.groups = [Scenario.Group(access: Access(upload: 2_500_000))]
    scenario.phases.measure = .seconds(3)
    let run = try PacketRun(Plan(scenario, seed: 1), tree, makeTopology: topology)
    let seen = try run.run()
    print(seen.summary, "repaired \(seen.repaired)")
    #expect(seen.delivered > 0.99 && seen.copies < 1.01)
    #expect(seen.repaired * 50 < seen.arrivals, "\(seen.repaired) of \(seen.arrivals) were asked for")
    #expect((seen.delays.quantile(0.99) ?? .max) < 1_000_000_000)
  }

  @Test func `The same plan is the same run, datagram by datagram`() throws {
    var scenario = world()
    scenario.churn = Churn(life: .exponential(mean: .seconds(4)), graceful: 0.5)
    scenario.weather = Weather(loss: 0.02, burst: 2, jitter: .milliseconds(2))
    let traces = try [1, 1, 2].map { seed in
      try PacketRun(Plan(scenario, seed: seed), tree, makeTopology: topology).run().trace
    }
    #expect(traces[0] == traces[1] && traces[0] != traces[2])
  }

  @Test func `What happens in the plan happens to the peers`() throws {
    var scenario = world(8)
    // Where uploads suffice for everything, nothing but the plan shows.
    scenario.source.upload = 0
    scenario.groups[0].access.upload = 0
    scenario.phases.measure = .seconds(11)
    scenario.happenings = [
      Scenario.Happening(at: .seconds(4), .partition(part: 0.5, for: .seconds(3))),
      Scenario.Happening(at: .seconds(11), .crash(part: 0.5)),
    ]
    let seen = try PacketRun(Plan(scenario, seed: 1), tree, makeTopology: topology).run()
    // Nineteen chunks a second for eight peers, of whom four are cut off for three seconds.
    let inTime = seen.timeline.map(\.inTime)
    #expect(seen.timeline[..<7].allSatisfy { $0.expected == 152 })
    // What is under way when the network parts may be lost.
    #expect(inTime[0] >= 150 && inTime[1] <= 90 && inTime[2] <= 76)
    #expect(inTime[5] == 152 && inTime[6] == 152)
    #expect(seen.timeline[8...].allSatisfy { $0.expected == 76 })
    #expect(inTime[10] == 76)
    #expect(seen.blame.values.reduce(0, +) == seen.expected - seen.inTime)
    #expect(seen.depths.reduce(0, +) == 5)
  }

  @Test func `A swarm changes its topology as the plan says, and what that cost is counted`() throws {
    var scenario = world(6)
    scenario.source.upload = 0
    scenario.groups[0].access.upload = 0
    scenario.phases.measure = .seconds(20)
    let chain = Composition.Part("chain")
    scenario.happenings = [
      Scenario.Happening(at: .seconds(4), .swap(to: chain)),
      Scenario.Happening(at: .seconds(14), .swap(to: tree.parts[0])),
    ]
    let seen = try PacketRun(Plan(scenario, seed: 1), tree, makeTopology: topology).run()
    #expect(seen.inTime == seen.expected && seen.expected == 6 * 380)
    #expect(seen.swaps.map(\.topology) == ["chain", "tree:fanout=2"])
    #expect(seen.swaps.map(\.at) == [4_000_000_000, 14_000_000_000])
    for swap in seen.swaps {
      #expect(swap.gaps.count == 6 && swap.lost == 0)
      #expect((52_000_000..<1_000_000_000).contains(swap.gaps.greatest))
    }
  }

  @Test func `A change of the topology that cannot be is one sentence`() throws {
    var scenario = world(1)
    scenario.happenings = [
      Scenario.Happening(at: .seconds(4), .swap(to: .init("chain"))),
      Scenario.Happening(at: .seconds(6), .swap(to: .init("tree"))),
    ]
    let run = try PacketRun(Plan(scenario, seed: 1), tree, makeTopology: topology)
    let refusal = #expect(throws: PacketRun.Refusal.self) { try run.run() }
    #expect(refusal?.description.hasPrefix("the swap to 'tree' at 6 s: ") == true)
    #expect(throws: ParameterError.self) {
      try ChunkWorld(Plan(scenario, seed: 1), tree, makeTopology: topology)
    }
  }

  @Test func `Lies are found out, and who passes nothing on is gone around`() throws {
    var scenario = world(8)
    scenario.groups = [
      Scenario.Group(share: 0.75, access: Access(upload: 800_000)),
      Scenario.Group(share: 0.25, access: Access(upload: 800_000), behaviour: .liar),
    ]
    let seen = try PacketRun(Plan(scenario, seed: 2), tree, makeTopology: topology).run()
    #expect(seen.rejected > 0)
    #expect(seen.delivered > 0.5)
    #expect(seen.blame.values.reduce(0, +) == seen.expected - seen.inTime)
  }

  @Test func `Peers behind a NAT get the stream, and nobody reaches them unasked`() throws {
    var scenario = world(8)
    scenario.groups = [Scenario.Group(access: Access(upload: 800_000, nat: .restricted))]
    scenario.source = Access(upload: 3_000_000)
    let seen = try PacketRun(Plan(scenario, seed: 2), tree, makeTopology: topology).run()
    #expect(seen.delivered > 0)
    #expect(seen.joins == 8)
  }

  @Test func `What cannot be run is one sentence`() {
    var scenario = world()
    scenario.stream.chunkSize = 8192
    #expect(throws: PacketRun.Refusal.self) {
      try PacketRun(Plan(scenario, seed: 1), tree, makeTopology: topology)
    }
    scenario = world()
    scenario.groups[0].access.download = 1_000_000
    #expect(throws: PacketRun.Refusal.self) {
      try PacketRun(Plan(scenario, seed: 1), tree, makeTopology: topology)
    }
    #expect(throws: ParameterError.self) {
      try PacketRun(
        Plan(world(), seed: 1),
        Composition(name: "x", parts: [.init("x")]),
        makeTopology: topology
      )
    }
  }

  @Test func `Bursts lose as much as single losses, in a row`() {
    for burst in [1.0, 4] {
      var link = SimulatedLink(Path(loss: 0.1, burst: burst), seed: 5)
      let lost = (0..<100_000).map { link.send(byteCount: 100, now: .milliseconds($0)).first == nil }
      let share = Double(lost.count { $0 }) / 100_000
      let rows = zip([false] + lost, lost).count { !$0 && $1 }
      #expect(abs(share - 0.1) < 0.01)
      let length = Double(lost.count { $0 }) / Double(rows)
      #expect(abs(length - (burst == 1 ? 1.11 : 4)) < 0.2)
    }
  }
}
