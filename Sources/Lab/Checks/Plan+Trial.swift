internal import PluginKit

/// Random worlds in which topologies are tried: most are small, since most mistakes show in small ones.
///
/// In the ramp of a trial everything goes wrong; from its end on nothing does, and the topology has the time to settle. The
/// chunks of the measured phase must then reach everybody.
extension Plan {
  /// After the last fault everybody must be fed again within this time.
  package static let convergence = Duration.seconds(15)
  /// The faults of a trial lie within this time.
  private static let turmoil = Duration.seconds(10)
  /// Even a chain of all peers is not longer than this.
  private static let greatestWay = Duration.milliseconds(1500)
  /// Fifty chunks a second.
  static let trialStream = Scenario.Stream(rate: 526_400)
  /// What carries one copy of the stream, with what repair and acknowledgements take.
  private static let leastUpload = 1.6
  /// What carries two.
  private static let forkingUpload = 3.2

  /// A world to try a topology in; the same for the same seed.
  package static func trial(seed: UInt64) -> Plan {
    var random = Dice(seed: seed).stream(.trial)
    let count = Self.count(&random)
    let slowest = min(.milliseconds(150), greatestWay / count - .milliseconds(20))
    let greatest = Duration.milliseconds(2) + random.time(below: slowest)
    let jitter = random.part() < 0.3 ? random.time(below: .milliseconds(10)) : .zero
    let scenario = Scenario(
      name: "trial",
      stream: trialStream,
      source: Access(upload: upload(1.6...6, &random)),
      groups: [Scenario.Group(access: Access(upload: upload(1.6...6, &random)))],
      count: count,
      latency: .disc(
        least: .milliseconds(1) + random.time(below: greatest - .milliseconds(1)),
        greatest: greatest
      ),
      weather: Weather(jitter: jitter)
    )
    var plan = Plan(
      scenario: scenario,
      seed: seed,
      peers: [Planned(role: .source, joins: .zero, access: scenario.source, place: place(&random))]
    )
    plan.addPeers(count, &random)
    plan.addFaults(&random)
    plan.beginCalm()
    return plan
  }

  /// Whether every peer can carry a copy for somebody, and can be reached; else some topologies cannot feed all.
  package var isAmple: Bool { everybodyUploads(Self.leastUpload) }

  /// Whether every peer can carry two.
  var isForking: Bool { everybodyUploads(Self.forkingUpload) }

  private func everybodyUploads(_ factor: Double) -> Bool {
    let least = UInt64(factor * Double(scenario.stream.rate))
    return peers.allSatisfy { $0.role != .leaf && $0.access.nat == .open && $0.access.upload >= least }
      && changes.allSatisfy { change in
        if case .sourceUpload(let upload) = change.kind { upload >= least } else { true }
      }
  }

  /// Ends the faults with the last one that there is.
  mutating func beginCalm() {
    let last = (peers.map(\.joins) + peers.compactMap(\.goes) + changes.map(\.at)).max() ?? .zero
    scenario.phases = Scenario.Phases(
      ramp: last,
      settle: Self.convergence,
      measure: .seconds(3),
      drain: scenario.stream.deadline
    )
  }

  // MARK: The dice

  private static func count(_ random: inout RandomSource) -> Int {
    let roll = random.part()
    let range = roll < 0.6 ? 1...4 : roll < 0.85 ? 3...8 : roll < 0.97 ? 6...12 : 12...24
    return Int.random(in: range, using: &random)
  }

  private static func upload(_ factors: ClosedRange<Double>, _ random: inout RandomSource) -> UInt64 {
    let factor = factors.lowerBound + random.part() * (factors.upperBound - factors.lowerBound)
    return UInt64((factor * 10).rounded(.up) / 10 * Double(trialStream.rate))
  }

  private static func place(_ random: inout RandomSource) -> Place {
    let (x, y) = random.pointInDisc()
    return Place(x: x, y: y)
  }

  private mutating func addPeers(_ count: Int, _ random: inout RandomSource) {
    // All at once, close together, or far apart.
    let ramp = ([.zero, .seconds(1), Self.turmoil] as [Duration]).randomElement(using: &random) ?? .zero
    let isPoor = random.part() < 0.2
    for _ in 0..<count {
      var peer = Planned(
        joins: .milliseconds(100) + random.time(below: ramp),
        access: Access(upload: Self.upload(Self.leastUpload...6, &random)),
        place: Self.place(&random)
      )
      if isPoor, random.part() < 0.4 {
        switch random.next() % 3 {
        case 0: peer.role = .leaf
        case 1: peer.access.nat = .restricted
        default: peer.access.upload = Self.upload(0.1...1.5, &random)
        }
      }
      peers.append(peer)
    }
  }

  private mutating func addFaults(_ random: inout RandomSource) {
    let departures = ([0, 0, 0.2, 0.6] as [Double]).randomElement(using: &random) ?? 0
    let together = random.part() < 0.3 ? Self.turmoil / 2 + random.time(below: Self.turmoil / 2) : nil
    for index in peers.indices.dropFirst() where random.part() < departures {
      let joins = peers[index].joins
      // Some go before they have found their place.
      let stay = random.part() < 0.2 ? Duration.milliseconds(500) : Self.turmoil - joins + .seconds(1)
      let goes = joins + .milliseconds(1) + random.time(below: stay)
      peers[index].goes = together.map { max($0, joins + .milliseconds(1)) } ?? goes
      peers[index].isGraceful = random.part() < 0.5
    }
    if random.part() < 0.2 {
      let cut = peers.indices.dropFirst().filter { _ in random.part() < 0.4 }
      let start = Duration.milliseconds(200) + random.time(below: Self.turmoil / 2)
      if !cut.isEmpty {
        changes.append(Change(at: start, .cut(cut)))
        changes.append(Change(at: start + .milliseconds(100) + random.time(below: .seconds(8)), .heal))
      }
    }
    if random.part() < 0.25 {
      let start = random.time(below: Self.turmoil / 2)
      let loss = 0.01 + random.part() * 0.2
      let bad = Weather(loss: loss, burst: 1 + random.part() * 4, jitter: scenario.weather.jitter)
      changes.append(Change(at: start, .weather(bad)))
      changes.append(
        Change(at: start + .seconds(1) + random.time(below: Self.turmoil / 2), .weather(scenario.weather))
      )
    }
    if random.part() < 0.1 {
      let upload = Self.upload(Self.leastUpload...6, &random)
      changes.append(Change(at: random.time(below: Self.turmoil), .sourceUpload(upload)))
    }
    changes.sort { $0.at < $1.at }
  }
}
