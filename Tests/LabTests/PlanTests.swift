import Lab
import PluginKit
import Support
import Testing

/// What a scenario's dice may show, whatever the seed.
struct PlanTests {
  private static let seeds = 1...40 as ClosedRange<UInt64>

  private static func scenario(count: Int = 200) -> Scenario {
    Scenario(
      name: "mixed",
      source: Access(upload: 8_000_000),
      groups: [
        Scenario.Group(name: "strong", share: 0.2, access: Access(upload: 12_000_000)),
        Scenario.Group(name: "weak", share: 0.8, access: Access(upload: 1_800_000)),
      ],
      count: count
    )
  }

  private static func present(_ plan: Plan, at time: Duration) -> Int {
    plan.peers.dropFirst().count { $0.joins <= time && $0.goes.map { $0 > time } ?? true }
  }

  @Test(arguments: seeds) func `The same seed gives the same plan and another seed another`(seed: UInt64) {
    var scenario = Self.scenario()
    scenario.churn = Churn(life: .exponential(mean: .seconds(60)), graceful: 0.5)
    scenario.happenings = [Scenario.Happening(at: .seconds(30), .crash(part: 0.3))]
    #expect(Plan(scenario, seed: seed) == Plan(scenario, seed: seed))
    #expect(Plan(scenario, seed: seed) != Plan(scenario, seed: seed + 1))
  }

