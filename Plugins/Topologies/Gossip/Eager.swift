import Meshwork
import PluginKit

/// Which links carry chunks at once and which only tell of them: Plumtree (Leitão, Pereira, Rodrigues, SRDS 2007).
///
/// Who is first to bring a chunk is the parent; a second one that brings the same is asked to stop. Who hears of chunks
/// that nobody brings asks to be brought them. There is one such tree for each stripe, so that a peer can bring as much as
/// its upload carries and no more, even if that is less than the whole stream.
struct Eager {
  /// The most stripes.
  static let stripeLimit = 8

  private struct Near {
    var peer: PeerRef
    var upload: UInt64
    var roundTrip: Duration
    /// Whether we push to it.
    var isEager = false
    /// How many hops chunks take to it; ``Eager/unknown`` when nobody pushes to it.
    var hops = Eager.unknown
    /// It is not asked before then.
    var rests = Duration.zero
  }

  private static let unknown: UInt8 = 255
  private static let deepest: UInt8 = 60
  private static let hopsKind: UInt8 = 3
  private static let graftKind: UInt8 = 4
  private static let pruneKind: UInt8 = 5
  /// The most chunks that one graft brings at once.
  private static let graftLimit: UInt64 = 256
  /// The most chunks that a parent can have passed over and that are asked for at once.
  private static let skipLimit: UInt64 = 64

  let stripe: Int
  let stripes: Int
  var role = Role.relay
  /// How many peers we may push this stripe to.
  var room = 0
  private var near: [Near] = []
  private(set) var parent: PeerRef?
  private var hops = Eager.unknown
  private var told = Eager.unknown
  private var newest: UInt64 = 0
  private var pushed = Duration.zero
  /// In a swap nobody has anything to bring at first.
  var isPrepared = false
  private var orphaned = Duration.zero
  /// How deep we stood when somebody last fed us.
  private var lastHops = Eager.unknown

  init(stripe: Int, of stripes: Int) {
    self.stripe = stripe
    self.stripes = stripes
  }

  /// Whether somebody pushes to us.
  var isFed: Bool { parent != nil && hops != Self.unknown }

  /// How many peers we push to.
  var eagerCount: Int { near.count { $0.isEager } }

  private func note(_ kind: UInt8, _ value: UInt64) -> [UInt8] {
    Note.own(kind + UInt8(stripe) * 8, value).bytes
  }

  /// Whether somebody pushes to a neighbour, as it said.
  func isFed(_ peer: PeerRef) -> Bool {
    near.first { $0.peer == peer }.map { $0.hops != Self.unknown } ?? false
  }

  // MARK: Neighbours

  mutating func add(_ neighbour: Membership.Neighbour, _ context: inout TopologyContext) {
    guard near.count < Membership.activeLimit, !near.contains(where: { $0.peer == neighbour.peer }) else {
      return
    }
    near.append(Near(peer: neighbour.peer, upload: neighbour.upload, roundTrip: neighbour.roundTrip))
    context.emit(.send(neighbour.peer, note(Self.hopsKind, UInt64(role == .source ? 0 : hops))))
  }

  mutating func remove(_ peer: PeerRef, _ context: inout TopologyContext) {
    near.removeAll { $0.peer == peer }
    if parent == peer { lose(&context) }
  }

  /// A neighbour has been silent.
  mutating func doubt(_ peer: PeerRef, _ context: inout TopologyContext) {
    guard let place = near.firstIndex(where: { $0.peer == peer }) else { return }
    near[place].isEager = false
    near[place].hops = Self.unknown
    near[place].rests = context.now + .seconds(2)
    if parent == peer { lose(&context) }
  }

  private mutating func lose(_ context: inout TopologyContext) {
    parent = nil
    hops = Self.unknown
    orphaned = context.now
    tell(&context)
    graft(&context)
  }

  private mutating func tell(_ context: inout TopologyContext) {
    guard told != hops else { return }
    told = hops
    for neighbour in near { context.emit(.send(neighbour.peer, note(Self.hopsKind, UInt64(hops)))) }
  }

  // MARK: Chunks

  /// Passes new chunks on; gives those that the parent has passed over.
  mutating func arrived(_ arrivals: [ChunkArrival], _ partners: [Partner], _ context: inout TopologyContext)
    -> [UInt64]
  {
    var skipped: [UInt64] = []
    for arrival in arrivals where arrival.chunk % UInt64(stripes) == UInt64(stripe) {
      // A note, the number of hops, stands beside what is pushed and not beside what was asked for.
      if arrival.note > 0, parent == nil { adopt(arrival.from, &context) }
      if arrival.note > 0, arrival.from == parent {
        let count = UInt8(min(arrival.note, UInt64(Self.deepest)))
        if count != hops {
          hops = count
          lastHops = count
          tell(&context)
        }
        if newest > 0, arrival.chunk > newest, arrival.chunk - newest <= Self.skipLimit {
          skipped += stride(from: newest + UInt64(stripes), to: arrival.chunk, by: stripes)
        }
        newest = max(newest, arrival.chunk)
        pushed = context.now
      }
      let next = nextHops
      for neighbour in near where neighbour.isEager && neighbour.peer != arrival.from {
        if partners.contains(where: { $0.peer == neighbour.peer && $0.has.contains(arrival.chunk) }) {
          continue
        }
        context.emit(.push(chunk: arrival.chunk, to: neighbour.peer, note: next))
      }
    }
    return skipped
  }

