import PluginKit

// The host of a topology: it tells the plugin what happened and does what the plugin says.
extension ChunkWorld {
  /// Tells a peer's topology what happened; what that causes at the same peer is told after it.
  mutating func tell(_ index: Int, _ event: TopologyEvent) {
    guard peers[index].state == .running else { return }
    guard !isTelling else {
      if backlog.count < Self.backlogLimit { backlog.append(event) } else { spinning = index }
      return
    }
    isTelling = true
    handle(index, event)
    tellBacklog(index)
    isTelling = false
  }

  private mutating func tellBacklog(_ index: Int) {
    var place = 0
    while place < backlog.count {
      handle(index, backlog[place])
      place += 1
    }
    if place > 0 { backlog.removeAll(keepingCapacity: true) }
  }

  private func context(_ index: Int) -> TopologyContext {
    view.host = index
    return TopologyContext(
      now: .nanoseconds(now),
      me: view.contact(index),
      epoch: 1,
      window: view.window(index),
      stream: stream,
      chunks: view,
      random: peers[index].random,
      directory: view
    )
  }

  private mutating func handle(_ index: Int, _ event: TopologyEvent) {
    measurement.calls += 1
    var context = context(index)
    if case .inbound(let ask) = event {
      let asker = view.peer(ask.peer, at: index)
      let number = link(index, to: asker).map { peers[index].links[$0].answered } ?? 0
      verdict = Letter.Answer(number: number, isAccepted: false, stripes: ask.stripes)
    }
    topologies[index]?.handle(event, &context)
    peers[index].random = context.random
    said?.append(contentsOf: context.actions.lazy.map { (index, $0) })
    for action in context.actions { perform(index, action) }
    if case .inbound(let ask) = event { answer(index, ask) }
  }

  /// The open link that a topology means.
  private func link(_ index: Int, _ peer: PeerRef) -> Int? {
    guard let link = link(index, to: view.peer(peer, at: index)), peers[index].links[link].isOpen
    else { return nil }
    return link
  }

  private mutating func perform(_ index: Int, _ action: TopologyAction) {
    switch action {
    case .connect(let peer, let purpose, let stripes, let from, let note):
      ask(index, view.peer(peer, at: index), purpose, stripes, from, note)
    case .accept(_, let stripes, let note):
      verdict?.isAccepted = true
      verdict?.stripes = stripes
      verdict?.note = note
    case .refuse(_, let stripes, let redirect):
      verdict?.isAccepted = false
      verdict?.stripes = stripes
      let redirect = named(index, redirect)
      verdict?.redirect = redirect
    case .disconnect(let peer, let redirect):
      guard let link = link(index, to: view.peer(peer, at: index)) else { return }
      sayGoodbye(index, link, named(index, redirect))
      free(index, link)
    case .send(let peer, let bytes):
      guard let link = link(index, peer), bytes.count <= TopologyContext.messageLimit else { return }
      record(bytes, at: index)
      send(index, link, .message(bytes), WireCost.headers + WireCost.message + 4 + bytes.count)
    case .setTimer(let number, let at): setTimer(index, number, at.nanoseconds)
    case .cancelTimer(let number): peers[index].timers.removeAll { $0.number == number }
    case .discover(let limit): discover(index, limit: limit)
    case .advertise(let chunks, let peer):
      guard let link = link(index, peer), let chunks = numbers(chunks) else { return }
      send(index, link, .haves([chunks]), WireCost.ranges + WireCost.range)
    case .request(let chunks, let peer): request(index, chunks, of: peer)
    case .cancel(let chunks, let peer):
      guard let link = link(index, peer), let chunks = numbers(chunks) else { return }
      send(index, link, .cancel(chunks), WireCost.ranges + WireCost.range)
    case .route(let stripe, let peer, let from):
      guard let link = link(index, peer), stripe >= 0, stripe < Int(stripes) else { return }
      route(index, link, UInt16(stripe), from: from)
    case .push(let chunk, let peer, let note):
      guard let link = link(index, peer), chunk <= UInt64(UInt32.max), view.has(index, UInt32(chunk))
      else { return }
      let isFresh = peers[index].lastArrival == now
      enqueue(index, link, UInt32(chunk), note: note, isFresh ? .fresh : .later)
    case .stop(let stripe, let peer):
      guard let link = link(index, peer), stripe >= 0, stripe < StripeSet.limit else { return }
      stop(index, link, stripe)
    case .declareParent(let stripe, let peer, let depth): declare(index, stripe, peer, depth)
    case .ready: break
    @unknown default: break
    }
  }

