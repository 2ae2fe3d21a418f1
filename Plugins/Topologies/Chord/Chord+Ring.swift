import PluginKit

// The ring: joining, neighbours, fingers, leaving.
extension Chord {
  private static let tickInterval = Duration.milliseconds(250)
  private static let restlessInterval = Duration.milliseconds(250)
  private static let lookupPause = Duration.seconds(1)
  private static let askPatience = Duration.seconds(4)
  private static let lostPatience = Duration.seconds(10)
  /// A ring on which no chunk has come for so long is not the source's.
  private static let newsPatience = Duration.seconds(3)
  /// How often the own place is looked up again, so that rings that came apart find together.
  private static let checkInterval = Duration.seconds(10)
  private static let burdenInterval = Duration.seconds(1)
  /// The number of a lookup of the own place; those of fingers are theirs.
  private static let ownToken: UInt32 = 255
  /// Two lookups of fingers in one tick.
  private static let lookupsInTick = 2
  /// The longest fingers answer requests, as they do not miss what we miss.
  private static let spareFingers = 4

  // MARK: Joining

  mutating func start(_ role: Role, _ context: inout TopologyContext) {
    self.role = role
    guard !isStarted else { return }
    isStarted = true
    began = context.now
    restlessUntil = context.now + .seconds(3)
    if role == .source { isOnRing = true } else { context.emit(.discover(limit: 8)) }
    context.emit(.setTimer(Clock.tick.rawValue, at: context.now + Self.tickInterval))
  }

  mutating func prepare(_ epoch: UInt32, _ handover: Handover, _ context: inout TopologyContext) {
    awaitedEpoch = epoch
    start(handover.role, &context)
    join(through: handover.members, &context)
    for link in handover.links { connect(link.peer, isSpare: false, &context) }
  }

  /// Any known member will do to be led to the own place.
  mutating func join(through candidates: [Candidate], _ context: inout TopologyContext) {
    guard role != .source, !isOnRing else { return }
    for candidate in candidates.prefix(3) {
      connect(candidate.peer, isSpare: false, &context)
    }
  }

  private mutating func connect(_ peer: PeerRef, isSpare: Bool, _ context: inout TopologyContext) {
    guard !isLeaving, asked.count < Self.askedLimit, members.count < Self.memberLimit,
      !asked.contains(where: { $0.peer == peer }), peer != context.peer(for: context.me)
    else { return }
    asked.append(Ask(peer: peer, isSpare: isSpare, until: context.now + Self.askPatience))
    context.emit(.connect(peer, isSpare ? .spare : .control, [], from: nil, note: []))
  }

  // MARK: Connections

  mutating func consider(_ ask: Inbound, _ context: inout TopologyContext) {
    let accepted = members.count { $0.isTheirs }
    let limit = role == .source ? Self.entryLimit : Self.acceptLimit
    let isKnown = member(ask.peer) != nil
    guard let hello = ask.hello, !isLeaving, ask.purpose != .data, isKnown || accepted < limit,
      isKnown || members.count < Self.memberLimit
    else {
      // Those nearest to it on the ring know its place best.
      let ring = ask.hello?.id.ring ?? 0
      let near = members.filter { $0.isLive && $0.peer != ask.peer }
        .sorted { $0.ring &- ring < $1.ring &- ring }
      let redirect = near.suffix(4) + near.prefix(max(0, min(4, near.count - 4)))
      context.emit(.refuse(ask.peer, ask.stripes, redirect: redirect.map(\.peer)))
      return
    }
    context.emit(.accept(ask.peer, ask.stripes, note: []))
    lost.removeAll { $0.ring == hello.id.ring }
  }

