import PluginKit

/// One peer at chunk fidelity: its topology, its links and what its host keeps for them.
struct ChunkPeer {
  enum State: UInt8 {
    case absent, opening, running, gone
  }

  static let nobody = UInt32.max
  static let never = Int64.max

  // Who it is.
  var state = State.absent
  let isLeaf: Bool
  let behaviour: Behaviour
  let isRestricted: Bool
  /// Whether it is on the smaller side of a partition.
  var isCut = false
  let joins: Int64
  /// When it goes; ``never`` when it stays.
  let goes: Int64
  let part: UInt16

  /// Whether it knows what the swarm runs, and who told it.
  var hasDescriptor = false
  var firstContact: UInt32 = 0

  // Its topology.
  var wishes: Wishes = []
  var random: RandomSource
  var timers: [(number: UInt32, at: Int64)] = []
  var parents: [Parent] = []
  var declaresParents = false

  // Its links.
  var links: [ChunkLink] = []
  /// Beside each link, to whom it is: looked through for every chunk.
  var linkPeers: [UInt32] = []
  var routes: [Route] = []
  /// Those whom it must not talk to, at most ``bannedLimit``.
  var banned: [UInt32] = []
  /// Those whom it has dialled, at most ``dialledLimit``; kept where that is how it can be reached.
  var dialled: [UInt32] = []
  var asks: UInt32 = 0

  // Its access.
  var weather: RandomSource
  /// Bits per second that it really has; 0 for no limit.
  var upload: UInt64
  let download: UInt64
  /// How long a chunk waits for the upload at most.
  let patience: Int64
  /// When the upload is free again; when nothing but control has been sent so far; when the download is.
  var uploadFree: Int64 = 0
  var controlFree: Int64 = 0
  var downloadFree: Int64 = 0
  var isWakeSet = false
  /// The links that have something to send, in the order of their turns: children, and those that only repair from us.
  var childTurns: [UInt16] = []
  var otherTurns: [UInt16] = []

  // What is missing. Chunk numbers begin at 1; 0 stands for none.
  var expected: UInt32 = 0
  var missing: [Missing] = []
  var nextRepair = never
  var lastArrival: Int64 = 0
  /// For how long chunks were overtaken lately that came all the same.
  var overtaken: Int64 = 0
  var hasStallWatch = false

  // Telling others what is held.
  /// How many links want to know.
  var listeners: UInt16 = 0
  var hasAnnouncement = false
  var nextAnnouncement: Int64 = 0
  /// Chunks that filled holes and were not told yet, at most ``grownLimit``.
  var grown: [UInt32] = []

  // What is counted.
  var expectedCount: UInt32 = 0
  var inTimeCount: UInt32 = 0
  var hasStarted = false
  var trace: UInt64 = 0xCBF2_9CE4_8422_2325

  static let timerLimit = 256
  static let linkLimit = 512
  static let inboundLimit = 448
  static let bannedLimit = 256
  static let dialledLimit = 256
  static let missingLimit = 4096
  static let grownLimit = 16

  /// Who feeds a stripe, as the topology declared.
  struct Parent {
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
    childTurns = []
    otherTurns = []
  }
}

/// One side of a link between two peers.
struct ChunkLink {
  /// ``ChunkPeer/nobody`` for a place that is free.
  var peer: UInt32
  var isInbound: Bool
  /// Whether the other side has answered.
  var isOpen = false
  /// What we granted the other side, and what it granted us.
  var granted = Grant.none
  var claimed = Grant.none
  /// What we asked for and have no answer to: 0 for nothing.
  var asked: UInt32 = 0
  var askedFor = Grant.none
  var askedStripes: StripeSet = []
  /// The number of the last ask of the other side.
  var answered: UInt32 = 0
  var routeCount: UInt16 = 0
  var parentStripes: StripeSet = []
  /// One way to the other side, in nanoseconds.
  var latency: Int64
  /// There and back.
  var trip: Int64
  var opened: Int64
  var lastUsed: Int64
  /// Since when nothing can come from the other side; ``ChunkPeer/never`` while something can.
  var lostSince = ChunkPeer.never
  var isSilent = false
  /// When the silence is looked at next.
  var silenceAt: Int64 = 0
  var lastPush: Int64 = 0
  var lastProgress: Int64
  /// The highest chunk that the other side pushed.
  var pushed: UInt32 = 0
  var falseChunks: UInt8 = 0
  var outstanding: UInt16 = 0
  var chunksFrom: UInt32 = 0
  var repairsFrom: UInt32 = 0
  var lateSince: UInt32 = 0
  /// When the last chunk on the way arrives there: one does not overtake another.
  var lastArrival: Int64 = 0
  var isInBurst = false
  var hasTurn = false
  // What waits to be sent: lists among the waiting chunks.
  var urgent = WaitingList()
  var queue = WaitingList()
  var waiting: UInt32 = 0
  /// What the other side was told or has said.
  var wantsHaves = false

  init(to peer: UInt32, isInbound: Bool, latency: Int64, trip: Int64, now: Int64) {
    self.peer = peer
    self.isInbound = isInbound
    self.latency = latency
    self.trip = trip
    opened = now
    lastUsed = now
    lastProgress = now
  }

  var isFree: Bool { peer == ChunkPeer.nobody }
  var isUseless: Bool { granted == .none && claimed == .none && asked == 0 }
  /// Whether requests go over it.
  var carriesRequests: Bool {
    granted.carriesChunks || claimed.carriesChunks
  }
}

/// What one side of a link has granted the other: a ``Purpose`` of fixed layout, so that a link has one too.
enum Grant: UInt8 {
  case none, data, control, spare

  init(_ purpose: Purpose) {
    switch purpose {
    case .data: self = .data
    case .control: self = .control
    case .spare: self = .spare
    @unknown default: self = .control
    }
  }

  var purpose: Purpose {
    switch self {
    case .data: .data
    case .spare: .spare
    case .control, .none: .control
    }
  }

  var carriesChunks: Bool { self == .data || self == .spare }
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
