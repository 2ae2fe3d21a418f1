import PluginKit

// How a chunk goes on, and how a newcomer gets what was before it.
extension Seeded {
  /// A chunk that waited longer for its list is not passed on any more.
  private static let holdTime: Duration = .seconds(1)
  /// How long it is from one request for some of it to the next.
  private static let backlogPause: Duration = .milliseconds(40)
  /// How many times as fast as the stream it is fetched.
  private static let haste = 1.5

  mutating func receive(_ arrival: ChunkArrival, _ context: inout TopologyContext) {
    let chunk = arrival.chunk
    if let retirement, chunk >= retirement { return }
    guard role != .source else {
      // What comes back to the source is not begun again.
      if arrival.from == context.peer(for: context.me) { stamp(chunk, &context) }
      return
    }
    heard(arrival.from)
    mending.arrived(chunk, isAnswer: arrival.note == 0, now: context.now)
    let version = arrival.note
    // What came because it was asked for is not passed on; what comes twice down the tree is passed on once.
    let place = Int(chunk % UInt64(Self.passedLimit))
    guard version != 0, passed[place] != chunk else { return }
    passed[place] = chunk
    if version > roll.version {
      want(from: arrival.from, &context)
      if held.count >= Self.heldLimit { held.removeFirst() }
      held.append((chunk, version, context.now))
    } else {
      passOn(chunk, version, &context)
    }
  }

  /// At the source: a chunk takes the tree of the newest list that has had time to go round.
  private mutating func stamp(_ chunk: UInt64, _ context: inout TopologyContext) {
    while versions.count > 1, versions[1].at <= context.now { versions.removeFirst() }
    guard let version = versions.first, version.at <= context.now else { return }
    passOn(chunk, version.version, &context)
  }

  private func passOn(_ chunk: UInt64, _ version: UInt64, _ context: inout TopologyContext) {
    guard let grown = grown.last(where: { $0.version == version }) else { return }
    for peer in receivers(of: chunk, in: grown, now: context.now) {
      context.emit(.push(chunk: chunk, to: peer, note: version))
    }
  }

  /// The list has changed: what waited for it goes on.
  mutating func release(_ context: inout TopologyContext) {
    guard !held.isEmpty else { return }
    let ready = held.filter { $0.version <= roll.version }
    held.removeAll { $0.version <= roll.version }
    for chunk in ready where context.now - chunk.at <= Self.holdTime {
      passOn(chunk.chunk, chunk.version, &context)
    }
  }

  // MARK: What did not come

  mutating func note(_ have: Advertisement) {
    if role != .source, have.peer != source { mending.note(have) }
  }

  mutating func mend(_ context: inout TopologyContext) {
    guard role != .source, !isLeaving else { return }
    let isMender = source.flatMap { ids[$0] }.flatMap { links[$0]?.isSpare } ?? false
    let requests = mending.requests(
      among: spares(now: context.now),
      source: isMender ? source : nil,
      now: context.now,
      random: &context.random
    ) { [context] chunk in context.has(chunk) }
    for request in requests { context.emit(.request(request.chunk...request.chunk, from: request.peer)) }
    setMendTimer(&context)
  }

  mutating func setMendTimer(_ context: inout TopologyContext) {
    guard let next = mending.next.map({ max($0, context.now + .milliseconds(5)) }),
      mendTime.map({ next < $0 }) ?? true
    else { return }
    mendTime = next
    context.emit(.setTimer(Clock.mend.rawValue, at: next))
  }

  /// Those that answer our requests, without the source.
  private func spares(now: Duration) -> [PeerRef] {
    roll.entries.compactMap { entry in
      guard entry.number > 0, let link = links[entry.contact.id], link.isSpare, link.silentUntil <= now
      else { return nil }
      return link.peer
    }
  }

  // MARK: What was before

  /// Chunks a second.
  private func chunks(_ context: TopologyContext) -> Double {
    Double(context.stream.rate) / Double(max(context.stream.chunkSize, 1) * 8)
  }

  /// What the first whom we ask for anything holds from its newest entry on is fetched, and what was published since we
  /// came; what comes after that is pushed, or missing.
  mutating func begin(from entry: UInt64, to last: UInt64, _ context: inout TopologyContext) {
    guard !hasBegun, context.window.last == nil, last - entry < context.window.size else { return }
    hasBegun = true
    let count = UInt64(min(context.now - began, .seconds(1)) / .seconds(1) * chunks(context))
    backlog = min(entry, last - min(last, count))...last
    mending.begin(after: last)
    context.emit(.setTimer(Clock.backlog.rawValue, at: context.now))
  }

  /// Some of it at a time, each from another, so that nobody's upload is taken away from those it feeds.
  mutating func fetchBacklog(_ context: inout TopologyContext) {
    guard let range = backlog, !isLeaving else { return }
    let able = spares(now: context.now)
    context.emit(.setTimer(Clock.backlog.rawValue, at: context.now + Self.backlogPause))
    guard !able.isEmpty else {
      if range.upperBound + context.window.size < context.window.last ?? 0 { backlog = nil }
      return
    }
    let step = UInt64(max(1, chunks(context) * (Self.backlogPause / .seconds(1)) * Self.haste))
    let last = min(range.upperBound, range.lowerBound + step - 1)
    let peer = able[Int.random(in: able.indices, using: &context.random)]
    context.emit(.request(range.lowerBound...last, from: peer))
    backlog = last < range.upperBound ? last + 1...range.upperBound : nil
    if backlog == nil { context.emit(.cancelTimer(Clock.backlog.rawValue)) }
  }
}
