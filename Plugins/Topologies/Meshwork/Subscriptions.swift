package import PluginKit

/// Who pushes which stripe to us, and to whom we push.
///
/// A stripe is asked of a neighbour that is fed it, near the source and quick, and then comes by itself along a route. Each
/// peer tells its neighbours how deep it stands in each stripe's tree; who has lost its parent first asks those who stand
/// no deeper than it stood, which cannot be below it. Loops that come about all the same show by depths that grow without end.
package struct Subscriptions: Sendable {
  /// The most stripes: their depths are told in one note.
  package static let stripeLimit = 8
  /// A depth that means that nobody feeds the stripe.
  private static let none: UInt8 = 255
  private static let deepest: UInt8 = 40
  /// The note that tells depths, and the one that ends a route to a child.
  private static let depthsKind: UInt8 = 1
  private static let endKind: UInt8 = 2
  private static let childLimit = 256
  private static let skipLimit = 64

  private struct Child {
    var stripe: Int
    var peer: PeerRef
    var upload: UInt64
  }

  /// One stripe, as it comes to us.
  private struct Feed {
    var parent: PeerRef?
    var depth = Subscriptions.none
    /// How deep we stood when somebody last fed us.
    var lastDepth = Subscriptions.none
    var since = Duration.zero
    var newest: UInt64 = 0
    /// When the parent pushed something last.
    var pushed = Duration.zero
  }

  private struct Near {
    var peer: PeerRef
    var upload: UInt64
    var roundTrip: Duration
    var depths: UInt64 = .max
    /// It refused, or has been asked, and is left alone until then.
    var rests = Duration.zero
  }

  private let stripes: Int
  private var feeds: [Feed]
  private var children: [Child] = []
  private var near: [Near] = []
  private var asked: [(peer: PeerRef, stripe: Int, until: Duration)] = []
  private var told: UInt64 = .max
  package var role = Role.relay
  package var upload: UInt64 = 0

  package init(stripes: Int) {
    self.stripes = min(max(1, stripes), Self.stripeLimit)
    feeds = [Feed](repeating: Feed(), count: self.stripes)
  }

  /// The stripes that somebody pushes to us.
  package var fed: StripeSet {
    var set: StripeSet = []
    for stripe in 0..<stripes where feeds[stripe].parent != nil { set.formUnion(StripeSet(stripe)) }
    return set
  }

  /// What the routes to children take of the upload, in bits per second.
  package func load(_ stream: StreamProperties) -> UInt64 {
    UInt64(children.count) * stream.rate / UInt64(stripes)
  }

  /// How many stripes can be pushed: a quarter of the upload is left for what is asked for.
  private func slots(_ stream: StreamProperties) -> Int {
    guard role != .leaf, stream.rate > 0 else { return 0 }
    return Int(clamping: min(upload, 1 << 40) * 3 * UInt64(stripes) / 4 / stream.rate)
  }

  // MARK: Neighbours

  package mutating func add(_ neighbour: Membership.Neighbour, _ context: inout TopologyContext) {
    guard near.count < Membership.activeLimit, !near.contains(where: { $0.peer == neighbour.peer }) else {
      return
    }
    near.append(Near(peer: neighbour.peer, upload: neighbour.upload, roundTrip: neighbour.roundTrip))
    context.emit(.send(neighbour.peer, Note.own(Self.depthsKind, depths).bytes))
  }

  package mutating func remove(_ peer: PeerRef, _ context: inout TopologyContext) {
    near.removeAll { $0.peer == peer }
    asked.removeAll { $0.peer == peer }
    children.removeAll { $0.peer == peer }
    for stripe in 0..<stripes where feeds[stripe].parent == peer { lose(stripe, &context) }
    attach(&context)
  }

  /// A neighbour has been silent: its stripes are asked of others.
  package mutating func doubt(_ peer: PeerRef, _ context: inout TopologyContext) {
    guard let place = near.firstIndex(where: { $0.peer == peer }) else { return }
    near[place].rests = context.now + .seconds(2)
    near[place].depths = .max
    for stripe in 0..<stripes where feeds[stripe].parent == peer {
      context.emit(.stop(stripe: stripe, peer))
      lose(stripe, &context)
    }
    attach(&context)
  }

  /// The stripes that a neighbour is fed, as it said.
  package func fed(_ peer: PeerRef) -> StripeSet {
    guard let near = near.first(where: { $0.peer == peer }) else { return [] }
    var set: StripeSet = []
    for stripe in 0..<stripes where Self.depth(stripe, near.depths) != Self.none {
      set.formUnion(StripeSet(stripe))
    }
    return set
  }

  // MARK: Depths

  private static func depth(_ stripe: Int, _ depths: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: depths >> UInt64(stripe * 8))
  }

  private var depths: UInt64 {
    guard role != .source else { return 0 }
    var depths = UInt64.max
    for stripe in 0..<stripes {
      depths &= ~(0xFF << UInt64(stripe * 8))
      depths |= UInt64(feeds[stripe].depth) << UInt64(stripe * 8)
    }
    return depths
  }

  /// Tells all neighbours how deep we stand, if that is news.
  private mutating func tell(_ context: inout TopologyContext) {
    guard told != depths else { return }
    told = depths
    for neighbour in near { context.emit(.send(neighbour.peer, Note.own(Self.depthsKind, depths).bytes)) }
  }

  package mutating func hear(
    _ kind: UInt8,
    _ value: UInt64,
    from peer: PeerRef,
    _ context: inout TopologyContext
  ) {
    guard let place = near.firstIndex(where: { $0.peer == peer }) else { return }
    switch kind {
    case Self.depthsKind:
      near[place].depths = value
      for stripe in 0..<stripes where feeds[stripe].parent == peer {
        let depth = Self.depth(stripe, value)
        // Whoever has lost its parent still passes on what it finds.
        feeds[stripe].depth = depth == Self.none ? Self.none : depth + 1
        guard depth != Self.none else { continue }
        feeds[stripe].lastDepth = feeds[stripe].depth
        if depth >= Self.deepest {
          context.emit(.stop(stripe: stripe, peer))
          lose(stripe, &context)
        } else {
          context.emit(.declareParent(stripe: stripe, peer, depth: Int(depth) + 1))
        }
      }
      tell(&context)
      attach(&context)
    case Self.endKind:
      guard value < UInt64(stripes), feeds[Int(value)].parent == peer else { return }
      context.emit(.stop(stripe: Int(value), peer))
      near[place].rests = context.now + .milliseconds(500)
      lose(Int(value), &context)
      attach(&context)
    default: break
    }
  }

  // MARK: Parents

  private mutating func lose(_ stripe: Int, _ context: inout TopologyContext) {
    guard feeds[stripe].parent != nil else { return }
    feeds[stripe].parent = nil
    feeds[stripe].depth = Self.none
    feeds[stripe].since = context.now
    context.emit(.declareParent(stripe: stripe, nil, depth: 0))
    tell(&context)
  }

  /// Asks for the stripes that nobody pushes.
  package mutating func attach(_ context: inout TopologyContext) {
    guard role != .source else { return }
    asked.removeAll { $0.until <= context.now }
    for stripe in 0..<stripes
    where feeds[stripe].parent == nil && !asked.contains(where: { $0.stripe == stripe }) {
      let old = feeds[stripe].lastDepth
      let isFree = old == Self.none || context.now - feeds[stripe].since > .milliseconds(400)
      ask(stripe, below: isFree ? Self.deepest - 1 : old, &context)
    }
  }

  /// Asks the best neighbour that stands at most at `depth`, if there is any.
  private mutating func ask(_ stripe: Int, below limit: UInt8, _ context: inout TopologyContext) {
    var best: Int?
    var bestCost = Int64.max
    for place in near.indices where near[place].rests <= context.now {
      let depth = Self.depth(stripe, near[place].depths)
      guard depth <= limit,
        !children.contains(where: { $0.stripe == stripe && $0.peer == near[place].peer }),
        !asked.contains(where: { $0.peer == near[place].peer })
      else { continue }
      // A hop costs about as much as a way.
      let noise = Int64(context.random.next() % 20)
      let cost = Int64(depth) * 45 + Int64(near[place].roundTrip / .milliseconds(2)) + noise
      if cost < bestCost {
        best = place
        bestCost = cost
      }
    }
    guard let best else { return }
    asked.append((near[best].peer, stripe, context.now + .seconds(1)))
    context.emit(.connect(near[best].peer, .data, StripeSet(stripe), from: next(stripe, context), note: []))
  }

  /// Where a new parent is to begin: behind what the last one pushed, if that is not long ago.
  private func next(_ stripe: Int, _ context: TopologyContext) -> UInt64? {
    guard let last = context.window.last else { return nil }
    let back = Exchange.chunks(in: .milliseconds(1500), context)
    let pushed = feeds[stripe].newest
    return pushed > 0 && pushed + back > last && pushed < last ? pushed + 1 : last + 1
  }

  package mutating func granted(_ link: Link, _ context: inout TopologyContext) {
    asked.removeAll { $0.peer == link.peer }
    guard let place = near.firstIndex(where: { $0.peer == link.peer }) else { return }
    for stripe in 0..<stripes where link.stripes.contains(stripe: stripe) {
      let depth = Self.depth(stripe, near[place].depths)
      if let parent = feeds[stripe].parent, parent != link.peer {
        let isBetter = depth < Self.deepest && depth + 1 < feeds[stripe].depth
        context.emit(.stop(stripe: stripe, isBetter ? parent : link.peer))
        guard isBetter else { continue }
      }
      feeds[stripe].parent = link.peer
      feeds[stripe].depth = depth == Self.none ? Self.none : depth + 1
      feeds[stripe].lastDepth = feeds[stripe].depth
      feeds[stripe].since = context.now
      feeds[stripe].pushed = context.now
      context.emit(.declareParent(stripe: stripe, link.peer, depth: Int(feeds[stripe].depth)))
    }
    tell(&context)
    attach(&context)
  }

  package mutating func refused(_ peer: PeerRef, _ context: inout TopologyContext) {
    asked.removeAll { $0.peer == peer }
    if let place = near.firstIndex(where: { $0.peer == peer }) {
      near[place].rests = context.now + .milliseconds(800) + .milliseconds(Int(context.random.next() % 400))
    }
    attach(&context)
  }

  /// Notes what parents push, and gives the chunks that they have passed over.
  package mutating func arrived(_ arrivals: [ChunkArrival], now: Duration) -> [UInt64] {
    var skipped: [UInt64] = []
    for arrival in arrivals {
      let stripe = Int(arrival.chunk % UInt64(stripes))
      let before = feeds[stripe].newest
      guard feeds[stripe].parent == arrival.from, arrival.chunk > before else { continue }
      feeds[stripe].newest = arrival.chunk
      feeds[stripe].pushed = now
      var chunk = arrival.chunk
      while before > 0, chunk > before + UInt64(stripes), skipped.count < Self.skipLimit {
        chunk -= UInt64(stripes)
        skipped.append(chunk)
      }
    }
    return skipped
  }

  /// Leaves parents that have fallen behind the others.
  package mutating func watch(newest: UInt64, _ context: inout TopologyContext) {
    let limit = Exchange.chunks(in: .milliseconds(1500), context) + UInt64(stripes)
    let bits = UInt64(max(1, context.stream.chunkSize * 8 * stripes))
    let pause = Duration.milliseconds(500 + Int64(clamping: bits * 3000 / max(1, context.stream.rate)))
    for stripe in 0..<stripes {
      guard let parent = feeds[stripe].parent, context.now - feeds[stripe].since > .seconds(1),
        newest > feeds[stripe].newest + UInt64(stripes),
        feeds[stripe].newest + limit < newest || context.now - feeds[stripe].pushed > pause
      else { continue }
      context.emit(.stop(stripe: stripe, parent))
      if let place = near.firstIndex(where: { $0.peer == parent }) {
        near[place].rests = context.now + .seconds(2)
      }
      lose(stripe, &context)
    }
    attach(&context)
    improve(&context)
  }

  /// Now and then a stripe is asked of somebody who stands nearer to the source by two hops or more.
  private mutating func improve(_ context: inout TopologyContext) {
    guard role != .source else { return }
    let stripe = Int(context.random.next() % UInt64(stripes))
    guard feeds[stripe].parent != nil, feeds[stripe].depth != Self.none, asked.isEmpty,
      context.now - feeds[stripe].since > .seconds(2)
    else { return }
    ask(stripe, below: feeds[stripe].depth - min(feeds[stripe].depth, 2), &context)
  }

  // MARK: Children

  package mutating func answer(_ inbound: Inbound, _ context: inout TopologyContext) {
    var accepted: StripeSet = []
    var isKnown = false
    var upload: UInt64 = 0
    if let neighbour = near.first(where: { $0.peer == inbound.peer }) {
      isKnown = true
      upload = neighbour.upload
    }
    for stripe in 0..<stripes where isKnown && inbound.stripes.contains(stripe: stripe) {
      guard role == .source || feeds[stripe].depth < Self.deepest && feeds[stripe].parent != inbound.peer
      else { continue }
      children.removeAll { $0.stripe == stripe && $0.peer == inbound.peer }
      if children.count >= min(slots(context.stream), Self.childLimit) {
        // A weaker child gives way: the strong belong near the source.
        let weakest = children.indices.min { children[$0].upload < children[$1].upload }
        guard let weakest, children[weakest].upload * 3 / 2 < upload else { continue }
        let child = children.remove(at: weakest)
        context.emit(.stop(stripe: child.stripe, child.peer))
        context.emit(.send(child.peer, Note.own(Self.endKind, UInt64(child.stripe)).bytes))
      }
      children.append(Child(stripe: stripe, peer: inbound.peer, upload: upload))
      accepted.formUnion(StripeSet(stripe))
    }
    guard accepted != [] else {
      context.emit(.refuse(inbound.peer, inbound.stripes, redirect: []))
      return
    }
    context.emit(.accept(inbound.peer, accepted, note: []))
    for stripe in accepted.stripes {
      context.emit(.route(stripe: stripe, to: inbound.peer, from: inbound.from))
    }
  }
}
