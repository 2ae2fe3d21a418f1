import PluginKit

// Who is connected to whom: all on the list, the one who came first asking.
extension Seeded {
  private static let tickInterval: Duration = .milliseconds(250)
  /// How long an ask may take until somebody is asked again.
  private static let askTime: Duration = .seconds(3)
  /// So many members answer a peer's requests, and it those of so many others.
  private static let spares = 4
  private static let servedLimit = 16
  /// So many may ask the source itself for what nobody has.
  private static let menders = 8
  /// How long somebody is not pushed to who did not answer.
  private static let silence: Duration = .seconds(2)
  /// How many members a newcomer is told at first.
  private static let introductions = 3
  /// What stands in the ask of one who wants to be on the list.
  private static let registration: [UInt8] = [1]

  // MARK: Beginning and end

  mutating func start(_ role: Role, _ context: inout TopologyContext) {
    guard !isStarted else { return }
    isStarted = true
    self.role = role
    began = context.now
    if role == .leaf { upload = 0 }
    if role == .source {
      context.emit(.setTimer(Clock.list.rawValue, at: context.now))
    } else {
      context.emit(.discover(limit: 8))
      context.emit(.setTimer(Clock.tick.rawValue, at: context.now + Self.tickInterval))
    }
  }

  mutating func leave(_ context: inout TopologyContext) {
    isLeaving = true
    for link in links.values.sorted(by: { $0.peer < $1.peer }) {
      context.emit(.disconnect(link.peer, redirect: []))
    }
    for clock in [Clock.tick, .list, .backlog, .mend] { context.emit(.cancelTimer(clock.rawValue)) }
  }

  mutating func set(_ capacity: Capacity, _ context: inout TopologyContext) {
    let before = upload
    upload = role == .leaf ? 0 : UInt32(clamping: capacity.upload / 1000)
    if let source, upload != before {
      context.emit(.connect(source, .control, [], from: nil, note: Self.registration))
    }
  }

  /// In a swap: says once that there is a list to draw trees from.
  mutating func announce(_ context: inout TopologyContext) {
    guard let epoch = awaitedEpoch, roll.entries.count > 1 else { return }
    awaitedEpoch = nil
    context.emit(.ready(epoch: epoch))
  }

  // MARK: Asking

  /// Whoever is asked either is the source or knows it.
  mutating func register(with candidates: [Candidate], _ context: inout TopologyContext) {
    guard role != .source, source == nil, !isLeaving else { return }
    for candidate in candidates.prefix(3) {
      ask(candidate.peer, .control, note: Self.registration, &context)
    }
  }

  private mutating func ask(
    _ peer: PeerRef,
    _ purpose: Purpose,
    note: [UInt8] = [],
    _ context: inout TopologyContext
  ) {
    guard asked[peer] == nil, asked.count < Self.askedLimit, context.contact(of: peer)?.id != context.me.id
    else { return }
    asked[peer] = context.now
    context.emit(.connect(peer, purpose, [], from: nil, note: note))
  }

  /// Connects to those on the list whose turn it is not: who came first asks, and who cannot be asked asks.
  mutating func connect(to entries: [Roll.Entry], _ context: inout TopologyContext) {
    guard let grown = grown.last, role != .source, let own = grown.own else { return }
    let me = grown.entries[own]
    for entry in entries where entry.number > 0 && entry.number != me.number {
      let isMine = me.isReachable == entry.isReachable ? me.number < entry.number : entry.isReachable
      guard isMine, links[entry.contact.id] == nil else { continue }
      ask(context.peer(for: entry.contact), .control, &context)
    }
  }

  mutating func consider(_ ask: Inbound, _ context: inout TopologyContext) {
    guard let hello = ask.hello, ask.purpose != .data, !isLeaving,
      links[hello.id] != nil || links.count < Self.linksLimit
    else {
      context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
      return
    }
    let isRegistration = ask.note == Self.registration
    if role == .source {
      let served = links.values.count { $0.isServed }
      let hasRoom =
        isRegistration
        ? links[hello.id] != nil || registrar.count < limit : ask.purpose == .spare && served < Self.menders
      guard hasRoom else {
        context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
        return
      }
      if isRegistration {
        registrar.register(
          Contact(id: hello.id, address: hello.address),
          upload: UInt32(clamping: hello.capacity.upload / 1000),
          isReachable: hello.capacity.isReachable,
          now: context.now
        )
      }
      context.emit(.accept(ask.peer, ask.stripes, note: isRegistration ? introduction(&context) : []))
      return
    }
    let served = links.values.count { $0.isServed }
    guard !isRegistration, ask.purpose == .control || served < Self.servedLimit else {
      context.emit(.refuse(ask.peer, ask.stripes, redirect: isRegistration ? source.map { [$0] } ?? [] : []))
      return
    }
    // Where a newcomer can begin.
    var note: [UInt8] = []
    if ask.purpose == .spare, let entry = context.window.newestEntry, let last = context.window.last,
      entry <= last, last - entry < Message.windowLimit
    {
      note = Message.window(entry: entry, last: last).encoded
    }
    context.emit(.accept(ask.peer, ask.stripes, note: note))
  }

