import PluginKit

// How a chunk goes round: cut, delegate, and see to it that nobody is left out.
extension Chord {
  /// Logarithms of 2 to 16: what a fan-out saves in steps.
  private static let logarithms = [
    0.693, 1.099, 1.386, 1.609, 1.792, 1.946, 2.079, 2.197, 2.303, 2.398, 2.485, 2.565, 2.639, 2.708, 2.773,
  ]
  /// A request is for so many chunks at most while the past is fetched, and this is how long it is to the next.
  private static let backlogStep: UInt64 = 8
  private static let backlogPause = Duration.milliseconds(40)
  /// So much of the past is fetched at least, that there is an entry in it, and at most.
  private static let past = Duration.milliseconds(1200)...Duration.seconds(3)
  /// So many neighbours on each side are in most sections in which we are.
  private static let sharedLot = 3

  // MARK: Chunks

  mutating func receive(_ arrival: ChunkArrival, isNew: Bool, _ context: inout TopologyContext) {
    let chunk = arrival.chunk
    if let retirement, chunk >= retirement { return }
    guard role != .source else {
      // What comes back to it is not begun again.
      if isNew { begin(chunk, &context) }
      return
    }
    if let sender = member(arrival.from) { members[sender].isSilent = false }
    if isNew {
      lastNews = context.now
      expect(chunk, &context)
    }
    if isNew, firstChunk == nil {
      firstChunk = chunk
      planBacklog(before: chunk, &context)
    }
    guard arrival.note != 0 else { return }
    if isNew { patience.came(chunk, now: context.now) }
    // Nobody is made to delegate a chunk twice, whatever he is sent.
    let place = Int(chunk % UInt64(Self.handledLimit))
    guard handled[place] != chunk else { return }
    handled[place] = chunk
    delegate(chunk, Section(note: arrival.note), &context)
  }

  /// At the source: the whole ring, cut open before the place of the chunk's hash.
  private mutating func begin(_ chunk: UInt64, _ context: inout TopologyContext) {
    guard !isLeaving else { return }
    var hash = RandomSource(seed: chunk)
    let section = Section(ringFrom: UInt32(truncatingIfNeeded: hash.next()))
    let limit = max(
      1,
      min(fanout, Int(0.95 / max(allowance.time(of: context.stream) * chunks(context), 1e-9)))
    )
    delegate(chunk, section, &context, from: section.first &- 1, limit: limit)
  }

  /// Chunks a second.
  private func chunks(_ context: TopologyContext) -> Double {
    Double(context.stream.rate) / Double((context.stream.chunkSize + 102) * 8)
  }

  /// Among how many on each side nobody is unknown; the source knows all, or some who stand anywhere.
  private func near(_ count: Int) -> Int {
    guard role == .source else { return neighbours }
    return count < Self.entryLimit * 3 / 4 ? count : 0
  }

  /// Cuts a section among those known there, who are counted from the own place or another.
  private mutating func delegate(
    _ chunk: UInt64,
    _ section: Section,
    _ context: inout TopologyContext,
    from origin: UInt32? = nil,
    limit: Int? = nil
  ) {
    let origin = origin ?? context.me.id.place
    let live = members.filter(\.isLive).sorted { $0.place &- origin < $1.place &- origin }
    let division = Division(
      places: live.map { $0.place &- origin },
      weights: live.map { weight($0, context) * UInt64($0.willingness) },
      near: near(live.count)
    )
    let parts = section.parts(from: origin)
    let populations = parts.map { division.population(of: $0) }
    let total = populations.reduce(0, +)
    guard total > 0 else { return }
    let available = allowance.available(context.stream, now: context.now, limit: 2 * fanout)
    var count = limit ?? max(1, min(bestFanout(context), available))
    var rest = total
    var lot = RandomSource(seed: chunk ^ context.me.id.ring)
    var spent = 0
    for (part, population) in zip(parts, populations) where population > 0 {
      let share = max(1, Int((Double(count) * population / rest).rounded()))
      for piece in division.pieces(of: part, count: share, lot: &lot) {
        let section = Section(piece.range.lowerBound &+ origin, piece.range.upperBound &+ origin)
        push(chunk, to: live[piece.delegate].peer, section, &context)
        spent += 1
      }
      count -= share
      rest -= population
    }
    if section.contains(origin), !section.isSingle {
      for twin in live where twin.place == origin {
        push(chunk, to: twin.peer, Section(origin, origin), &context)
        spent += 1
      }
    }
    allowance.spend(spent, limit: fanout)
    burden.add(spent)
  }

