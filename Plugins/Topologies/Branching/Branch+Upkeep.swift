import PluginKit

/// What happens about once a second, and the news that go up and down.
extension Branch {
  static let upkeepInterval = Duration.seconds(1)
  /// How long a child that reports every second may say nothing before it is pinged.
  private static let childPatience = Duration.milliseconds(4200)
  /// How long a parent may look for a parent itself.
  private static let parentPatience = Duration.seconds(3)
  /// How long the pulse may stand still below a parent that says it is attached, and below one that waits.
  private static let pulsePatience = (attached: Duration.seconds(8), waiting: Duration.seconds(15))
  /// How long nothing may have changed before the tree is tidied.
  private static let calm = Duration.seconds(2)
  /// How long nothing may have changed before peers are moved for speed alone.
  private static let longCalm = Duration.seconds(6)
  /// In how many samples in a row a child must be starved to count.
  private static let starvedLimit = 3
  /// So many milliseconds sooner a peer must get chunks elsewhere to be moved there.
  private static let worthwhile: UInt16 = 16
  /// How long the fan-out stays lowered after the last starved child.
  private static let penaltyLength = Duration.seconds(30)
  private static let spareAskPatience = Duration.seconds(3)

  mutating func upkeep(_ context: inout TopologyContext) {
    context.emit(.setTimer(Timer.upkeep, at: context.now + Self.upkeepInterval))
    // Who was stopped for a while has not heard the pulse for want of listening.
    let late = context.now - lastUpkeep - Self.upkeepInterval
    if late > Self.upkeepInterval { pulseChanged = min(pulseChanged + late, context.now) }
    lastUpkeep = context.now
    if role == .source || parent?.isPlain == true {
      pulse &+= 1
      pulseChanged = context.now
      count(context)
    }
    checkParent(&context)
    for index in children.indices
    where !children[index].isPlain && context.now - children[index].lastHeard > Self.childPatience {
      suspect(index, &context)
    }
    if penalty > 0, context.now - penaltyChanged > Self.penaltyLength {
      penalty -= 1
      penaltyChanged = context.now
    }
    shedSurplus(&context)
    tidy(&context)
    keepSpare(&context)
    // What was lost on the way is told again.
    tell(&context, again: true)
  }

  /// Leaves a parent that cannot find one itself, or that the source no longer reaches.
  private mutating func checkParent(_ context: inout TopologyContext) {
    guard let parent, !parent.isPlain else { return }
    let stalled = context.now - pulseChanged
    // Not all members of a loop at once.
    let jitter = Duration.milliseconds(Int64(context.random.next(upperBound: 2000 as UInt64)))
    let patience = parent.standing == .attached ? Self.pulsePatience.attached : Self.pulsePatience.waiting
    let isStuck = parent.searchingSince.map { context.now - $0 > Self.parentPatience + jitter } ?? false
    if isStuck || stalled > patience + jitter * 2 { abandonParent(isDead: false, &context) }
  }

  /// Moves a child out of a slot that is for repair, or one further below into a slot that has become free.
  private mutating func tidy(_ context: inout TopologyContext) {
    guard standing == .attached, search == nil, context.now - childrenChanged > Self.calm else { return }
    if children.count > slots(context) {
      let movable = children.indices.filter { !children[$0].isPlain && children[$0].suspicion == nil }
      let smallest = movable.min { (children[$0].size, $1) < (children[$1].size, $0) }
      guard let smallest else { return }
      var targets = places(context, except: children[smallest])
      if !isCore(context), let parent {
        targets = parent.siblings + [parent.contact].compactMap(\.self)
      }
      guard !targets.isEmpty else { return }
      children[smallest].movedAt = context.now
      context.emit(.send(children[smallest].peer, Message.move(to: targets).encoded))
      childrenChanged = context.now
    } else if children.count < slots(context) {
      let tallest = children.indices.filter { children[$0].relays && children[$0].suspicion == nil }
        .max { (children[$0].height, $1) < (children[$1].height, $0) }
      guard let tallest, children[tallest].height >= 2, children[tallest].standing == .attached
      else {
        settle(&context)
        return
      }
      context.emit(.send(children[tallest].peer, Message.lift.encoded))
      childrenChanged = context.now
    } else if let strong = outranking(context), let above = parent?.contact {
      // It takes our place, and we find another one below it.
      context.emit(.send(children[strong].peer, Message.move(to: [above]).encoded))
      childrenChanged = context.now
    } else {
      settle(&context)
    }
  }

  /// Sends whoever gets chunks last to the free place where they are soonest.
  private mutating func settle(_ context: inout TopologyContext) {
    // Where the upload is nearly full, what a move costs it is long in being made up for.
    let room = capacity.upload - capacity.upload / 8
    guard context.now - childrenChanged > Self.longCalm, slots(context) <= context.stream.copies(in: room),
      let last = latest(context)
    else { return }
    var best: (lag: UInt16, contact: Contact)?
    if children.count < slots(context) { best = (lag(of: children.count, context), context.me) }
    for (index, child) in children.enumerated() where child.suspicion == nil {
      for offer in child.offers where offer.kind == .free && offer.free > 0 {
        let lag = offer.lag.addingClamped(lag(of: index, context))
        if lag < best?.lag ?? .max { best = (lag, offer.contact) }
      }
    }
    guard let best, last.lag > best.lag.addingClamped(Self.worthwhile) else { return }
    let peer = children[last.child].peer
    context.emit(.send(peer, Message.settle(at: [best.contact]).encoded))
    childrenChanged = context.now
  }

