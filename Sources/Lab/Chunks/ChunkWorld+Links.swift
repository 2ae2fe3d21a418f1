import PluginKit

// Asking and being asked; links that end.
extension ChunkWorld {
  /// How long the first answer of a peer may take, and how often an ask on an open link is repeated.
  private static let openingLimit: Int64 = 3_000_000_000
  private static let askLimit = 10
  /// After this a link that is of no use is closed.
  private static let idleLimit: Int64 = 10_000_000_000

  /// Whether what one peer sends to another can arrive.
  func reaches(_ from: Int, _ to: Int) -> Bool {
    let state = peers[to].state
    return (state == .running || state == .opening) && peers[from].isCut == peers[to].isCut
  }

  /// The position of the link from a peer to another.
  func link(_ index: Int, to other: UInt32) -> Int? {
    other == ChunkPeer.nobody ? nil : peers[index].linkPeers.firstIndex(of: other)
  }

  /// How long an answer may take.
  func timeout(_ trip: Int64) -> Int64 { trip + trip / 2 + 20_000_000 }

  // MARK: Asking

  mutating func ask(
    _ index: Int,
    _ target: UInt32,
    _ purpose: Purpose,
    _ stripes: StripeSet,
    _ from: UInt64?,
    _ note: [UInt8]
  ) {
    guard Int(target) < peers.count, Int(target) != index, !peers[index].banned.contains(target),
      note.count <= Inbound.noteLimit, let link = link(index, to: target) ?? dial(index, target)
    else {
      tell(index, .linkDown(view.reference(target, at: index), .unreachable, redirect: []))
      return
    }
    peers[index].asks += 1
    let number = peers[index].asks
    peers[index].links[link].asked = number
    peers[index].links[link].askedFor = Grant(purpose)
    peers[index].links[link].askedStripes = stripes
    let side = peers[index].links[link]
    let ask = Letter.Ask(number: number, purpose: purpose, stripes: stripes, from: from, note: note)
    let isOpen = side.isOpen
    // The handshake and the hellos come first.
    let patience = isOpen ? Int64(Self.askLimit) * max(50_000_000, timeout(side.trip) * 2) : Self.openingLimit
    events.schedule(ChunkEvent(.askTimeout, at: now + patience, to: index, from: target, first: number))
    guard isOpen || canDial(index, Int(target)) else {
      measurement.controlBytes += UInt64(WireCost.headers + 60)
      return
    }
    send(
      index,
      link,
      .ask(ask, opens: !isOpen),
      WireCost.ask + note.count + (isOpen ? 0 : WireCost.opening / 2),
      delay: isOpen ? 0 : side.trip * 2,
      isRepeated: true
    )
  }

  private func canDial(_ index: Int, _ target: Int) -> Bool {
    !peers[target].isRestricted || peers[target].dialled.contains(UInt32(index))
  }

  /// A link to somebody to whom there is none yet.
  private mutating func dial(_ index: Int, _ target: UInt32) -> Int? {
    if peers[index].isRestricted {
      if peers[index].dialled.count >= ChunkPeer.dialledLimit { peers[index].dialled.removeFirst() }
      peers[index].dialled.append(target)
    }
    return makeLink(index, to: target, isInbound: false)
  }

  mutating func makeLink(_ index: Int, to other: UInt32, isInbound: Bool) -> Int? {
    let latency = geography.latency(index, Int(other))
    let trip = latency + geography.latency(Int(other), index)
    let link = ChunkLink(to: other, isInbound: isInbound, latency: latency, trip: trip, now: now)
    events.schedule(ChunkEvent(.idle, at: now + Self.idleLimit, to: index, from: other))
    if let place = peers[index].links.firstIndex(where: \.isFree) {
      peers[index].links[place] = link
      peers[index].linkPeers[place] = other
      return place
    }
    guard peers[index].links.count < ChunkPeer.linkLimit else { return nil }
    peers[index].links.append(link)
    peers[index].linkPeers.append(other)
    return peers[index].links.count - 1
  }

  /// A link that somebody opens to us; of those that strangers opened, the one unused for longest makes room.
  mutating func admit(_ index: Int, _ other: UInt32) -> Int? {
    if let link = link(index, to: other) { return link }
    let inbound = peers[index].links.count { !$0.isFree && $0.isInbound }
    if inbound >= ChunkPeer.inboundLimit {
      let useless = peers[index].links.indices.filter {
        let side = peers[index].links[$0]
        return !side.isFree && side.isInbound && side.isUseless && side.routeCount == 0
      }
      let oldest = useless.min { peers[index].links[$0].lastUsed < peers[index].links[$1].lastUsed }
      guard let oldest else { return nil }
      sayGoodbye(index, oldest, [])
      free(index, oldest)
    }
    return makeLink(index, to: other, isInbound: true)
  }

