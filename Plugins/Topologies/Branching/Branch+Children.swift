import PluginKit

/// A peer that chunks go to.
struct Child {
  var peer: PeerRef
  var contact: Contact?
  /// A plain RFC 7574 peer, which pulls and understands none of our messages.
  var isPlain: Bool
  /// How many children it can take.
  var slots: Int
  var since: Duration
  var lastHeard: Duration
  var roundTrip = Duration.zero

  // What it reported.
  var reportSequence: UInt32?
  var standing = Standing.attached
  var size: UInt32 = 1
  var height: UInt16 = 0
  var reach: UInt16 = 0
  var capacity: UInt32 = 0
  var classes: [UInt32] = []
  var offers: [Offer] = []
  /// How many were sent below it since its last report.
  var assigned = 0

  var suspicion: Suspicion?
  /// In how many samples in a row it could not be served.
  var starved = 0
  /// When it was last told to go elsewhere; it may have found no place there.
  var movedAt: Duration?
  var lastView: View?

  var ring: UInt64? { contact?.id.ring }
  /// Whether it can take children.
  var relays: Bool { slots > 0 }

  /// Whether its siblings are told of it.
  var isSibling: Bool { relays && !isPlain && suspicion == nil }

  /// Takes over what it reports, and gives whether that is anything new.
  mutating func take(_ report: Report) -> Bool {
    // Nobody is sent below a peer that does not receive the stream itself.
    let offers = report.standing == .attached && report.slots > 0 ? report.offers : []
    let isKnown =
      suspicion == nil && assigned == 0 && standing == report.standing && slots == Int(report.slots)
      && capacity == report.capacity && size == max(report.size, 1) && height == report.height
      && reach == report.reach
      && classes == report.classes && self.offers == offers
    guard !isKnown else { return false }
    suspicion = nil
    assigned = 0
    standing = report.standing
    slots = Int(report.slots)
    capacity = report.capacity
    size = max(report.size, 1)
    height = report.height
    reach = report.reach
    classes = report.classes
    self.offers = offers
    return true
  }
}

/// A child that may be dead, and is pinged until it answers or is dropped.
struct Suspicion {
  var since: Duration
}

extension Branch {
  private static let pingInterval = Duration.milliseconds(100)
  /// How long a suspected child has for an answer, at least.
  private static let pingPatience = Duration.milliseconds(400)
  /// How long a child that was told to go elsewhere is left alone.
  private static let moveMemory = Duration.seconds(2)
  /// How long the way to a child that is not known yet is thought to be, in milliseconds.
  private static let usualWay: UInt64 = 32
  /// How long a loss is remembered.
  private static let lossMemory = Duration.seconds(10)

  mutating func inbound(_ ask: Inbound, _ context: inout TopologyContext) {
    switch ask.purpose {
    case .data: serve(ask, &context)
    case .spare: befriend(ask, &context)
    case .control: context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
    @unknown default: context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
    }
  }

  /// Keeps a spare link for a peer that asks for one; a child that does has another parent now.
  private mutating func befriend(_ ask: Inbound, _ context: inout TopologyContext) {
    guard parent?.peer != ask.peer, guests.contains(ask.peer) || guests.count < Self.guestLimit,
      standing != .searching, copies(context) > 0
    else {
      context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
      return
    }
    if !guests.contains(ask.peer) { guests.append(ask.peer) }
    context.emit(.accept(ask.peer, ask.stripes, note: []))
    if children.contains(where: { $0.peer == ask.peer }) {
      for stripe in stripes(context).stripes { context.emit(.stop(stripe: stripe, ask.peer)) }
      children.removeAll { $0.peer == ask.peer }
      childrenChanged = context.now
      news(&context)
    }
  }