  mutating func add(_ link: Link, _ context: inout TopologyContext) {
    let asking = asked.firstIndex { $0.peer == link.peer }
    if let asking { asked.remove(at: asking) }
    guard let hello = link.hello else { return }
    let contact = context.contact(of: link.peer) ?? Contact(id: hello.id, address: hello.address)
    guard contact.id != context.me.id else { return }
    let index: Int
    if let known = member(link.peer) {
      index = known
    } else {
      let member = Member(
        peer: link.peer,
        contact: contact,
        upload: hello.capacity.upload,
        isSource: hello.depth == 0,
        roundTrip: link.roundTrip,
        began: context.now - hello.capacity.uptime
      )
      let distance = member.ring &- context.me.id.ring
      index = members.firstIndex { $0.ring &- context.me.id.ring > distance } ?? members.count
      members.insert(member, at: index)
    }
    if asking != nil { members[index].isOurs = true } else { members[index].isTheirs = true }
    members[index].isSource = hello.depth == 0
    members[index].isSilent = false
    members[index].upload = hello.capacity.upload
    if link.purpose != .control { members[index].answers = true }
    known.removeAll { $0.ring == contact.id.ring }
    if !isOnRing || isNeighbour(index) { restlessUntil = max(restlessUntil, context.now + .seconds(1)) }
    if !isOnRing {
      if !members[index].isSource, context.now >= nextLookup { nextLookup = context.now }
      lookUpOwnPlace(&context)
    }
  }

  /// Whether a member is one of the nearest on either side.
  private func isNeighbour(_ index: Int) -> Bool {
    let before = members[..<index].count(where: \.isLive)
    let after = members[(index + 1)...].count(where: \.isLive)
    return before < neighbours || after < neighbours
  }

  mutating func remove(
    _ peer: PeerRef,
    _ reason: LinkDownReason,
    _ redirect: [Candidate],
    _ context: inout TopologyContext
  ) {
    asked.removeAll { $0.peer == peer }
    if reason == .refused, member(peer) != nil { return }
    handOver(from: peer, since: context.now - .milliseconds(300), &context)
    var ring = context.contact(of: peer)?.id.ring
    if let index = member(peer) {
      ring = members[index].ring
      if isNeighbour(index) { restlessUntil = context.now + .seconds(2) }
      members.remove(at: index)
    }
    for index in fingers.indices where fingers[index].peer == peer {
      fingers[index].peer = nil
      fingers[index].next = context.now
    }
    if let ring, reason != .refused { forget(ring, &context) }
    if reason == .refused { join(through: redirect, &context) }
  }

  private mutating func forget(_ ring: UInt64, _ context: inout TopologyContext) {
    known.removeAll { $0.ring == ring }
    if lost.count >= Self.lostLimit { lost.removeFirst() }
    lost.append(Lost(ring: ring, until: context.now + Self.lostPatience))
  }

  // MARK: Messages

  mutating func read(_ message: Message, from peer: PeerRef, _ context: inout TopologyContext) {
    guard let index = member(peer), !isLeaving else { return }
    members[index].isSilent = false
    switch message {
    case .find(let target, let token, let hops):
      pass(target, token, hops, from: peer, &context)
    case .found(let token, let list):
      if token == Self.ownToken {
        learn(list, &context)
        isOnRing = true
        lastNews = context.now
        settle(&context)
      } else if Int(token) < fingers.count {
        choose(finger: Int(token), list, &context)
      } else if let place = relayed.firstIndex(where: { $0.token == token }) {
        let origin = relayed.remove(at: place)
        context.emit(.send(origin.from, Message.found(token: origin.theirs, list).encoded))
      }
    case .stabilise(let list):
      learn(list, &context)
      context.emit(.send(peer, Message.neighbours(around(context.me.id.ring, context)).encoded))
      settle(&context)
    case .neighbours(let list):
      learn(list, &context)
      settle(&context)
    case .burden(let willingness): members[index].willingness = min(willingness, 4 * Burden.normal)
    case .leaving(let list):
      let ring = members[index].ring
      members[index].isSilent = true
      forget(ring, &context)
      learn(list, &context)
      settle(&context)
    }
  }

  /// A lookup goes to whom we know closest before the target; when that is us, those around are the answer.
  private mutating func pass(
    _ target: UInt64,
    _ token: UInt32,
    _ hops: UInt8,
    from peer: PeerRef,
    _ context: inout TopologyContext
  ) {
    let limit = role == .source ? UInt64.max : target &- context.me.id.ring
    let closest = members.filter {
      let ahead = target &- $0.ring
      return $0.isLive && $0.peer != peer && ahead != 0 && ahead < limit
    }
    .min { target &- $0.ring < target &- $1.ring }
    guard let closest, hops < Message.hopLimit else {
      context.emit(.send(peer, Message.found(token: token, around(target, context)).encoded))
      return
    }
    nextToken = nextToken == .max ? 256 : nextToken + 1
    if relayed.count >= Self.relayedLimit { relayed.removeFirst() }
    relayed.append(Relayed(token: nextToken, from: peer, theirs: token))
    let message = Message.find(target: target, token: nextToken, hops: hops + 1)
    context.emit(.send(closest.peer, message.encoded))
  }

