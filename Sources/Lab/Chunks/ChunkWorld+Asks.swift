import PluginKit

// Asking for a connection, and being asked.
extension ChunkWorld {
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

  mutating func setListening(_ index: Int, _ link: Int, _ isListening: Bool) {
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
}