  /// There was no answer for as long as the host tries.
  mutating func giveUp(_ index: Int, _ other: UInt32, _ number: UInt32) {
    guard peers[index].state == .running, let link = link(index, to: other),
      peers[index].links[link].asked == number
    else { return }
    peers[index].links[link].asked = 0
    if peers[index].links[link].isUseless || !peers[index].links[link].isOpen { free(index, link) }
    tell(index, .linkDown(view.reference(other, at: index), .unreachable, redirect: []))
  }

  // MARK: Being asked

  mutating func readAsk(_ index: Int, from asker: UInt32, _ ask: Letter.Ask, opens: Bool) {
    guard !peers[index].banned.contains(asker) else { return }
    guard let link = opens ? admit(index, asker) : link(index, to: asker) else { return }
    open(index, link)
    guard ask.number > peers[index].links[link].answered else { return }
    peers[index].links[link].answered = ask.number
    if opens { spend(index, WireCost.opening / 2) }
    guard peers[index].state == .running else {
      let refusal = Letter.Answer(number: ask.number, isAccepted: false, stripes: ask.stripes)
      send(index, link, .answer(refusal), WireCost.answer, isRepeated: true)
      return
    }
    tell(
      index,
      .inbound(
        Inbound(
          peer: view.reference(asker, at: index),
          hello: hello(Int(asker)),
          purpose: ask.purpose,
          stripes: ask.stripes,
          from: ask.from,
          note: ask.note
        )
      )
    )
  }

  /// The topology has had its say on an inbound: the other side hears of it.
  mutating func answer(_ index: Int, _ ask: Inbound) {
    guard var answer = verdict else { return }
    verdict = nil
    let asker = view.peer(ask.peer, at: index)
    guard let link = link(index, to: asker) else { return }
    if answer.isAccepted {
      peers[index].links[link].granted = Grant(ask.purpose)
      setListening(index, link, ask.purpose != .control)
      if ask.purpose == .data {
        if peers[index].expected > 0 || index == 0 {
          answer.from = peers[index].routes.filter { Int($0.link) == link }.map(\.from).min() ?? 0
        }
      } else {
        dropRoutes(index, link) { _ in true }
        forgetQueue(index, link)
      }
      if ask.purpose != .control { planAnnouncement(index) }
    }
    let bytes = WireCost.answer + answer.note.count + answer.redirect.count * WireCost.contact
    send(index, link, .answer(answer), bytes, isRepeated: true)
    if !reaches(index, Int(asker)) { notice(loss: asker, at: index) }
    guard answer.isAccepted else { return }
    tell(index, .linkUp(linkValue(index, link, ask.purpose, answer.stripes, isParent: false)))
  }

  private mutating func setListening(_ index: Int, _ link: Int, _ isListening: Bool) {
    guard peers[index].links[link].wantsHaves != isListening else { return }
    peers[index].links[link].wantsHaves = isListening
    if isListening { peers[index].listeners += 1 } else { peers[index].listeners -= 1 }
  }

  mutating func readAnswer(_ index: Int, from other: UInt32, _ answer: Letter.Answer) {
    guard let link = link(index, to: other) else { return }
    open(index, link)
    guard peers[index].links[link].asked == answer.number else { return }
    let purpose = peers[index].links[link].askedFor
    peers[index].links[link].asked = 0
    guard answer.isAccepted else {
      if now - peers[index].links[link].opened >= Self.idleLimit {
        events.schedule(ChunkEvent(.idle, at: now, to: index, from: other))
      }
      let redirect = candidates(index, answer.redirect)
      tell(index, .linkDown(view.reference(other, at: index), .refused, redirect: redirect))
      return
    }
    peers[index].links[link].claimed = purpose
    peers[index].links[link].lastProgress = now
    peers[index].links[link].pushed = 0
    if purpose == .data {
      peers[index].links[link].parentStripes.formUnion(answer.stripes)
      if answer.from > 0 { expect(index, from: answer.from) }
      watchParents(index)
    } else {
      peers[index].links[link].parentStripes = []
    }
    if purpose != .control, !peers[index].missing.isEmpty { planRepair(index, now) }
    if !reaches(Int(other), index) { notice(loss: other, at: index) }
    tell(
      index,
      .linkUp(
        linkValue(index, link, purpose.purpose, answer.stripes, isParent: purpose == .data, answer.note)
      )
    )
  }

