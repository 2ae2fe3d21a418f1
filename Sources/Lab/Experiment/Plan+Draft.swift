internal import Glibc
internal import PluginKit

extension Plan {
  /// The most peers in a plan; those who would come after are left out.
  package static let limit = 4_000_000

  /// Throws the dice of a scenario: the same for the same scenario and seed.
  package init(_ scenario: Scenario, seed: UInt64) {
    var draft = Draft(scenario, seed: seed)
    draft.play()
    self.init(scenario: scenario, seed: seed, peers: draft.peers, changes: draft.changes)
    sort()
  }

  /// Numbers the peers in the order in which they join.
  private mutating func sort() {
    let order = peers.indices.dropFirst().sorted { (peers[$0].joins, $0) < (peers[$1].joins, $1) }
    var places = [Int](repeating: 0, count: peers.count)
    for (place, peer) in order.enumerated() { places[peer] = place + 1 }
    peers = [peers[0]] + order.map { peers[$0] }
    changes = changes.map { change in
      guard case .cut(let members) = change.kind else { return change }
      return Change(at: change.at, .cut(members.map { places[$0] }.sorted()))
    }
  }
}

/// A plan in the making: comings and goings are played in the order of time, since who is there decides who can go.
private struct Draft {
  private enum Event {
    case join(Int)
    /// Its life is over.
    case go(Int)
    case happening(Int)
    /// Comings (+1) and goings (-1) of a tide.
    case tide(Int, number: Int)
    case heal
  }

  /// Somebody who comes for another does so within this time.
  private static let replacementDelay = Duration.seconds(1)
  /// How often a tide is looked at.
  private static let tideStep = Duration.milliseconds(50)

  let scenario: Scenario
  private(set) var peers: [Plan.Planned] = []
  private(set) var changes: [Plan.Change] = []
  private let dice: Dice
  private var events = EventQueue<Event>()
  /// Who takes part now, in no particular order, and where each peer stands in it.
  private var present: [Int] = []
  private var standing: [Int?] = [nil]
  /// How many groups were dealt so far; each dealing shuffles anew.
  private var dealings = 0

  init(_ scenario: Scenario, seed: UInt64) {
    self.scenario = scenario
    dice = Dice(seed: seed)
    peers.append(Plan.Planned(role: .source, joins: .zero, access: scenario.source, place: place(0)))
    arrive(scenario.count, from: .zero, over: scenario.phases.ramp, stream: dice.stream(.arrival))
    for (index, happening) in scenario.happenings.enumerated() {
      events.schedule(.happening(index), at: happening.at)
    }
  }

  mutating func play() {
    while let (event, now) = events.popFirst(), now < scenario.phases.end {
      switch event {
      case .join(let peer):
        standing[peer] = present.count
        present.append(peer)
      case .go(let peer):
        // Somebody else's event may have ended it before.
        guard standing[peer] != nil, peers[peer].goes?.nanoseconds == now.nanoseconds else { continue }
        take(peer)
        if scenario.churn?.isReplaced == true { replace(peer, now) }
      case .happening(let index): happen(index, now)
      case .tide(let index, let number): ebbAndFlow(index, number, now)
      case .heal: changes.append(Plan.Change(at: now, .heal))
      }
    }
    for peer in peers.indices {
      if let goes = peers[peer].goes, goes >= scenario.phases.end { peers[peer].goes = nil }
    }
  }

  // MARK: Coming

  private mutating func arrive(_ count: Int, from start: Duration, over time: Duration, stream: RandomSource)
  {
    var random = stream
    let times = (0..<max(0, count)).map { _ in start + random.time(below: time) }.sorted()
    for (time, group) in zip(times, deal(count)) { add(group: group, joins: time) }
  }

  /// The groups of so many peers: exactly their shares, in random order.
  private mutating func deal(_ count: Int) -> [Int] {
    var random = dice.stream(.group, dealings)
    dealings += 1
    var groups: [Int] = []
    groups.reserveCapacity(max(0, count))
    var share = 0.0
    for (index, group) in scenario.groups.enumerated() {
      share += group.share
      let end = index == scenario.groups.count - 1 ? count : Int((share * Double(count)).rounded())
      while groups.count < min(end, count) { groups.append(index) }
    }
    groups.shuffle(using: &random)
    return groups
  }

