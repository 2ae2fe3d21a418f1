package import PluginKit

/// A connection to everybody who takes part, as far as they are known and the bound allows.
///
/// A newcomer asks whom discovery names, which may be the source alone. Whoever accepts says whom it is connected to; the
/// newcomer asks those too, and each that accepts asks back, so that both tell the other what they have. From then on every
/// peer names some of its members to a few others once a second: so lists that have come apart grow together again.
package struct Membership {
  /// The most peers that are known and not connected to.
  static let knownLimit = 256
  /// The most peers that are left alone, because they sent what is false or were gone.
  static let shunnedLimit = 64
  /// How long somebody who is gone is not asked again.
  private static let shunTime: Duration = .seconds(5)
  /// How often lists are exchanged, with how many others, and how many are asked at a time.
  private static let interval: Duration = .seconds(1)
  private static let partners = 2
  private static let asksAtOnce = 16
  /// How long a peer is silent before it counts as gone for good; the host ends its connection a little later.
  private static let timer: UInt32 = 1

  /// In the order of their ids, which is the same everywhere.
  package private(set) var members: [Member] = []
  package private(set) var role = Role.relay
  /// Own upload, in kilobits per second.
  package private(set) var upload: UInt32 = 0
  package private(set) var began: Duration = .zero
  /// Counts changes of ``members``.
  package private(set) var version: UInt64 = 0

  private let limit: Int
  private var known: [Contact] = []
  private var asked: [PeerRef] = []
  private var shunned: [(contact: Contact, until: Duration)] = []
  private var isRunning = false
  private var hasBegun = false

  /// - Parameter limit: the most members.
  package init(limit: Int) { self.limit = limit }

  package func index(of peer: PeerRef) -> Int? { members.firstIndex { $0.peer == peer } }

  /// Takes in what concerns membership; what does not is left.
  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start(let role): start(role, &context)
    case .prepare(_, let handover):
      start(handover.role, &context)
      for member in handover.members.prefix(Self.asksAtOnce) { ask(member.peer, &context) }
    case .capacity(let capacity):
      upload = role == .leaf ? 0 : Member.kilobits(capacity.upload)
      version += 1
    case .stop: stop(&context)
    case .discovered(let candidates):
      for candidate in candidates.prefix(Self.asksAtOnce) { ask(candidate.peer, &context) }
    case .inbound(let ask): answer(ask, &context)
    case .linkUp(let link): up(link, &context)
    case .linkDown(let peer, let reason, let redirect):
      down(peer, reason, &context)
      for candidate in redirect.prefix(Self.asksAtOnce) { ask(candidate.peer, &context) }
    case .silence(let peer, let duration):
      guard let index = index(of: peer), members[index].silentSince == nil else { return }
      members[index].silentSince = context.now - duration
      version += 1
    case .chunks(let arrivals):
      for arrival in arrivals { heard(arrival.from) }
    case .haves(let haves):
      for have in haves { heard(have.peer) }
    case .message(let peer, let epoch, let bytes):
      heard(peer)
      guard epoch == context.epoch, index(of: peer) != nil, let contacts = MemberList.decode(bytes) else {
        return
      }
      for contact in contacts { learn(contact, &context) }
    case .timer(Self.timer): exchange(&context)
    default: break
    }
  }

  private mutating func heard(_ peer: PeerRef) {
    guard let index = index(of: peer), members[index].silentSince != nil else { return }
    members[index].silentSince = nil
    version += 1
  }

  private mutating func start(_ role: Role, _ context: inout TopologyContext) {
    guard !isRunning else { return }
    isRunning = true
    self.role = role
    began = context.now
    // Peers that start together do not speak together.
    let first = Duration.milliseconds(500 + Int64(context.random.next(upperBound: 500 as UInt64)))
    context.emit(.setTimer(Self.timer, at: context.now + first))
    if role != .source { context.emit(.discover(limit: Self.asksAtOnce)) }
  }

  private mutating func stop(_ context: inout TopologyContext) {
    guard isRunning else { return }
    isRunning = false
    for member in members { context.emit(.disconnect(member.peer, redirect: [])) }
    context.emit(.cancelTimer(Self.timer))
    members = []
    version += 1
  }

  // MARK: - Asking and answering

  private mutating func ask(_ peer: PeerRef, _ context: inout TopologyContext) {
    guard isRunning, !asked.contains(peer),
      index(of: peer).map({ !members[$0].isGranted }) ?? (members.count < limit)
    else { return }
    if let contact = context.contact(of: peer), contact.id == context.me.id || isShunned(contact) { return }
    asked.append(peer)
    if asked.count > limit { asked.removeFirst() }
    context.emit(.connect(peer, .data, stripes(context), from: nil, note: []))
  }

  private mutating func answer(_ ask: Inbound, _ context: inout TopologyContext) {
    guard isRunning, let hello = ask.hello, ask.purpose == .data,
      index(of: ask.peer) != nil || members.count < limit,
      !isShunned(Contact(id: hello.id, address: hello.address))
    else {
      context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
      return
    }
    let welcome = Welcome(context.window)?.encoded ?? []
    context.emit(.accept(ask.peer, ask.stripes.intersection(stripes(context)), note: welcome))
  }

  private func stripes(_ context: TopologyContext) -> StripeSet { .first(max(context.stream.stripes, 1)) }

  private mutating func up(_ link: Link, _ context: inout TopologyContext) {
    asked.removeAll { $0 == link.peer }
    guard isRunning, let hello = link.hello, link.purpose == .data else { return }
    let contact = Contact(id: hello.id, address: hello.address)
    known.removeAll { $0.id == contact.id }
    shunned.removeAll { $0.contact.id == contact.id }
    if index(of: link.peer) == nil {
      var member = Member(
        peer: link.peer,
        contact: contact,
        upload: Member.kilobits(hello.capacity.upload),
        began: context.now - min(hello.capacity.uptime, .seconds(1 << 30)),
        isSource: hello.depth == 0
      )
      member.isGranted = link.isParent
      members.insert(member, at: members.firstIndex { contact.id < $0.contact.id } ?? members.endIndex)
      version += 1
      tellAll(link.peer, &context)
    } else if let index = index(of: link.peer), link.isParent {
      members[index].isGranted = true
    }
    if !link.isParent { ask(link.peer, &context) }
    guard link.isParent, !hasBegun, role != .source else { return }
    // What the first to accept us holds from its newest entry on is asked for; what comes after that is pushed.
    hasBegun = true
    guard context.window.last == nil, let welcome = Welcome(link.note),
      welcome.last - welcome.entry < context.window.size
    else { return }
    context.emit(.request(welcome.entry...welcome.last, from: link.peer))
  }

  private mutating func down(_ peer: PeerRef, _ reason: LinkDownReason, _ context: inout TopologyContext) {
    asked.removeAll { $0 == peer }
    // Who refuses what we ask may still be one who asked us.
    guard reason != .refused else { return }
    let contact = index(of: peer).map { members[$0].contact } ?? context.contact(of: peer)
    if let index = index(of: peer) {
      members.remove(at: index)
      version += 1
    }
    guard let contact else { return }
    known.removeAll { $0.id == contact.id }
    shunned.append((contact, context.now + (reason == .lied ? .seconds(600) : Self.shunTime)))
    if shunned.count > Self.shunnedLimit { shunned.removeFirst() }
  }

  private func isShunned(_ contact: Contact) -> Bool { shunned.contains { $0.contact.id == contact.id } }

  // MARK: - Exchanging lists

  private mutating func learn(_ contact: Contact, _ context: inout TopologyContext) {
    guard contact.id != context.me.id, !members.contains(where: { $0.contact.id == contact.id }),
      !isShunned(contact)
    else { return }
    if !known.contains(where: { $0.id == contact.id }) {
      known.append(contact)
      if known.count > Self.knownLimit { known.removeFirst() }
    }
    ask(context.peer(for: contact), &context)
  }

  /// Names all members to one that is new.
  private func tellAll(_ peer: PeerRef, _ context: inout TopologyContext) {
    let contacts = members.filter { $0.peer != peer }.map(\.contact)
    for start in stride(from: 0, to: contacts.count, by: MemberList.limit) {
      let part = Array(contacts[start..<min(start + MemberList.limit, contacts.count)])
      context.emit(.send(peer, MemberList.encode(part)))
    }
  }

  private mutating func exchange(_ context: inout TopologyContext) {
    guard isRunning else { return }
    context.emit(.setTimer(Self.timer, at: context.now + Self.interval))
    let now = context.now
    shunned.removeAll { $0.until <= now }
    let partners = members.shuffled(using: &context.random).prefix(Self.partners)
    for partner in partners {
      let contacts = members.filter { $0.peer != partner.peer && $0.silentSince == nil }.map(\.contact)
      guard !contacts.isEmpty else { continue }
      let part = Array(contacts.shuffled(using: &context.random).prefix(MemberList.limit))
      context.emit(.send(partner.peer, MemberList.encode(part)))
    }
    for contact in known.prefix(Self.asksAtOnce) { ask(context.peer(for: contact), &context) }
    // Those who accepted nothing yet, although we accepted them, are asked again.
    for member in members where !member.isGranted { ask(member.peer, &context) }
    if role != .source, !members.contains(where: { $0.isSource }) || members.count < 2 {
      context.emit(.discover(limit: Self.asksAtOnce))
    }
  }
}