  func numbers(_ chunks: ClosedRange<UInt64>) -> ClosedRange<UInt32>? {
    guard chunks.lowerBound <= UInt64(UInt32.max) else { return nil }
    return UInt32(chunks.lowerBound)...UInt32(clamping: chunks.upperBound)
  }

  private mutating func request(_ index: Int, _ chunks: ClosedRange<UInt64>, of peer: PeerRef) {
    guard let link = link(index, peer) else {
      tell(index, .requestFailed(peer, chunks, .linkDown))
      return
    }
    guard let numbers = numbers(chunks), request(index, numbers, from: link) else {
      tell(index, .requestFailed(peer, chunks, .unavailable))
      return
    }
  }

  // MARK: Timers

  /// No timer fires sooner, so that one which is set for what is over lets time pass, as every real clock does.
  private static let timerStep: Int64 = 10_000

  private mutating func setTimer(_ index: Int, _ number: UInt32, _ time: Int64) {
    let time = max(time, now + Self.timerStep)
    peers[index].timers.removeAll { $0.number == number }
    guard peers[index].timers.count < ChunkPeer.timerLimit else { return }
    peers[index].timers.append((number, time))
    events.schedule(ChunkEvent(.timer, at: time, to: index, first: number))
  }

  mutating func fire(_ index: Int, _ number: UInt32, _ time: Int64) {
    let place = peers[index].timers.firstIndex { $0.number == number && $0.at == time }
    guard peers[index].state == .running, let place else { return }
    peers[index].timers.remove(at: place)
    tell(index, .timer(number))
  }

  // MARK: Parents

  private mutating func declare(_ index: Int, _ stripe: Int, _ peer: PeerRef?, _ depth: Int) {
    guard stripe >= 0, stripe < StripeSet.limit else { return }
    peers[index].declaresParents = true
    peers[index].parents.removeAll { Int($0.stripe) == stripe }
    guard let peer else {
      if stripe == 0 { note(index, .parent(nil)) }
      return
    }
    let parent = view.peer(peer, at: index)
    guard Int(parent) < peers.count else { return }
    if stripe == 0 { note(index, .parent(Int(parent))) }
    if peers[index].parents.isEmpty { attached.append(UInt32(index)) }
    peers[index].parents.append(
      ChunkPeer.Parent(stripe: UInt16(stripe), depth: UInt16(clamping: depth), peer: parent)
    )
  }

  /// Keeps a change for a film.
  mutating func note(_ index: Int, _ kind: TreeFilm.Change.Kind) {
    guard let count = changes?.count, count < TreeFilm.limit else { return }
    changes?.append(TreeFilm.Change(time: now, peer: index, kind: kind))
  }

  func depthOf(_ index: Int) -> Int? {
    index == 0 ? 0 : peers[index].parents.map { Int($0.depth) }.max()
  }

  func isAttached(_ index: Int) -> Bool {
    if index == 0 { return true }
    if peers[index].declaresParents { return !peers[index].parents.isEmpty }
    return peers[index].expected > 0 && now - peers[index].lastArrival < Self.patience
  }

  // MARK: Telling peers about peers

  func capacity(_ index: Int) -> Capacity {
    let access = plan.peers[index].access
    var upload = access.upload == 0 ? Self.unlimited : access.upload
    if index == 0, peers[0].upload > 0 { upload = peers[0].upload }
    return Capacity(
      upload: peers[index].isLeaf ? 0 : upload,
      download: access.download,
      isReachable: !peers[index].isRestricted,
      uptime: .nanoseconds(max(0, now - peers[index].joins))
    )
  }

  /// What a peer without a limit says to be able to send, in bits per second.
  private static let unlimited: UInt64 = 1_000_000_000_000