  /// How many hops a chunk has taken when it is at those to whom we push it.
  private var nextHops: UInt64 {
    if role == .source { return 1 }
    return hops == Self.unknown ? UInt64(Self.deepest) : min(UInt64(hops) + 1, UInt64(Self.deepest))
  }

  private mutating func adopt(_ peer: PeerRef, _ context: inout TopologyContext) {
    guard role != .source, let place = near.firstIndex(where: { $0.peer == peer }) else { return }
    // A link carries chunks one way.
    near[place].isEager = false
    parent = peer
    pushed = context.now
  }

  /// Somebody pushed what was held: it is asked to stop, or stands so much nearer to the source that the parent is.
  mutating func repeated(_ duplicates: [ChunkArrival], _ context: inout TopologyContext) {
    for duplicate in duplicates where duplicate.note > 0 && duplicate.from != parent {
      guard duplicate.chunk % UInt64(stripes) == UInt64(stripe),
        near.contains(where: { $0.peer == duplicate.from })
      else { continue }
      var pruned = duplicate.from
      if let old = parent, hops != Self.unknown, duplicate.note < UInt64(hops),
        UInt64(hops) - duplicate.note >= 2
      {
        pruned = old
        adopt(duplicate.from, &context)
        hops = UInt8(duplicate.note)
        lastHops = hops
        tell(&context)
      }
      context.emit(.send(pruned, note(Self.pruneKind, 0)))
    }
  }

  // MARK: Grafting and pruning

  mutating func hear(_ kind: UInt8, _ value: UInt64, from peer: PeerRef, _ context: inout TopologyContext) {
    guard Int(kind / 8) == stripe, let place = near.firstIndex(where: { $0.peer == peer }) else { return }
    switch kind % 8 {
    case Self.hopsKind:
      near[place].hops = UInt8(clamping: value)
      if parent == nil { graft(&context) }
    case Self.graftKind: answer(place, from: value, &context)
    case Self.pruneKind:
      near[place].isEager = false
      guard parent == peer else { break }
      // It does not push to us any more, or never will.
      near[place].rests = context.now + .milliseconds(600)
      lose(&context)
    default: break
    }
  }

  private mutating func answer(_ place: Int, from first: UInt64, _ context: inout TopologyContext) {
    let peer = near[place].peer
    guard role == .source || hops < Self.deepest, peer != parent else {
      context.emit(.send(peer, note(Self.pruneKind, 0)))
      return
    }
    if !near[place].isEager, room <= 0 {
      let weakest = near.indices.filter { near[$0].isEager }.min { near[$0].upload < near[$1].upload }
      // The strong belong near the source.
      guard let weakest, near[weakest].upload * 3 / 2 < near[place].upload else {
        context.emit(.send(peer, note(Self.pruneKind, 0)))
        return
      }
      near[weakest].isEager = false
      context.emit(.send(near[weakest].peer, note(Self.pruneKind, 0)))
    }
    near[place].isEager = true
    guard let last = context.window.last, first > 0, first <= last else { return }
    let oldest = last > Self.graftLimit ? last - Self.graftLimit : 0
    for chunk in max(first, oldest)...last
    where chunk % UInt64(stripes) == UInt64(stripe) && context.has(chunk) {
      context.emit(.push(chunk: chunk, to: peer, note: nextHops))
    }
  }

  /// Asks the neighbour that stands nearest to the source to push to us.
  private mutating func graft(_ context: inout TopologyContext) {
    guard role != .source, parent == nil else { return }
    let isFree = lastHops == Self.unknown || context.now - orphaned > .milliseconds(400)
    var best: Int?
    var bestCost = Int64.max
    for place in near.indices where near[place].rests <= context.now && near[place].hops < Self.deepest {
      guard isFree || near[place].hops <= lastHops, !near[place].isEager else { continue }
      let noise = Int64(context.random.next() % 20)
      let cost = Int64(near[place].hops) * 45 + Int64(near[place].roundTrip / .milliseconds(2)) + noise
      if cost < bestCost {
        best = place
        bestCost = cost
      }
    }
    guard let best else { return }
    near[best].rests = context.now + .milliseconds(700)
    adopt(near[best].peer, &context)
    // What was missed meanwhile is asked for: it would delay all that the new parent pushes.
    let first = (context.window.last ?? 0) + 1
    context.emit(.send(near[best].peer, note(Self.graftKind, first)))
  }

  /// The missing timer: a parent that brings nothing while others have chunks is left for another.
  mutating func watch(newest known: UInt64, _ context: inout TopologyContext) {
    guard role != .source else { return }
    if known > UInt64(stripes) { isPrepared = false }
    if isPrepared { pushed = context.now }
    let bits = UInt64(max(1, context.stream.chunkSize * stripes)) * 8
    let pause = Duration.milliseconds(700 + Int64(clamping: bits * 3000 / max(1, context.stream.rate)))
    if let parent, known > newest + UInt64(stripes), context.now - pushed > pause {
      context.emit(.send(parent, note(Self.pruneKind, 0)))
      if let place = near.firstIndex(where: { $0.peer == parent }) {
        near[place].rests = context.now + .seconds(1)
      }
      lose(&context)
    }
    if parent == nil { graft(&context) }
  }
}