  /// Those whom we know around a place, as many on either side, and ourselves if we stand there.
  private func around(_ target: UInt64, _ context: TopologyContext) -> [Named] {
    var list = members.filter { $0.isLive && $0.ring != target }.map(Named.init)
    let isUs = role == .source || target == context.me.id.ring
    if !isUs { list.append(Named(context.me, upload: allowance.upload)) }
    let half = Message.listLimit / 2
    guard list.count > Message.listLimit else { return list }
    list.sort { $0.ring &- target < $1.ring &- target }
    return Array(list.prefix(half) + list.suffix(half))
  }

  private mutating func learn(_ list: [Named], _ context: inout TopologyContext) {
    for named in list where named.contact.id != context.me.id {
      guard !members.contains(where: { $0.ring == named.ring }),
        !lost.contains(where: { $0.ring == named.ring }), !known.contains(where: { $0.ring == named.ring })
      else { continue }
      if known.count >= Self.knownLimit { known.removeFirst() }
      known.append(named)
    }
  }

  // MARK: Neighbours

  /// Connects to those who are nearer than the neighbours that we have.
  private mutating func settle(_ context: inout TopologyContext) {
    guard role != .source, isOnRing else { return }
    let me = context.me.id.ring
    let live = members.filter(\.isLive)
    for isAhead in [true, false] {
      func distance(_ ring: UInt64) -> UInt64 { isAhead ? ring &- me : me &- ring }
      var near = live.map { (distance: distance($0.ring), named: Named?.none) }
      near += known.map { (distance: distance($0.ring), named: $0) }
      near.sort { $0.distance < $1.distance }
      for candidate in near.prefix(neighbours) {
        guard let named = candidate.named else { continue }
        connect(context.peer(for: named.contact), isSpare: candidate.distance == near[0].distance, &context)
      }
    }
  }

  /// The nearest on either side answer each other's requests.
  private mutating func keepSpares(_ context: inout TopologyContext) {
    let live = members.filter(\.isLive)
    for member in [live.first, live.last].compactMap({ $0 }) where !member.answers {
      connect(member.peer, isSpare: true, &context)
    }
  }

  private mutating func stabilise(_ context: inout TopologyContext) {
    let live = members.filter(\.isLive)
    let list = around(context.me.id.ring, context)
    for peer in Set([live.first, live.last].compactMap { $0?.peer }).sorted() {
      context.emit(.send(peer, Message.stabilise(list).encoded))
    }
  }

  private mutating func lookUpOwnPlace(_ context: inout TopologyContext) {
    guard role != .source, context.now >= nextLookup else { return }
    // Whoever is far sees more of the ring than a neighbour does.
    guard let guide = members.first(where: \.isSource) ?? members.randomElement(using: &context.random) else {
      return
    }
    nextLookup = context.now + (isOnRing ? Self.checkInterval : Self.lookupPause / 2)
    let message = Message.find(target: context.me.id.ring, token: Self.ownToken, hops: 0)
    context.emit(.send(guide.peer, message.encoded))
  }

  // MARK: Fingers

  private mutating func fixFingers(_ context: inout TopologyContext) {
    let live = members.filter(\.isLive)
    guard live.count >= 2 * neighbours else { return }
    let me = context.me.id.ring
    let span = live[neighbours - 1].ring &- me
    var lookups = 0
    for index in fingers.indices where fingers[index].distance > span {
      guard lookups < Self.lookupsInTick else { return }
      guard fingers[index].peer == nil, fingers[index].next <= context.now else { continue }
      fingers[index].next = context.now + Self.lookupPause * 2
      let target = me &+ fingers[index].distance
      let before = live.filter { target &- $0.ring < target &- me }
      guard let closest = before.min(by: { target &- $0.ring < target &- $1.ring }) else { continue }
      lookups += 1
      let message = Message.find(target: target, token: UInt32(index), hops: 0)
      context.emit(.send(closest.peer, message.encoded))
    }
  }