  func hello(_ index: Int) -> Hello {
    let contact = view.contact(index)
    let isAttached = isAttached(index)
    return Hello(
      id: contact.id,
      capacity: capacity(index),
      isAttached: isAttached,
      depth: isAttached ? depthOf(index) : nil,
      address: contact.address
    )
  }

  /// Those whom a host names to others, with what it knows of them.
  private func named(_ index: Int, _ references: [PeerRef]) -> [Letter.Named] {
    references.prefix(TopologyContext.redirectLimit).map { reference in
      let peer = view.peer(reference, at: index)
      let isKnown = Int(peer) < peers.count && link(index, to: peer) != nil
      return Letter.Named(peer: peer, isAttached: isKnown && isAttached(Int(peer)))
    }
  }

  func candidates(_ index: Int, _ named: [Letter.Named]) -> [Candidate] {
    named.filter { Int($0.peer) != index }.map { named in
      view.host = index
      let reference = view.reference(named.peer, at: index)
      let isKnown = Int(named.peer) < peers.count && link(index, to: named.peer) != nil
      return Candidate(
        peer: reference,
        contact: view.contact(of: reference),
        capacity: isKnown ? capacity(Int(named.peer)) : nil,
        isAttached: named.isAttached
      )
    }
  }

  // MARK: Discovery

  private static let discoveryTime: Int64 = 1_000_000
  private static let discoveryLimit = 64

  private mutating func discover(_ index: Int, limit: Int) {
    let limit = UInt32(max(1, min(limit, Self.discoveryLimit)))
    events.schedule(ChunkEvent(.discovered, at: now + Self.discoveryTime, to: index, first: limit))
  }

  mutating func answerDiscovery(_ index: Int, limit: Int) {
    guard peers[index].state == .running else { return }
    var found: [Letter.Named] = []
    if discovery == .tracker {
      var tries = limit * 4
      while found.count < limit, tries > 0, !attached.isEmpty {
        tries -= 1
        let place = Int(random.next() % UInt64(attached.count))
        let peer = Int(attached[place])
        guard peers[peer].state == .running, isAttached(peer) else {
          attached.swapAt(place, attached.count - 1)
          attached.removeLast()
          continue
        }
        guard peer != index, !found.contains(where: { Int($0.peer) == peer }) else { continue }
        found.append(Letter.Named(peer: UInt32(peer), isAttached: true))
      }
    }
    if index != 0, !found.contains(where: { $0.peer == 0 }) {
      if found.count >= limit { found.removeLast() }
      found.append(Letter.Named(peer: 0, isAttached: true))
    }
    tell(index, .discovered(candidates(index, found)))
  }

  // MARK: Once a second

  mutating func everySecond(_ index: Int) {
    guard peers[index].state == .running else { return }
    events.schedule(ChunkEvent(.second, at: now + 1_000_000_000, to: index))
    // One look at the peer does for all its samples: they ask for little.
    var context = context(index)
    for link in peers[index].links.indices {
      guard let sample = sample(index, link) else { continue }
      measurement.calls += 1
      topologies[index]?.handle(sample, &context)
    }
    peers[index].random = context.random
    said?.append(contentsOf: context.actions.lazy.map { (index, $0) })
    isTelling = true
    for action in context.actions { perform(index, action) }
    tellBacklog(index)
    isTelling = false
  }

  /// How a link did in the last second; `nil` when it is of no use.
  private mutating func sample(_ index: Int, _ link: Int) -> TopologyEvent? {
    let side = peers[index].links[link]
    guard !side.isFree, side.isOpen, !side.isUseless else { return nil }
    let upload = peers[index].upload
    let sample = LinkSample(
      roundTrip: .nanoseconds(side.trip),
      queuedBytes: Int(side.waiting) * chunkBytes,
      rate: upload == 0 ? Self.unlimited : upload,
      loss: Double(side.repairsFrom) / Double(max(side.chunksFrom, 1)),
      isStarved: side.lateSince > 0
    )
    peers[index].links[link].lateSince = 0
    peers[index].links[link].chunksFrom = 0
    peers[index].links[link].repairsFrom = 0
    return .linkSample(view.reference(side.peer, at: index), sample)
  }
}
