import Branching
import PluginKit

/// What the branch of a stripe wants to ask a peer for.
struct Want {
  var stripe: Int
  var peer: PeerRef
  var note: [UInt8]
}

/// An ask that waits for its answer.
struct Asked {
  var peer: PeerRef
  /// Those that have had no answer yet.
  var stripes: StripeSet
}

/// What the branches say to one ask.
struct Verdict {
  var accepted: [(stripe: Int, note: [UInt8])] = []
  var refused: [(stripe: Int, redirect: [PeerRef])] = []
}

// One link to each peer, whatever stripes it serves.
extension Striped {
  /// The most asks that wait for an answer; the host answers each in time.
  static let askedLimit = 256

  // MARK: Asking

  /// Asks each peer at most once at a time; stripes that begin at the same chunk are asked for together.
  mutating func askWanted(_ context: inout TopologyContext) {
    guard !wanted.isEmpty else { return }
    var queue = wanted
    wanted = []
    let held = context.held
    while let first = queue.first {
      queue.removeFirst()
      guard asked.count < Self.askedLimit, !asked.contains(where: { $0.peer == first.peer }) else {
        wanted.append(first)
        continue
      }
      let from = start(of: first.stripe, held)
      var stripes = StripeSet(first.stripe)
      var notes = NoteList()
      _ = notes.append(first.stripe, first.note)
      for other in queue where other.peer == first.peer && start(of: other.stripe, held) == from {
        if notes.append(other.stripe, other.note) { stripes.insert(StripeSet(other.stripe)) }
      }
      queue.removeAll { stripes.contains(stripe: $0.stripe) }
      asked.append(Asked(peer: first.peer, stripes: stripes))
      context.emit(.connect(first.peer, .data, stripes, from: from, note: notes.bytes))
    }
  }

  /// The first chunk of a stripe that is lacking; `nil` where nothing has come yet.
  private func start(of stripe: Int, _ held: [ClosedRange<UInt64>]) -> UInt64? {
    let count = UInt64(branches.count)
    guard let lowest = held.first?.lowerBound else { return nil }
    for range in held.reversed() {
      let behind = (range.upperBound % count + count - UInt64(stripe)) % count
      if range.upperBound - range.lowerBound >= behind { return range.upperBound - behind &+ 1 }
    }
    return lowest
  }

  /// Takes the stripes of an ask that was answered.
  private mutating func answered(_ peer: PeerRef) -> StripeSet? {
    guard let index = asked.firstIndex(where: { $0.peer == peer }) else { return nil }
    return asked.remove(at: index).stripes
  }

  mutating func linkUp(_ link: Link, _ context: inout TopologyContext) {
    var stripes = link.stripes.intersection(.first(branches.count))
    var notes: [Int: [UInt8]] = [:]
    if link.isParent {
      guard let asked = answered(link.peer) else { return }
      stripes.formIntersection(asked)
      for (stripe, note) in NoteList.read(link.note) { notes[stripe] = note }
    }
    for stripe in stripes.stripes {
      var part = link
      part.stripes = StripeSet(0)
      part.note = notes[stripe] ?? []
      run(stripe, .linkUp(part), &context)
    }
  }

  mutating func linkDown(
    _ peer: PeerRef,
    _ reason: LinkDownReason,
    _ redirect: [Candidate],
    _ context: inout TopologyContext
  ) {
    let asked = answered(peer) ?? []
    if reason != .refused { plain.removeAll { $0 == peer } }
    for stripe in branches.indices {
      let concerns =
        reason == .refused
        ? asked.contains(stripe: stripe)
        : asked.contains(stripe: stripe) || branches[stripe].uses(peer) || reason == .lied
      guard concerns else { continue }
      run(stripe, .linkDown(peer, reason, redirect: redirect), &context)
    }
    if reason != .refused { share(&context) }
  }

  // MARK: Answering

  mutating func inbound(_ ask: Inbound, _ context: inout TopologyContext) {
    guard ask.hello != nil else {
      serve(plain: ask, &context)
      return
    }
    let stripes = ask.stripes.intersection(.first(branches.count))
    guard ask.purpose == .data, !stripes.isEmpty else {
      context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
      return
    }
    var notes: [Int: [UInt8]] = [:]
    for (stripe, note) in NoteList.read(ask.note) { notes[stripe] = note }
    verdict = Verdict()
    for stripe in stripes.stripes {
      var part = ask
      part.stripes = StripeSet(0)
      part.note = notes[stripe] ?? []
      run(stripe, .inbound(part), &context)
    }
    answer(ask, &context)
  }

