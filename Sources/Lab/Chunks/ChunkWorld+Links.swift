import PluginKit

// Links between peers: what goes over them besides chunks, and their end.
extension ChunkWorld {
  /// How long the first answer of a peer may take, and how often an ask on an open link is repeated.
  static let openingLimit: Int64 = 3_000_000_000
  static let askLimit = 10
  /// After this a link that is of no use is closed.
  static let idleLimit: Int64 = 10_000_000_000

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
    // Should the goodbye be lost, or none be said, the other side finds out by our silence.
    notice(loss: UInt32(index), at: Int(side.peer))
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
}
