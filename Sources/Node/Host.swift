import Integrity
import MediaIO
import Net
import PluginKit
import Swarm
import Text
internal import Threads

/// What drives the peers of one process: its clock, its socket, its timers and its user's signals.
///
/// A turn is: wait, take in what came and send what follows, then what the caller has to add, then ``timers()``.
/// Timers come after input, so that a process that was stopped for a while does not blame others for its own silence.
final class Host {
  private static let socketToken: UInt32 = 1

  let clock: Clock
  private var loop: EventLoop
  var endpoint = Endpoint()
  private(set) var carrier: Carrier
  private(set) var finder: Finder
  private var isDrained = true
  private var isWatchingOutput = false
  /// How often the user asked to end.
  private(set) var interruptions = 0
  private var standing: Statistics?
  private var hasFinalStanding = false
  private var overflowed: UInt64 = 0
  private var hasWarnedOfLength = false
  private var control: ControlServer?
  private var firstChunk: Duration?
  /// How long the process had existed when the clock began.
  private let age: Duration
  /// Unix time at the clock's zero.
  let unixOrigin: Duration

  init(_ settings: NodeSettings, _ socket: consuming DatagramSocket, clock: Clock) throws(NodeError) {
    self.clock = clock
    let now = clock.now
    age = (Clock.processAge ?? .zero) - now
    unixOrigin = clock.unixOrigin
    loop = try NodeError.net { () throws(NetError) in try EventLoop(clock: clock) }
    finder = Finder(settings.discovery, seed: Clock.unixNanoseconds, waker: loop.waker)
    carrier = Carrier(settings.transport, socket, now: now)
    ignoreBrokenPipes()
    do throws(NetError) {
      try loop.watch(carrier.descriptor, token: Self.socketToken)
      try loop.catchSignals()
    } catch {
      throw .net(error)
    }
  }

  var waker: Waker { loop.waker }

  /// Lets a peer take part from now on.
  func add(
    _ configuration: PeerConfiguration,
    _ content: consuming Content? = nil,
    bootstrap: [Address]
  ) throws(NodeError) {
    do throws(SwarmError) {
      let peer = try Peer(configuration, content: content, channels: endpoint.channels, now: clock.now)
      endpoint.peers.append(peer)
    } catch {
      throw .swarm(error)
    }
    tell(.start(swarm: configuration.name.bytes))
    endpoint.peers[endpoint.peers.count - 1].start(bootstrap: bootstrap, now: clock.now)
    flush()
  }

  /// What the peer has to say; what it wants found is asked for here.
  func takeNotices(of peer: Int = 0) -> [Notice] {
    let notices = endpoint.peers[peer].takeNotices()
    for notice in notices {
      if case .discover(let limit) = notice { tell(.query(order: .any, limit: limit)) }
    }
    return notices
  }

  /// What went wrong around the socket since the last call, as sentences.
  func takeWarnings() -> [String] {
    var warnings: [String] = []
    if carrier.overflowed > overflowed {
      warnings.append(
        "the system threw \((carrier.overflowed - overflowed).grouped) received packets away because they came too fast"
      )
      overflowed = carrier.overflowed
    }
    if carrier.tooLong > 0, !hasWarnedOfLength {
      hasWarnedOfLength = true
      warnings.append(
        "packets are too long for a path to another peer; a broadcast with --chunk-size 1128 fits"
      )
    }
    return warnings
  }

  /// Waits at most until `deadline`, takes in what came, and sends what follows from it.
  func wait(until deadline: Duration?) throws(NodeError) {
    var wake = isDrained ? deadline : .zero
    for time in [carrier.nextTimeout, finder.nextTimeout] {
      if let time { wake = wake.map { min($0, time) } ?? time }
    }
    for index in endpoint.peers.indices {
      if let time = endpoint.nextTimeout(index) { wake = wake.map { min($0, time) } ?? time }
    }
    do throws(NetError) {
      for event in try loop.wait(until: wake) {
        switch event {
        case .signal: interruptions += 1
        case .ready(Self.socketToken, let interest) where interest.contains(.output):
          carrier.retry(now: clock.now)
        case .ready(let token, _) where token >= ControlServer.firstToken: control?.ready(token, loop)
        case .ready, .woken: break
        }
      }
    } catch {
      throw .net(error)
    }
    isDrained = carrier.drain(into: &endpoint, clock)
    try watchOutput()
  }

  /// Sends what the peers have to send.
  func flush() { carrier.flush(&endpoint, clock) }

