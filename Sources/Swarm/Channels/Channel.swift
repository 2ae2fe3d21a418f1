import Integrity
import PluginKit
import Wire

/// One channel to another peer (RFC 7574, section 3.11).
///
///     opening ──answer, or any datagram with the number that a newcomer was given──▶ open ──goodbye, silence, lie──▶ free
struct Channel {
  enum Phase: Equatable {
    case free
    /// The other side must still show that it is where it says.
    case opening
    case open
  }

  /// Whether the other side speaks our extension.
  enum Speech: Equatable {
    /// It may; nothing was proven yet.
    case unknown
    /// A plain RFC 7574 peer.
    case plain
    /// It proved its id.
    case proven
  }

  /// A chunk that waits to be sent.
  struct Queued {
    var chunk: UInt64
    var deadline: Duration
    var note: UInt64 = 0
    /// Whether it goes out on its first forwarding, as it came.
    var isFresh: Bool
  }

  /// A chunk that is under way.
  struct Sent {
    var chunk: UInt64
    var bytes: Int
    var at: Duration
    var isAcknowledged = false
  }

  /// How far a declared parent is with a stripe, which it pushes in ascending order.
  struct Feed {
    var stripe: Int
    /// What lies below has been pushed or passed over.
    var next: UInt64
    /// When it last pushed a chunk of the stripe, or was declared.
    var progress: Duration
  }

  /// A standing rule of the topology.
  struct Route {
    var stripe: Int
    var from: UInt64
  }

  /// A signature that came ahead of its chunk (RFC 7574, section 6.1.1).
  struct EarlySignature {
    var chunk: UInt64
    var timestamp: UInt64
    var signature: [UInt8]
  }

  /// What we ask of the other side.
  struct PendingAsk {
    var ask: Extension.Ask
    var tries = 0
    var next: Duration
  }

  /// Bounds on what the other side can make us hold.
  static let queueLimit = 16_384
  static let earlySignatureLimit = 256
  static let grownLimit = 16
  static let falseChunkLimit = 3
  static let helloLimit = 16
  /// How many datagrams of one second that cannot be read end the channel.
  static let malformedLimit = 64

  var phase = Phase.opening
  var speech = Speech.unknown
  /// A plain peer that feeds us: we pull all that it has.
  var isPulled = false
  var isServed = false
  /// Whether a plain leaf opened it only to hear what the swarm runs.
  var asksNews = false
  var wantsHaves = false

  var opened: Duration
  var lastHeard: Duration
  var lastSent: Duration
  var lastProgress: Duration
  var sentSinceHeard = 0
  var nextHandshake: Duration?
  var nextHello: Duration?
  var nextPing: Duration?
  var ackDeadline: Duration?
  var nextRelease: Duration?
  var silenceReported: Duration?
  /// When the topology last pushed a chunk to it.
  var lastPush: Duration?
  /// When the first chunk was sent since it was last heard.
  var unansweredSince: Duration?
  /// What it is to us and we to it, in each course.
  var roles = [Roles(), Roles()]
  var nextHave: Duration = .zero
  var saidHave: ChunkRange?
  /// Intervals below the newest that have grown since it was told of them.
  var grown: [ChunkRange] = []
  var congestion = CongestionControl()

  let local: UInt32
  var remote: UInt32 = 0
  var address: Address
  var peer: PeerRef
  var isInitiator: Bool
  var supported = MessageSet.rfc7574
  /// How many chunks the other side keeps.
  var theirWindow: UInt64 = .max

  // Liveness.
  var handshakeTries = 0
  var helloTries = 0
  /// Hellos that were read in this second; each costs a signature or two.
  var hellos = 0
  /// Datagrams of this second that could not be read.
  var malformed = 0

  // Who it is.
  var hello: Hello?
  var member: Member?
  var exchange = Exchange.Side()

  // What we get from it.
  var available = IntervalSet()
  var isChokingUs = false
  var outstanding = 0
  var falseChunks = 0
  var chunksFrom: UInt64 = 0
  var repairsFrom: UInt64 = 0
  var early: [EarlySignature] = []
  /// Hashes that it sent and that nothing has proven yet, in a swarm with trees.
  var hashes: PendingHashes?

  /// What it said of the last swap, and when we last told it what the swarm runs.
  var swap: Extension.Ping.Seen?
  var toldNews: Duration?

  // Acknowledgements that we owe.
  var owedAck: ChunkRange?
  var owedDelay: UInt64 = 0
  var owedCount = 0

