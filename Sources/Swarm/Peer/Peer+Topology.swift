import PluginKit
import Wire

// The host of the topology: it tells the plugin what happened and does what the plugin says.
extension Peer {
  /// The most events that one datagram or timer sets off at once; the rest has its turn when others had theirs.
  private static let eventLimit = 4096
  /// The most events that wait; of a topology that answers itself for ever nothing else is lost than its own doing.
  private static let waitingEventLimit = 65_536
  static let timerLimit = 256

  /// Runs what the descriptor names.
  mutating func adopt(_ found: SwarmDescriptor, signed: [UInt8]) throws(ParameterError) {
    guard let running = courses.last?.descriptor else { return try begin(found, signed: signed) }
    if running.runs(found) {
      // The same broadcast, started again: nothing changes but what is passed on.
      descriptor = found
      signedDescriptor = signed
    } else {
      try prepare(found, signed: signed)
    }
  }

  private mutating func begin(_ found: SwarmDescriptor, signed: [UInt8]) throws(ParameterError) {
    let made = try configuration.makeTopology(found.topology, found.parameters)
    descriptor = found
    signedDescriptor = signed
    courses = [Course(found, signed: signed, made, topologyRandom)]
    for index in channels.indices where !channels[index].isFree {
      channels[index].congestion.floorRate = liveFloor
      channels[index].nextHello = nil
    }
    tell(.start(configuration.role))
    tell(.capacity(ownCapacity))
  }

  /// Lets every topology hear of something.
  mutating func tell(_ event: TopologyEvent) {
    for course in courses.indices { courses[course].events.append(event) }
  }

  /// Lets those topologies hear of something that have to do with a channel.
  mutating func tellLinked(_ index: Int, _ event: TopologyEvent) {
    for course in courses.indices where channels[index].roles[course].isLink {
      courses[course].events.append(event)
    }
  }

  /// Lets the topologies hear what has happened, until nothing is left to say or it was enough for one turn.
  mutating func settle() {
    if lacking != nil { reviewLacking() }
    for course in courses.indices { flushBatches(of: course) }
    flushHints()
    for course in courses.indices {
      var count = 0
      while count < Self.eventLimit, let event = courses[course].events.removeFirst() {
        count += 1
        handle(event, course)
      }
    }
    flushRequests()
    for course in courses.indices where courses[course].events.count > Self.waitingEventLimit { thin(course) }
  }

  private mutating func thin(_ course: Int) {
    courses[course].events.filter(\.isLasting)
    guard courses[course].events.count > Self.waitingEventLimit else { return }
    courses[course].events.removeAll()
    notices.append(.sentence("the topology drowns in what it causes itself; some of it was left out"))
  }

  private mutating func flushBatches(of course: Int) {
    if !courses[course].arrivals.isEmpty {
      courses[course].events.append(.chunks(courses[course].arrivals))
      courses[course].arrivals.removeAll(keepingCapacity: true)
    }
    if !courses[course].duplicates.isEmpty {
      courses[course].events.append(.duplicates(courses[course].duplicates))
      courses[course].duplicates.removeAll(keepingCapacity: true)
    }
    if !courses[course].haves.isEmpty {
      courses[course].events.append(.haves(courses[course].haves))
      courses[course].haves.removeAll(keepingCapacity: true)
    }
    if !courses[course].gaps.isEmpty {
      courses[course].events.append(.gaps(courses[course].gaps))
      courses[course].gaps.removeAll(keepingCapacity: true)
    }
    guard courses[course].wants.contains(.windowMoved) else { return }
    let state = windowState(for: course)
    guard courses[course].toldWindow != state else { return }
    courses[course].toldWindow = state
    courses[course].events.append(.windowMoved(state))
  }

