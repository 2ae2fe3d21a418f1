package import PluginKit

/// Everything that happens to a swarm from outside: a scenario with its dice thrown.
///
/// All engines run the same plan, and nothing in it depends on the topology.
package struct Plan: Hashable, Sendable {
  package var scenario: Scenario
  package var seed: UInt64
  /// The source first; peer `n` is `peers[n]`.
  package var peers: [Planned]
  /// In the order of time.
  package var changes: [Change]

  /// One peer's part.
  package struct Planned: Hashable, Sendable {
    package var role: Role
    package var joins: Duration
    /// When it goes; `nil` when it stays to the end.
    package var goes: Duration?
    /// Whether it says goodbye then.
    package var isGraceful: Bool
    package var access: Access
    package var behaviour: Behaviour
    /// Its number among the scenario's groups; 0 for the source.
    package var group: Int
    package var place: Place

    package init(
      role: Role = .relay,
      joins: Duration,
      goes: Duration? = nil,
      isGraceful: Bool = false,
      access: Access,
      behaviour: Behaviour = .honest,
      group: Int = 0,
      place: Place = Place()
    ) {
      self.role = role
      self.joins = joins
      self.goes = goes
      self.isGraceful = isGraceful
      self.access = access
      self.behaviour = behaviour
      self.group = group
      self.place = place
    }
  }

  /// Where a peer lies: in the unit disc, or at a row of the matrix.
  package struct Place: Hashable, Sendable, BitwiseCopyable {
    package var x: Float = 0
    package var y: Float = 0
    package var row: Int32 = 0

    package init(x: Float = 0, y: Float = 0, row: Int32 = 0) {
      self.x = x
      self.y = y
      self.row = row
    }
  }

  /// A change that concerns more than one peer.
  package struct Change: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
      /// These peers are cut off from all others.
      case cut([Int])
      /// The cut ends.
      case heal
      case sourceUpload(UInt64)
      /// From now on the ways are like this.
      case weather(Weather)
      /// The source changes the topology of the swarm.
      case swap(to: Composition.Part)
    }

    package var at: Duration
    package var kind: Kind

    package init(at: Duration, _ kind: Kind) {
      self.at = at
      self.kind = kind
    }
  }

  package init(scenario: Scenario, seed: UInt64, peers: [Planned], changes: [Change] = []) {
    self.scenario = scenario
    self.seed = seed
    self.peers = peers
    self.changes = changes
  }

  /// What the topology is changed to, in the order of time.
  package var swaps: [(at: Duration, to: Composition.Part)] {
    changes.compactMap { change in
      if case .swap(let part) = change.kind { (change.at, part) } else { nil }
    }
  }

  /// One way from a peer to another, without jitter, in nanoseconds.
  package func latency(_ from: Int, _ to: Int) -> Int64 {
    let here = peers[from].place
    let there = peers[to].place
    switch scenario.latency {
    case .disc(let least, let greatest):
      let x = Double(here.x - there.x)
      let y = Double(here.y - there.y)
      let part = min(1, (x * x + y * y).squareRoot() / 2)
      return least.nanoseconds + Int64(part * Double(greatest.nanoseconds - least.nanoseconds))
    case .matrix(let rows): return rows[Int(here.row)][Int(there.row)].nanoseconds
    }
  }
}
