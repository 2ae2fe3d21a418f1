import PluginKit
import Wire

// What happens because time passes.
extension Peer {
  /// Children hear from us at least this often, so that they can tell silence from a pause of the stream.
  static let heartbeat: Duration = .milliseconds(50)
  /// The shortest silence of a parent that counts.
  static let shortestSilence: Duration = .milliseconds(150)
  /// How long a silence is between two reports of it.
  static let silenceInterval: Duration = .milliseconds(60)
  /// A parent that is heard but brings nothing new, while others have more, is as good as silent.
  static let stallLimit: Duration = .milliseconds(600)
  /// RFC 7574, section 3.12: three minutes, and three datagrams without an answer.
  static let deadAfter: Duration = .seconds(180)
  /// The same between peers that ping each other every second.
  static let freshetDeadAfter: Duration = .seconds(6)
  /// The same of a plain peer that feeds us.
  static let pulledDeadAfter: Duration = .seconds(10)
  static let keepAliveInterval: Duration = .seconds(25)
  /// How long a handshake may take, and how long an open channel may be of no use.
  static let openingLimit: Duration = .seconds(3)
  static let idleLimit: Duration = .seconds(10)

  /// When ``timeout(now:)`` wants to be called, if at all.
  public var nextTimeout: Duration? {
    var copy = self
    return copy.soonest()
  }

  /// The same, in place; what was found out stands until something happens.
  mutating func soonest() -> Duration? {
    guard !hasLeft else { return nil }
    let next = foreseen ?? foresee()
    foreseen = next
    return max(blockedUntil.map { min($0, next) } ?? next, now)
  }

  /// When there is something to be done, but for what output waits for.
  private mutating func foresee() -> Duration {
    for course in courses.indices where !courses[course].events.isEmpty { return now }
    var next = nextSecond
    if let nextRepair { next = min(next, nextRepair) }
    if let at = upload.nextTurn { next = min(next, at) }
    if let leaving { next = min(next, leaving + .milliseconds(3000), now + .milliseconds(20)) }
    for course in courses.indices { for timer in courses[course].timers { next = min(next, timer.at) } }
    if content != nil, let at = nextContentTimeout { next = min(next, at) }
    let newest = window.newest
    for index in channels.indices {
      let agenda = channels.agenda(index)
      next = min(next, agenda.wake)
      if let at = agenda.have, agenda.hasGrown || agenda.said != newest { next = min(next, at) }
      if let watch = agenda.watch { next = min(next, silenceDeadline(index, watch)) }
    }
    return next
  }

  /// Whether something may be to be done about a channel.
  private mutating func isDue(_ index: Int) -> Bool {
    let agenda = channels.agenda(index)
    return agenda.watch != nil || agenda.idle <= now || agenda.have.map { $0 <= now } ?? false
  }

  /// Does what is due.
  ///
  /// Call it only after everything that has arrived was taken in.
  public mutating func timeout(now: Duration) {
    self.now = now
    for index in channels.indices where isDue(index) { timeout(index) }
    if let at = upload.nextTurn, at <= now { shareUpload() }
    if content != nil { contentTimeout() }
    extendWhileOrphaned()
    repair()
    for course in courses.indices { ringTimers(of: course) }
    if now >= nextSecond { everySecond() }
    settle()
    finishLeaving()
  }

  private mutating func ringTimers(of course: Int) {
    let due = courses[course].timers.filter { $0.at <= now }
    guard !due.isEmpty else { return }
    courses[course].timers.removeAll { $0.at <= now }
    for timer in due.sorted(by: { ($0.at, $0.number) < ($1.at, $1.number) }) {
      courses[course].events.append(.timer(timer.number))
    }
  }

  private mutating func timeout(_ index: Int) {
    // No copy of the channel is kept here: whatever sends would copy all its lists.
    let local = channels[index].local
    switch channels[index].phase {
    case .free: return
    case .opening:
      guard let at = channels[index].nextHandshake, at <= now else { return }
      if now - channels[index].opened >= Self.openingLimit {
        giveUpOpening(index)
      } else {
        sendHandshake(index)
      }
      return
    case .open: break
    }
    if isDead(index) {
      let (address, peer) = (channels[index].address, channels[index].peer)
      lose(index, .silent)
      if courses.isEmpty, bootstrap.contains(address) { connect(to: peer) }
      return
    }
    if isUseless(index) {
      sayGoodbye(index, redirect: [])
      free(index)
      return
    }
    if let at = channels[index].nextHello, at <= now { repeatHello(index) }
    if let at = channels[index].ackDeadline, at <= now { sendAck(index) }
    if let at = channels[index].nextAsk, at <= now { sendAsks(index) }
    guard channels[index].isOpen, channels[index].local == local else { return }
    if let at = channels[index].nextPing, at <= now {
      if channels[index].speech == .proven {
        sendPing(index)
      } else {
        channels[index].nextPing = now + .seconds(1)
      }
    }
    if let at = channels[index].congestion.silenceDeadline, at <= now {
      channels[index].congestion.silent(now: now)
      channels[index].flight.removeAll()
      channels[index].content.underWay.removeAll()
      pump(index)
    }
    if let at = channels[index].nextRelease, at <= now { pump(index) }
    announce(index)
    if now >= channels.agenda(index).quiet { send(index) { _ in } }
    if let watch = channels.agenda(index).watch, now >= silenceDeadline(index, watch) { reportSilence(index) }
  }

