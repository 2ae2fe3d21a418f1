public import CPluginABI
package import PluginKit

/// A ring as of Chord (Stoica et al., 2001), along which each chunk is delegated section by section.
///
/// Peers stand on a ring of 64 bits by their ids, know their neighbours on both sides and fingers at doubling distances.
/// The source cuts the whole ring into sections, at another place for each chunk, and sends the chunk to one peer of each;
/// who gets a chunk with a section cuts that again, until everybody has it. So everybody gets it once, and who has much to
/// do for one chunk has nothing to do for the next.
package struct Chord: Topology {
  package static let manifest = Manifest(
    name: "chord",
    version: "1.0.0",
    summary: "A ring with fingers; each chunk is delegated section by section, from another place each time",
    parameters: [
      Parameter("neighbours", .integer(2...7, default: 6), "how many neighbours a peer knows on each side"),
      Parameter(
        "fingers",
        .integer(1...4, default: 2),
        "how many fingers there are in each doubling of distance"
      ),
      Parameter("fanout", .integer(2...16, default: 12), "to how many peers one chunk is delegated at most"),
      Parameter(
        "stabilise",
        .duration(.milliseconds(200)...(.seconds(30)), default: .seconds(2)),
        "how often neighbours compare whom they know"
      ),
    ],
    wants: [.chunks, .duplicates, .gaps],
    claims: [.logarithmicDepth]
  )

  // Bounds on what others can make grow.
  /// The most members whom we accepted, and at the source.
  static let acceptLimit = 128
  static let entryLimit = 128
  /// The most members beside those; the nearest come first.
  static let memberLimit = 256
  static let knownLimit = 64
  static let askedLimit = 32
  static let lostLimit = 32
  static let relayedLimit = 128
  static let delegationLimit = 2048
  /// How many chunks back it is remembered what was delegated.
  static let handledLimit = 1024

  // What it was told.
  let neighbours: Int
  let fanout: Int
  let stabiliseInterval: Duration
  let fingersPerDoubling: Int

  var role = Role.relay
  var isStarted = false
  var isLeaving = false
  /// When we began, and when the first chunk came.
  var began = Duration.zero
  var firstChunk: UInt64?
  /// When a chunk came that was new, or our place was found.
  var lastNews = Duration.zero
  /// The epoch whose beginning waits for us.
  var awaitedEpoch: UInt32?
  /// The first chunk that is none of ours.
  var retirement: UInt64?
  var allowance = Allowance()
  var burden = Burden()

  /// Connected peers by their distance ahead on the ring, the nearest first; the source's place is as good as any.
  var members: [Member] = []
  /// Peers that were named, and are to be connected to where they are nearer than others.
  var known: [Named] = []
  var asked: [Ask] = []
  /// Who did not answer, or is gone; others may not know yet.
  var lost: [Lost] = []
  var fingers: [Finger] = []
  /// Lookups on their way through us; a lookup of our own has the number of its finger.
  var relayed: [Relayed] = []
  var nextToken: UInt32 = 256
  var isOnRing = false
  var nextLookup = Duration.zero
  var nextDiscovery = Duration.zero
  var nextBurden = Duration.zero
  var nextStabilise = Duration.zero
  /// Until when neighbours are compared often, because something has changed.
  var restlessUntil = Duration.zero

  var delegations: [Delegation] = []
  var nextDelegation = 0
  /// Chunks that were delegated, by their number modulo the limit.
  var handled: [UInt64]
  var patience = Patience()
  var gapTimer: Duration?
  var newest: UInt64?
  /// What was published shortly before the first chunk that came, and is still to be asked for.
  var backlog: ClosedRange<UInt64>?

  struct Ask: Hashable, Sendable {
    var peer: PeerRef
    var isSpare: Bool
    var until: Duration
  }

  struct Lost: Hashable, Sendable {
    var ring: UInt64
    var until: Duration
  }

  struct Finger: Hashable, Sendable {
    /// From here on, up to the next finger, one peer is known.
    var distance: UInt64
    var end: UInt64
    var peer: PeerRef?
    var next = Duration.zero
  }

  struct Relayed: Hashable, Sendable {
    var token: UInt32
    var from: PeerRef
    var theirs: UInt32
  }

  struct Delegation: Hashable, Sendable {
    var chunk: UInt64
    var peer: PeerRef
    var section: Section
    var at: Duration
  }

  /// The timers.
  enum Clock: UInt32 {
    case tick = 1
    case backlog = 2
    case gaps = 3
  }

  package init(parameters: Parameters) throws(ParameterError) {
    neighbours = parameters.integer("neighbours")
    fingersPerDoubling = parameters.integer("fingers")
    fanout = parameters.integer("fanout")
    stabiliseInterval = parameters.duration("stabilise")
    handled = [UInt64](repeating: .max, count: Self.handledLimit)
    for octave in 0..<40 {
      let base = UInt64(1) << UInt64(63 - octave)
      let step = base / UInt64(fingersPerDoubling)
      for part in (0..<fingersPerDoubling).reversed() {
        let distance = base &+ UInt64(part) &* step
        fingers.append(Finger(distance: distance, end: distance &+ (step - 1)))
      }
    }
  }

  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start(let role): start(role, &context)
    case .stop: leave(&context)
    case .prepare(let epoch, let handover): prepare(epoch, handover, &context)
    case .retire(let chunk): retirement = chunk
    case .capacity(let capacity): allowance.set(role == .leaf ? 0 : capacity.upload, now: context.now)
    case .discovered(let candidates): join(through: candidates, &context)
    case .inbound(let ask): consider(ask, &context)
    case .linkUp(let link): add(link, &context)
    case .linkDown(let peer, let reason, let redirect): remove(peer, reason, redirect, &context)
    case .silence(let peer, let time): notice(silence: time, of: peer, &context)
    case .message(let peer, _, let bytes):
      if let message = Message(bytes) { read(message, from: peer, &context) }
    case .timer(let number): fire(number, &context)
    case .requestFailed(_, let chunks, _): retry(chunks, &context)
    case .chunks(let arrivals): for arrival in arrivals { receive(arrival, isNew: true, &context) }
    case .duplicates(let arrivals): for arrival in arrivals { receive(arrival, isNew: false, &context) }
    // Gaps are wanted so that the host leaves it to us to ask; they are seen here before it tells of them.
    case .gaps, .linkSample, .choked, .unchoked, .windowMoved, .haves: break
    @unknown default: break
    }
  }

  func member(_ peer: PeerRef) -> Int? { members.firstIndex { $0.peer == peer } }
}

@c(Chord_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(Chord.self) }
}
