import PluginKit

/// The way to a parent.
struct Search {
  /// The most peers asked before a pause.
  static let askLimit = 40
  /// The most peers that wait to be asked.
  static let queueLimit = 48
  /// How often one peer is asked before a pause.
  static let repeatLimit = 2

  /// Whether the present parent is kept until another one has accepted.
  var isMove = false
  var queue: [PeerRef] = []
  /// What the queue is filled with after a pause.
  var plan: [PeerRef] = []
  var asked: [PeerRef] = []
  var target: PeerRef?
  var lost: Lost?
  /// Those that did not answer, the latest ``AskNote/silentLimit``.
  var silent: [UInt64] = []
  /// How many pauses there have been.
  var pauses = 0
  /// Whether the next answer of discovery is to be followed.
  var awaitsDiscovery = false

  init() {}

  init(moving queue: [PeerRef]) {
    isMove = true
    self.queue = queue
  }

  mutating func noteSilence(of ring: UInt64) {
    silent.removeAll { $0 == ring }
    silent.append(ring)
    if silent.count > AskNote.silentLimit { silent.removeFirst() }
  }

  mutating func prepend(_ peers: [PeerRef]) {
    queue.removeAll { peers.contains($0) }
    queue = Array((peers + queue).prefix(Self.queueLimit))
  }
}

extension Branch {
  /// How long an answer may take before the next candidate is asked.
  private static let patience = Duration.milliseconds(1000)
  /// The same for an orphan, which knows the peers that it asks and is fed by repair only.
  private static let orphanPatience = Duration.milliseconds(400)
  /// How long discovery may take.
  private static let discoveryPatience = Duration.milliseconds(1000)
  private static let discoveryLimit = 8
  private static let shortestPause = Duration.milliseconds(60)
  private static let longestPause = Duration.seconds(3)
  /// A silent parent is given up at the second event that says so, and not before this.
  private static let silenceLimit = Duration.milliseconds(250)

  mutating func beginSearch(_ new: Search, _ context: inout TopologyContext) {
    search = new
    if !new.isMove, new.queue.isEmpty {
      search?.queue = known.reversed()
      discover(&context)
    }
    advance(&context)
  }

  private mutating func discover(_ context: inout TopologyContext) {
    search?.awaitsDiscovery = true
    context.emit(.discover(limit: Self.discoveryLimit))
  }

  /// Asks the next candidate, or pauses when there is none.
  private mutating func advance(_ context: inout TopologyContext) {
    guard var next = search else { return }
    next.target = nil
    while !next.queue.isEmpty, next.asked.count < Search.askLimit {
      let peer = next.queue.removeFirst()
      guard isEligible(peer, context), next.asked.count(where: { $0 == peer }) < Search.repeatLimit else {
        continue
      }
      next.asked.append(peer)
      next.target = peer
      early = nil
      search = next
      ask(peer, &context)
      return
    }
    if next.isMove {
      search = nil
      context.emit(.cancelTimer(Timer.answer))
      return
    }
    search = next
    if next.awaitsDiscovery, next.pauses == 0, next.asked.isEmpty {
      context.emit(.setTimer(Timer.retry, at: context.now + Self.discoveryPatience))
    } else {
      pause(&context)
    }
  }

  private func isEligible(_ peer: PeerRef, _ context: TopologyContext) -> Bool {
    guard !shunned.contains(peer), parent?.peer != peer,
      !children.contains(where: { $0.peer == peer })
    else { return false }
    guard let contact = context.contact(of: peer) else { return true }
    return contact.id != context.me.id
  }

  private mutating func ask(_ peer: PeerRef, _ context: inout TopologyContext) {
    let note = AskNote(
      slots: UInt8(clamping: mayBeCore ? min(shape.fanout, copies(context)) : slots(context)),
      lost: search?.lost?.ring,
      rank: search?.lost?.rank ?? View.unranked,
      isSilent: search?.lost?.isSilent == true,
      silent: search?.silent ?? [],
      children: children.compactMap(\.ring)
    )
    let from = context.window.last.map { $0 &+ 1 }
    context.emit(.connect(peer, .data, stripes(context), from: from, note: note.encoded))
    // Where everybody is far away, nobody answers in time at first.
    let patience =
      (search?.lost == nil ? Self.patience : Self.orphanPatience)
      * (1 << min(search?.pauses ?? 0, 2))
    context.emit(.setTimer(Timer.answer, at: context.now + patience))
  }

  private mutating func pause(_ context: inout TopologyContext) {
    guard var paused = search else { return }
    var length = Self.shortestPause * (1 << min(paused.pauses, 8))
    if length > Self.longestPause { length = Self.longestPause }
    length = length / 2 + length * Int(context.random.next(upperBound: 1024 as UInt64)) / 1024
    paused.pauses += 1
    // Silence may have been a loss: nobody is to be taken for dead by it for ever.
    paused.silent = []
    search = paused
    context.emit(.cancelTimer(Timer.answer))
    context.emit(.setTimer(Timer.retry, at: context.now + length))
  }

