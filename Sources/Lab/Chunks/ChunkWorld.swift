package import PluginKit

/// The engine at chunk fidelity: plugins alone, over a model of their hosts and of the links between them.
///
/// No datagram, no chunk body and no signature exists. What happens is a discrete event at a whole nanosecond: a chunk
/// leaves through its sender's upload, takes the way's latency, and is there. The hosts keep the promises of PluginKit as
/// the product's host does: they open and close links, tell silence from a pause, repair what is missing and follow
/// routes. The same plan and composition give the same events, wherever and however often they run.
///
/// A topology's author runs one like this, in a test:
///
///     var world = try ChunkWorld(plan, Composition(name: "tree", parts: [.init("tree", parameters: "fanout=4")])) {
///       name, parameters throws(ParameterError) in
///       try Tree(parameters: Parameters(parameters, declared: Tree.manifest.parameters))
///     }
///     let result = world.run()
///     #expect(result.delivered > 0.999)
package struct ChunkWorld {
  /// What discovery knows.
  package enum Discovery: Hashable, Sendable {
    /// The source alone, as with a link.
    case source
    /// Peers that are attached, at random, and the source.
    case tracker
  }

  /// Where chunks that were sent have gone.
  package struct Tally: Hashable, Sendable {
    /// Chunks that began to leave an upload, and those that arrived anywhere, wanted or not.
    package var sent: UInt64 = 0
    package var arrived: UInt64 = 0
    /// Lost on the way by chance, by a partition, or because the receiver was gone.
    package var lost: UInt64 = 0
    /// Too many for the receiver's download.
    package var overwhelmed: UInt64 = 0
    /// Under way at the end.
    package var underWay: UInt64 { sent - arrived - lost - overwhelmed }
  }

  /// The longest that a host keeps a chunk that it could not send yet, or looks for one.
  static let patience: Int64 = 2_000_000_000
  /// The most events that one peer's topology may cause at one time.
  static let backlogLimit = 4096
  /// The most events at one instant, and as many more for each peer: further ones only come of a topology that does the
  /// same again and again.
  private static let instantLimit = 10_000
  private static let instantLimitOfPeer = 1000

  let plan: Plan
  let discovery: Discovery
  /// Bits per second that one copy takes, as hosts tell their topologies.
  let copyRate: UInt64
  let stripes: UInt32
  /// Nanoseconds between two chunks.
  let interval: Int64
  let deadline: Int64
  let measured: Range<Int64>
  let end: Int64
  /// Bytes of a chunk on the wire, without a note.
  let chunkBytes: Int
  let geography: Geography
  var loss = 0.0
  var burst = 1.0
  var jitter: UInt64 = 0
  let parts: [Composition.Part]
  /// Whether any of the plugins wants to hear what others hold.
  var wantsHaves = false
  let makeTopology: (String, String) throws(ParameterError) -> any Topology

  package internal(set) var measurement = Measurement()
  package internal(set) var tally = Tally()
  /// Who feeds whom, from the time on at which it is set to empty; nil when nobody wants to know.
  package var changes: [TreeFilm.Change]?
  /// What topologies said since it was last set to empty; nil when nobody wants to know.
  var said: [(peer: Int, action: TopologyAction)]?
  /// The peer whose topology causes something to happen again and again without any time passing; nothing happens any
  /// more then.
  package internal(set) var spinning: Int?

  package internal(set) var now: Int64 = 0
  /// How many events there were at the present instant.
  private var instant = 0
  var events = CalendarQueue<ChunkEvent>()
  var peers: [ChunkPeer]
  /// Beside each peer.
  var topologies: [(any Topology)?]
  let view: HostView
  /// When each chunk was published; chunk numbers begin at 1.
  var published: [Int64] = [0]
  var letters: [Letter] = []
  var freeLetters: [UInt32] = []
  var waiting = WaitingPool()
  /// The first is never used.
  var extras = [ChunkExtra()]
  var freeExtras: [UInt32] = []
  var samples: [Sample] = []
  var backlog: [TopologyEvent] = []
  var isTelling = false
  /// What the topology says to the inbound that it is told of.
  var verdict: Letter.Answer?
  var random: RandomSource
  /// Those who have a parent or chunks, for a tracker; in the order in which they came.
  var attached: [UInt32] = []
  var marks: Marks
  /// How many have left, and whether there is a partition: while neither is so, everybody reaches everybody.
  var goneCount = 0
  var isDivided = false
  /// Means nothing; it is there because of how it is computed.
  private var foreseen: UInt64 = 0
  /// How many of the next events need nothing that has not been touched.
  private var foreseenEvents = 0

  /// A world at time zero.
  ///
  /// - Throws: ``ParameterError`` when a topology of the composition cannot be made, or the plan changes it.
  package init(
    _ plan: Plan,
    _ composition: Composition,
    discovery: Discovery = .source,
    makeTopology: @escaping (_ name: String, _ parameters: String) throws(ParameterError) -> any Topology
  ) throws(ParameterError) {
    precondition(!plan.peers.isEmpty && !composition.parts.isEmpty, "a world has a source and a topology")
    guard plan.swaps.isEmpty else {
      throw ParameterError(
        "at chunk fidelity peers have one topology, and this scenario changes it: use packet fidelity"
      )
    }
    self.plan = plan
    self.discovery = discovery
    self.makeTopology = makeTopology
    parts = composition.parts
    for part in parts.dropFirst() { _ = try makeTopology(part.topology, part.parameters) }
    let first = try makeTopology(parts[0].topology, parts[0].parameters)
    let declared = type(of: first).manifest.parameters
    let scenario = plan.scenario
    let properties = scenario.stream
    let size = UInt64(properties.chunkSize)
    copyRate = properties.rate * (size + UInt64(WireCost.chunk)) / size
    stripes = UInt32(try Parameters(parts[0].parameters, declared: declared).stripes)
    chunkBytes = properties.chunkSize + WireCost.chunk + WireCost.headers
    interval = max(1, properties.interval.nanoseconds)
    deadline = properties.deadline.nanoseconds
    let phase = scenario.phases.measured
    measured = phase.lowerBound.nanoseconds..<phase.upperBound.nanoseconds
    end = scenario.phases.end.nanoseconds
    geography = Geography(plan)
    let window = UInt32(clamping: properties.windowSize)
    view = HostView(
      seed: plan.seed,
      count: plan.peers.count,
      size: window,
      span: UInt32(clamping: deadline / interval + 8),
      entryDistance: UInt32(max(1, properties.entryEvery.nanoseconds / interval))
    )
    marks = Marks(count: plan.peers.count, span: Int(deadline / interval + 8))
    var random = RandomSource(seed: plan.seed ^ 0x6368_756E_6B73)
    let shares = parts.map(\.share)
    peers = plan.peers.enumerated().map { index, planned in
      ChunkPeer(planned, part: index == 0 ? 0 : Self.part(shares, &random), random: &random)
    }
    topologies = [(any Topology)?](repeating: nil, count: plan.peers.count)
    self.random = random
    if properties.chunkSize > 0 { measurement.timeline = Self.seconds(measured) }
    change(.weather(scenario.weather))
    scheduleStart()
  }

  /// Runs to the end and says what was seen.
  package mutating func run() -> Measurement {
    run(until: .nanoseconds(end))
    conclude()
    return measurement
  }

  /// Lets time pass, at most to the end.
  package mutating func run(until time: Duration) {
    let limit = min(time.nanoseconds, end)
    while step(until: limit) != nil {}
    if spinning == nil { now = limit }
  }

  /// Lets the next thing happen, if it does not happen later than a time in nanoseconds.
  ///
  /// - Returns: the peer at which it happened.
  package mutating func step(until limit: Int64) -> Int? {
    guard spinning == nil, let event = events.next(until: min(limit, end)) else { return nil }
    if event.time > now {
      now = event.time
      instant = 0
    } else {
      instant += 1
      if instant > Self.instantLimit + Self.instantLimitOfPeer * peers.count { spinning = Int(event.to) }
    }
    if foreseenEvents == 0 {
      foreseenEvents = Self.foresight
      foresee()
    }
    foreseenEvents -= 1
    record(event)
    happen(event)
    return Int(event.to)
  }

  private mutating func scheduleStart() {
    for index in peers.indices {
      events.schedule(ChunkEvent(.join, at: peers[index].joins, to: index))
      guard peers[index].goes < .max else { continue }
      events.schedule(ChunkEvent(.leave, at: peers[index].goes, to: index))
    }
    for (number, change) in plan.changes.enumerated() {
      events.schedule(ChunkEvent(.change, at: change.at.nanoseconds, to: 0, first: UInt32(number)))
    }
    events.schedule(ChunkEvent(.finish, at: measured.upperBound, to: 0))
  }

  /// How many events ahead memory is asked for.
  private static let foresight = 8

  /// Touches what the next events need, so that memory is waited for once for all of them and not again and again.
  ///
  /// The peers of those after the next, and what hangs on the peers of the next.
  private mutating func foresee() {
    var sum: UInt64 = 0
    for place in Self.foresight..<Self.foresight * 2 {
      guard let index = events.event(after: place).map({ Int($0.to) }) else { break }
      sum &+= peers[index].trace &+ UInt64(truncatingIfNeeded: peers[index].lastArrival)
      sum &+= UInt64(truncatingIfNeeded: peers[index].nextRepair) &+ UInt64(view.newest(index))
    }
    for place in 0..<Self.foresight {
      guard let index = events.event(after: place).map({ Int($0.to) }) else { break }
      sum &+= UInt64(peers[index].linkPeers.first ?? 0) &+ UInt64(peers[index].routes.first?.from ?? 0)
      for link in peers[index].links.indices.prefix(Self.foreseenLinks) {
        sum &+= UInt64(peers[index].links[link].peer)
        sum &+= UInt64(truncatingIfNeeded: peers[index].links[link].lastPush)
      }
    }
    foreseen = sum
  }

  private static let foreseenLinks = 3

  private mutating func record(_ event: ChunkEvent) {
    let index = Int(event.to)
    var hash = peers[index].trace
    hash = (hash ^ UInt64(bitPattern: event.time)) &* 0x100_0000_01B3
    let what = UInt64(event.from) << 32 | UInt64(event.first) << 8 | UInt64(event.kind.rawValue)
    hash = (hash ^ what) &* 0x100_0000_01B3
    peers[index].trace = hash ^ hash >> 29
  }

  /// What a topology says belongs to what happened: its bytes must not depend on the order of a hash table.
  mutating func record(_ bytes: [UInt8], at index: Int) {
    var hash = peers[index].trace
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    peers[index].trace = hash
  }

  private mutating func happen(_ event: ChunkEvent) {
    let index = Int(event.to)
    switch event.kind {
    case .chunk: arrive(event)
    case .downloaded: take(event)
    case .uploadFree: continueSending(index)
    case .letter: read(event)
    case .timer: fire(index, event.first, event.time)
    case .repair: if peers[index].nextRepair == now { repair(index) }
    case .second: everySecond(index)
    case .silence: watchSilence(index, event.from)
    case .stall: watchStalls(index)
    case .askTimeout: giveUp(index, event.from, event.first)
    case .idle: closeIdle(index, event.from)
    case .announce: announce(index)
    case .discovered: answerDiscovery(index, limit: Int(event.first))
    case .join: join(index)
    case .begin: begin(index)
    case .leave: leave(index)
    case .publish: publish()
    case .reckon: reckon(event.first)
    case .change: change(plan.changes[Int(event.first)].kind)
    case .finish: noteDepths()
    }
  }

  private static func part(_ shares: [Double], _ random: inout RandomSource) -> UInt16 {
    guard shares.count > 1 else { return 0 }
    var roll = Double(random.next() >> 11) * 0x1p-53 * shares.reduce(0, +)
    for (part, share) in shares.enumerated() {
      roll -= share
      if roll < 0 { return UInt16(part) }
    }
    return UInt16(shares.count - 1)
  }

  private static func seconds(_ range: Range<Int64>) -> [Measurement.Second] {
    let count = (range.upperBound - range.lowerBound + 999_999_999) / 1_000_000_000
    return [Measurement.Second](repeating: Measurement.Second(), count: Int(max(0, count)))
  }

  var stream: StreamProperties {
    StreamProperties(rate: copyRate, chunkSize: plan.scenario.stream.chunkSize, stripes: Int(stripes))
  }

  // MARK: What tests and benchmarks look at

  /// How much has happened or is going to.
  package var eventCount: UInt64 { events.scheduled }

  /// Where a peer stands by its own word: 0 for the source, `nil` without a parent.
  package func depth(of peer: Int) -> Int? { depthOf(peer) }

  /// Whether a peer takes part now.
  package func isRunning(_ peer: Int) -> Bool { peers[peer].state == .running }
}
