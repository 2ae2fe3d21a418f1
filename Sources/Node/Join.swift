import Integrity
import MediaIO
import Net
import PluginKit
import Swarm
internal import Threads
import Wire

/// A running viewer: a swarm on its way to outputs and to other viewers.
package struct Join {
  /// How long own viewers may take to fetch the rest when the stream is over.
  private static let drainPatience: Duration = .seconds(5)
  /// How long leaving may take.
  private static let leavePatience: Duration = .seconds(1)

  private let settings: JoinSettings
  private let host: Host
  private var outlet: Outlet
  private let chunkTimes: ChunkTimes?
  private var events: EventLog?
  private let bootstrap: [Address]
  private var nextReport: Duration = .zero
  private var nextCheck: Duration = .zero
  private var behindLive: Duration?
  private var delay = OutputDelay()
  private var hasAnswer = false
  private var chunksIn: UInt64 = 0
  private var lastProgress: Duration = .zero

  /// Takes part until the stream ends, the time is over, or a signal comes.
  package static func run(_ settings: JoinSettings, _ report: (NodeEvent) -> Void) throws(NodeError) {
    var join = try Join(settings)
    do throws(NodeError) {
      try join.run(report)
    } catch {
      join.outlet.finish(isWhole: false, on: nil)
      report(.summary(join.completed(join.host.summary())))
      throw error
    }
    report(.summary(join.completed(join.host.summary())))
    if let failure = join.outlet.failure { throw .output(failure) }
  }

  private init(_ settings: JoinSettings) throws(NodeError) {
    let clock = Clock()
    self.settings = settings
    let bootstrap = try Sockets.bootstrap(settings.link)
    let socket = try Sockets.listen(settings.listen, reaching: bootstrap, settings.node.transport)
    let host = try Host(settings.node, socket, clock: clock)
    self.host = host
    self.bootstrap = try Sockets.reachable(bootstrap, from: host.carrier)
    outlet = try Outlet(settings.outputs, host.waker)
    chunkTimes = try host.chunkTimes(settings.node)
  }

  private mutating func start(_ report: (NodeEvent) -> Void) throws(NodeError) {
    let identity = try NodeError.integrity { () throws(IntegrityError) in
      if let membership = settings.membership { return membership.identity }
      return try PeerIdentity.generate()
    }
    let bound = host.carrier.address
    let own =
      settings.node.advertised.isEmpty
      ? Sockets.own(bound, towards: bootstrap[0])
      : Sockets.advertised(settings.node.advertised, bound) {
        report(.warning("\($0); others are told where this peer listens"))
      }[0]
    var configuration = PeerConfiguration(
      settings.link.name,
      role: settings.relays ? .relay : .leaf,
      identity: identity,
      address: own
    )
    if case .live(let id) = settings.link.name {
      let key = try NodeError.integrity { () throws(IntegrityError) in try StreamPublicKey(id) }
      configuration.publicKey = key
      // Every chunk is checked; what makes that cheap is made beside it, so that the first picture does not wait.
      _ = startThread { key.accelerate() }
    }
    configuration.membership = settings.membership
    configuration.addressing = settings.link.addressing
    configuration.integrity = settings.link.integrity
    configuration.chunkSize = settings.link.chunkSize
    configuration.window = settings.link.window
    configuration.capacity = Capacity(
      upload: settings.relays ? settings.node.maxUpload ?? NodeSettings.uncappedUpload : 0
    )
    configuration.datagramLimit = Sockets.datagramLimit(settings.node.transport, bound)
    configuration.clockOffset = host.unixOrigin
    configuration.beginsEntry = TransportStream.beginsEntry
    configuration.patience = settings.node.patience ?? configuration.patience
    configuration.makeTopology = settings.node.makeTopology
    try host.add(configuration, bootstrap: bootstrap)
    events = try host.eventLog(settings.node, configuration)
  }

  private mutating func run(_ report: (NodeEvent) -> Void) throws(NodeError) {
    try start(report)
    if settings.link.integrity == .none {
      report(
        .warning(
          "nothing protects this stream (its link says cipm=0): everybody on its way, every viewer too, can alter it "
            + "unnoticed"
        )
      )
    }
    report(
      .detail(
        "listening at \(host.carrier.address), asking \(bootstrap.map(\.description).joined(separator: ", "))"
      )
    )
    if settings.outputs.isEmpty {
      report(.sentence("relaying only: add --play or --output FILE to watch or record"))
    }
    let began = host.clock.now
    let end = settings.node.duration.map { began + $0 }
    nextReport = began + .seconds(1)
    lastProgress = began
    var isOver = false
    while !isOver {
      try turn(until: end, report) { isOver = true }
      let now = host.clock.now
      if host.interruptions > 0 || outlet.isAbandoned { break }
      if let end, now >= end {
        guard hasAnswer else { throw .noAnswer(bootstrap, within: end - began) }
        let statistics = host.endpoint.peers[0].statistics(now: now)
        guard statistics.chunksIn > 0 else { throw .noPlace(within: end - began) }
        break
      }
      try checkProgress(began: began, now: now)
    }
    outlet.finish(isWhole: isOver, on: host.waker)
    try chunkTimes?.flush()
    if isOver { try serveRest(report) }
    try leave(report)
  }

  /// One turn of the host, and what it brought to the outputs; `over` hears when the whole stream has been put out.
  private mutating func turn(
    until end: Duration?,
    _ report: (NodeEvent) -> Void,
    over: () -> Void
  ) throws(NodeError) {
    try host.wait(until: min(nextReport, end ?? nextReport))
    try host.timers()
    read()
    for notice in host.takeNotices() {
      switch notice {
      case .ended:
        host.noteStanding(isFinal: true)
        over()
      case .connected: hasAnswer = true
      case .attached(let parent, let depth):
        hasAnswer = true
        report(.detail("fed by \(parent)" + (depth.map { ", \($0) from the source" } ?? "")))
      case .detached: report(.detail("nobody feeds us"))
      default: if let text = notice.sentence { report(.sentence(text)) }
      }
    }
    for sentence in outlet.takeSentences() { report(.sentence(sentence)) }
    let now = host.clock.now
    if now >= nextReport {
      host.noteStanding(isFinal: false)
      let statistics = host.statistics()
      report(.statistics(completed(statistics)))
      try chunkTimes?.flush()
      try events?.add(host.endpoint.peers[0], statistics, now: now)
      for warning in host.takeWarnings() { report(.warning(warning)) }
      nextReport = max(nextReport + .seconds(1), now)
    }
  }

  private mutating func read() {
    let now = host.clock.now
    let live = host.unixOrigin + now
    var signed: NTPTimestamp?
    var entries: [(chunk: UInt64, isEntry: Bool)] = []
    let notesTimes = chunkTimes != nil
    host.endpoint.peers[0].read(now: now) { chunk, payload, timestamp, isEntry, skipped in
      if notesTimes { entries.append((chunk, isEntry)) }
      signed = timestamp
      delay.add(signed: timestamp.sinceUnixEpoch, now: live, skipped: skipped)
      host.noteFirstChunk()
      outlet.write(payload, isEntry: isEntry)
    }
    for (chunk, isEntry) in entries {
      chunkTimes?.add(
        chunk,
        here: host.endpoint.peers[0].arrival(of: chunk) ?? now,
        out: now,
        isEntry: isEntry
      )
    }
    if let signed { behindLive = max(live - signed.sinceUnixEpoch, .zero) }
  }

  /// Gives up when nobody answers, or the stream stays away.
  private mutating func checkProgress(began: Duration, now: Duration) throws(NodeError) {
    // Once the stream flows it is enough to look once a second.
    guard chunksIn == 0 || now >= nextCheck else { return }
    nextCheck = now + .seconds(1)
    let statistics = host.endpoint.peers[0].statistics(now: now)
    if statistics.chunksIn > chunksIn || statistics.parent != nil {
      if chunksIn == 0, statistics.chunksIn > 0 { host.noteFirstChunk() }
      chunksIn = statistics.chunksIn
      lastProgress = now
    }
    if !hasAnswer, now - began >= settings.answerPatience {
      throw .noAnswer(bootstrap, within: settings.answerPatience)
    }
    if now - lastProgress >= settings.streamPatience {
      throw chunksIn == 0
        ? .noPlace(within: settings.streamPatience) : .streamGone(after: settings.streamPatience)
    }
  }

  /// Serves own viewers until they have the whole stream and the outputs are written, for a bounded time.
  private mutating func serveRest(_ report: (NodeEvent) -> Void) throws(NodeError) {
    let deadline = host.clock.now + Self.drainPatience
    while host.clock.now < deadline, host.interruptions == 0 {
      if host.endpoint.peers[0].statistics(now: host.clock.now).children == 0 { return }
      try turn(until: deadline, report) {}
    }
  }

  private mutating func leave(_ report: (NodeEvent) -> Void) throws(NodeError) {
    let asked = host.interruptions
    try events?.leave(now: host.clock.now)
    events = nil
    let deadline = host.clock.now + Self.leavePatience
    host.leave()
    while !host.endpoint.peers[0].hasLeft, host.clock.now < deadline {
      try turn(until: deadline, report) {}
    }
    // Outputs bound their own time; a second signal does not wait for them.
    while !outlet.isFinished, host.interruptions <= max(asked, 1) {
      try host.wait(until: nil)
    }
    outlet.collect()
    for sentence in outlet.takeSentences() { report(.sentence(sentence)) }
    host.tellRoot(of: outlet, chunkSize: settings.link.chunkSize, settings.link.integrity, report)
  }

  /// Adds what the outputs know.
  private func completed(_ statistics: Statistics) -> Statistics {
    var statistics = statistics
    statistics.behindLiveMilliseconds = behindLive?.milliseconds
    delay.complete(&statistics)
    if let unit = outlet.firstAccessUnit {
      statistics.firstFrameMilliseconds = host.sinceStart(monotonic: unit.time)
      statistics.firstFrameBytes = unit.byteCount
    }
    return statistics
  }
}