  private mutating func push(
    _ chunk: UInt64,
    to peer: PeerRef,
    _ section: Section,
    _ context: inout TopologyContext
  ) {
    context.emit(.push(chunk: chunk, to: peer, note: section.note))
    let delegation = Delegation(chunk: chunk, peer: peer, section: section, at: context.now)
    if delegations.count < Self.delegationLimit {
      delegations.append(delegation)
    } else {
      delegations[nextDelegation] = delegation
      nextDelegation = (nextDelegation + 1) % Self.delegationLimit
    }
  }

  /// What a member can send, in sixteenths of the stream.
  func weight(_ member: Member, _ context: TopologyContext) -> UInt64 {
    min(member.upload, 1_000_000_000_000) * 16 / max(1, context.stream.rate)
  }

  /// The fan-out with which a section is through soonest: many at once save steps, but wait for each other.
  private func bestFanout(_ context: TopologyContext) -> Int {
    let sending = allowance.time(of: context.stream)
    var latency = 0.0
    for member in members { latency += member.roundTrip / .seconds(2) }
    latency = members.isEmpty ? 0.03 : max(0.002, latency / Double(members.count))
    var best = 2
    var least = Double.infinity
    for count in 2...fanout {
      let time = (latency + sending * Double(count) * 0.75) / Self.logarithms[count - 2]
      if time < least {
        least = time
        best = count
      }
    }
    return best
  }

  // MARK: Delegates that fail

  mutating func notice(silence time: Duration, of peer: PeerRef, _ context: inout TopologyContext) {
    guard let index = member(peer) else { return }
    members[index].isSilent = true
    let since = context.now - time - members[index].roundTrip
    handOver(from: peer, since: since, &context)
    restlessUntil = context.now + .seconds(2)
  }

  /// What somebody was to spread is cut anew among the others there; where nobody else is known, the next one on the ring
  /// is asked to, who knows more.
  mutating func handOver(from peer: PeerRef, since: Duration, _ context: inout TopologyContext) {
    guard !isLeaving else { return }
    let oldest = max(since, context.now - .seconds(1))
    var failed: [Delegation] = []
    for index in delegations.indices where delegations[index].peer == peer {
      if delegations[index].at >= oldest { failed.append(delegations[index]) }
      delegations[index].at = .zero - .seconds(1)
    }
    let origin = context.me.id.place
    for delegation in failed where context.has(delegation.chunk) {
      let section = delegation.section
      if members.contains(where: { $0.isLive && section.contains($0.place) }) {
        delegate(delegation.chunk, section, &context)
      } else if !isNear(section, origin), let next = successor(of: section.last) {
        push(delegation.chunk, to: next, section, &context)
      }
    }
  }

  /// Whether a section lies among our neighbours, so that nobody unknown lives there.
  private func isNear(_ section: Section, _ origin: UInt32) -> Bool {
    let live = members.filter(\.isLive)
    guard live.count > 2 * neighbours else { return true }
    let ahead = live[neighbours - 1].place &- origin
    let behind = live[live.count - neighbours].place &- origin
    return section.parts(from: origin).allSatisfy { $0.upperBound <= ahead || $0.lowerBound >= behind }
  }

  private func successor(of place: UInt32) -> PeerRef? {
    members.filter(\.isLive).min { $0.place &- place < $1.place &- place }?.peer
  }

  // MARK: Chunks that are missing

