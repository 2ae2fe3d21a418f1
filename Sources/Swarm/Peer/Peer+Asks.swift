import PluginKit
import Wire

// Asking to be fed, and answering those who ask.
extension Peer {
  mutating func ask(
    _ peer: PeerRef,
    _ purpose: Purpose,
    _ stripes: StripeSet,
    from: UInt64?,
    note: [UInt8],
    _ course: Int
  ) {
    guard let index = connect(to: peer) else {
      courses[course].events.append(.linkDown(peer, .unreachable, redirect: []))
      return
    }
    if channels[index].speech == .plain {
      pull(index, purpose: purpose, stripes: stripes, course)
      return
    }
    lastAskNumber &+= 1
    let ask = Extension.Ask(
      number: lastAskNumber,
      epoch: courses[course].descriptor.epoch,
      purpose: purpose,
      stripes: stripes,
      from: from,
      note: note
    )
    channels[index].roles[course].pendingAsk = Channel.PendingAsk(ask: ask, next: now)
    sendAsk(index, course)
  }

  /// How often an ask is repeated before the peer counts as unreachable.
  private static let askLimit = 10

  /// Sends what is to be asked, for the first time or again.
  mutating func sendAsks(_ index: Int) {
    for course in courses.indices
    where channels[index].roles[course].pendingAsk.map({ $0.next <= now }) == true {
      sendAsk(index, course)
    }
  }

  /// One channel takes the place of another, which leads to the same peer: it asks what that was to ask.
  mutating func takeAsks(of other: Channel, to index: Int) {
    for course in courses.indices {
      guard let ask = other.roles[course].pendingAsk?.ask else { continue }
      channels[index].roles[course].pendingAsk = Channel.PendingAsk(ask: ask, next: now)
    }
  }

  private mutating func sendAsk(_ index: Int, _ course: Int) {
    guard var pending = channels[index].roles[course].pendingAsk, channels[index].speech == .proven,
      channels[index].isOpen
    else {
      return
    }
    guard pending.tries < Self.askLimit else {
      channels[index].roles[course].pendingAsk = nil
      if !channels[index].isLink, !channels[index].isAsked {
        sayGoodbye(index, redirect: [])
        free(index)
      }
      courses[course].events.append(.linkDown(channels[index].peer, .unreachable, redirect: []))
      return
    }
    pending.tries += 1
    pending.next = now + max(.milliseconds(50), channels[index].congestion.timeout * 2)
    channels[index].roles[course].pendingAsk = pending
    sendExtension(index, .ask, pending.ask.encode())
  }

  mutating func readAsk(_ index: Int, _ body: RawSpan) {
    guard let ask = Extension.Ask(body), let hello = channels[index].hello else { return }
    let peer = channels[index].peer
    if let other = directory[peer]?.channel, other != index, channels[other].speech == .plain {
      // Who asks for its place is no plain leaf any more.
      lose(other, .closed)
      directory[peer]?.channel = index
    }
    guard let course = course(ofEpoch: ask.epoch) else {
      if courses.isEmpty {
        let refusal = Extension.Answer(number: ask.number, isAccepted: false, stripes: ask.stripes)
        sendExtension(index, .answer, refusal.encode())
      } else {
        // One of us has not heard yet; it asks again, and by then both have.
        tellNews(index)
      }
      return
    }
    if let answer = channels[index].roles[course].lastAnswer, answer.number == ask.number {
      sendExtension(index, .answer, answer.encode())
      return
    }
    // An ask that was overtaken by a later one asks for what is not wanted any more.
    if let last = channels[index].roles[course].lastAnswer?.number, Int16(bitPattern: ask.number &- last) < 0
    {
      return
    }
    channels[index].roles[course].verdict = Extension.Answer(
      number: ask.number,
      isAccepted: false,
      stripes: ask.stripes
    )
    courses[course].events.append(
      .inbound(
        Inbound(
          peer: channels[index].peer,
          hello: hello,
          purpose: ask.purpose,
          stripes: ask.stripes,
          from: ask.from,
          note: ask.note
        )
      )
    )
  }