  mutating func retry(_ context: inout TopologyContext) {
    guard let paused = search, paused.target == nil else { return }
    search?.asked = []
    search?.queue = []
    search?.prepend(paused.plan + (root.map { [context.peer(for: $0)] } ?? []) + known.reversed())
    discover(&context)
    advance(&context)
  }

  mutating func answerMissing(_ context: inout TopologyContext) {
    guard let target = search?.target else { return }
    if let contact = context.contact(of: target) { search?.noteSilence(of: contact.id.ring) }
    advance(&context)
  }

  mutating func discovered(_ candidates: [Candidate], _ context: inout TopologyContext) {
    // Those that are known to receive the stream first, those that are known not to last.
    let some = candidates.prefix(Search.queueLimit)
    let useful =
      some.filter { $0.isAttached == true } + some.filter { $0.isAttached == nil }
      + some.filter { $0.isAttached == false }
    for candidate in useful.reversed() { remember(candidate.peer) }
    guard search?.awaitsDiscovery == true else { return }
    search?.awaitsDiscovery = false
    let known = search?.queue ?? []
    search?.queue = Array(
      (known + useful.map(\.peer).filter { !known.contains($0) }).prefix(Search.queueLimit)
    )
    if search?.target == nil, search?.asked.isEmpty == true {
      context.emit(.cancelTimer(Timer.retry))
      advance(&context)
    }
  }

  mutating func refused(
    _ reason: LinkDownReason,
    _ redirect: [Candidate],
    _ context: inout TopologyContext
  ) {
    // Whoever redirects names only peers that have reported to be attached; a host may not know of it yet.
    search?.prepend(redirect.prefix(TopologyContext.redirectLimit).map(\.peer))
    if reason == .unreachable || reason == .silent, let target = search?.target,
      let contact = context.contact(of: target)
    {
      search?.noteSilence(of: contact.id.ring)
    }
    advance(&context)
  }

  /// A refusal by somebody who has been given up as silent: where it points to is still worth a question.
  mutating func refusedLate(
    by peer: PeerRef,
    _ redirect: [Candidate],
    _ context: inout TopologyContext
  ) {
    guard search?.asked.contains(peer) == true, !redirect.isEmpty else { return }
    search?.prepend(redirect.prefix(TopologyContext.redirectLimit).map(\.peer))
    if search?.target == nil {
      context.emit(.cancelTimer(Timer.retry))
      advance(&context)
    }
  }

  /// A peer has agreed to be the parent.
  mutating func accepted(by link: Link, _ context: inout TopologyContext) {
    let contact = contact(of: link.peer, link.hello, context)
    var view = AcceptNote.decode(link.note)
    if let early, early.sender == link.peer { view = early.view }
    early = nil
    if parent?.peer == link.peer { return }
    let isWanted = search?.target == link.peer || (search != nil && parent == nil)
    let mine = context.me.id.ring
    guard isWanted, role != .source, !children.contains(where: { $0.peer == link.peer }),
      view?.path.contains(mine) != true, (view?.depth ?? 0) < View.depthLimit
    else {
      // It agreed too late, or sits below us.
      if children.contains(where: { $0.peer == link.peer }) {
        context.emit(.stop(stripe: 0, link.peer))
      } else if spare.peer == link.peer || guests.contains(link.peer) {
        askSpare(link.peer, &context)
      } else {
        context.emit(.disconnect(link.peer, redirect: []))
      }
      if search?.target == link.peer { advance(&context) }
      return
    }
    let former = parent
    parent = Parent(
      peer: link.peer,
      contact: contact,
      isPlain: link.hello == nil,
      depth: view?.depth ?? min(max(link.hello?.depth ?? 0, 0), View.depthLimit),
      standing: view?.standing ?? .attached,
      heard: context.now,
      attachedSince: context.now,
      path: view?.path ?? []
    )
    search = nil
    context.emit(.cancelTimer(Timer.answer))
    context.emit(.cancelTimer(Timer.retry))
    guests.removeAll { $0 == link.peer }
    if spare.asked == link.peer { spare.asked = nil }
    if spare.peer == link.peer { spare.peer = nil }
    spare.refused = []
    pulse = view?.pulse ?? pulse
    pulseChanged = context.now
    if let former, former.peer != link.peer { leave(former, &context) }
    lastReport = nil
    declare(&context)
    if let view { viewed(view, &context) }
    tell(&context)
    keepSpare(&context)
    if let epoch = preparing {
      preparing = nil
      context.emit(.ready(epoch: epoch))
    }
  }

  /// Ends the link to a parent that has been replaced; a new grandparent stays as the spare.
  private mutating func leave(_ former: Parent, _ context: inout TopologyContext) {
    if shape.keepsSpare, let ring = former.ring, parent?.path.first == ring {
      if let old = spare.peer { release(old, &context) }
      spare.peer = nil
      askSpare(former.peer, &context)
    } else {
      guests.removeAll { $0 == former.peer }
      context.emit(.disconnect(former.peer, redirect: []))
    }
  }