  private mutating func giveUpOpening(_ index: Int) {
    let address = channels[index].address
    let peer = channels[index].peer
    lose(index, .unreachable)
    // Until the swarm is known, the link's addresses are all that there is.
    if courses.isEmpty, bootstrap.contains(address) { connect(to: peer) }
  }

  private mutating func isDead(_ index: Int) -> Bool {
    now >= channels.agenda(index).death && channels[index].sentSinceHeard >= 3
  }

  /// A channel that only served to learn what the swarm runs.
  private mutating func isUseless(_ index: Int) -> Bool {
    descriptor != nil && now >= channels.agenda(index).useless
  }

  /// When a parent has been silent for longer than three chunk intervals and two round trips, or somebody whom chunks
  /// are pushed to has not answered.
  private func silenceDeadline(_ index: Int, _ watch: Channel.Watch) -> Duration {
    switch watch {
    case .receiver(let limit): return limit
    case .feeder(let heard, let progress, let trip, let reported):
      let limit = max(Self.shortestSilence, chunkInterval * 3 + min(trip * 2, .seconds(1)))
      let isStalled = now - progress >= Self.stallLimit && isStalled(index)
      let since = isStalled ? min(heard, progress + Self.stallLimit - limit) : heard
      return max(reported.map { $0 + Self.silenceInterval } ?? since + limit, since + limit)
    }
  }

  private func isStalled(_ index: Int) -> Bool {
    guard now - channels[index].lastProgress >= Self.stallLimit, lastChunk == nil, let newest = window.newest
    else {
      return false
    }
    return channels.indices.contains {
      channels[$0].isOpen && channels[$0].isSpare && (channels[$0].available.highest ?? 0) > newest &+ 8
    }
  }

  private mutating func reportSilence(_ index: Int) {
    channels[index].silenceReported = now
    reassign(from: index, .timeout)
    let since = isStalled(index) ? channels[index].lastProgress : channels[index].lastHeard
    tell(.silence(channels[index].peer, for: now - since))
  }

  /// How much longer than its round trip an answer to pushes may take, and how often its absence is told.
  static let answerSlack: Duration = .milliseconds(50)
  static let unansweredInterval: Duration = .milliseconds(250)
  /// How long after the last push a peer counts as one that is pushed to.
  private static let pushMemory: Duration = .seconds(2)

  private mutating func extendWhileOrphaned() {
    guard expected != nil, !hasLivelyParent || isPulling() else { return }
    extendHorizon()
  }

  private mutating func isPulling() -> Bool {
    for index in channels.indices where channels.agenda(index).isPulled { return true }
    return false
  }

  private mutating func everySecond() {
    nextSecond = now + .seconds(1)
    measuredRate = (measuredRate * 3 + bytesThisSecond * 8) / 4
    if bytesThisSecond > 0 { reordering.advance(now: now) }
    bytesThisSecond = 0
    reviewFed()
    banned.removeAll { $0.until <= now }
    reviewPlain()
    reviewNews()
    forgetParked()
    reviewMembers()
    reviewSwap()
    reviewExchange()
    while let local = newcomers.removeExpired(now) { numbers.release(local) }
    let floor = liveFloor
    for index in channels.indices where channels[index].isOpen {
      if let last = channels[index].lastPush, now - last >= Self.pushMemory { channels[index].lastPush = nil }
      if channels[index].isChild { channels[index].congestion.floorRate = floor }
      sample(index)
      channels[index].lateSince = 0
      channels[index].hellos = 0
      channels[index].malformed = 0
      channels[index].chunksFrom = 0
      channels[index].repairsFrom = 0
    }
  }

  private mutating func sample(_ index: Int) {
    for course in courses.indices where courses[course].wants.contains(.linkSamples) {
      let channel = channels[index]
      guard channel.roles[course].isLink || channel.roles[course].isServed else { continue }
      let sample = LinkSample(
        roundTrip: channel.congestion.roundTrip ?? .zero,
        queuedBytes: Int(Double(channel.urgent.count + channel.queue.count) * usualDatagram),
        rate: channel.congestion.rate,
        loss: Double(channel.repairsFrom) / Double(max(channel.chunksFrom, 1)),
        isStarved: channel.lateSince > 0
      )
      courses[course].events.append(.linkSample(channel.peer, sample))
    }
  }
}
