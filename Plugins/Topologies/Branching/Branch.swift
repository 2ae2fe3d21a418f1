package import PluginKit

/// How a tree is to look.
package struct Shape: Hashable, Sendable {
  /// The most children of a peer, as far as its upload carries them.
  package var fanout: Int
  /// Whether a second link is kept warm for repair.
  package var keepsSpare: Bool
  /// How long news are gathered before they go up and down.
  package var newsDelay: Duration
  /// For a tree in which only a core takes children: how long a peer must have been there to be of it.
  package var trial: Duration?

  package init(
    fanout: Int,
    keepsSpare: Bool = true,
    newsDelay: Duration = .milliseconds(20),
    trial: Duration? = nil
  ) {
    self.fanout = fanout
    self.keepsSpare = keepsSpare
    self.newsDelay = newsDelay
    self.trial = trial
  }
}

/// One peer's place in a tree: a parent above, children below, and the way to a new parent when that one is lost.
///
/// **Above.** A peer asks one candidate at a time and follows the redirects of refusals at once. When its parent dies it
/// asks, in this order: the siblings that come before it, the grandparent, the one above, the source, whoever discovery
/// knows. The first of the siblings so takes the dead parent's slot, and the others hang under it.
///
/// **Below.** A peer takes no more children than its upload carries; one slot more than the shape's fan-out, where it
/// carries that, is for orphans. Children report free slots upwards, so that a full peer redirects to the shallowest,
/// where fewest can fail above; in calm times it sends whoever gets chunks last to a free slot where they are sooner.
/// One that only watches gives way to one that relays, and one that can take few children to one that can take many, so
/// that the capable stand high.
///
/// **No loops.** Only an attached peer takes children, never one of its ancestors and never the parent of one; while it
/// asks for another parent itself it takes nobody but siblings of a higher rank. Where messages in flight let a loop
/// through all the same, the path from the root that every parent tells its children shows it; and where the path is
/// too long to be told whole, the source's pulse stands still.
package struct Branch {
  /// The most peers that may keep a spare link to this one.
  static let guestLimit = 64
  /// The most peers that are remembered as a way into the swarm.
  static let knownLimit = 16
  /// The most peers that are remembered as liars.
  static let shunnedLimit = 32

  /// The shortest time between two moves that a parent wishes.
  private static let moveInterval = Duration.milliseconds(900)

  package var shape: Shape
  /// How many children it may take of those that the upload carries; the rest of the upload serves other trees.
  package var allowance = Int.max
  package internal(set) var role = Role.relay
  package internal(set) var isRunning = false
  var began = Duration.zero
  package internal(set) var capacity = Capacity(upload: 0)

  var parent: Parent?
  var search: Search?
  var spare = Spare()
  /// In the order in which they came, which is also the order of their ranks.
  var children: [Child] = []
  var guests: [PeerRef] = []

  /// The parent that was lost last, so that its other children are known as siblings.
  var lost: Lost?
  var root: Contact?
  var known: [PeerRef] = []
  var shunned: [PeerRef] = []
  /// A view that overtook the acceptance of its sender.
  var early: (sender: PeerRef, view: View)?

  var pulse: UInt64 = 0
  var pulseChanged = Duration.zero
  var lastUpkeep = Duration.zero
  /// When the parent's last wish to be left was followed.
  var lastMove: Duration?
  var sequence: UInt32 = 0
  var isNewsTimerSet = false
  var lastTold = Duration.zero
  var lastReport: Report?
  var childrenChanged = Duration.zero
  /// What the source last counted; at the source what it counted itself.
  package internal(set) var census = Census()
  /// Since when the bar could have been higher.
  var barMayRise: Duration?
  /// By how many children the fan-out is lowered because the upload turned out to be too small.
  var penalty = 0
  var penaltyChanged = Duration.zero
  /// The epoch that a swap waits to hear of.
  var preparing: UInt32?

  package init(_ shape: Shape) { self.shape = shape }

  enum Timer {
    static let upkeep: UInt32 = 1
    static let answer: UInt32 = 2
    static let retry: UInt32 = 3
    static let news: UInt32 = 4
    static let suspects: UInt32 = 5
  }

  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start(let role): start(role, &context)
    case .prepare(let epoch, let handover): prepare(epoch, handover, &context)
    case .capacity(let capacity):
      self.capacity = capacity
      shedSurplus(&context)
      news(&context)
    default:
      guard isRunning else { return }
      handleRunning(event, &context)
    }
  }

  private mutating func handleRunning(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .stop: stop(&context)
    case .discovered(let candidates): discovered(candidates, &context)
    case .inbound(let ask): inbound(ask, &context)
    case .linkUp(let link): linkUp(link, &context)
    case .linkDown(let peer, let reason, let redirect): linkDown(peer, reason, redirect, &context)
    case .silence(let peer, let duration): silence(peer, duration, &context)
    case .linkSample(let peer, let sample): sampled(peer, sample, &context)
    case .message(let peer, let epoch, let bytes):
      guard epoch == context.epoch, bytes.count <= TopologyContext.messageLimit,
        let message = Message(bytes)
      else { return }
      received(message, from: peer, &context)
    case .timer(Timer.upkeep): upkeep(&context)
    case .timer(Timer.answer): answerMissing(&context)
    case .timer(Timer.retry): retry(&context)
    case .timer(Timer.news):
      isNewsTimerSet = false
      tell(&context)
    case .timer(Timer.suspects): examineSuspects(&context)
    default: break
    }
  }

  // MARK: What is known about oneself

  var standing: Standing {
    if role == .source { return .attached }
    guard let parent else { return .searching }
    return parent.standing == .attached ? .attached : .waiting
  }

  var depth: Int {
    guard role != .source, let parent else { return 0 }
    return parent.depth + 1
  }

  /// The rings of the ancestors, the parent first.
  var path: [UInt64] {
    guard let parent, let ring = parent.ring else { return [] }
    var path: [UInt64] = []
    path.reserveCapacity(min(parent.path.count + 1, View.pathLimit))
    path.append(ring)
    path += parent.path.prefix(View.pathLimit - 1)
    return path
  }

  /// How many copies of the stream the upload carries for good, beside all else.
  func copies(_ context: TopologyContext) -> Int {
    copies(context) { context.stream.wholeCopies(in: $0) }
  }

  private func copies(_ context: TopologyContext, in upload: (UInt64) -> Int) -> Int {
    guard role != .leaf, role == .source || capacity.isReachable, capacity.upload > 0 else { return 0 }
    guard context.stream.rate > 0 else { return min(shape.fanout + 1, allowance) }
    return min(upload(capacity.upload), allowance)
  }

  /// How many children it takes in calm times.
  package func slots(_ context: TopologyContext) -> Int {
    guard isCore(context) else { return 0 }
    let most = min(shape.fanout, copies(context))
    return penalty == 0 ? most : min(most, max(1, most - penalty))
  }

  /// How many children it takes for the time of a repair.
  func slotsForRepair(_ context: TopologyContext) -> Int {
    penalty == 0 && isCore(context) ? greatestFanOut(context) : slots(context)
  }

  /// How many children it never exceeds: for a while the upload may be full.
  func greatestFanOut(_ context: TopologyContext) -> Int {
    min(shape.fanout + 1, copies(context) { context.stream.copies(in: $0) })
  }

  /// How many children it has.
  package var load: Int { children.count }

  /// Whether a peer is anything to this one: parent, child, guest, spare, or asked to be one of them.
  package func uses(_ peer: PeerRef) -> Bool {
    parent?.peer == peer || search?.target == peer || spare.peer == peer || spare.asked == peer
      || guests.contains(peer) || hasChild(peer)
  }

  package func hasChild(_ peer: PeerRef) -> Bool { children.contains { $0.peer == peer } }

  package var hasParent: Bool { parent != nil }

  /// How often the search for a parent has come to its end without one.
  package var vainSearches: Int { parent == nil ? search?.pauses ?? 0 : 0 }

  func stripes(_ context: TopologyContext) -> StripeSet {
    .first(max(context.stream.stripes, 1))
  }

  func contact(of link: PeerRef, _ hello: Hello?, _ context: TopologyContext) -> Contact? {
    hello.map { Contact(id: $0.id, address: $0.address) } ?? context.contact(of: link)
  }

  // MARK: Beginning and end

  private mutating func start(_ role: Role, _ context: inout TopologyContext) {
    guard !isRunning else { return }
    isRunning = true
    began = context.now
    self.role = role
    pulseChanged = context.now
    // Peers that start together do not do their upkeep together.
    let first = Duration.milliseconds(500 + Int64(context.random.next(upperBound: 500 as UInt64)))
    context.emit(.setTimer(Timer.upkeep, at: context.now + first))
    lastUpkeep = context.now
    if role != .source { beginSearch(Search(), &context) }
  }

  private mutating func prepare(
    _ epoch: UInt32,
    _ handover: Handover,
    _ context: inout TopologyContext
  ) {
    guard !isRunning else { return }
    for candidate in handover.members { remember(candidate.peer) }
    for link in handover.links { remember(link.peer) }
    if handover.role == .source {
      start(.source, &context)
      context.emit(.ready(epoch: epoch))
    } else {
      preparing = epoch
      start(handover.role, &context)
    }
  }

  private mutating func stop(_ context: inout TopologyContext) {
    let heir = role == .source ? nil : children.first { $0.relays && !$0.isPlain }?.peer
    let above = parent.map { [$0.peer] } ?? []
    for child in children {
      let redirect = child.peer == heir ? above : (heir.map { [$0] } ?? []) + above
      context.emit(.disconnect(child.peer, redirect: redirect))
    }
    if let parent { context.emit(.disconnect(parent.peer, redirect: [])) }
    for timer in [Timer.upkeep, Timer.answer, Timer.retry, Timer.news, Timer.suspects] {
      context.emit(.cancelTimer(timer))
    }
    isRunning = false
    parent = nil
    search = nil
    children = []
    guests = []
  }

  // MARK: Links and messages, by what the other side is to us

  private mutating func linkUp(_ link: Link, _ context: inout TopologyContext) {
    if link.isParent, link.purpose == .data {
      accepted(by: link, &context)
    } else if spare.asked == link.peer, link.purpose != .data {
      spareUp(link.peer, &context)
    } else if let index = children.firstIndex(where: { $0.peer == link.peer }) {
      children[index].roundTrip = link.roundTrip
    }
  }

  private mutating func linkDown(
    _ peer: PeerRef,
    _ reason: LinkDownReason,
    _ redirect: [Candidate],
    _ context: inout TopologyContext
  ) {
    if reason == .lied, !shunned.contains(peer) {
      shunned.append(peer)
      if shunned.count > Self.shunnedLimit { shunned.removeFirst() }
    }
    if search?.target == peer, parent?.peer != peer {
      refused(reason, redirect, &context)
      // A refusal leaves what the peers are to each other otherwise.
      if reason == .refused { return }
    } else if reason == .refused, spare.asked != peer {
      refusedLate(by: peer, redirect, &context)
    }
    if spare.asked == peer || spare.peer == peer { spareDown(peer, &context) }
    guard reason != .refused else { return }
    guests.removeAll { $0 == peer }
    if let index = children.firstIndex(where: { $0.peer == peer }) {
      children.remove(at: index)
      childrenChanged = context.now
      news(&context)
    }
    if parent?.peer == peer {
      lose(redirect: redirect, isDead: reason != .lied, isSilent: reason == .silent, &context)
    }
  }

  private mutating func received(
    _ message: Message,
    from peer: PeerRef,
    _ context: inout TopologyContext
  ) {
    switch message {
    case .view(let view):
      if parent?.peer == peer {
        viewed(view, &context)
      } else if search?.target == peer {
        early = (peer, view)
      }
    case .report(let report): reported(report, by: peer, &context)
    case .ping:
      guard parent?.peer == peer else { return }
      var report = report(context)
      report.sequence = nextSequence()
      context.emit(.send(peer, Message.report(report).encoded))
    case .move(let contacts):
      guard parent?.peer == peer, search == nil, mayMove(context.now) else { return }
      beginSearch(Search(moving: contacts.map { context.peer(for: $0) }), &context)
    case .settle(let contacts):
      guard parent?.peer == peer else { return }
      if let last = latest(context) {
        context.emit(.send(children[last.child].peer, message.encoded))
      } else if children.isEmpty, search == nil, mayMove(context.now) {
        beginSearch(Search(moving: contacts.map { context.peer(for: $0) }), &context)
      }
    case .lift:
      guard let parent, parent.peer == peer, let above = parent.contact, mayMove(context.now) else { return }
      lift(to: above, &context)
    }
  }

  /// A parent's word sends a peer to addresses that nobody has checked: not more often than it takes to tidy a tree.
  private mutating func mayMove(_ now: Duration) -> Bool {
    if let lastMove, now - lastMove < Self.moveInterval { return false }
    lastMove = now
    return true
  }

  mutating func remember(_ peer: PeerRef) {
    known.removeAll { $0 == peer }
    known.append(peer)
    if known.count > Self.knownLimit { known.removeFirst() }
  }
}

/// The peer that chunks come from.
struct Parent {
  var peer: PeerRef
  /// `nil` for a plain RFC 7574 peer.
  var contact: Contact?
  var isPlain: Bool
  var depth: Int
  var standing: Standing
  /// When it was last heard, and since when it has been attached.
  var heard: Duration
  var attachedSince: Duration
  /// The rings of its ancestors, its parent first.
  var path: [UInt64]
  /// Our place among its children.
  var rank = View.unranked
  var siblings: [Contact] = []
  var ancestors: [Contact] = []
  var refuges: [Contact] = []
  var viewSequence: UInt32?
  /// Since when it has looked for a parent itself.
  var searchingSince: Duration?
  var silences = 0
  var lastSilence = Duration.zero

  var ring: UInt64? { contact?.id.ring }
}

/// A parent that is gone, and our place among its children.
struct Lost {
  var ring: UInt64
  var rank: UInt8
  var isSilent: Bool
  var at: Duration
}

/// A second link, for repair.
struct Spare {
  /// The most peers that are remembered as having refused.
  static let refusedLimit = 8

  var peer: PeerRef?
  var asked: PeerRef?
  var askedAt = Duration.zero
  var refused: [PeerRef] = []
}