  private mutating func open(_ index: Int, _ link: Int) {
    peers[index].links[link].isOpen = true
    peers[index].links[link].lastUsed = now
  }

  private func linkValue(
    _ index: Int,
    _ link: Int,
    _ purpose: Purpose,
    _ stripes: StripeSet,
    isParent: Bool,
    _ note: [UInt8] = []
  ) -> PluginKit.Link {
    let side = peers[index].links[link]
    return PluginKit.Link(
      peer: view.reference(side.peer, at: index),
      purpose: purpose,
      stripes: stripes,
      hello: hello(Int(side.peer)),
      isParent: isParent,
      roundTrip: .nanoseconds(side.trip),
      age: .nanoseconds(now - side.opened),
      note: note
    )
  }

  // MARK: The end of a link

  mutating func sayGoodbye(_ index: Int, _ link: Int, _ redirect: [Letter.Named]) {
    guard peers[index].links[link].isOpen else { return }
    let bytes = WireCost.goodbye + redirect.count * WireCost.contact
    send(index, link, .goodbye(redirect: redirect), bytes)
  }

  /// Gives a link's place back; what it was asked for goes elsewhere.
  mutating func free(_ index: Int, _ link: Int) {
    let side = peers[index].links[link]
    guard !side.isFree else { return }
    measurement.controlBytes += UInt64((now - side.opened) / 1_000_000) * UInt64(WireCost.pings) / 2000
    dropRoutes(index, link) { _ in true }
    forgetQueue(index, link)
    peers[index].dropTurn(link)
    setListening(index, link, false)
    reassign(index, from: link, because: .linkDown)
    peers[index].parents.removeAll { $0.peer == side.peer }
    peers[index].links[link].peer = ChunkPeer.nobody
    peers[index].links[link].isOpen = false
    peers[index].linkPeers[link] = ChunkPeer.nobody
    peers[index].links[link].parentStripes = []
  }

  /// A link ends without our doing: the topology hears of it.
  mutating func lose(
    _ index: Int,
    _ link: Int,
    _ reason: LinkDownReason,
    redirect: [Letter.Named] = []
  ) {
    let side = peers[index].links[link]
    free(index, link)
    guard !side.isUseless || reason == .lied else { return }
    let redirect = candidates(index, redirect)
    tell(index, .linkDown(view.reference(side.peer, at: index), reason, redirect: redirect))
  }

  /// Ends a link to a peer that sends what is false, and does not talk to it again.
  mutating func punish(_ index: Int, _ link: Int) {
    if peers[index].banned.count >= ChunkPeer.bannedLimit { peers[index].banned.removeFirst() }
    peers[index].banned.append(peers[index].links[link].peer)
    lose(index, link, .lied)
  }

  mutating func closeIdle(_ index: Int, _ other: UInt32) {
    guard peers[index].state == .running, let link = link(index, to: other) else { return }
    let side = peers[index].links[link]
    guard side.isUseless, now - side.opened >= Self.idleLimit else { return }
    sayGoodbye(index, link, [])
    free(index, link)
  }

  // MARK: Letters

  mutating func read(_ event: ChunkEvent) {
    let index = Int(event.to)
    var letter = Letter.none
    swap(&letter, &letters[Int(event.first)])
    freeLetters.append(event.first)
    guard peers[index].state == .running else { return }
    switch letter {
    case .ask(let ask, let opens):
      readAsk(index, from: event.from, ask, opens: opens)
      return
    case .answer(let answer):
      readAnswer(index, from: event.from, answer)
      return
    default: break
    }
    guard let link = link(index, to: event.from) else { return }
    switch letter {
    case .ask, .answer, .none: break
    case .message(let bytes):
      tell(index, .message(view.reference(event.from, at: index), epoch: 1, bytes: bytes))
    case .goodbye(let redirect): lose(index, link, .closed, redirect: redirect)
    case .stop(let stripes): dropRoutes(index, link) { stripes.contains(stripe: Int($0)) }
    case .haves(let ranges): readHaves(index, link, ranges)
    case .request(let chunks, let isTopologys): serve(index, link, chunks, isTopologys: isTopologys)
    case .cancel(let chunks): withdraw(index, link, chunks)
    }
  }