  private mutating func serve(_ ask: Inbound, _ context: inout TopologyContext) {
    let note = AskNote(ask.note)
    let stripes = ask.stripes.intersection(stripes(context))
    guard !stripes.isEmpty, slotsForRepair(context) > 0, !shunned.contains(ask.peer),
      isTaking(note), !isAbove(ask, note, context)
    else {
      context.emit(.refuse(ask.peer, ask.stripes, redirect: wayUp(for: ask, context)))
      return
    }
    let brought = slots(brought: ask, note, context)
    if children.contains(where: { $0.peer == ask.peer }) {
      // It did not hear our answer, or has begun anew.
      children.removeAll { $0.peer == ask.peer }
      accept(ask, stripes, brought, &context)
      return
    }
    // Of the children of a dead parent, one takes its slot here and the others hang under that one.
    var isOrphan = note?.lost.map { isLost($0, context.now) } == true
    for ring in (note?.lost.map { [$0] } ?? []) + (note?.silent ?? []) {
      guard let dead = children.firstIndex(where: { $0.ring == ring }) else { continue }
      if note?.lost != nil { isOrphan = true }
      suspect(dead, &context)
    }
    // One that has fallen silent leaves its slot to an orphan at once: where it lives, one of the two soon goes elsewhere.
    let living = children.count { note?.isSilent != true || $0.suspicion == nil }
    if children.count < slots(context) || (isOrphan && living < slotsForRepair(context)) {
      accept(ask, stripes, brought, &context)
    } else if let weakest = weakest(below: brought, context.now) {
      replace(weakest, with: ask, stripes, brought, &context)
    } else {
      context.emit(.refuse(ask.peer, ask.stripes, redirect: redirect(ask, brought, &context)))
    }
  }

  /// How many children the asker will take: what it says, as far as the upload that it proved carries them.
  private func slots(brought ask: Inbound, _ note: AskNote?, _ context: TopologyContext) -> Int {
    guard let note, let capacity = ask.hello?.capacity, capacity.isReachable, capacity.upload > 0 else {
      return 0
    }
    let carried = context.stream.rate == 0 ? Int(note.slots) : context.stream.wholeCopies(in: capacity.upload)
    let slots = min(Int(note.slots), carried)
    return shape.trial == nil || isCore(slots, for: capacity.uptime) ? slots : 0
  }

  /// Whether it can answer for chunks: it is attached and stays where it is, or the asker hangs below it already, by a
  /// child that is thought dead, or comes behind it in the row of those that lost the same parent.
  private func isTaking(_ note: AskNote?) -> Bool {
    if let lost = note?.lost, children.contains(where: { $0.ring == lost }) { return true }
    guard let search else { return standing == .attached }
    guard parent == nil, let note, let lost = search.lost else { return false }
    return note.lost == lost.ring && lost.rank < note.rank
  }

  private func isLost(_ ring: UInt64, _ now: Duration) -> Bool {
    if parent?.ring == ring { return true }
    guard let lost, lost.ring == ring else { return false }
    return now - lost.at < Self.lossMemory
  }

  /// Whether the asker feeds this peer, directly or through others, or is just asked to.
  private func isAbove(_ ask: Inbound, _ note: AskNote?, _ context: TopologyContext) -> Bool {
    if parent?.peer == ask.peer || search?.target == ask.peer { return true }
    if search?.asked.contains(ask.peer) == true { return true }
    guard let ring = ask.hello?.id.ring else { return false }
    let mine = context.me.id.ring
    let path = path
    if ring == mine || path.contains(ring) { return true }
    return note?.children.contains { $0 == mine || path.contains($0) } == true
  }

  private mutating func accept(
    _ ask: Inbound,
    _ stripes: StripeSet,
    _ slots: Int,
    _ context: inout TopologyContext
  ) {
    guests.removeAll { $0 == ask.peer }
    if spare.peer == ask.peer || spare.asked == ask.peer {
      spare.peer = nil
      spare.asked = nil
    }
    children.append(
      Child(
        peer: ask.peer,
        contact: contact(of: ask.peer, ask.hello, context),
        isPlain: ask.hello == nil,
        slots: slots,
        since: context.now,
        lastHeard: context.now
      )
    )
    childrenChanged = context.now
    let view = view(for: children.count - 1)
    context.emit(.accept(ask.peer, stripes, note: ask.hello == nil ? [] : AcceptNote.encode(view)))
    if ask.hello != nil {
      for stripe in stripes.stripes {
        context.emit(.route(stripe: stripe, to: ask.peer, from: ask.from))
      }
    }
    news(&context)
  }

  // MARK: Redirects

  /// Where to go when this peer cannot take anybody at all.
  private func wayUp(for ask: Inbound, _ context: TopologyContext) -> [PeerRef] {
    guard ask.hello != nil else { return [] }
    var way: [PeerRef] = []
    if standing == .attached, let parent, !parent.isPlain { way.append(parent.peer) }
    if let root, root != context.me {
      let peer = context.peer(for: root)
      if !way.contains(peer) { way.append(peer) }
    }
    return way.filter { $0 != ask.peer }
  }

