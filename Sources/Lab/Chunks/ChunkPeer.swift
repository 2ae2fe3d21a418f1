import PluginKit

/// One peer at chunk fidelity: its topology, its links and what its host keeps for them.
struct ChunkPeer {
  enum State: UInt8 {
    case absent, opening, running, gone
  }

  static let nobody = UInt32.max
  static let never = Int64.max

  // What every chunk needs comes first, so that it lies side by side.
  var trace: UInt64 = 0xCBF2_9CE4_8422_2325
  var state = State.absent
  let behaviour: Behaviour
  let isLeaf: Bool
  let isRestricted: Bool
  /// Whether it is on the smaller side of a partition.
  var isCut = false
  var isWakeSet = false
  var hasStarted = false
  var hasAnnouncement = false
  var hasStallWatch = false
  var declaresParents = false
  /// Whether it knows what the swarm runs.
  var hasDescriptor = false
  let part: UInt16
  /// How many links want to know what is held.
  var listeners: UInt16 = 0
  var wishes: Wishes = []
  // Chunk numbers begin at 1; 0 stands for none.
  /// The chunk that is to come next.
  var expected: UInt32 = 0
  /// Bits per second that it really has; 0 for no limit.
  var upload: UInt64
  let download: UInt64
  /// When the upload is free again; when nothing but control has been sent so far.
  var uploadFree: Int64 = 0
  var controlFree: Int64 = 0
  var lastArrival: Int64 = 0
  var nextAnnouncement: Int64 = 0
  let joins: Int64
  /// When it goes; ``never`` when it stays.
  let goes: Int64
  var inTimeCount: UInt32 = 0
  var expectedCount: UInt32 = 0

  // Its links.
  /// Beside each link, to whom it is: looked through for every chunk.
  var linkPeers: [UInt32] = []
  var links: [ChunkLink] = []
  var routes: [Route] = []
  /// The links that have something to send, in the order of their turns: children, and those that only repair from us.
  private var childTurns = TurnList()
  private var otherTurns = TurnList()

  // What is missing.
  var missing: [Missing] = []
  var nextRepair = never
  /// For how long chunks were overtaken lately that came all the same.
  var overtaken: Int64 = 0
  /// Chunks that filled holes and were not told yet, at most ``grownLimit``.
  var grown: [UInt32] = []

  // The rest of its access.
  var weather: RandomSource
  /// How long a chunk waits for the upload at most.
  let patience: Int64
  var downloadFree: Int64 = 0

  // Its topology.
  var random: RandomSource
  var timers: [(number: UInt32, at: Int64)] = []
  var parents: [Parent] = []
  /// Who told it what the swarm runs.
  var firstContact: UInt32 = 0
  var asks: UInt32 = 0
  /// Those whom it must not talk to, at most ``bannedLimit``.
  var banned: [UInt32] = []
  /// Those whom it has dialled, at most ``dialledLimit``; kept where that is how it can be reached.
  var dialled: [UInt32] = []

  static let timerLimit = 256
  static let linkLimit = 512
  static let inboundLimit = 448
  static let bannedLimit = 256
  static let dialledLimit = 256
  static let missingLimit = 4096
  static let grownLimit = 16

  /// Who feeds a stripe, as the topology declared.
  struct Parent: Hashable {
    var stripe: UInt16
    var depth: UInt16
    var peer: UInt32
  }

  /// A standing rule.
  struct Route {
    var stripe: UInt16
    var link: UInt16
    var from: UInt32
  }

  /// A chunk that should have come.
  struct Missing {
    var chunk: UInt32
    /// Who was asked last.
    var source: UInt32
    var tries: UInt8
    /// Whether the topology asked.
    var isTopologys: Bool
    /// Whether the topology was told of the gap.
    var isTold: Bool
    var since: Int64
    /// When to ask, or to ask again.
    var next: Int64
  }

  init(_ planned: Plan.Planned, part: UInt16, random: inout RandomSource) {
    isLeaf = planned.role == .leaf
    behaviour = planned.behaviour
    isRestricted = planned.access.nat == .restricted
    joins = planned.joins.nanoseconds
    goes = planned.goes?.nanoseconds ?? Self.never
    self.part = part
    self.random = RandomSource(seed: random.next())
    weather = RandomSource(seed: random.next())
    let slow = planned.behaviour == .slow
    upload = slow ? max(1, planned.access.upload / Self.slowness) : planned.access.upload
    download = planned.access.download
    patience = slow ? planned.access.queue.nanoseconds : ChunkWorld.patience
  }

  /// A slow peer sends this part of what it claims.
  private static let slowness: UInt64 = 10

  /// Whether no link has anything to send.
  var hasNoTurns: Bool { childTurns.isEmpty && otherTurns.isEmpty }

  /// Lets a link have its turn; children come before those who only repair from us.
  mutating func takeTurn(_ link: Int) {
    guard !links[link].hasTurn else { return }
    links[link].hasTurn = true
    if links[link].routeCount > 0 {
      childTurns.append(link, &links)
    } else {
      otherTurns.append(link, &links)
    }
  }

  /// The link whose turn it is, of those that have something to send.
  mutating func nextTurn() -> Int? {
    while let link = childTurns.removeFirst(links) ?? otherTurns.removeFirst(links) {
      links[link].hasTurn = false
      if links[link].waiting > 0 { return link }
    }
    return nil
  }

  mutating func dropTurn(_ link: Int) {
    guard links[link].hasTurn else { return }
    links[link].hasTurn = false
    childTurns.remove(link, &links)
    otherTurns.remove(link, &links)
  }

  /// Gives back what it needs no more.
  mutating func dissolve() {
    timers = []
    parents = []
    links = []
    linkPeers = []
    routes = []
    banned = []
    dialled = []
    missing = []
    childTurns = TurnList()
    otherTurns = TurnList()
  }
}

/// ``WantedEvents`` of fixed layout.
struct Wishes: OptionSet {
  let rawValue: UInt32

  init(rawValue: UInt32) { self.rawValue = rawValue }
  init(_ events: WantedEvents) { rawValue = events.rawValue }

  static let chunks = Wishes(rawValue: 1)
  static let duplicates = Wishes(rawValue: 2)
  static let haves = Wishes(rawValue: 4)
  static let gaps = Wishes(rawValue: 8)
  static let windowMoved = Wishes(rawValue: 16)
  static let linkSamples = Wishes(rawValue: 32)
}