  /// Of those who were found one is drawn by upload: who stands behind a gap is no more likely than others.
  private mutating func choose(finger index: Int, _ list: [Named], _ context: inout TopologyContext) {
    guard fingers[index].peer == nil else { return }
    let me = context.me.id.ring
    let finger = fingers[index]
    var fit = list.filter { named in
      let distance = named.ring &- me
      return distance >= finger.distance && distance <= finger.end && named.contact.id != context.me.id
        && !lost.contains { $0.ring == named.ring }
    }
    if fit.contains(where: { $0.upload > 0 }) { fit.removeAll { $0.upload == 0 } }
    guard !fit.isEmpty else {
      fingers[index].next = context.now + Self.checkInterval
      return
    }
    let total = fit.reduce(UInt64(0)) { $0 + UInt64($1.upload) + 1 }
    var rest = context.random.next() % total
    var drawn = fit[0]
    for named in fit {
      drawn = named
      if rest < UInt64(named.upload) + 1 { break }
      rest -= UInt64(named.upload) + 1
    }
    let peer = context.peer(for: drawn.contact)
    let isSpare = index < Self.spareFingers
    let isKnown = members.contains { $0.peer == peer }
    fingers[index].peer = peer
    if !isKnown || isSpare { connect(peer, isSpare: isSpare, &context) }
    if !isKnown, !asked.contains(where: { $0.peer == peer }) { fingers[index].peer = nil }
  }

  // MARK: Time

  mutating func fire(_ number: UInt32, _ context: inout TopologyContext) {
    switch Clock(rawValue: number) {
    case .tick: tick(&context)
    case .backlog: fetchBacklog(&context)
    case .gaps: askForOverdue(&context)
    case nil: break
    }
  }

  private mutating func tick(_ context: inout TopologyContext) {
    guard isStarted, !isLeaving else { return }
    context.emit(.setTimer(Clock.tick.rawValue, at: context.now + Self.tickInterval))
    asked.removeAll { $0.until <= context.now }
    lost.removeAll { $0.until <= context.now }
    announceReadiness(&context)
    guard role != .source else { return }
    // Who hears nothing stands on a ring of its own, alone or with others that were cut off with it.
    if isOnRing, context.now - lastNews > Self.newsPatience { isOnRing = false }
    if !isOnRing, asked.isEmpty, members.isEmpty || context.now >= nextDiscovery {
      nextDiscovery = context.now + Self.lookupPause
      context.emit(.discover(limit: 8))
    }
    lookUpOwnPlace(&context)
    guard isOnRing else { return }
    let isRestless = context.now < restlessUntil
    if isRestless || context.now >= nextStabilise {
      nextStabilise = context.now + stabiliseInterval
      stabilise(&context)
      settle(&context)
      keepSpares(&context)
    }
    fixFingers(&context)
    tellBurden(&context)
  }

  private mutating func tellBurden(_ context: inout TopologyContext) {
    guard context.now >= nextBurden else { return }
    nextBurden = context.now + Self.burdenInterval
    guard let willingness = burden.look(time: allowance.time(of: context.stream), now: context.now) else {
      return
    }
    let message = Message.burden(willingness).encoded
    for member in members { context.emit(.send(member.peer, message)) }
  }

  private mutating func announceReadiness(_ context: inout TopologyContext) {
    guard let epoch = awaitedEpoch, isOnRing, members.contains(where: { role == .source || $0.isLive }) else {
      return
    }
    awaitedEpoch = nil
    context.emit(.ready(epoch: epoch))
  }

  // MARK: Leaving

  /// Those on either side close the gap with what they are told.
  mutating func leave(_ context: inout TopologyContext) {
    guard isStarted, !isLeaving else { return }
    isLeaving = true
    let message = Message.leaving(around(context.me.id.ring, context)).encoded
    for member in members { context.emit(.send(member.peer, message)) }
  }
}