  /// How long a chunk takes to the child in a place, from when it is here, in milliseconds.
  ///
  /// Children are served in the order in which they came, so that a late one waits until it has gone to those before.
  /// The way counts in steps, for it is never twice the same, and a report that says nothing new is not sent.
  func lag(of place: Int, _ context: TopologyContext) -> UInt16 {
    let bits = UInt64(context.stream.chunkSize) * 8_000
    let queue = capacity.upload == 0 ? 0 : UInt64(place + 1) * bits / capacity.upload
    let known = children.indices.contains(place) ? children[place].roundTrip : .zero
    let step = Duration.milliseconds(8)
    let way = known == .zero ? Self.usualWay : UInt64(max(0, min((known / 2) / step, 4096)).rounded()) * 8
    return UInt16(clamping: queue.addingClamped(way))
  }

  /// Those below whom the asker finds room, the shallowest first, at most ``TopologyContext/redirectLimit``.
  private mutating func redirect(
    _ ask: Inbound,
    _ slots: Int,
    _ context: inout TopologyContext
  ) -> [PeerRef] {
    guard ask.hello != nil else { return [] }
    var peers: [PeerRef] = []
    let half = TopologyContext.redirectLimit / 2
    while peers.count < half, let place = bestPlace(for: slots, context, except: ask, peers) {
      let offer = children[place.child].offers[place.offer]
      peers.append(context.peer(for: offer.contact))
      if peers.count == 1 {
        children[place.child].assigned += 1
        children[place.child].offers[place.offer].assigned += 1
      }
    }
    // Then down the smallest branches, whatever they last said.
    let below = children.indices.filter {
      let child = children[$0]
      return child.relays && !child.isPlain && child.suspicion == nil && child.peer != ask.peer
        && child.standing == .attached
    }.sorted { load($0) < load($1) }
    for (place, index) in below.enumerated() where peers.count < TopologyContext.redirectLimit {
      guard !peers.contains(children[index].peer) else { continue }
      if place == 0, peers.isEmpty { children[index].assigned += 1 }
      peers.append(children[index].peer)
    }
    return peers
  }

  private func load(_ index: Int) -> (Int, Int) {
    (Int(children[index].size) + children[index].assigned, index)
  }

  private func bestPlace(
    for slots: Int,
    _ context: TopologyContext,
    except ask: Inbound,
    _ chosen: [PeerRef],
    isTaken: Bool = false
  ) -> (child: Int, offer: Int)? {
    var best: (child: Int, offer: Int, depth: Int, load: (Int, Int))?
    for index in children.indices where children[index].suspicion == nil {
      for (number, offer) in children[index].offers.enumerated()
      where offer.slots > 0 && Self.suits(offer, slots) && offer.contact.id != ask.hello?.id
        && !chosen.contains(context.peer(for: offer.contact))
      {
        let load = load(index)
        // Where the slots are given away, there is room below those who have got them.
        let depth = Int(offer.depth) + Int(offer.assigned / offer.slots)
        if let best, (best.depth, best.load.0, best.load.1) <= (depth, load.0, load.1) { continue }
        best = (index, number, depth, load)
      }
    }
    return best.map { ($0.child, $0.offer) }
  }

  private static func suits(_ offer: Offer, _ slots: Int) -> Bool {
    offer.kind == .free || outranks(slots, Int(offer.weakest))
  }

  // MARK: Those that can take few children give way

  /// Whether one that can take so many children is worth the move of one that can take so few.
  static func outranks(_ slots: Int, _ few: Int) -> Bool {
    few == 0 ? slots > 0 : slots >= 2 * few + 2
  }

  /// The child that gives way to one that can take so many: the one that can take the fewest, of those the newest.
  private func weakest(below slots: Int, _ now: Duration) -> Int? {
    var found: Int?
    for (index, child) in children.enumerated()
    where givesWay(child, now) && Self.outranks(slots, child.slots) {
      if let best = found, children[best].slots < child.slots { continue }
      found = index
    }
    return found
  }

  func givesWay(_ child: Child, _ now: Duration) -> Bool {
    guard !child.isPlain, child.suspicion == nil else { return false }
    return child.movedAt.map { now - $0 > Self.moveMemory } ?? true
  }