  /// The topology has had its say on an inbound: the other side hears of it.
  mutating func answer(_ inbound: Inbound, _ course: Int) {
    guard let index = directory[inbound.peer]?.channel, channels[index].isOpen else { return }
    if channels[index].speech == .plain {
      if channels[index].roles[course].isServed {
        courses[course].events.append(
          .linkUp(link(index, purpose: inbound.purpose, stripes: inbound.stripes, isParent: false))
        )
      } else {
        refusePlain(index, course)
      }
      return
    }
    guard var verdict = channels[index].roles[course].verdict else { return }
    channels[index].roles[course].verdict = nil
    if verdict.isAccepted {
      channels[index].roles[course].purpose = inbound.purpose
      channels[index].wantsHaves = channels[index].roles[0].tellsHaves || channels[index].roles[1].tellsHaves
      if inbound.purpose == .data {
        // Where nothing has begun yet there is nothing to promise.
        verdict.from = expected == nil ? nil : channels[index].roles[course].routes.map(\.from).min()
      } else {
        endRoutes(to: index, in: course) { _ in true }
      }
    }
    channels[index].roles[course].lastAnswer = verdict
    sendExtension(index, .answer, verdict.encode())
    guard verdict.isAccepted else { return }
    if inbound.purpose == .data {
      // Whom we feed receives the stream; its next ping would say so too late for a redirect.
      directory[inbound.peer]?.isAttached = true
      channels[index].hello?.isAttached = true
    }
    courses[course].events.append(
      .linkUp(link(index, purpose: inbound.purpose, stripes: verdict.stripes, isParent: false))
    )
    pump(index)
  }

  mutating func readAnswer(_ index: Int, _ body: RawSpan) {
    guard let answer = Extension.Answer(body),
      let course = courses.indices.first(where: {
        channels[index].roles[$0].pendingAsk?.ask.number == answer.number
      }), let pending = channels[index].roles[course].pendingAsk
    else { return }
    channels[index].roles[course].pendingAsk = nil
    guard answer.isAccepted else {
      let redirect = candidates(answer.redirect, from: channels[index].address)
      courses[course].events.append(.linkDown(channels[index].peer, .refused, redirect: redirect))
      return
    }
    channels[index].roles[course].claimed = pending.ask.purpose
    channels[index].lastProgress = now
    channels[index].roles[course].isSpare = pending.ask.purpose == .spare
    if pending.ask.purpose == .data {
      channels[index].roles[course].parentStripes.formUnion(answer.stripes)
      channels[index].roles[course].promised = answer.from
      for place in channels[index].roles[course].feeds.indices {
        // What it was said to have passed over it begins with again.
        let next = channels[index].roles[course].feeds[place].next
        channels[index].roles[course].feeds[place].next = min(next, answer.from ?? next)
        channels[index].roles[course].feeds[place].progress = now
      }
      if let from = answer.from, mayExpect(from, course) { expectFrom(from) }
    } else {
      channels[index].roles[course].parentStripes = []
      channels[index].roles[course].feeds = []
    }
    courses[course].events.append(
      .linkUp(
        link(
          index,
          purpose: pending.ask.purpose,
          stripes: answer.stripes,
          isParent: pending.ask.purpose == .data,
          answer.note
        )
      )
    )
  }

  /// Whether what a parent promises to begin with tells what should have come before it.
  ///
  /// Not in a swap, where the old topology brings that: its end and the successor's beginning are nobody's hole.
  private func mayExpect(_ from: UInt64, _ course: Int) -> Bool {
    guard courses.count == 2 else { return true }
    let turn = courses[1].descriptor.validFrom
    return course == 0 ? from < turn : from > turn && swap?.turned != nil
  }

  func link(
    _ index: Int,
    purpose: Purpose,
    stripes: StripeSet,
    isParent: Bool,
    _ note: [UInt8] = []
  ) -> PluginKit.Link {
    let channel = channels[index]
    return PluginKit.Link(
      peer: channel.peer,
      purpose: purpose,
      stripes: stripes,
      hello: channel.hello,
      isParent: isParent,
      roundTrip: channel.congestion.roundTrip ?? .zero,
      age: now - channel.opened,
      note: note
    )
  }
}