  @Test(arguments: seeds) func `Everybody arrives within the ramp, in order, and the shares are exact`(
    seed: UInt64
  ) {
    let plan = Plan(Self.scenario(count: 203), seed: seed)
    #expect(plan.peers.count == 204)
    #expect(plan.peers[0].role == .source && plan.peers[0].joins == .zero && plan.peers[0].goes == nil)
    let joins = plan.peers.dropFirst().map(\.joins)
    #expect(joins == joins.sorted())
    #expect(joins.allSatisfy { $0 >= .zero && $0 < .seconds(10) })
    // Not all in one half: the chance of that is 2^-200.
    #expect(joins.contains { $0 < .seconds(5) } && joins.contains { $0 >= .seconds(5) })
    #expect(plan.peers.dropFirst().count { $0.group == 0 } == 41)
    #expect(
      plan.peers.dropFirst().allSatisfy { $0.access.upload == ($0.group == 0 ? 12_000_000 : 1_800_000) }
    )
    // The strong are not those who came first.
    #expect(Set(plan.peers[1...41].map(\.group)).count == 2)
  }

  @Test func `Without a ramp all arrive at once`() {
    var scenario = Self.scenario()
    scenario.phases.ramp = .zero
    #expect(Plan(scenario, seed: 1).peers.allSatisfy { $0.joins == .zero })
  }

  @Test(arguments: seeds) func `What does not concern the places does not move them`(seed: UInt64) {
    let calm = Plan(Self.scenario(), seed: seed)
    var scenario = Self.scenario()
    scenario.weather = Weather(loss: 0.05)
    scenario.churn = Churn(life: .exponential(mean: .seconds(1000)), isReplaced: false)
    scenario.happenings = [Scenario.Happening(at: .seconds(30), .leave(part: 0.5, over: .seconds(10)))]
    let rough = Plan(scenario, seed: seed)
    #expect(calm.peers.map(\.place) == rough.peers.map(\.place))
    #expect(calm.peers.map(\.joins) == rough.peers.map(\.joins))
    #expect(calm.peers.map(\.group) == rough.peers.map(\.group))
  }

  @Test(arguments: seeds) func `Places fill the disc evenly, or are rows of the matrix`(seed: UInt64) {
    let plan = Plan(Self.scenario(count: 2000), seed: seed)
    let radii = plan.peers.map { $0.place.x * $0.place.x + $0.place.y * $0.place.y }
    #expect(radii.allSatisfy { $0 <= 1 })
    // Half of the area lies within the square radius 1/2; five deviations are 0.056.
    let inner = Double(radii.count { $0 < 0.5 }) / Double(radii.count)
    #expect(abs(inner - 0.5) < 0.056)
    for peer in 1...20 { #expect((10_000_000...60_000_000).contains(plan.latency(0, peer))) }

    var scenario = Self.scenario()
    scenario.latency = .matrix([[.zero, .milliseconds(5)], [.milliseconds(7), .zero]])
    let rows = Plan(scenario, seed: seed).peers.map(\.place.row)
    #expect(Set(rows) == [0, 1])
  }

  @Test(
    arguments: [
      Churn.Life.exponential(mean: .seconds(60)), .pareto(mean: .seconds(60), shape: 2.5),
      .lognormal(median: .seconds(60 / 1.6487), sigma: 1), .trace([.seconds(20), .seconds(100)]),
    ],
    [7, 8, 9] as [UInt64]
  ) func `Lives have the mean that was asked for`(life: Churn.Life, seed: UInt64) {
    var scenario = Self.scenario(count: 20_000)
    scenario.phases = Scenario.Phases(ramp: .zero, settle: .zero, measure: .seconds(100_000), drain: .zero)
    scenario.churn = Churn(life: life, isReplaced: false)
    let plan = Plan(scenario, seed: seed)
    let lives = plan.peers.dropFirst().map { (($0.goes ?? .seconds(100_000)) - $0.joins) / .seconds(1) }
    let mean = lives.reduce(0, +) / Double(lives.count)
    #expect(abs(mean - 60) < 3, "mean \(mean)")
  }

  @Test(arguments: seeds) func `Who goes is replaced by one of the same kind, so that the number stays`(
    seed: UInt64
  ) {
    var scenario = Self.scenario()
    scenario.churn = Churn(life: .exponential(mean: .seconds(20)), graceful: 0.25)
    let plan = Plan(scenario, seed: seed)
    let gone = plan.peers.count { $0.goes != nil }
    #expect(gone > 400)
    #expect(plan.peers.count - 201 <= gone && plan.peers.count - 201 > gone - 40)
    for second in 12..<84 {
      // About ten are on their way at a time: lives of 20 s, half a second of delay, 200 peers at most.
      let count = Self.present(plan, at: .seconds(second))
      #expect((175...200).contains(count), "second \(second)")
    }
    let graceful = Double(plan.peers.count { $0.goes != nil && $0.isGraceful }) / Double(gone)
    #expect(abs(graceful - 0.25) < 0.12)
    #expect(plan.peers.allSatisfy { $0.goes.map { $0 < scenario.phases.end } ?? true })
  }

  @Test(arguments: seeds) func `A crash takes its part of those who are there, at once and for good`(
    seed: UInt64
  ) {
    var scenario = Self.scenario()
    scenario.happenings = [Scenario.Happening(at: .seconds(40), .crash(part: 0.3))]
    let plan = Plan(scenario, seed: seed)
    let crashed = plan.peers.filter { $0.goes == .seconds(40) }
    #expect(crashed.count == 60)
    #expect(crashed.allSatisfy { !$0.isGraceful && $0.role != .source })
    #expect(plan.peers.count == 201)
  }

  @Test(arguments: seeds) func `Some leave properly within a time, and others arrive`(seed: UInt64) {
    var scenario = Self.scenario()
    scenario.happenings = [
      Scenario.Happening(at: .seconds(30), .arrive(count: 100, over: .seconds(5))),
      Scenario.Happening(at: .seconds(40), .leave(part: 0.5, over: .seconds(10))),
    ]
    let plan = Plan(scenario, seed: seed)
    let newcomers = plan.peers.filter { $0.joins >= .seconds(30) }
    #expect(newcomers.count == 100)
    #expect(newcomers.allSatisfy { $0.joins < .seconds(35) })
    #expect(newcomers.count { $0.group == 0 } == 20)
    let left = plan.peers.filter { $0.goes != nil }
    #expect(left.count == 150)
    #expect(left.allSatisfy { $0.isGraceful && (.seconds(40)..<(.seconds(50))).contains($0.goes ?? .zero) })
  }

  @Test(arguments: seeds) func `A partition cuts some off for its time, and the source is never among them`(
    seed: UInt64
  ) {
    var scenario = Self.scenario()
    scenario.churn = Churn(life: .exponential(mean: .seconds(30)))
    scenario.happenings = [
      Scenario.Happening(at: .seconds(40), .partition(part: 0.25, for: .seconds(10))),
      Scenario.Happening(at: .seconds(60), .sourceUpload(4_000_000)),
    ]
    let plan = Plan(scenario, seed: seed)
    #expect(plan.changes.map(\.at) == [.seconds(40), .seconds(50), .seconds(60)])
    guard case .cut(let members)? = plan.changes.first?.kind else {
      Issue.record("no cut")
      return
    }
    #expect(members.count == Int((Double(Self.present(plan, at: .seconds(40))) * 0.25).rounded()))
    #expect(!members.contains(0) && Set(members).count == members.count)
    for member in members {
      #expect(
        plan.peers[member].joins <= .seconds(40) && (plan.peers[member].goes ?? .seconds(99)) > .seconds(40)
      )
    }
    #expect(plan.changes[1].kind == .heal && plan.changes[2].kind == .sourceUpload(4_000_000))
  }

  @Test(arguments: seeds) func `A tide swells the swarm by its part and ebbs by as much`(seed: UInt64) {
    var scenario = Self.scenario()
    scenario.happenings = [
      Scenario.Happening(at: .seconds(20), .tide(part: 0.5, period: .seconds(40), for: .seconds(40)))
    ]
    let plan = Plan(scenario, seed: seed)
    #expect(abs(Self.present(plan, at: .seconds(30)) - 300) <= 2)
    #expect(abs(Self.present(plan, at: .seconds(40)) - 200) <= 2)
    #expect(abs(Self.present(plan, at: .seconds(50)) - 100) <= 2)
    #expect(abs(Self.present(plan, at: .seconds(61)) - 200) <= 2)
  }

  @Test func `A group that only watches has no relays`() {
    var scenario = Self.scenario()
    scenario.groups[1].relays = false
    let plan = Plan(scenario, seed: 3)
    #expect(plan.peers.dropFirst().allSatisfy { $0.role == ($0.group == 0 ? .relay : .leaf) })
  }
}
