package import PluginKit

/// Who is a neighbour, and who could be: HyParView (Leitão, Pereira, Rodrigues, DSN 2007) over links.
///
/// The active view is small and symmetric: a link of its own, to as many as the upload suggests. The passive view is a
/// larger list of peers that are only known of, kept mixed by shuffles; who leaves the active view is replaced from it.
package struct Membership: Sendable {
  /// What became of a neighbour.
  package enum Change: Sendable {
    case came(Neighbour)
    case went(PeerRef)
  }

  package struct Neighbour: Sendable {
    package var peer: PeerRef
    package var upload: UInt64
    package var roundTrip: Duration
    package var since: Duration

    package init(peer: PeerRef, upload: UInt64, roundTrip: Duration, since: Duration) {
      self.peer = peer
      self.upload = upload
      self.roundTrip = roundTrip
      self.since = since
    }
  }

  /// Somebody who is known of.
  private struct Known {
    var peer: PeerRef
    var tenths: UInt8
    /// Asked before this time it would refuse again.
    var rests: Duration = .zero
  }

  private struct Ask {
    var peer: PeerRef
    var until: Duration
  }

  /// How pressing it is for who asks to be a neighbour.
  private enum Priority: UInt8 {
    /// It has neighbours already.
    case low = 0
    /// It has none, and is let in even where somebody else must go.
    case high = 1
    /// It is new here.
    case join = 2
  }

  package static let passiveLimit = 40
  package static let activeLimit = 40
  private static let askLimit = 3
  private static let walkLength: UInt8 = 4
  private static let upkeepInterval = Duration.milliseconds(250)
  private static let shuffleInterval = Duration.seconds(5)
  private static let askPatience = Duration.seconds(4)
  private static let restTime = Duration.seconds(3)
  /// How often somebody is turned out for a newcomer.
  private static let evictionInterval = Duration.milliseconds(500)
  /// Somebody who says nothing for so long is given up.
  private static let silenceLimit = Duration.milliseconds(500)
  private static let timer: UInt32 = 1

  /// Neighbours of a peer that carries no copy, and how many more for each copy of the stream that it carries.
  private let degree: Int
  private let perCopy: Int

  package private(set) var active: [Neighbour] = []
  private var passive: [Known] = []
  private var asks: [Ask] = []
  package private(set) var role = Role.relay
  package private(set) var upload: UInt64 = 0
  private var isRunning = false
  private var hasJoined = false
  private var nextShuffle = Duration.zero
  private var nextEviction = Duration.zero
  private var nextDiscovery = Duration.zero
  private var changes: [Change] = []

  package init(degree: Int, perCopy: Int) {
    self.degree = degree
    self.perCopy = perCopy
  }

  package func isNeighbour(_ peer: PeerRef) -> Bool { active.contains { $0.peer == peer } }

  /// How many neighbours there are to be.
  package func target(_ stream: StreamProperties) -> Int {
    guard role != .leaf else { return max(2, degree * 2 / 3) }
    return min(Self.activeLimit - 4, degree + perCopy * stream.copies(in: upload))
  }

  /// Takes in an event and says who has become, or is no longer, a neighbour.
  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) -> [Change] {
    switch event {
    case .start(let role): start(role, &context)
    case .prepare(_, let handover): take(handover, &context)
    case .stop: isRunning = false
    case .capacity(let capacity): upload = capacity.upload
    case .discovered(let candidates):
      for candidate in candidates { know(candidate, context) }
      seek(&context)
    case .inbound(let inbound): answer(inbound, &context)
    case .linkUp(let link): rise(link, &context)
    case .linkDown(let peer, let reason, let redirect): fall(peer, reason, redirect, &context)
    case .silence(let peer, let time):
      if time >= Self.silenceLimit, isNeighbour(peer) { drop(peer, forget: true, &context) }
    case .timer(Self.timer): upkeep(&context)
    default: break
    }
    defer { changes = [] }
    return changes
  }

  /// Takes in what a neighbour tells about others.
  package mutating func hear(_ note: Note, from peer: PeerRef, _ context: inout TopologyContext) {
    switch note {
    case .forwardJoin(let joiner, let hops): forward(joiner, hops, from: peer, &context)
    case .shuffle(let peers):
      context.emit(.send(peer, Note.shuffled(sample(except: peer, &context)).bytes))
      for other in peers { know(other, context) }
    case .shuffled(let peers): for other in peers { know(other, context) }
    default: break
    }
  }

  /// Ends a neighbourhood.
  package mutating func drop(_ peer: PeerRef, forget: Bool, _ context: inout TopologyContext) {
    guard let place = active.firstIndex(where: { $0.peer == peer }) else { return }
    let neighbour = active.remove(at: place)
    changes.append(.went(peer))
    context.emit(.disconnect(peer, redirect: []))
    if !forget { remember(Known(peer: peer, tenths: tenths(neighbour.upload, context))) }
    seek(&context)
  }

  /// The changes that came about since the last event was handled.
  package mutating func takeChanges() -> [Change] {
    defer { changes = [] }
    return changes
  }

  // MARK: Beginning

  private mutating func start(_ role: Role, _ context: inout TopologyContext) {
    self.role = role
    isRunning = true
    nextShuffle = context.now + Self.shuffleInterval
    context.emit(.setTimer(Self.timer, at: context.now + Self.upkeepInterval))
    if role != .source { context.emit(.discover(limit: 8)) }
  }

  private mutating func take(_ handover: Handover, _ context: inout TopologyContext) {
    start(handover.role, &context)
    for candidate in handover.members { know(candidate, context) }
    for link in handover.links where link.hello != nil { remember(Known(peer: link.peer, tenths: 10)) }
    hasJoined = !handover.members.isEmpty || !handover.links.isEmpty
    seek(&context)
  }

  // MARK: Whom we know

  private func tenths(_ upload: UInt64, _ context: TopologyContext) -> UInt8 {
    UInt8(clamping: upload / max(1, context.stream.rate / 10))
  }

  private mutating func know(_ candidate: Candidate, _ context: TopologyContext) {
    remember(Known(peer: candidate.peer, tenths: candidate.capacity.map { tenths($0.upload, context) } ?? 10))
  }

  private mutating func know(_ other: Acquaintance, _ context: TopologyContext) {
    guard other.contact.id != context.me.id else { return }
    remember(Known(peer: context.peer(for: other.contact), tenths: other.tenths))
  }

  private mutating func remember(_ known: Known) {
    guard !isNeighbour(known.peer) else { return }
    if let place = passive.firstIndex(where: { $0.peer == known.peer }) {
      passive[place].tenths = known.tenths
      return
    }
    if passive.count >= Self.passiveLimit { passive.removeFirst() }
    passive.append(known)
  }

  private func sample(except peer: PeerRef, _ context: inout TopologyContext) -> [Acquaintance] {
    var others: [Acquaintance] = []
    if role != .leaf { others.append(Acquaintance(contact: context.me, tenths: tenths(upload, context))) }
    let near = active.filter { $0.peer != peer }.shuffled(using: &context.random)
    for neighbour in near.prefix(3) {
      guard let contact = context.contact(of: neighbour.peer) else { continue }
      others.append(Acquaintance(contact: contact, tenths: tenths(neighbour.upload, context)))
    }
    let far = passive.filter { $0.peer != peer }.shuffled(using: &context.random)
    for known in far.prefix(6) {
      guard let contact = context.contact(of: known.peer) else { continue }
      others.append(Acquaintance(contact: contact, tenths: known.tenths))
    }
    return others
  }

  // MARK: Looking for neighbours

  private mutating func upkeep(_ context: inout TopologyContext) {
    guard isRunning else { return }
    context.emit(.setTimer(Self.timer, at: context.now + Self.upkeepInterval))
    asks.removeAll { $0.until <= context.now }
    if context.now >= nextShuffle, !active.isEmpty {
      nextShuffle = context.now + Self.shuffleInterval
      let peer = active[Int(context.random.next() % UInt64(active.count))].peer
      context.emit(.send(peer, Note.shuffle(sample(except: peer, &context)).bytes))
    }
    seek(&context)
  }

  /// Asks others until there are as many neighbours as there are to be.
  private mutating func seek(_ context: inout TopologyContext) {
    guard isRunning else { return }
    let target = target(context.stream)
    while active.count + asks.count < target, asks.count < Self.askLimit {
      let ready = passive.indices.filter { place in
        passive[place].rests <= context.now && !asks.contains { $0.peer == passive[place].peer }
      }
      guard !ready.isEmpty else {
        if role != .source, active.count < max(2, target / 2), context.now >= nextDiscovery {
          nextDiscovery = context.now + .seconds(1)
          context.emit(.discover(limit: 8))
        }
        return
      }
      // Half of the neighbours are to be able to relay the whole stream.
      let capable = active.count { $0.upload >= context.stream.rate }
      let strong = ready.filter { passive[$0].tenths >= 10 }
      let choice = capable * 2 < target && !strong.isEmpty ? strong : ready
      let place = choice[Int(context.random.next() % UInt64(choice.count))]
      passive[place].rests = context.now + Self.restTime
      let priority: Priority = active.isEmpty ? (hasJoined ? .high : .join) : .low
      let peer = passive[place].peer
      asks.append(Ask(peer: peer, until: context.now + Self.askPatience))
      context.emit(
        .connect(peer, .spare, .first(context.stream.stripes), from: nil, note: [priority.rawValue])
      )
    }
  }

  private mutating func answer(_ inbound: Inbound, _ context: inout TopologyContext) {
    guard inbound.purpose == .spare || inbound.hello == nil else { return }
    let target = target(context.stream)
    let priority = inbound.note.first.flatMap(Priority.init) ?? .low
    if isNeighbour(inbound.peer) {
      context.emit(.accept(inbound.peer, inbound.stripes, note: []))
      return
    }
    if active.count < target || asks.contains(where: { $0.peer == inbound.peer }) {
      accept(inbound, priority, &context)
      return
    }
    let isPressing = priority != .low && inbound.hello != nil
    if isPressing, context.now >= nextEviction, let victim = victim(&context) {
      nextEviction = context.now + Self.evictionInterval
      drop(victim, forget: false, &context)
      accept(inbound, priority, &context)
      return
    }
    var others = active.map(\.peer).shuffled(using: &context.random).prefix(5).map { $0 }
    others += passive.map(\.peer).shuffled(using: &context.random).prefix(
      TopologyContext.redirectLimit - others.count
    )
    context.emit(.refuse(inbound.peer, inbound.stripes, redirect: others.filter { $0 != inbound.peer }))
    if role == .source || priority == .join, inbound.hello != nil {
      remember(Known(peer: inbound.peer, tenths: tenths(inbound.hello?.capacity.upload ?? 0, context)))
    }
  }

  private func victim(_ context: inout TopologyContext) -> PeerRef? {
    let old = active.filter { context.now - $0.since > .seconds(1) }
    guard !old.isEmpty else { return nil }
    return old[Int(context.random.next() % UInt64(old.count))].peer
  }

  private mutating func accept(_ inbound: Inbound, _ priority: Priority, _ context: inout TopologyContext) {
    context.emit(.accept(inbound.peer, inbound.stripes, note: []))
    guard priority == .join, let hello = inbound.hello else { return }
    let contact = Contact(id: hello.id, address: hello.address)
    let joiner = Acquaintance(contact: contact, tenths: tenths(hello.capacity.upload, context))
    for neighbour in active.shuffled(using: &context.random).prefix(3) {
      context.emit(.send(neighbour.peer, Note.forwardJoin(joiner, hops: Self.walkLength).bytes))
    }
  }

  private mutating func forward(
    _ joiner: Acquaintance,
    _ hops: UInt8,
    from peer: PeerRef,
    _ context: inout TopologyContext
  ) {
    guard joiner.contact.id != context.me.id else { return }
    know(joiner, context)
    let others = active.filter { $0.peer != peer }
    guard hops > 0, !others.isEmpty else {
      seek(&context)
      return
    }
    let next = others[Int(context.random.next() % UInt64(others.count))].peer
    context.emit(.send(next, Note.forwardJoin(joiner, hops: hops - 1).bytes))
  }

  // MARK: Links

  private mutating func rise(_ link: Link, _ context: inout TopologyContext) {
    asks.removeAll { $0.peer == link.peer }
    guard let hello = link.hello, !isNeighbour(link.peer) else { return }
    guard active.count < Self.activeLimit else {
      context.emit(.disconnect(link.peer, redirect: []))
      return
    }
    hasJoined = true
    passive.removeAll { $0.peer == link.peer }
    let neighbour = Neighbour(
      peer: link.peer,
      upload: hello.capacity.upload,
      roundTrip: link.roundTrip,
      since: context.now
    )
    active.append(neighbour)
    changes.append(.came(neighbour))
    seek(&context)
  }

  private mutating func fall(
    _ peer: PeerRef,
    _ reason: LinkDownReason,
    _ redirect: [Candidate],
    _ context: inout TopologyContext
  ) {
    let wasAsked = asks.contains { $0.peer == peer }
    asks.removeAll { $0.peer == peer }
    if !(reason == .refused && !wasAsked), let place = active.firstIndex(where: { $0.peer == peer }) {
      let neighbour = active.remove(at: place)
      changes.append(.went(peer))
      if reason == .closed { remember(Known(peer: peer, tenths: tenths(neighbour.upload, context))) }
    }
    switch reason {
    case .refused, .closed: break
    case .unreachable, .silent, .lied, .incompatible: passive.removeAll { $0.peer == peer }
    @unknown default: passive.removeAll { $0.peer == peer }
    }
    if let place = passive.firstIndex(where: { $0.peer == peer }) {
      passive[place].rests = context.now + Self.restTime
    }
    for candidate in redirect.prefix(TopologyContext.redirectLimit) { know(candidate, context) }
    seek(&context)
  }
}