  // What it gets from us.
  /// Whom the other side named when it said goodbye.
  var farewell: [Candidate] = []
  var weChoke = false
  /// When a plain peer last asked for something or acknowledged it, or was choked.
  var lastAsked: Duration
  var urgent = Ring<Queued>()
  var queue = Ring<Queued>()
  var flight = Ring<Sent>()
  /// Whether it would send if the upload were not taken by others.
  var waitsForUpload = false
  /// Bytes of its turns that it has not used (deficit round robin).
  var deficit = 0
  var lateSince: UInt64 = 0
  var hashesSent = HashesSent()
  /// In a static swarm.
  var content = ContentChannel(.sha256)

  init(local: UInt32, address: Address, peer: PeerRef, isInitiator: Bool, now: Duration) {
    self.local = local
    self.address = address
    self.peer = peer
    self.isInitiator = isInitiator
    opened = now
    lastHeard = now
    lastSent = now
    lastProgress = now
    lastAsked = now
  }

  // A channel is large and would be copied to call these.
  @inline(__always) var isOpen: Bool { phase == .open }
  @inline(__always) var isFree: Bool { phase == .free }
  /// Whether chunks flow to it by routes, pushes or the requests of a plain peer.
  @inline(__always) var isChild: Bool { isRouted || isServed || lastPush != nil }
  /// Whether a topology pushes to it by standing rules.
  @inline(__always)
  var isRouted: Bool { !roles[0].routes.isEmpty || !roles[1].routes.isEmpty }
  @inline(__always) var isParent: Bool {
    !roles[0].parentStripes.isEmpty || !roles[1].parentStripes.isEmpty || isPulled
  }
  /// The first chunk that is pushed to it so.
  var firstRouted: UInt64? { (roles[0].routes + roles[1].routes).map(\.from).min() }
  /// Whether it is the declared parent of a stripe.
  @inline(__always) var isFeeding: Bool { !roles[0].feeds.isEmpty || !roles[1].feeds.isEmpty }
  /// Whether it may have what we lack: a plain peer that came by itself, or whom a topology keeps as a spare.
  @inline(__always) var isSpare: Bool {
    roles[0].isSpare || roles[1].isSpare || speech == .plain && !isInitiator
  }
  /// Whether a topology connected it to us, on either side's wish.
  @inline(__always) var isLink: Bool { roles[0].isLink || roles[1].isLink }
  @inline(__always) var isUsed: Bool { roles[0].isUsed || roles[1].isUsed }
  var isAsked: Bool { roles[0].pendingAsk != nil || roles[1].pendingAsk != nil }
  @inline(__always) var isAskedForData: Bool {
    roles[0].pendingAsk?.ask.purpose == .data || roles[1].pendingAsk?.ask.purpose == .data
  }
  @inline(__always) var isClaimed: Bool { roles[0].claimed != nil || roles[1].claimed != nil }
  /// Whether it and we answer each other's requests, as Freshet peers do that feed each other or may.
  @inline(__always)
  var answersRequests: Bool {
    speech == .proven
      && (roles[0].grants(.data) || roles[0].grants(.spare) || roles[1].grants(.data)
        || roles[1].grants(.spare))
  }

  /// When to ask again, at the earliest.
  @inline(__always)
  var nextAsk: Duration? {
    switch (roles[0].pendingAsk?.next, roles[1].pendingAsk?.next) {
    case (let first?, let second?): min(first, second)
    case (let first, let second): first ?? second
    }
  }

  /// Whether the other side understands a message; what it does not is never sent.
  func understands(_ type: UInt8) -> Bool { supported.contains(type) }

  /// What the other side has, after its own window.
  @inline(__always)
  func has(_ chunk: UInt64) -> Bool {
    guard let highest = available.highest, available.contains(chunk) else { return false }
    return theirWindow == .max || highest - min(chunk, highest) < theirWindow
  }

  /// Whether a chunk is older than what the other side keeps.
  func hasDropped(_ chunk: UInt64) -> Bool {
    guard let highest = available.highest, highest > chunk else { return false }
    return highest - chunk >= theirWindow
  }

  /// Which of some chunks, not many, wait to be sent or were sent since a time and not acknowledged.
  func underWay(_ chunks: ChunkRange, since: Duration) -> [Bool] {
    var found = [Bool](repeating: false, count: chunks.count)
    func note(_ chunk: UInt64) {
      if chunks.contains(chunk) { found[Int(chunk - chunks.lowerBound)] = true }
    }
    for index in 0..<urgent.count { note(urgent[index].chunk) }
    for index in 0..<queue.count { note(queue[index].chunk) }
    var index = flight.count - 1
    while index >= 0, flight[index].at >= since {
      if !flight[index].isAcknowledged { note(flight[index].chunk) }
      index -= 1
    }
    return found
  }
}