  private mutating func handle(_ event: TopologyEvent, _ course: Int) {
    var context = TopologyContext(
      now: now,
      me: me,
      epoch: courses[course].descriptor.epoch,
      window: windowState(for: course),
      stream: StreamProperties(
        rate: copyRate,
        chunkSize: configuration.chunkLimit,
        stripes: courses[course].descriptor.stripes
      ),
      held: held(for: course),
      random: courses[course].random,
      directory: directory
    )
    calls += 1
    courses[course].topology.handle(event, &context)
    courses[course].random = context.random
    for action in context.actions { perform(action, course) }
    if case .inbound(let inbound) = event { answer(inbound, course) }
  }

  private func channel(of peer: PeerRef) -> Int? {
    guard let index = directory[peer]?.channel, channels[index].isOpen else { return nil }
    return index
  }

  private mutating func perform(_ action: TopologyAction, _ course: Int) {
    switch action {
    case .connect(let peer, let purpose, let stripes, let from, let note):
      ask(peer, purpose, stripes, from: from, note: note, course)
    case .accept(let peer, let stripes, let note):
      guard let index = channel(of: peer) else { return }
      if channels[index].speech == .plain {
        servePlain(index, course)
      } else if let number = channels[index].roles[course].verdict?.number {
        channels[index].roles[course].verdict = Extension.Answer(
          number: number,
          isAccepted: true,
          stripes: stripes,
          note: note
        )
      }
    case .refuse(let peer, let stripes, let redirect):
      guard let index = channel(of: peer) else { return }
      if channels[index].speech == .plain {
        refusePlain(index, course)
      } else if let number = channels[index].roles[course].verdict?.number {
        channels[index].roles[course].verdict = Extension.Answer(
          number: number,
          isAccepted: false,
          stripes: stripes,
          redirect: suggestions(redirect)
        )
      }
    case .disconnect(let peer, let redirect):
      guard let index = directory[peer]?.channel, !channels[index].isFree else { return }
      part(index, redirect: redirect, course)
    case .send(let peer, let bytes):
      guard let index = channel(of: peer), bytes.count <= TopologyContext.messageLimit else { return }
      var body: [UInt8] = []
      body.appendInteger(courses[course].descriptor.epoch)
      body += bytes
      sendExtension(index, .message, body)
    case .setTimer(let number, let at):
      courses[course].timers.removeAll { $0.number == number }
      if courses[course].timers.count < Self.timerLimit { courses[course].timers.append((number, at)) }
    case .cancelTimer(let number): courses[course].timers.removeAll { $0.number == number }
    case .discover(let limit):
      notices.append(.discover(limit: limit))
      askForPeers()
    case .advertise(let chunks, let peer):
      guard let index = channel(of: peer), let part = part(of: chunks, for: course) else { return }
      sendHave(index, part)
    case .request(let chunks, let peer):
      if let part = part(of: chunks, for: course) { request(part, from: peer) }
    case .cancel(let chunks, let peer):
      guard let index = channel(of: peer), let part = part(of: chunks, for: course) else { return }
      cancel(part, from: index)
    case .route(let stripe, let peer, let from):
      guard let index = channel(of: peer), channels[index].speech == .proven else { return }
      route(stripe, to: index, from: from, in: course)
    case .push(let chunk, let peer, let note):
      // Whom no topology connected takes no pushes; neither does a plain peer.
      guard let index = channel(of: peer), channels[index].speech == .proven,
        channels[index].roles[course].isLink,
        window.contains(chunk), self.course(of: chunk) == course
      else { return }
      channels[index].lastPush = now
      enqueue(chunk, to: index, note: note)
      pump(index)
    case .stop(let stripe, let peer):
      guard let index = channel(of: peer) else { return }
      stop(stripe, index, course)
    case .declareParent(let stripe, let peer, let depth): declareParent(stripe, peer, depth: depth, course)
    case .ready(let epoch): if epoch == courses[course].descriptor.epoch { courses[course].isReady = true }
    @unknown default: break
    }
  }