  /// Lets peers and plugins act on the time, and sends what follows.
  func timers() throws(NodeError) {
    let now = clock.now
    for index in endpoint.peers.indices {
      // What lies in the socket may be what a timer waits for.
      guard isDrained, let time = endpoint.nextTimeout(index), time <= now else { continue }
      endpoint.peers[index].timeout(now: now)
    }
    carrier.timeout(now: now)
    finder.timeout(now: now)
    let hints = finder.take()
    if !hints.isEmpty {
      for index in endpoint.peers.indices { endpoint.peers[index].discovered(hints, now: now) }
    }
    flush()
    try watchOutput()
  }

  /// Lets the owner speak to this process by a socket in a folder; a sentence where that is not possible.
  func openControl(in folder: String) -> String? {
    if let obstacle = ControlClient.prepare(folder) { return obstacle }
    let path = ControlClient.path(folder, port: carrier.address.port ?? 0)
    do throws(SystemError) {
      control = try ControlServer(at: path, loop)
      return nil
    } catch {
      return "\(path) cannot be made: \(error)"
    }
  }

  /// What the owner asked for since the last time.
  func takeControlRequests() -> [(connection: Int, line: String)] { control?.takeRequests() ?? [] }

  func answer(_ connection: Int, _ answer: Control.Answer) { control?.answer(connection, answer) }

  func tell(_ event: DiscoveryEvent) { finder.tell(event, now: clock.now) }

  /// What the peer counted, and what only its host knows.
  func statistics() -> Statistics {
    let now = clock.now
    var statistics = endpoint.peers.first?.statistics(now: now) ?? Statistics()
    for peer in endpoint.peers.dropFirst() { statistics.add(peer.statistics(now: now)) }
    statistics.timeMilliseconds = (now + age).milliseconds
    statistics.late += carrier.dropped
    statistics.hopMedianMicroseconds = carrier.hops.quantile(0.5).map { Double($0.nanoseconds) / 1000 }
    statistics.hopP99Microseconds = carrier.hops.quantile(0.99).map { Double($0.nanoseconds) / 1000 }
    statistics.firstChunkMilliseconds = firstChunk.map { ($0 + age).milliseconds }
    return statistics
  }

  /// The file for the times of chunks, if there is to be one.
  func chunkTimes(_ settings: NodeSettings) throws(NodeError) -> ChunkTimes? {
    guard let path = settings.chunkTimes else { return nil }
    return try ChunkTimes(path, origin: clock.origin)
  }

  /// The file for what happens to the peer that was added last, if there is to be one.
  func eventLog(_ settings: NodeSettings, _ configuration: PeerConfiguration) throws(NodeError) -> EventLog? {
    guard let path = settings.eventLog else { return nil }
    return try EventLog(
      path,
      configuration,
      id: statistics().id ?? "",
      uncapped: settings.maxUpload == nil && configuration.role != .leaf,
      now: clock.now,
      unixOrigin: unixOrigin
    )
  }

  /// Begins to leave.
  func leave() {
    noteStanding(isFinal: true)
    for index in endpoint.peers.indices { endpoint.peers[index].leave(now: clock.now) }
    flush()
  }

  /// Whether everybody is done with leaving.
  var hasLeft: Bool { endpoint.peers.allSatisfy(\.hasLeft) }

  /// Keeps who feeds the peer and whom it feeds, for the summary: at the end of a stream everybody leaves.
  ///
  /// - Parameter isFinal: whether what comes later does not count; then what was seen before is kept.
  func noteStanding(isFinal: Bool) {
    guard !hasFinalStanding else { return }
    hasFinalStanding = isFinal
    if isFinal, standing?.depth != nil { return }
    let now = endpoint.peers[0].statistics(now: clock.now)
    if standing == nil || now.depth != nil { standing = now }
  }

  /// What is to be said of the whole run: what was counted, and where the peer stood at its end.
  func summary() -> Statistics {
    var summary = statistics()
    guard let standing else { return summary }
    summary.parent = standing.parent
    summary.depth = standing.depth
    summary.children = standing.children
    summary.peers = standing.peers
    return summary
  }

  /// Notes the time of the first verified chunk.
  func noteFirstChunk() {
    if firstChunk == nil { firstChunk = clock.now }
  }

  /// Milliseconds from the process's start to a time of the monotonic clock in nanoseconds.
  func sinceStart(monotonic: Int64) -> Double {
    (Duration.nanoseconds(monotonic &- clock.origin) + age).milliseconds
  }

  private func watchOutput() throws(NodeError) {
    guard carrier.isBlocked != isWatchingOutput else { return }
    isWatchingOutput = carrier.isBlocked
    do throws(NetError) {
      try loop.change(
        carrier.descriptor,
        token: Self.socketToken,
        to: isWatchingOutput ? [.input, .output] : .input
      )
    } catch {
      throw .net(error)
    }
  }
}
