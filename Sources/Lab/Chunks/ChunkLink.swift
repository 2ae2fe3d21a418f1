import PluginKit

/// One side of a link between two peers.
struct ChunkLink {
  // What every chunk needs comes first, so that it lies side by side.
  /// ``ChunkPeer/nobody`` for a place that is free.
  var peer: UInt32
  var isInbound: Bool
  /// Whether the other side has answered.
  var isOpen = false
  /// What we granted the other side, and what it granted us.
  var granted = Grant.none
  var claimed = Grant.none
  var askedFor = Grant.none
  var isSilent = false
  var hasTurn = false
  /// Whether the other side wants to hear what is held.
  var wantsHaves = false
  var isInBurst = false
  var falseChunks: UInt8 = 0
  var routeCount: UInt16 = 0
  /// The link whose turn is after this one.
  fileprivate var following = TurnList.none
  var outstanding: UInt16 = 0
  /// What we asked for and have no answer to: 0 for nothing.
  var asked: UInt32 = 0
  /// The highest chunk that the other side pushed.
  var pushed: UInt32 = 0
  var chunksFrom: UInt32 = 0
  var repairsFrom: UInt32 = 0
  var lateSince: UInt32 = 0
  var waiting: UInt32 = 0
  var parentStripes: StripeSet = []
  var lastProgress: Int64

  // To send.
  var lastUsed: Int64
  var lastPush: Int64 = 0
  /// One way to the other side, in nanoseconds.
  let latency: Int64
  /// When the last chunk on the way arrives there: one does not overtake another.
  var lastArrival: Int64 = 0
  // What waits to be sent: lists among the waiting chunks.
  var urgent = WaitingList()
  var queue = WaitingList()

  /// There and back.
  let trip: Int64
  let opened: Int64
  /// Since when nothing can come from the other side; ``ChunkPeer/never`` while something can.
  var lostSince = ChunkPeer.never
  /// When the silence is looked at next.
  var silenceAt: Int64 = 0
  var askedStripes: StripeSet = []
  /// The number of the last ask of the other side.
  var answered: UInt32 = 0

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

/// Links of one peer that take turns, in a list through themselves.
struct TurnList {
  fileprivate static let none = UInt16.max

  private var first = none
  private var last = none

  var isEmpty: Bool { first == Self.none }

  mutating func append(_ link: Int, _ links: inout [ChunkLink]) {
    let link = UInt16(link)
    links[Int(link)].following = Self.none
    if isEmpty { first = link } else { links[Int(last)].following = link }
    last = link
  }

  mutating func removeFirst(_ links: [ChunkLink]) -> Int? {
    guard !isEmpty else { return nil }
    let link = Int(first)
    first = links[link].following
    return link
  }

  mutating func remove(_ link: Int, _ links: inout [ChunkLink]) {
    var kept = TurnList()
    while let next = removeFirst(links) {
      if next != link { kept.append(next, &links) }
    }
    self = kept
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