  /// What lies between the newest chunk so far and one that is newer was overtaken.
  private mutating func expect(_ chunk: UInt64, _ context: inout TopologyContext) {
    guard let newest else {
      newest = chunk
      return
    }
    guard chunk > newest else { return }
    self.newest = chunk
    guard chunk > newest + 1 else { return }
    let first = max(newest + 1, chunk - min(chunk, UInt64(Patience.limit)))
    patience.wait(for: first...(chunk - 1), now: context.now)
    setGapTimer(&context)
  }

  private mutating func setGapTimer(_ context: inout TopologyContext) {
    guard let due = patience.due, gapTimer.map({ due < $0 }) ?? true else { return }
    gapTimer = due
    context.emit(.setTimer(Clock.gaps.rawValue, at: due))
  }

  mutating func retry(
    _ chunks: ClosedRange<UInt64>,
    _ context: inout TopologyContext
  ) {
    // The answer may only be late, and who cannot be asked now may be asked later.
    patience.waitAgain(for: chunks, now: context.now)
    setGapTimer(&context)
  }

  mutating func askForOverdue(_ context: inout TopologyContext) {
    gapTimer = nil
    for chunks in patience.overdue(now: context.now) {
      var first = chunks.lowerBound
      while first <= chunks.upperBound {
        var end = first
        while end <= chunks.upperBound, !context.has(end) { end += 1 }
        if end > first { ask(for: first...(end - 1), &context) }
        first = end + 1
      }
    }
    setGapTimer(&context)
  }

  /// Asks somebody who answers, drawn by upload; neighbours, who miss what we miss, only when there is nobody else.
  mutating func ask(
    for chunks: ClosedRange<UInt64>,
    _ context: inout TopologyContext
  ) {
    guard role != .source, !isLeaving else { return }
    // What is too old is of no use to a player, and perhaps nobody has it any more.
    let age = UInt64(Self.past.upperBound / .seconds(1) * self.chunks(context))
    let newest = context.window.last ?? 0
    let oldestChunk = max(chunks.lowerBound, newest - min(age, newest))
    guard oldestChunk <= chunks.upperBound else { return }
    let chunks = oldestChunk...chunks.upperBound
    let near = min(Self.sharedLot, members.count)
    let others = members.dropFirst(near).dropLast(near).filter { $0.answers && $0.isLive }
    var able = others.count > 1 ? others : members.filter { $0.answers && !$0.isSilent }
    let oldest = context.now - Self.past.upperBound
    if able.contains(where: { $0.began < oldest }) { able.removeAll { $0.began >= oldest } }
    if able.contains(where: { $0.upload > 0 }) { able.removeAll { $0.upload == 0 } }
    guard !able.isEmpty else { return }
    var total: UInt64 = 0
    for member in able { total += weight(member, context) + 1 }
    var rest = context.random.next() % total
    for member in able {
      let weight = weight(member, context) + 1
      guard rest >= weight else {
        context.emit(.request(chunks, from: member.peer))
        return
      }
      rest -= weight
    }
  }

  /// A newcomer fetches what was published since it came.
  private mutating func planBacklog(before chunk: UInt64, _ context: inout TopologyContext) {
    let time = min(max(context.now - began, Self.past.lowerBound), Self.past.upperBound)
    let count = min(UInt64(time / .seconds(1) * chunks(context)), max(1, context.window.size), chunk)
    guard count > 0 else { return }
    backlog = (chunk - count)...(chunk - 1)
    context.emit(.setTimer(Clock.backlog.rawValue, at: context.now))
  }

  mutating func fetchBacklog(_ context: inout TopologyContext) {
    guard let range = backlog else { return }
    context.emit(.setTimer(Clock.backlog.rawValue, at: context.now + Self.backlogPause))
    guard members.contains(where: \.answers) else {
      if context.now - began > .seconds(10) { backlog = nil }
      return
    }
    let last = min(range.upperBound, range.lowerBound + Self.backlogStep - 1)
    ask(for: range.lowerBound...last, &context)
    backlog = last < range.upperBound ? last + 1...range.upperBound : nil
    if backlog == nil { context.emit(.cancelTimer(Clock.backlog.rawValue)) }
  }
}

extension PeerID {
  /// The upper half of ``ring``.
  var place: UInt32 { UInt32(truncatingIfNeeded: ring >> 32) }
}