  /// Sends something that is no chunk; it goes ahead of all chunks.
  ///
  /// It leaves `delay` nanoseconds later than it could. What the host repeats until it arrives, ten times at most, is
  /// late when it is lost.
  mutating func send(
    _ index: Int,
    _ link: Int,
    _ letter: Letter,
    _ bytes: Int,
    delay: Int64 = 0,
    isRepeated: Bool = false
  ) {
    let side = peers[index].links[link]
    peers[index].links[link].lastUsed = now
    var departure = spend(index, bytes) + delay
    guard reaches(index, Int(side.peer)) else { return }
    var tries = 0
    while isLost(index, link) {
      tries += 1
      guard isRepeated, tries < Self.askLimit else { return }
      departure += max(50_000_000, timeout(side.trip) * 2)
    }
    let place: UInt32
    if let free = freeLetters.popLast() {
      place = free
      letters[Int(free)] = letter
    } else {
      place = UInt32(letters.count)
      letters.append(letter)
    }
    let arrival = departure + side.latency + jitter(index)
    events.schedule(
      ChunkEvent(.letter, at: arrival, to: Int(side.peer), from: UInt32(index), first: place)
    )
  }

  // MARK: Coming and going

  mutating func join(_ index: Int) {
    guard peers[index].state == .absent else { return }
    peers[index].state = .opening
    note(index, .joined)
    guard index != 0 else {
      begin(0)
      publish()
      return
    }
    measurement.joins += 1
    begin(index)
  }

  /// The first datagrams go to the source, or to whom the tracker knows: what the swarm runs is known two round trips later.
  mutating func begin(_ index: Int) {
    guard peers[index].state == .opening else { return }
    let isKnown = index == 0 || peers[index].hasDescriptor
    guard isKnown else {
      var contact = 0
      if discovery == .tracker, !attached.isEmpty {
        contact = Int(attached[Int(random.next() % UInt64(attached.count))])
      }
      let trip = geography.latency(index, contact) + geography.latency(contact, index)
      if reaches(index, contact) {
        measurement.controlBytes += UInt64(WireCost.opening + WireCost.descriptor)
        spend(contact, WireCost.opening / 2 + WireCost.descriptor)
        peers[index].hasDescriptor = true
        peers[index].firstContact = UInt32(contact)
        events.schedule(ChunkEvent(.begin, at: now + trip * 2 + jitter(index), to: index))
      } else {
        events.schedule(ChunkEvent(.begin, at: now + Self.openingLimit, to: index))
      }
      return
    }
    guard let topology = makeTopologyOf(index) else { return }
    peers[index].state = .running
    peers[index].wishes = Wishes(type(of: topology).manifest.wants)
    topologies[index] = topology
    if peers[index].wishes.contains(.haves) { wantsHaves = true }
    if index != 0 {
      let contact = Int(peers[index].firstContact)
      if reaches(index, contact), let link = makeLink(index, to: UInt32(contact), isInbound: false) {
        if let other = admit(contact, UInt32(index)) {
          peers[index].links[link].isOpen = true
          peers[contact].links[other].isOpen = true
        } else {
          free(index, link)
        }
      }
    }
    tell(index, .start(index == 0 ? .source : peers[index].isLeaf ? .leaf : .relay))
    tell(index, .capacity(capacity(index)))
    if peers[index].wishes.contains(.linkSamples) {
      events.schedule(ChunkEvent(.second, at: now + 1_000_000_000, to: index))
    }
  }

  private func makeTopologyOf(_ index: Int) -> (any Topology)? {
    let part = parts[Int(peers[index].part)]
    return try? makeTopology(part.topology, part.parameters)
  }

  mutating func leave(_ index: Int) {
    guard peers[index].state == .running || peers[index].state == .opening else { return }
    if peers[index].state == .running, plan.peers[index].isGraceful {
      tell(index, .stop)
      for link in peers[index].links.indices where !peers[index].links[link].isFree {
        sayGoodbye(index, link, [])
      }
    }
    peers[index].state = .gone
    note(index, .left)
    for link in peers[index].links.indices where !peers[index].links[link].isFree {
      let other = peers[index].links[link].peer
      forgetQueue(index, link)
      notice(loss: UInt32(index), at: Int(other))
    }
    topologies[index] = nil
    peers[index].dissolve()
  }

  mutating func change(_ kind: Plan.Change.Kind) {
    switch kind {
    case .cut(let cut):
      for index in cut where peers.indices.contains(index) { peers[index].isCut = true }
      for index in peers.indices where peers[index].state == .running {
        for link in peers[index].links where !link.isFree && peers[Int(link.peer)].isCut != peers[index].isCut
        {
          notice(loss: link.peer, at: index)
        }
      }
    case .heal: for index in peers.indices { peers[index].isCut = false }
    case .sourceUpload(let upload):
      peers[0].upload = upload
      if peers[0].state == .running { tell(0, .capacity(capacity(0))) }
    case .weather(let weather):
      loss = weather.loss
      burst = max(1, weather.burst)
      jitter = UInt64(max(0, weather.jitter.nanoseconds))
    }
  }
}