  private mutating func stop(_ stripe: Int, _ index: Int, _ course: Int) {
    endRoutes(to: index, in: course) { $0 == stripe }
    guard channels[index].roles[course].parentStripes.contains(stripe: stripe) else { return }
    channels[index].roles[course].parentStripes.subtract(StripeSet(stripe))
    channels[index].roles[course].feeds.removeAll { $0.stripe == stripe }
    let stop = Extension.Stop(epoch: courses[course].descriptor.epoch, stripes: StripeSet(stripe))
    sendExtension(index, .stop, stop.encode())
  }

  /// Ends what a channel is to one topology; the channel stays where the other one of a swap uses it.
  private mutating func part(_ index: Int, redirect: [PeerRef], _ course: Int) {
    if courses.count == 2, channels[index].roles[1 - course].isUsed {
      endRoles(index, in: course)
      let part = Extension.Part(epoch: courses[course].descriptor.epoch, redirect: suggestions(redirect))
      sendExtension(index, .part, part.encode())
    } else {
      sayGoodbye(index, redirect: redirect)
      free(index)
    }
    noteParents()
  }

  /// The other side has parted from us in one epoch.
  mutating func readPart(_ index: Int, _ body: RawSpan) {
    guard let part = Extension.Part(body), let course = course(ofEpoch: part.epoch),
      channels[index].roles[course].isLink
    else { return }
    endRoles(index, in: course)
    let redirect = candidates(part.redirect, from: channels[index].address)
    courses[course].events.append(.linkDown(channels[index].peer, .closed, redirect: redirect))
    noteParents()
  }

  private mutating func endRoles(_ index: Int, in course: Int) {
    endRoutes(to: index, in: course) { _ in true }
    // The number of the last ask stays: what it overtook is still on its way.
    let lastAnswer = channels[index].roles[course].lastAnswer
    channels[index].roles[course] = Roles()
    channels[index].roles[course].lastAnswer = lastAnswer
    channels[index].wantsHaves = channels[index].roles[1 - course].tellsHaves
    let peer = channels[index].peer
    courses[course].parents.removeAll { $0.peer == peer }
  }

  /// Ends the routes of some stripes to a channel, and what of them waits to be sent.
  mutating func endRoutes(to index: Int, in course: Int, _ isEnded: (_ stripe: Int) -> Bool) {
    guard course < courses.count else { return }
    channels[index].roles[course].routes.removeAll { isEnded($0.stripe) }
    let (stripes, share) = (courses[course].stripes, share(of: course))
    channels[index].queue.filter { queued in
      !share.contains(queued.chunk) || !isEnded(Int(queued.chunk % stripes))
    }
  }

  mutating func noteParents() {
    if !isAttached, configuration.role != .source { notices.append(.detached) }
  }

  // MARK: - Telling peers about peers

  func candidate(_ peer: PeerRef) -> Candidate {
    let entry = directory[peer]
    return Candidate(
      peer: peer,
      contact: directory.contact(of: peer),
      capacity: entry?.capacity,
      isAttached: entry?.isAttached
    )
  }

  func suggestions(_ peers: [PeerRef]) -> [Extension.Suggestion] {
    peers.prefix(TopologyContext.redirectLimit).compactMap { peer in
      guard let contact = directory.contact(of: peer) else { return nil }
      return Extension.Suggestion(contact: contact, isAttached: directory[peer]?.isAttached ?? false)
    }
  }

  /// Whom a peer at an address redirects us to; one on the Internet cannot send us into our own network.
  func candidates(_ suggestions: [Extension.Suggestion], from address: Address) -> [Candidate] {
    suggestions.filter { suggestion in
      suggestion.contact.id != me.id
        && (address.network != .internet || suggestion.contact.address.network == .internet)
    }.map { suggestion in
      var candidate = candidate(directory.peer(for: suggestion.contact))
      candidate.isAttached = suggestion.isAttached
      return candidate
    }
  }
}

extension TopologyEvent {
  /// Whether a topology that never hears of it would be wrong about its links from then on.
  fileprivate var isLasting: Bool {
    switch self {
    case .start, .stop, .linkUp, .linkDown, .timer, .prepare, .retire: true
    default: false
    }
  }
}