  /// Gives a child's slot to a peer that can take more children, below which the child finds a new one.
  private mutating func replace(
    _ index: Int,
    with ask: Inbound,
    _ stripes: StripeSet,
    _ slots: Int,
    _ context: inout TopologyContext
  ) {
    let former = children[index]
    guard let hello = ask.hello else { return }
    if children.count < slotsForRepair(context) {
      children[index].movedAt = context.now
      accept(ask, stripes, slots, &context)
      let place = Contact(id: hello.id, address: hello.address)
      context.emit(.send(former.peer, Message.move(to: [place]).encoded))
    } else {
      children.remove(at: index)
      context.emit(.disconnect(former.peer, redirect: [ask.peer]))
      accept(ask, stripes, slots, &context)
    }
  }

  // MARK: Children that may be dead

  mutating func suspect(_ index: Int, _ context: inout TopologyContext) {
    guard children[index].suspicion == nil, !children[index].isPlain else { return }
    children[index].suspicion = Suspicion(since: context.now)
    context.emit(.send(children[index].peer, Message.ping.encoded))
    context.emit(.setTimer(Timer.suspects, at: context.now + Self.pingInterval))
  }

  mutating func examineSuspects(_ context: inout TopologyContext) {
    var remaining = false
    for index in children.indices.reversed() {
      guard let suspicion = children[index].suspicion else { continue }
      let patience = max(Self.pingPatience, min(children[index].roundTrip, .seconds(1)) * 3)
      if context.now - suspicion.since >= patience {
        context.emit(.disconnect(children[index].peer, redirect: []))
        guests.removeAll { $0 == children[index].peer }
        children.remove(at: index)
        childrenChanged = context.now
        news(&context)
      } else {
        context.emit(.send(children[index].peer, Message.ping.encoded))
        remaining = true
      }
    }
    if remaining { context.emit(.setTimer(Timer.suspects, at: context.now + Self.pingInterval)) }
  }

  mutating func reported(_ report: Report, by peer: PeerRef, _ context: inout TopologyContext) {
    guard let index = children.firstIndex(where: { $0.peer == peer }) else {
      // It takes us for its parent, and would wait for chunks for ever.
      if parent?.peer != peer { context.emit(.disconnect(peer, redirect: [])) }
      return
    }
    if let last = children[index].reportSequence,
      Int32(truncatingIfNeeded: report.sequence &- last) <= 0
    {
      return
    }
    // Only a report shows that it is still a child: a peer that has left says other things.
    children[index].lastHeard = context.now
    children[index].reportSequence = report.sequence
    let wasSuspected = children[index].suspicion != nil
    if children[index].take(report) { news(&context) }
    // Somebody may have its slot by now.
    if wasSuspected { shedSurplus(&context) }
  }

  // MARK: Too many children, or too few

  /// Takes leave of children that the upload no longer carries: those that only watch first, then the newest.
  mutating func shedSurplus(_ context: inout TopologyContext) {
    let most = greatestFanOut(context)
    while children.count(where: { $0.suspicion == nil }) > most {
      guard
        let index = children.lastIndex(where: { !$0.relays && $0.suspicion == nil })
          ?? children.lastIndex(where: { $0.suspicion == nil })
      else { return }
      let child = children.remove(at: index)
      let targets = places(context, except: child).map { context.peer(for: $0) }
      context.emit(.disconnect(child.peer, redirect: targets))
      childrenChanged = context.now
      news(&context)
    }
  }

  /// Free places below other children.
  func places(_ context: TopologyContext, except child: Child) -> [Contact] {
    let offers = children.filter { $0.peer != child.peer && $0.suspicion == nil }.flatMap(\.offers)
      .filter { $0.kind == .free && $0.free > 0 && $0.contact.id != child.contact?.id }
    // A stable order: by depth, then as they were told.
    let sorted = offers.enumerated().sorted { ($0.element.depth, $0.offset) < ($1.element.depth, $1.offset) }
    return Array(sorted.map(\.element.contact).prefix(Message.targetLimit))
  }

  /// Asks the tallest child's branch to send one of its peers to a free place further up.
  mutating func lift(to above: Contact, _ context: inout TopologyContext) {
    let movable = children.indices.filter {
      !children[$0].isPlain && children[$0].relays && children[$0].suspicion == nil
    }
    guard let tallest = movable.max(by: { (children[$0].height, $1) < (children[$1].height, $0) })
    else { return }
    context.emit(.send(children[tallest].peer, Message.move(to: [above]).encoded))
  }
}