  func declare(_ context: inout TopologyContext) {
    for stripe in stripes(context).stripes {
      context.emit(.declareParent(stripe: stripe, parent?.peer, depth: depth))
    }
  }

  mutating func silence(_ peer: PeerRef, _ duration: Duration, _ context: inout TopologyContext) {
    guard var silent = parent, silent.peer == peer else { return }
    // One that is heard brings nothing because nothing comes to it: that is for those further up to mend.
    let isHeard = context.now - silent.heard < duration
    guard !isHeard || silent.standing == .attached && context.now - silent.attachedSince >= duration else {
      return
    }
    // A shorter silence than the last one is a new one.
    silent.silences = duration < silent.lastSilence ? 1 : silent.silences + 1
    silent.lastSilence = duration
    parent = silent
    guard silent.silences >= 2, duration >= Self.silenceLimit else { return }
    abandonParent(isDead: true, isSilent: !isHeard, &context)
  }

  /// Leaves the parent and looks for another one.
  mutating func abandonParent(isDead: Bool, isSilent: Bool = false, _ context: inout TopologyContext) {
    guard let parent else { return }
    context.emit(.disconnect(parent.peer, redirect: []))
    guests.removeAll { $0 == parent.peer }
    lose(redirect: [], isDead: isDead, isSilent: isSilent, &context)
  }

  /// The parent is gone: makes the plan whom to ask, and asks.
  mutating func lose(
    redirect: [Candidate],
    isDead: Bool,
    isSilent: Bool,
    _ context: inout TopologyContext
  ) {
    guard let gone = parent else { return }
    parent = nil
    var plan = redirect.prefix(TopologyContext.redirectLimit).map(\.peer)
    if let ring = gone.ring {
      lost = Lost(ring: ring, rank: gone.rank, isSilent: isSilent, at: context.now)
      if isDead {
        // Two siblings that are dead too must not keep an orphan for long.
        for sibling in gone.siblings.prefix(min(Int(gone.rank), 2)) {
          plan.append(context.peer(for: sibling))
        }
      }
      if isDead, shape.trial != nil {
        // Where the dead parent fed many, its slot above is for one of them; the others go to its siblings.
        let refuges = gone.refuges.map { context.peer(for: $0) }
        let first = refuges.isEmpty ? 0 : Int(context.me.id.ring % UInt64(refuges.count))
        plan += (spare.peer.map { [$0] } ?? []) + refuges[first...] + refuges[..<first]
      }
      for ancestor in gone.ancestors { plan.append(context.peer(for: ancestor)) }
    }
    if let root { plan.append(context.peer(for: root)) }
    plan.removeAll { $0 == gone.peer }
    var new = Search()
    new.lost = isDead ? lost : nil
    new.plan = plan
    new.queue = plan
    if let search, search.isMove, let target = search.target {
      // The ask that was to relieve the parent goes on.
      new.target = target
      new.asked = [target]
      self.search = new
    } else {
      beginSearch(new, &context)
    }
    declare(&context)
    tell(&context)
  }

  mutating func viewed(_ view: View, _ context: inout TopologyContext) {
    guard var above = parent else { return }
    above.heard = context.now
    parent = above
    if let last = above.viewSequence, Int32(truncatingIfNeeded: view.sequence &- last) <= 0 { return }
    let mine = context.me.id.ring
    guard !view.path.contains(mine), above.ring != mine, view.depth < View.depthLimit else {
      // A loop: whoever sees it leaves it.
      abandonParent(isDead: false, &context)
      return
    }
    let before = (depth: depth, standing: standing)
    let isSamePath = above.path == view.path
    above.viewSequence = view.sequence
    above.depth = view.depth
    above.path = view.path
    if view.standing == .attached, above.standing != .attached { above.attachedSince = context.now }
    above.standing = view.standing
    above.rank = view.rank
    above.siblings = view.siblings.filter { $0.id.ring != mine }
    above.ancestors = view.ancestors
    above.refuges = view.refuges
    switch view.standing {
    case .searching: above.searchingSince = above.searchingSince ?? context.now
    case .attached, .waiting: above.searchingSince = nil
    }
    parent = above
    // An orphan stands at depth 0 too, but it is no source.
    census = view.census
    root = view.depth == 0 && view.standing == .attached ? above.contact : view.root ?? root
    if view.pulse > pulse {
      pulse = view.pulse
      pulseChanged = context.now
    }
    // Who stands below an orphan keeps its depth until the orphan has a place again.
    let isSamePlace = before == (depth, standing)
    if standing == .attached, !isSamePlace { declare(&context) }
    // At once, but what a parent says many times a second goes on to everybody below only every so often.
    if !isSamePlace || !isSamePath {
      if context.now - lastTold >= shape.newsDelay { tell(&context) } else { news(&context) }
    }
    keepSpare(&context)
  }
}
