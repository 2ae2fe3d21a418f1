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
  mutating func adopt(_ found: SwarmDescriptor) throws(ParameterError) {
    guard topology == nil else { return }
    let made = try configuration.makeTopology(found.topology, found.parameters)
    descriptor = found
    wants = type(of: made).manifest.wants
    topology = made
    for index in channels.indices where !channels[index].isFree {
      channels[index].congestion.floorRate = liveFloor
      channels[index].nextHello = nil
    }
    events.append(.start(configuration.role))
    events.append(.capacity(ownCapacity))
  }

  /// Lets the topology hear what has happened, until nothing is left to say or it was enough for one turn.
  mutating func settle() {
    flushBatches()
    flushHints()
    var count = 0
    while count < Self.eventLimit, let event = events.removeFirst() {
      count += 1
      handle(event)
    }
    flushRequests()
    guard events.count > Self.waitingEventLimit else { return }
    events.filter(\.isLasting)
    guard events.count > Self.waitingEventLimit else { return }
    events.removeAll()
    notices.append(.sentence("the topology drowns in what it causes itself; some of it was left out"))
  }

  private mutating func flushBatches() {
    guard topology != nil else { return }
    if !arrivalBatch.isEmpty {
      events.append(.chunks(arrivalBatch))
      arrivalBatch.removeAll(keepingCapacity: true)
    }
    if !duplicateBatch.isEmpty {
      events.append(.duplicates(duplicateBatch))
      duplicateBatch.removeAll(keepingCapacity: true)
    }
    if !haveBatch.isEmpty {
      events.append(.haves(haveBatch))
      haveBatch.removeAll(keepingCapacity: true)
    }
    if !gapBatch.isEmpty {
      events.append(.gaps(gapBatch))
      gapBatch.removeAll(keepingCapacity: true)
    }
    if wants.contains(.windowMoved), toldWindow != window.state {
      toldWindow = window.state
      events.append(.windowMoved(window.state))
    }
  }

  private mutating func handle(_ event: TopologyEvent) {
    guard topology != nil else { return }
    var context = TopologyContext(
      now: now,
      me: me,
      epoch: descriptor?.epoch ?? 0,
      window: window.state,
      stream: StreamProperties(
        rate: copyRate,
        chunkSize: configuration.chunkLimit,
        stripes: descriptor?.stripes ?? 1
      ),
      held: window.held.ranges,
      random: topologyRandom,
      directory: directory
    )
    topology?.handle(event, &context)
    topologyRandom = context.random
    for action in context.actions { perform(action) }
    if case .inbound(let inbound) = event { answer(inbound) }
  }

  private func channel(of peer: PeerRef) -> Int? {
    guard let index = directory[peer]?.channel, channels[index].isOpen else { return nil }
    return index
  }

  private mutating func perform(_ action: TopologyAction) {
    switch action {
    case .connect(let peer, let purpose, let stripes, let from, let note):
      ask(peer, purpose, stripes, from: from, note: note)
    case .accept(let peer, let stripes, let note):
      guard let index = channel(of: peer) else { return }
      if channels[index].speech == .plain {
        servePlain(index)
      } else if let number = channels[index].verdict?.number {
        channels[index].verdict = Extension.Answer(
          number: number,
          isAccepted: true,
          stripes: stripes,
          note: note
        )
      }
    case .refuse(let peer, let stripes, let redirect):
      guard let index = channel(of: peer) else { return }
      if channels[index].speech == .plain {
        if !channels[index].weChoke { chokePlain(index) }
      } else if let number = channels[index].verdict?.number {
        channels[index].verdict = Extension.Answer(
          number: number,
          isAccepted: false,
          stripes: stripes,
          redirect: suggestions(redirect)
        )
      }
    case .disconnect(let peer, let redirect):
      guard let index = directory[peer]?.channel, !channels[index].isFree else { return }
      sayGoodbye(index, redirect: redirect)
      free(index)
      noteParents()
    case .send(let peer, let bytes):
      guard let index = channel(of: peer), bytes.count <= TopologyContext.messageLimit else { return }
      var body: [UInt8] = []
      body.appendInteger(descriptor?.epoch ?? 0)
      body += bytes
      sendExtension(index, .message, body)
    case .setTimer(let number, let at):
      timers.removeAll { $0.number == number }
      if timers.count < Self.timerLimit { timers.append((number, at)) }
    case .cancelTimer(let number): timers.removeAll { $0.number == number }
    case .discover(let limit):
      notices.append(.discover(limit: limit))
      askForPeers()
    case .advertise(let chunks, let peer):
      guard let index = channel(of: peer) else { return }
      sendHave(index, chunks)
    case .request(let chunks, let peer):
      request(chunks, from: peer)
    case .cancel(let chunks, let peer):
      guard let index = channel(of: peer) else { return }
      cancel(chunks, from: index)
    case .route(let stripe, let peer, let from):
      guard let index = channel(of: peer), channels[index].speech == .proven else { return }
      route(stripe, to: index, from: from)
    case .push(let chunk, let peer, let note):
      // Whom no topology connected takes no pushes; neither does a plain peer.
      guard let index = channel(of: peer), channels[index].speech == .proven, channels[index].isLink,
        window.contains(chunk)
      else { return }
      channels[index].lastPush = now
      enqueue(chunk, to: index, note: note)
      pump(index)
    case .stop(let stripe, let peer):
      guard let index = channel(of: peer) else { return }
      stop(stripe, index)
    case .declareParent(let stripe, let peer, let depth): declareParent(stripe, peer, depth: depth)
    case .ready: break
    @unknown default: break
    }
  }

  private mutating func stop(_ stripe: Int, _ index: Int) {
    endRoutes(to: index) { $0 == stripe }
    guard channels[index].parentStripes.contains(stripe: stripe) else { return }
    channels[index].parentStripes.subtract(StripeSet(stripe))
    channels[index].feeds.removeAll { $0.stripe == stripe }
    var body: [UInt8] = []
    body.appendInteger(StripeSet(stripe).rawValue)
    sendExtension(index, .stop, body)
  }

  /// Ends the routes of some stripes to a channel, and what of them waits to be sent.
  mutating func endRoutes(to index: Int, _ isEnded: (_ stripe: Int) -> Bool) {
    channels[index].routes.removeAll { isEnded($0.stripe) }
    channels[index].queue.filter { [stripes = descriptor?.stripes ?? 1] queued in
      !isEnded(Int(queued.chunk % UInt64(stripes)))
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
