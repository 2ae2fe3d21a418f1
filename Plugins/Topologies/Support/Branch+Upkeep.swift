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
  /// In how many samples in a row a child must be starved to count.
  private static let starvedLimit = 3
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
    lastReport = nil
    for index in children.indices { children[index].lastView = nil }
    tell(&context)
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
      else { return }
      context.emit(.send(children[tallest].peer, Message.lift.encoded))
      childrenChanged = context.now
    } else if let strong = outranking(context), let above = parent?.contact {
      // It takes our place, and we find another one below it.
      context.emit(.send(children[strong].peer, Message.move(to: [above]).encoded))
      childrenChanged = context.now
    }
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
  private func spareCandidates(_ context: inout TopologyContext) -> [PeerRef] {
    guard let parent else { return [] }
    var contacts = Array(parent.ancestors.prefix(1))
    if !parent.siblings.isEmpty {
      let first = parent.rank == View.unranked ? 0 : Int(parent.rank)
      for step in 0..<parent.siblings.count {
        contacts.append(parent.siblings[(first + step) % parent.siblings.count])
      }
    }
    contacts += parent.ancestors.dropFirst()
    if let root { contacts.append(root) }
    return contacts.filter { $0.id != context.me.id && $0.id != parent.contact?.id }
      .map { context.peer(for: $0) }
      .filter { peer in
        !spare.refused.contains(peer) && !shunned.contains(peer) && parent.peer != peer
          && !children.contains { $0.peer == peer }
      }
  }

  mutating func keepSpare(_ context: inout TopologyContext) {
    guard shape.keepsSpare, role != .source, let parent, !parent.isPlain, search == nil else { return }
    if spare.asked != nil {
      guard context.now - spare.askedAt > Self.spareAskPatience else { return }
      if let silent = spare.asked { refuseSpare(silent) }
      spare.asked = nil
    }
    guard let wanted = spareCandidates(&context).first else {
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

  /// Tells parent and children what they have not heard yet.
  mutating func tell(_ context: inout TopologyContext) {
    lastTold = context.now
    if let parent, !parent.isPlain {
      var report = report(&context)
      let sequence = report.sequence
      report.sequence = 0
      if report != lastReport {
        lastReport = report
        report.sequence = sequence
        context.emit(.send(parent.peer, Message.report(report).encoded))
      }
    }
    for index in children.indices where !children[index].isPlain {
      var view = view(for: index)
      let sequence = view.sequence
      view.sequence = 0
      guard view != children[index].lastView else { continue }
      children[index].lastView = view
      view.sequence = sequence
      context.emit(.send(children[index].peer, Message.view(view).encoded))
    }
  }

  private mutating func nextSequence() -> UInt32 {
    sequence &+= 1
    return sequence
  }

  mutating func view(for index: Int) -> View {
    var view = View(standing: standing, depth: depth, pulse: pulse, path: path)
    view.sequence = nextSequence()
    let relays = children.filter { $0.relays && !$0.isPlain && $0.suspicion == nil }
      .prefix(View.siblingLimit)
    view.siblings = relays.compactMap(\.contact)
    if let rank = relays.firstIndex(where: { $0.peer == children[index].peer }) {
      view.rank = UInt8(clamping: rank)
    }
    view.census = census
    if let parent {
      view.refuges = Array(parent.siblings.prefix(View.refugeLimit))
      view.ancestors = Array(
        ([parent.contact].compactMap(\.self) + parent.ancestors).prefix(View.ancestorLimit)
      )
      view.root = root
    }
    return view
  }

  mutating func report(_ context: inout TopologyContext) -> Report {
    var size: UInt32 = 1
    var capacity = UInt32(clamping: slots(context))
    var height: UInt16 = 0
    var offers: [Offer] = []
    let slots = slots(context)
    let isServing = standing == .attached && search == nil && slots > 0
    if isServing {
      let free = slots - children.count
      if free > 0 {
        offers.append(Offer(kind: .free, depth: 0, slots: UInt16(clamping: free), contact: context.me))
      } else if let least = children.filter({ givesWay($0, context.now) }).map(\.slots).min() {
        let number = children.count { $0.slots == least && givesWay($0, context.now) }
        offers.append(
          Offer(
            kind: least == 0 ? .occupied : .weak,
            depth: 0,
            slots: UInt16(clamping: number),
            weakest: UInt8(clamping: least),
            contact: context.me
          )
        )
      }
    }
    for child in children where child.suspicion == nil {
      size = size.addingReportingOverflow(child.size).overflow ? .max : size + child.size
      capacity = capacity.addingReportingOverflow(child.capacity).overflow ? .max : capacity + child.capacity
      height = max(height, UInt16(clamping: Int(child.height) + 1))
      guard isServing else { continue }
      for var offer in child.offers where offer.depth < .max && offer.slots > 0 {
        offer.depth += 1
        offers.append(offer)
      }
    }
    // The shallowest, free ones before others; one place is kept for each other kind.
    let sorted = offers.enumerated().sorted { left, right in
      (left.element.depth, left.offset) < (right.element.depth, right.offset)
    }.map(\.element)
    let occupied = sorted.filter { $0.kind == .occupied }.prefix(1)
    let weak = sorted.filter { $0.kind == .weak }.prefix(1)
    let free = sorted.filter { $0.kind == .free }.prefix(Report.offerLimit - occupied.count - weak.count)
    var report = Report(
      sequence: nextSequence(),
      standing: standing,
      slots: UInt8(clamping: slots),
      size: size,
      height: height,
      offers: Array(free) + Array(occupied) + Array(weak)
    )
    report.capacity = capacity
    if shape.trial != nil { report.classes = classes(context) }
    return report
  }
}
