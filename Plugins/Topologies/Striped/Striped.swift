internal import Branching
public import CPluginABI
package import PluginKit

/// One tree for each stripe, in which a peer has children in one stripe and none in the others.
///
/// Each tree is a ``Branch``, which lives in a world of its own: its stripe is the whole stream there. This type gives
/// the trees one set of links and one budget. Links to a peer are shared: asks are gathered, an answer goes to each tree
/// that it concerns, and a link ends when no tree uses it any more.
package struct Striped: Topology {
  package static let manifest = Manifest(
    name: "striped",
    version: "1.0.0",
    summary: "A tree for each stripe; each peer feeds others in one and only receives the rest",
    parameters: [
      Parameter("stripes", .integer(1...64, default: 4), "into how many stripes the stream is cut"),
      Parameter("fanout", .integer(1...64, default: 64), "how many children a peer feeds at most"),
    ],
    wants: .linkSamples,
    claims: [.noLoops, .logarithmicDepth]
  )

  static let balanceInterval = Duration.seconds(2)

  let fanout: Int
  /// One for each stripe.
  var branches: [Branch]
  var capacity = Capacity(upload: 0)
  var role = Role.relay
  /// The stripe in which the peer has its children.
  var home: Int?
  /// Plain RFC 7574 peers that pull the whole stream, at most as many as the upload carries.
  var plain: [PeerRef] = []

  /// What branches want to ask, at most one for each stripe.
  var wanted: [Want] = []
  /// What was asked and is not answered yet, at most one for each peer; see ``askedLimit``.
  var asked: [Asked] = []
  /// The timers of all branches, at most five for each stripe; the host sees the next of them only.
  var timers: [Alarm] = []
  var nextAlarm: Duration?
  var nextBalance = Duration.zero
  var isDiscovering = false
  /// What the branches say to an ask while it is before them.
  var verdict: Verdict?
  /// The stripes whose branch can take over in a swap.
  var ready: StripeSet = []

  package init(parameters: Parameters) throws(ParameterError) {
    fanout = parameters.integer("fanout")
    let shape = Shape(fanout: fanout, keepsSpare: false)
    branches = (0..<parameters.stripes).map { _ in Branch(shape) }
  }

  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    isDiscovering = false
    switch event {
    case .start(let role): start(role, event, &context)
    case .prepare(_, let handover): start(handover.role, event, &context)
    case .stop:
      for stripe in branches.indices { run(stripe, event, &context) }
      context.emit(.cancelTimer(Timer.branches))
      context.emit(.cancelTimer(Timer.balance))
      return
    case .capacity(let capacity):
      self.capacity = capacity
      share(&context)
    case .discovered: for stripe in branches.indices { run(stripe, event, &context) }
    case .inbound(let ask): inbound(ask, &context)
    case .linkUp(let link): linkUp(link, &context)
    case .linkDown(let peer, let reason, let redirect): linkDown(peer, reason, redirect, &context)
    case .silence(let peer, _), .linkSample(let peer, _):
      for stripe in branches.indices where branches[stripe].uses(peer) { run(stripe, event, &context) }
    case .message(let peer, let epoch, let bytes):
      guard epoch == context.epoch, let letter = Letter(bytes), letter.stripe < branches.count else { return }
      received(letter, from: peer, &context)
    case .timer(Timer.branches): ring(&context)
    case .timer(Timer.balance):
      balance(&context)
      context.emit(.setTimer(Timer.balance, at: context.now + Self.balanceInterval))
    default: break
    }
    askWanted(&context)
    setAlarm(&context)
  }

  private mutating func start(_ role: Role, _ event: TopologyEvent, _ context: inout TopologyContext) {
    self.role = role
    home = Int(context.me.id.ring % UInt64(branches.count))
    share(&context)
    for stripe in branches.indices { run(stripe, event, &context) }
    let first =
      Self.balanceInterval / 2 + .milliseconds(Int64(context.random.next(upperBound: 2000 as UInt64)))
    context.emit(.setTimer(Timer.balance, at: context.now + first))
  }

  /// Lets one stripe's branch hear of an event, and does what it says.
  mutating func run(_ stripe: Int, _ event: TopologyEvent, _ context: inout TopologyContext) {
    var part = part(of: context)
    branches[stripe].handle(event, &part)
    context.random = part.random
    for action in part.actions { perform(action, of: stripe, &context) }
  }

  /// The world as a branch sees it.
  func part(of context: TopologyContext) -> TopologyContext {
    let stream = context.stream
    let count = UInt64(branches.count)
    return TopologyContext(
      now: context.now,
      me: context.me,
      epoch: context.epoch,
      window: context.window,
      stream: StreamProperties(
        rate: stream.rate / count + (stream.rate % count == 0 ? 0 : 1),
        chunkSize: stream.chunkSize,
        stripes: 1
      ),
      held: [],
      random: context.random,
      directory: Names(context)
    )
  }

  private mutating func perform(_ action: TopologyAction, of stripe: Int, _ context: inout TopologyContext) {
    switch action {
    case .connect(let peer, _, _, _, let note):
      wanted.removeAll { $0.stripe == stripe }
      wanted.append(Want(stripe: stripe, peer: peer, note: note))
    case .accept(_, _, let note): verdict?.accepted.append((stripe, note))
    case .refuse(_, _, let redirect): verdict?.refused.append((stripe, redirect))
    case .disconnect(let peer, let redirect): end(stripe, peer, redirect, &context)
    case .send(let peer, let bytes):
      context.emit(.send(peer, Letter(stripe: stripe, .word(bytes)).encoded))
    case .setTimer(let number, let at):
      timers.removeAll { $0.stripe == stripe && $0.number == number }
      timers.append(Alarm(stripe: stripe, number: number, at: at))
    case .cancelTimer(let number): timers.removeAll { $0.stripe == stripe && $0.number == number }
    case .discover:
      if !isDiscovering { context.emit(action) }
      isDiscovering = true
    case .route(_, let peer, let from): context.emit(.route(stripe: stripe, to: peer, from: from))
    case .stop(_, let peer): context.emit(.stop(stripe: stripe, peer))
    case .declareParent(_, let peer, let depth):
      context.emit(.declareParent(stripe: stripe, peer, depth: depth))
    case .ready:
      ready.insert(StripeSet(stripe))
      if ready == .first(branches.count) { context.emit(action) }
    default: break
    }
  }

  // MARK: Timers

  enum Timer {
    static let branches: UInt32 = 1
    static let balance: UInt32 = 2
  }

  private mutating func ring(_ context: inout TopologyContext) {
    // A host whose clock is coarser than ours may ring a little early.
    let time = max(context.now, nextAlarm ?? context.now)
    nextAlarm = nil
    let due = timers.filter { $0.at <= time }
    timers.removeAll { $0.at <= time }
    for alarm in due { run(alarm.stripe, .timer(alarm.number), &context) }
  }

  private mutating func setAlarm(_ context: inout TopologyContext) {
    guard let next = timers.map(\.at).min(), next != nextAlarm else { return }
    nextAlarm = next
    context.emit(.setTimer(Timer.branches, at: next))
  }
}

/// A timer of one branch.
struct Alarm {
  var stripe: Int
  var number: UInt32
  var at: Duration
}

/// The host's names of peers, for the branches.
private final class Names: PeerDirectory {
  private let context: TopologyContext

  init(_ context: TopologyContext) { self.context = context }

  func contact(of peer: PeerRef) -> Contact? { context.contact(of: peer) }
  func peer(for contact: Contact) -> PeerRef { context.peer(for: contact) }
}

@c(Striped_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(Striped.self) }
}