  /// The child below which chunks arrive last, itself included, and when that is.
  func latest(_ context: TopologyContext) -> (child: Int, lag: UInt16)? {
    var latest: (child: Int, lag: UInt16)?
    for (index, child) in children.enumerated()
    where !child.isPlain && child.suspicion == nil && child.standing == .attached {
      let lag = lag(of: index, context).addingClamped(child.reach)
      if lag > latest?.lag ?? 0 { latest = (index, lag) }
    }
    return latest
  }

  /// A child that should stand above us.
  private func outranking(_ context: TopologyContext) -> Int? {
    guard role != .source, parent?.isPlain == false else { return nil }
    let own = slots(context)
    return children.indices.filter {
      !children[$0].isPlain && children[$0].suspicion == nil && Self.outranks(children[$0].slots, own)
        && children[$0].standing == .attached
    }.max { (children[$0].slots, $1) < (children[$1].slots, $0) }
  }

  /// Lowers the fan-out when several children cannot be served at the stream's rate.
  mutating func sampled(_ peer: PeerRef, _ sample: LinkSample, _ context: inout TopologyContext) {
    guard let index = children.firstIndex(where: { $0.peer == peer }) else { return }
    children[index].roundTrip = sample.roundTrip
    children[index].starved = sample.isStarved ? min(children[index].starved + 1, Self.starvedLimit) : 0
    let starved = children.count { $0.starved >= Self.starvedLimit }
    // One that is starved alone has a slow download; several share our slow upload.
    guard starved >= 2, starved * 2 >= children.count, slots(context) > 1 else { return }
    penalty += 1
    penaltyChanged = context.now
    for index in children.indices { children[index].starved = 0 }
    // Upkeep moves a child away as soon as it knows where to.
    news(&context)
  }

  // MARK: The spare link

  /// The grandparent, or else somebody who does not hang below us: the next sibling, the one further above, the source.
  private func spareCandidate(_ context: TopologyContext) -> PeerRef? {
    guard let parent else { return nil }
    func peer(_ contact: Contact) -> PeerRef? {
      guard contact.id != context.me.id, contact.id != parent.contact?.id else { return nil }
      let peer = context.peer(for: contact)
      let isFree =
        peer != parent.peer && !spare.refused.contains(peer) && !shunned.contains(peer) && !hasChild(peer)
      return isFree ? peer : nil
    }
    if let above = parent.ancestors.first, let peer = peer(above) { return peer }
    let first = parent.rank == View.unranked ? 0 : Int(parent.rank)
    for step in parent.siblings.indices {
      if let peer = peer(parent.siblings[(first + step) % parent.siblings.count]) { return peer }
    }
    for above in parent.ancestors.dropFirst() {
      if let peer = peer(above) { return peer }
    }
    return root.flatMap(peer)
  }

  mutating func keepSpare(_ context: inout TopologyContext) {
    guard shape.keepsSpare, role != .source, let parent, !parent.isPlain, search == nil else { return }
    if spare.asked != nil {
      guard context.now - spare.askedAt > Self.spareAskPatience else { return }
      if let silent = spare.asked { refuseSpare(silent) }
      spare.asked = nil
    }
    guard let wanted = spareCandidate(context) else {
      spare.refused = []
      return
    }
    guard wanted != spare.peer else { return }
    askSpare(wanted, &context)
  }

  mutating func askSpare(_ peer: PeerRef, _ context: inout TopologyContext) {
    spare.asked = peer
    spare.askedAt = context.now
    context.emit(.connect(peer, .spare, stripes(context), from: nil, note: []))
  }

  mutating func spareUp(_ peer: PeerRef, _ context: inout TopologyContext) {
    let old = spare.peer
    spare.asked = nil
    spare.peer = peer
    if let old, old != peer { release(old, &context) }
  }

  mutating func spareDown(_ peer: PeerRef, _ context: inout TopologyContext) {
    refuseSpare(peer)
    if spare.asked == peer { spare.asked = nil }
    if spare.peer == peer { spare.peer = nil }
  }

  private mutating func refuseSpare(_ peer: PeerRef) {
    guard !spare.refused.contains(peer) else { return }
    spare.refused.append(peer)
    if spare.refused.count > Spare.refusedLimit { spare.refused.removeFirst() }
  }

  /// Ends a spare link, unless the peer is something else to us too.
  mutating func release(_ peer: PeerRef, _ context: inout TopologyContext) {
    guard peer != parent?.peer, peer != search?.target, !guests.contains(peer),
      !children.contains(where: { $0.peer == peer })
    else { return }
    context.emit(.disconnect(peer, redirect: []))
  }

