import Integrity
import MediaIO
import Net
import PluginKit
import Swarm
import Text
import Wire

/// A running source: an input on its way to a swarm.
package struct Broadcast {
  /// How long viewers may take to fetch the rest when the stream is over.
  private static let drainPatience: Duration = .seconds(5)
  /// What is assumed of an input that does not say its rate, in bits per second.
  private static let defaultRate: UInt64 = 4_000_000
  /// The most memory that a window may take.
  private static let windowLimit: UInt64 = 1 << 30
  /// The fewest chunks of a window, whatever the rate.
  private static let smallestWindow: UInt64 = 256
  /// The most own addresses that a link names; the user can name more.
  private static let linkAddresses = 4

  private let settings: BroadcastSettings
  private let host: Host
  private let source: any ChunkSource
  private let feed: SourceFeed
  private let key: StreamKey
  private let authority: CertificateAuthority?
  private var nextReport: Duration = .zero
  private var hasEnded = false
  private var outlet: Outlet
  private let chunkTimes: ChunkTimes?
  private var events: EventLog?
  private var swaps = SwapDesk()

  /// Broadcasts until the input is over, the time is over, or a signal comes.
  ///
  /// Tells the link first, when the input is known to be good.
  package static func run(
    _ settings: BroadcastSettings,
    _ report: (NodeEvent) -> Void
  ) throws(NodeError) {
    var broadcast = try Broadcast(settings)
    defer { broadcast.feed.close() }
    do throws(NodeError) {
      try broadcast.run(report)
    } catch {
      broadcast.outlet.finish(isWhole: false, on: nil)
      report(.summary(broadcast.host.summary()))
      throw error
    }
    broadcast.outlet.finish(isWhole: true, on: nil)
    broadcast.host.tellRoot(of: broadcast.outlet, chunkSize: settings.chunkSize, settings.integrity, report)
    report(.summary(broadcast.host.summary()))
    if let failure = broadcast.outlet.failure { throw .output(failure) }
  }

  private init(_ settings: BroadcastSettings) throws(NodeError) {
    let clock = Clock()
    self.settings = settings
    let path = settings.key
    key = try NodeError.integrity { () throws(IntegrityError) in
      if let path { try StreamKey.load(from: path) } else { try StreamKey.generate() }
    }
    authority = try Self.authority(settings, key)
    let socket = try Sockets.listen(
      settings.listen,
      takesAnyPort: settings.takesAnyPort,
      settings.node.transport
    )
    host = try Host(settings.node, socket, clock: clock)
    let isVariable = settings.chunkSize == WireFormat.variableChunkSize
    source =
      settings.input.hasPrefix(NullSource.prefix)
      ? NullSource(settings.input, chunkSize: settings.longestChunk, isVariable: isVariable)
      : MediaSource(
        settings.input,
        options: MediaSource.Options(
          chunkSize: settings.longestChunk,
          isVariable: isVariable,
          loops: settings.loops
        )
      )
    feed = SourceFeed(source, waker: host.waker)
    outlet = try Outlet(settings.archive.map { [.archive($0)] } ?? [], host.waker)
    chunkTimes = try host.chunkTimes(settings.node)
  }

  /// The authority of a stream for members only.
  private static func authority(
    _ settings: BroadcastSettings,
    _ key: StreamKey
  ) throws(NodeError) -> CertificateAuthority? {
    guard let folder = settings.authority else { return nil }
    return try NodeError.integrity { () throws(IntegrityError) in
      let authority = try CertificateAuthority.load(from: folder)
      guard authority.authority.isFor(.live(key.swarmID)) else {
        throw .invalidCertificateFile(path: folder, reason: "it is the authority of another stream's key")
      }
      return authority
    }
  }

  private mutating func run(_ report: (NodeEvent) -> Void) throws(NodeError) {
    let end = settings.node.duration.map { host.clock.now + $0 }
    guard try open(until: end, report) else { return }
    let rate = source.declaredBitrate.map { UInt64(clamping: max($0, 1)) } ?? Self.defaultRate
    let window = try chunks(rate)
    var warnings: [String] = []
    let addresses = Sockets.advertised(settings.node.advertised, host.carrier.address) {
      warnings.append("\($0); the link names it all the same")
    }
    let link = Swarm.Link(
      endpoints: settings.node.advertised.isEmpty
        ? addresses.prefix(Self.linkAddresses).map(Swarm.Link.Endpoint.address)
        : settings.node.advertised.map { Sockets.with($0, port: host.carrier.address.port ?? 0) },
      swarmID: key.swarmID,
      chunkSize: settings.chunkSize,
      addressing: settings.addressing,
      integrity: settings.integrity,
      window: window
    )
    try start(rate: rate, window: window, address: addresses[0])
    report(.link(link))
    for warning in warnings { report(.warning(warning)) }
    if settings.integrity == .none {
      report(
        .warning(
          "nothing protects the stream: everybody on its way, every viewer too, can alter it unnoticed; "
            + "--integrity none is for networks in which you trust all"
        )
      )
    }
    let kind = source.isLive ? "live" : "paced by its timestamps"
    report(.sentence("broadcasting \(source.summary), \(kind), about \((rate / 1000).grouped) kbit/s"))
    if let folder = settings.authority {
      report(
        .sentence("only members are answered: those with a certificate from 'freshet ca issue \(folder)'")
      )
    }
    for notice in source.notices { report(.sentence(notice)) }
    if let folder = settings.control, let obstacle = host.openControl(in: folder) {
      report(.warning("'freshet topology' cannot change the topology of this broadcast: \(obstacle)"))
    }
    let copyRate = host.endpoint.peers[0].copyRate
    if let upload = settings.node.maxUpload, upload < copyRate {
      report(
        .sentence(
          "nobody can be fed: a copy of the stream takes \((copyRate / 1000).grouped) kbit/s and "
            + "--max-upload allows \((upload / 1000).grouped) kbit/s"
        )
      )
    }
    feed.begin(groupSize: settings.integrity == .unifiedMerkleTree ? chunksPerSignature(rate) : 1)
    nextReport = host.clock.now + .seconds(1)
    try carry(until: end, report)
  }

  /// Opens the input; false when the time was over, or a signal came, before it had begun.
  private func open(until end: Duration?, _ report: (NodeEvent) -> Void) throws(NodeError) -> Bool {
    try feed.open(key: key, addressing: settings.addressing)
    var hint: Duration? = host.clock.now + .seconds(2)
    while true {
      switch feed.phase {
      case .opening: break
      case .opened, .running: return true
      case .ended(let error):
        if let error { throw error }
        return false
      }
      try host.wait(until: [hint, end].compactMap(\.self).min())
      let now = host.clock.now
      if host.interruptions > 0 || end.map({ now >= $0 }) == true {
        // Closing the feed interrupts it; what cannot be interrupted ends with the process.
        report(.sentence("'\(settings.input)' has not begun; nothing was broadcast"))
        return false
      }
      if let time = hint, now >= time {
        hint = nil
        report(.sentence("waiting for '\(settings.input)' to begin"))
      }
    }
  }

  private func chunks(_ rate: UInt64) throws(NodeError) -> UInt64 {
    let chunks = source.chunkRate(bitRate: rate) * Double(settings.window.nanoseconds) / 1e9
    let bytes = chunks * Double(settings.longestChunk)
    guard bytes < Double(Self.windowLimit) else {
      throw .windowTooLarge(bytes: UInt64(clamping: Int64(bytes)))
    }
    return max(UInt64(chunks) + 1, Self.smallestWindow)
  }

  private func chunksPerSignature(_ rate: UInt64) -> Int {
    // Where their length varies there are more chunks than that, so that a subtree is full all the sooner.
    settings.chunksPerSignature
      ?? UnifiedMerkle.width(chunksPerSecond: Double(rate) / Double(settings.longestChunk * 8))
  }

  private mutating func start(rate: UInt64, window: UInt64, address: Address) throws(NodeError) {
    let identity = try NodeError.integrity { () throws(IntegrityError) in try PeerIdentity.generate() }
    var configuration = PeerConfiguration(
      swarmID: key.swarmID,
      role: .source,
      identity: identity,
      address: address
    )
    configuration.membership = try NodeError.integrity { () throws(IntegrityError) in
      try authority?.ownMembership(identity, now: host.unixOrigin + host.clock.now)
    }
    configuration.key = key
    configuration.rate = rate
    configuration.window = window
    configuration.addressing = settings.addressing
    configuration.integrity = settings.integrity
    configuration.chunksPerSignature = chunksPerSignature(rate)
    configuration.chunkSize = settings.chunkSize
    configuration.topology = settings.topology
    configuration.topologyParameters = settings.topologyParameters
    configuration.capacity = Capacity(upload: settings.node.maxUpload ?? NodeSettings.uncappedUpload)
    configuration.datagramLimit = Sockets.datagramLimit(settings.node.transport, host.carrier.address)
    configuration.clockOffset = host.unixOrigin
    configuration.beginsEntry = TransportStream.beginsEntry
    configuration.patience = settings.node.patience ?? configuration.patience
    configuration.makeTopology = settings.node.makeTopology
    try host.add(configuration, bootstrap: [])
    events = try host.eventLog(settings.node, configuration)
  }

  /// Passes chunks on until the stream is over and its viewers have it.
  private mutating func carry(until end: Duration?, _ report: (NodeEvent) -> Void) throws(NodeError) {
    var failure: NodeError?
    var deadline: Duration?
    var isStopping = false
    while true {
      let times = [nextReport, deadline, swaps.deadline, isStopping ? nil : end]
      try host.wait(until: times.compactMap(\.self).min())
      for chunk in feed.take() where !hasEnded { try publish(chunk) }
      if !hasEnded, case .ended(let error) = feed.phase {
        // The thread's last chunks may have come between the two looks.
        for chunk in feed.take() { try publish(chunk) }
        failure = error
        hasEnded = true
      }
      try host.timers()
      swaps.serve(host)
      for notice in host.takeNotices() {
        swaps.note(notice, now: host.clock.now)
        Self.tell(notice, report)
      }
      let now = host.clock.now
      if now >= nextReport {
        let statistics = host.statistics()
        report(.statistics(statistics))
        try chunkTimes?.flush()
        try events?.add(host.endpoint.peers[0], statistics, now: now)
        for warning in host.takeWarnings() { report(.warning(warning)) }
        nextReport = max(nextReport + .seconds(1), now)
      }
      if !isStopping, host.interruptions > 0 || end.map({ now >= $0 }) == true {
        isStopping = true
        feed.stop()
      }
      if hasEnded, deadline == nil {
        deadline = now + Self.drainPatience
        try events?.leave(now: now)
        events = nil
        host.leave()
      }
      if let deadline, host.endpoint.peers[0].hasLeft || now >= deadline { break }
      if host.interruptions > 1 { break }
    }
    swaps.end(host)
    try chunkTimes?.flush()
    if let failure { throw failure }
  }

  private mutating func publish(_ chunk: SourceFeed.Chunk) throws(NodeError) {
    do throws(SwarmError) {
      let bytes = unsafe chunk.bytes.span.bytes
      outlet.write(bytes, isEntry: chunk.isEntry)
      let now = host.clock.now
      chunkTimes?.add(chunk.number, here: now, out: now, isEntry: chunk.isEntry)
      try host.endpoint.peers[0].publish(
        chunk: chunk.number,
        payload: bytes,
        isEntry: chunk.isEntry,
        isLast: chunk.isLast,
        now: now
      )
    } catch {
      throw .swarm(error)
    }
    host.flush()
  }

  private static func tell(_ notice: Notice, _ report: (NodeEvent) -> Void) {
    switch notice {
    // A source puts nothing out, so it has no gaps.
    case .swapped(let swap): report(.sentence("'\(swap.topology)' has taken over (epoch \(swap.epoch))"))
    default: if let text = notice.sentence { report(.sentence(text)) }
    }
  }
}
