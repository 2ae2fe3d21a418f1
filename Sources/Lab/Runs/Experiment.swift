package import PluginKit

/// Scenario × compositions × seeds: what one command runs.
package struct Experiment: Sendable {
  /// How closely the world is simulated.
  package enum Fidelity: String, Hashable, Sendable, CaseIterable {
    /// Plugins alone over a link model: fast.
    case chunk
    /// The product's own peers, datagram by datagram.
    case packet

    /// What who reads the figures should know about how they were found.
    package var remark: String? {
      switch self {
      case .chunk: nil
      case .packet:
        "At packet fidelity a keyed checksum stood for signatures: the first peer that got a chunk checked its signature, "
          + "the others recognised by the checksum what had been found genuine."
      }
    }
  }

  /// The most peers of which a film of the first seed's run is made.
  static let filmLimit = 500

  package typealias MakeTopology =
    @Sendable (_ name: String, _ parameters: String) throws(ParameterError) -> any Topology

  /// One run, by its place in ``compositions`` and its seed.
  package struct Job: Hashable, Sendable {
    package var composition: Int
    package var seed: UInt64

    package init(composition: Int, seed: UInt64) {
      self.composition = composition
      self.seed = seed
    }
  }

  package var scenario: Scenario
  package var compositions: [Composition]
  package var seeds: ClosedRange<UInt64>
  package var fidelity: Fidelity
  /// What is run instead of plans of the scenario; then the seed only changes what is left to chance on the way.
  package var recorded: Plan?

  package init(
    scenario: Scenario,
    compositions: [Composition],
    seeds: ClosedRange<UInt64>,
    fidelity: Fidelity = .chunk
  ) {
    self.scenario = scenario
    self.compositions = compositions
    self.seeds = seeds
    self.fidelity = fidelity
  }

  /// All runs; each seed with every composition before the next seed, so that what is finished early can be compared.
  package var jobs: [Job] {
    seeds.flatMap { seed in compositions.indices.map { Job(composition: $0, seed: seed) } }
  }

  /// What happens in the world of a seed.
  package func plan(seed: UInt64) -> Plan {
    guard var plan = recorded else { return Plan(scenario, seed: seed) }
    plan.seed = seed
    return plan
  }

  /// Does one run; the same for the same job, wherever and beside whatever it runs.
  ///
  /// `goesOn` hears, every second of virtual time, which part is done, and says whether to go on.
  ///
  /// - Returns: what it showed; nil when it was broken off.
  /// - Throws: why the composition cannot run in this world, as a sentence.
  package func run(
    _ job: Job,
    makeTopology: @escaping MakeTopology,
    goesOn: (_ part: Double) -> Bool
  ) throws -> ReportLine.Run? {
    let plan = plan(seed: job.seed)
    let composition = compositions[job.composition]
    guard goesOn(0) else { return nil }
    let measurement: Measurement
    var film: TreeFilm?
    switch fidelity {
    case .chunk:
      var world = try ChunkWorld(plan, composition, makeTopology: makeTopology)
      let isFilmed = job.seed == seeds.lowerBound && plan.peers.count <= Self.filmLimit
      if isFilmed { world.changes = [] }
      guard advance(goesOn, { world.run(until: $0) }) else { return nil }
      measurement = world.run()
      if let peer = world.spinning { throw Spinning(peer: peer, time: world.now) }
      film = world.changes.map { TreeFilm(composition.name, plan, changes: $0) }
    case .packet:
      let world = try PacketRun(plan, composition, makeTopology: makeTopology)
      guard advance(goesOn, { world.run(until: $0) }) else { return nil }
      measurement = try world.run()
    }
    var run = ReportLine.Run(seed: job.seed, measurement: measurement, bound: ReportLine.Bound(Bounds(plan)))
    run.film = film
    return run
  }

  private func advance(_ goesOn: (_ part: Double) -> Bool, _ run: (Duration) -> Void) -> Bool {
    var time = Duration.zero
    while time < scenario.phases.end {
      time += .seconds(1)
      run(min(time, scenario.phases.end))
      guard goesOn(min(1, time / scenario.phases.end)) else { return false }
    }
    return true
  }
}