  /// Some who know the list, so that not every newcomer asks the source for it.
  private func introduction(_ context: inout TopologyContext) -> [UInt8] {
    var able = roll.entries.filter { $0.number > 0 && $0.upload > 0 && $0.isReachable }
    var some: [Roll.Entry] = []
    while some.count < Self.introductions, !able.isEmpty {
      some.append(able.remove(at: Int.random(in: able.indices, using: &context.random)))
    }
    return Message.part(version: 0, part: 0, of: 1, some).encoded
  }

  // MARK: Connections

  mutating func add(_ link: Link, _ context: inout TopologyContext) {
    let isOurs = asked.removeValue(forKey: link.peer) != nil
    guard let hello = link.hello, hello.id != context.me.id, !isLeaving else { return }
    var neighbour = links[hello.id] ?? Neighbour(peer: link.peer)
    if neighbour.peer != link.peer { ids[neighbour.peer] = nil }
    neighbour.peer = link.peer
    neighbour.silentUntil = .zero
    if link.purpose == .spare, isOurs { neighbour.isSpare = true }
    if link.purpose == .spare, !isOurs { neighbour.isServed = true }
    links[hello.id] = neighbour
    ids[link.peer] = hello.id
    guard role != .source else { return }
    if hello.depth == 0, isOurs, source == nil {
      source = link.peer
      if case .part(0, _, _, let entries) = Message(link.note) {
        for entry in entries { ask(context.peer(for: entry.contact), .spare, &context) }
      }
    }
    if isOurs, link.purpose == .spare, case .window(let entry, let last) = Message(link.note) {
      begin(from: entry, to: last, &context)
    }
    // The first that answers our requests tells us the list.
    if roll.version == 0, isOurs, link.purpose == .spare { want(from: link.peer, &context) }
  }

  mutating func remove(
    _ peer: PeerRef,
    _ reason: LinkDownReason,
    _ redirect: [Candidate],
    _ context: inout TopologyContext
  ) {
    asked[peer] = nil
    if reason == .refused {
      register(with: redirect, &context)
      return
    }
    guard let id = ids.removeValue(forKey: peer) else { return }
    links[id] = nil
    mending.forget(peer)
    if role == .source { registrar.remove(id) }
    if source == peer {
      source = nil
      context.emit(.discover(limit: 8))
    }
  }

  mutating func heard(_ peer: PeerRef) {
    guard let id = ids[peer], let link = links[id], link.silentUntil > .zero else { return }
    links[id]?.silentUntil = .zero
  }

  /// Somebody does not answer: others feed whom it would feed, and the source hears of it.
  mutating func notice(silence peer: PeerRef, _ context: inout TopologyContext) {
    guard let id = ids[peer], let link = links[id] else { return }
    let isNew = link.silentUntil <= context.now
    links[id]?.silentUntil = context.now + Self.silence
    guard isNew, let entry = roll.entries.first(where: { $0.contact.id == id }) else { return }
    if role == .source {
      registrar.suspect(entry.number, by: context.me.id, isOwn: true, now: context.now)
    } else if let source, source != peer {
      context.emit(.send(source, Message.silent(entry.number).encoded))
    }
  }

  // MARK: Looking after them

  mutating func tick(_ context: inout TopologyContext) {
    guard !isLeaving else { return }
    context.emit(.setTimer(Clock.tick.rawValue, at: context.now + Self.tickInterval))
    let old = context.now - Self.askTime
    asked = asked.filter { $0.value > old }
    if source == nil { context.emit(.discover(limit: 8)) }
    let live = roll.entries.filter { entry in
      entry.number > 0 && links[entry.contact.id].map { $0.silentUntil <= context.now } ?? false
    }
    if roll.version == 0 {
      // Nobody has told us the list yet: whom we were told of, or the source.
      if let source { want(from: source, &context) }
      return
    }
    connect(to: roll.entries, &context)
    let count = live.count { links[$0.contact.id]?.isSpare == true }
    if count < Self.spares {
      let able = live.filter { $0.upload > 0 && links[$0.contact.id]?.isSpare == false }
      if !able.isEmpty {
        let entry = able[Int.random(in: able.indices, using: &context.random)]
        ask(context.peer(for: entry.contact), .spare, &context)
      }
    }
    // Those who have been here longest may ask the source.
    if let source, let id = ids[source], links[id]?.isSpare == false,
      roll.entries.dropFirst().prefix(Self.menders).contains(where: { $0.contact.id == context.me.id })
    {
      ask(source, .spare, &context)
    }
  }
}