  private mutating func answer(_ ask: Inbound, _ context: inout TopologyContext) {
    guard let said = verdict else { return }
    verdict = nil
    // Which way is for which stripe goes ahead; a refusal itself knows of no stripes.
    if said.refused.count + said.accepted.count > 1 {
      for (stripe, redirect) in said.refused {
        let contacts = redirect.compactMap { context.contact(of: $0) }
        context.emit(.send(ask.peer, Letter(stripe: stripe, .refusal(contacts)).encoded))
      }
    }
    guard !said.accepted.isEmpty else {
      var redirect: [PeerRef] = []
      for place in 0..<TopologyContext.redirectLimit {
        for way in said.refused where place < way.redirect.count && !redirect.contains(way.redirect[place]) {
          redirect.append(way.redirect[place])
        }
      }
      context.emit(
        .refuse(ask.peer, ask.stripes, redirect: Array(redirect.prefix(TopologyContext.redirectLimit)))
      )
      return
    }
    var stripes: StripeSet = []
    var notes = NoteList()
    for (stripe, note) in said.accepted {
      stripes.insert(StripeSet(stripe))
      // What does not fit follows as a view.
      _ = notes.append(stripe, note)
    }
    context.emit(.accept(ask.peer, stripes, note: notes.bytes))
  }

  /// A plain peer pulls all stripes: it takes as many slots.
  private mutating func serve(plain ask: Inbound, _ context: inout TopologyContext) {
    let isAttached = role == .source || branches.allSatisfy(\.hasParent)
    guard ask.purpose == .data, isAttached, plain.contains(ask.peer) || free(context) >= branches.count else {
      context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
      return
    }
    if !plain.contains(ask.peer) { plain.append(ask.peer) }
    context.emit(.accept(ask.peer, ask.stripes, note: []))
    share(&context)
  }

  // MARK: Words, and partings

  mutating func received(_ letter: Letter, from peer: PeerRef, _ context: inout TopologyContext) {
    let stripe = letter.stripe
    switch letter.content {
    case .word(let bytes):
      if Message.isReport(bytes), !branches[stripe].hasChild(peer) {
        // It did not hear that it is no child any more.
        context.emit(.send(peer, Letter(stripe: stripe, .parting([])).encoded))
        return
      }
      run(stripe, .message(peer, epoch: context.epoch, bytes: bytes), &context)
    case .refusal(let contacts):
      guard let index = asked.firstIndex(where: { $0.peer == peer }),
        asked[index].stripes.contains(stripe: stripe)
      else { return }
      asked[index].stripes.subtract(StripeSet(stripe))
      run(stripe, .linkDown(peer, .refused, redirect: candidates(contacts, context)), &context)
    case .parting(let contacts):
      guard branches[stripe].uses(peer) else { return }
      context.emit(.stop(stripe: stripe, peer))
      run(stripe, .linkDown(peer, .closed, redirect: candidates(contacts, context)), &context)
    }
  }

  private func candidates(_ contacts: [Contact], _ context: TopologyContext) -> [Candidate] {
    contacts.filter { $0.id != context.me.id }.map { Candidate(peer: context.peer(for: $0), contact: $0) }
  }

  /// One stripe needs a link no more: it ends when no other one uses it.
  mutating func end(
    _ stripe: Int,
    _ peer: PeerRef,
    _ redirect: [PeerRef],
    _ context: inout TopologyContext
  ) {
    let isUsed =
      plain.contains(peer) || wanted.contains { $0.peer == peer && $0.stripe != stripe }
      || asked.contains { $0.peer == peer && !$0.stripes.subtracting(StripeSet(stripe)).isEmpty }
      || branches.indices.contains { $0 != stripe && branches[$0].uses(peer) }
    guard isUsed else {
      asked.removeAll { $0.peer == peer }
      context.emit(.disconnect(peer, redirect: redirect))
      return
    }
    let contacts = redirect.compactMap { context.contact(of: $0) }
    context.emit(.stop(stripe: stripe, peer))
    context.emit(.send(peer, Letter(stripe: stripe, .parting(contacts)).encoded))
  }
}