  private mutating func add(group index: Int, joins: Duration) {
    guard peers.count < Plan.limit, joins < scenario.phases.end else { return }
    let number = peers.count
    let group = scenario.groups[index]
    var peer = Plan.Planned(
      role: group.relays ? .relay : .leaf,
      joins: joins,
      access: group.access,
      behaviour: group.behaviour,
      group: index,
      place: place(number)
    )
    if let churn = scenario.churn {
      var life = dice.stream(.life, number)
      var manners = dice.stream(.manners, number)
      peer.goes = joins + max(.milliseconds(1), life.time(churn.life))
      peer.isGraceful = manners.part() < churn.graceful
    }
    peers.append(peer)
    standing.append(nil)
    events.schedule(.join(number), at: joins)
    if let goes = peer.goes { events.schedule(.go(number), at: goes) }
  }

  private func place(_ number: Int) -> Plan.Place {
    var random = dice.stream(.place, number)
    switch scenario.latency {
    case .disc:
      let (x, y) = random.pointInDisc()
      return Plan.Place(x: x, y: y)
    case .matrix(let rows):
      return Plan.Place(row: Int32(Int.random(in: 0..<max(1, rows.count), using: &random)))
    }
  }

  // MARK: Going

  /// Somebody of the same group comes shortly after.
  private mutating func replace(_ peer: Int, _ now: Duration) {
    var random = dice.stream(.replacement, peer)
    add(group: peers[peer].group, joins: now + random.time(below: Self.replacementDelay))
  }

  private mutating func take(_ peer: Int) {
    guard let place = standing[peer], let last = present.last else { return }
    present[place] = last
    standing[last] = place
    present.removeLast()
    standing[peer] = nil
  }

  /// Some who are there, each as likely as any other.
  private mutating func pick(_ count: Int, _ random: inout RandomSource) -> [Int] {
    for place in 0..<min(count, present.count) {
      let other = Int.random(in: place..<present.count, using: &random)
      present.swapAt(place, other)
      standing[present[place]] = place
      standing[present[other]] = other
    }
    return Array(present.prefix(count))
  }

  /// It goes at a time, unless its life ends before.
  private mutating func send(_ peer: Int, awayAt time: Duration, gracefully: Bool, _ now: Duration) {
    if let goes = peers[peer].goes, goes <= time { return }
    peers[peer].goes = time
    peers[peer].isGraceful = gracefully
    // From now on it is nobody whom another happening could take, and nobody comes for it.
    take(peer)
  }

  // MARK: Happenings

  private mutating func happen(_ index: Int, _ now: Duration) {
    var random = dice.stream(.happening, index)
    switch scenario.happenings[index].kind {
    case .crash(let part):
      for peer in pick(count(part), &random) { send(peer, awayAt: now, gracefully: false, now) }
    case .leave(let part, let time):
      for peer in pick(count(part), &random) {
        send(peer, awayAt: now + random.time(below: time), gracefully: true, now)
      }
    case .arrive(let count, let time): arrive(count, from: now, over: time, stream: random)
    case .partition(let part, let time):
      changes.append(Plan.Change(at: now, .cut(pick(count(part), &random))))
      if now + time < scenario.phases.end { events.schedule(.heal, at: now + time) }
    case .sourceUpload(let rate): changes.append(Plan.Change(at: now, .sourceUpload(rate)))
    case .tide(let part, let period, let time): plan(tide: index, part, period, time, now)
    case .swap(let part): changes.append(Plan.Change(at: now, .swap(to: part)))
    }
  }

  private func count(_ part: Double) -> Int { Int((part * Double(present.count)).rounded()) }

  private mutating func plan(
    tide index: Int,
    _ part: Double,
    _ period: Duration,
    _ time: Duration,
    _ now: Duration
  ) {
    var level = 0
    var elapsed = Duration.zero
    while elapsed < time, now + elapsed < scenario.phases.end {
      elapsed += Self.tideStep
      let height = sin(2 * Double.pi * (elapsed / period)) * part * Double(scenario.count)
      let next = Int(height.rounded())
      if next != level { events.schedule(.tide(index, number: next - level), at: now + elapsed) }
      level = next
    }
  }

  private mutating func ebbAndFlow(_ index: Int, _ number: Int, _ now: Duration) {
    var random = dice.stream(.happening, index &+ Int(now.nanoseconds))
    if number > 0 {
      arrive(number, from: now, over: Self.tideStep, stream: random)
    } else {
      for peer in pick(-number, &random) { send(peer, awayAt: now, gracefully: true, now) }
    }
  }
}