  // MARK: News

  /// Tells the others soon what has changed here.
  mutating func news(_ context: inout TopologyContext) {
    guard isRunning, !isNewsTimerSet else { return }
    isNewsTimerSet = true
    context.emit(.setTimer(Timer.news, at: context.now + shape.newsDelay))
  }

  /// Tells parent and children what they have not heard yet, or all of it.
  mutating func tell(_ context: inout TopologyContext, again: Bool = false) {
    lastTold = context.now
    if let parent, !parent.isPlain {
      var report = report(context)
      if again || report != lastReport {
        lastReport = report
        report.sequence = nextSequence()
        context.emit(.send(parent.peer, Message.report(report).encoded))
      }
    }
    guard children.contains(where: { !$0.isPlain }) else { return }
    let common = view
    for index in children.indices where !children[index].isPlain {
      var view = common
      view.rank = rank(of: index)
      guard again || view != children[index].lastView else { continue }
      children[index].lastView = view
      view.sequence = nextSequence()
      context.emit(.send(children[index].peer, Message.view(view).encoded))
    }
  }

  mutating func nextSequence() -> UInt32 {
    sequence &+= 1
    return sequence
  }

  /// What all children are told; each has a rank of its own.
  private var view: View {
    var view = View(standing: standing, depth: depth, pulse: pulse, path: path)
    for child in children where child.isSibling {
      guard view.siblings.count < View.siblingLimit else { break }
      if let contact = child.contact { view.siblings.append(contact) }
    }
    view.census = census
    if let parent {
      view.refuges = Array(parent.siblings.prefix(View.refugeLimit))
      if let above = parent.contact { view.ancestors.append(above) }
      view.ancestors += parent.ancestors.prefix(View.ancestorLimit - view.ancestors.count)
      view.root = root
    }
    return view
  }

  private func rank(of index: Int) -> UInt8 {
    guard children[index].isSibling else { return View.unranked }
    let before = children[..<index].count { $0.isSibling }
    return before < View.siblingLimit ? UInt8(before) : View.unranked
  }

  mutating func view(for index: Int) -> View {
    var view = view
    view.rank = rank(of: index)
    view.sequence = nextSequence()
    return view
  }

  /// What the parent is told; its sequence number comes when it is sent.
  func report(_ context: TopologyContext) -> Report {
    let slots = slots(context)
    let isServing = standing == .attached && search == nil && slots > 0
    var report = Report(
      standing: standing,
      slots: UInt8(clamping: slots),
      size: 1,
      height: 0,
      offers: isServing ? offers(slots, context) : []
    )
    report.capacity = UInt32(clamping: slots)
    for child in children where child.suspicion == nil {
      report.size = report.size.addingClamped(child.size)
      report.capacity = report.capacity.addingClamped(child.capacity)
      report.height = max(report.height, UInt16(clamping: Int(child.height) + 1))
    }
    report.reach = latest(context)?.lag ?? 0
    if shape.trial != nil { report.classes = classes(context) }
    return report
  }

  /// Where there is room, here and below: the shallowest, free ones before others; one place is kept for each other kind.
  private func offers(_ slots: Int, _ context: TopologyContext) -> [Offer] {
    var offers: [Offer] = []
    let free = slots - children.count
    if free > 0 {
      let lag = lag(of: children.count, context)
      let slots = UInt16(clamping: free)
      offers.append(Offer(kind: .free, depth: 0, lag: lag, slots: slots, contact: context.me))
    } else {
      var least = Int.max
      var number = 0
      for child in children where child.slots <= least && givesWay(child, context.now) {
        number = child.slots < least ? 1 : number + 1
        least = child.slots
      }
      if number > 0 {
        offers.append(
          Offer(
            kind: least == 0 ? .occupied : .weak,
            depth: 0,
            lag: lag(of: children.count - 1, context),
            slots: UInt16(clamping: number),
            weakest: UInt8(clamping: least),
            contact: context.me
          )
        )
      }
    }
    for (index, child) in children.enumerated() where child.suspicion == nil {
      let way = lag(of: index, context)
      for var offer in child.offers where offer.depth < .max && offer.free > 0 {
        offer.slots = offer.free
        offer.assigned = 0
        offer.depth += 1
        offer.lag = offer.lag.addingClamped(way)
        // Of one depth in the order in which they were told.
        var place = offers.count
        while place > 0, offers[place - 1].depth > offer.depth { place -= 1 }
        offers.insert(offer, at: place)
      }
    }
    let others = [Offer.Kind.occupied, .weak].compactMap { kind in offers.first { $0.kind == kind } }
    offers.removeAll { $0.kind != .free }
    return offers.prefix(Report.offerLimit - others.count) + others
  }
}

extension FixedWidthInteger {
  /// The sum, or the greatest number where that is too small for it.
  func addingClamped(_ other: Self) -> Self {
    let (sum, isTooMuch) = addingReportingOverflow(other)
    return isTooMuch ? .max : sum
  }
}
