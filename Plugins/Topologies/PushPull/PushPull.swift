public import CPluginABI
internal import Meshwork
package import PluginKit

/// A mesh that pulls first and is then pushed to: each stripe is subscribed to at one neighbour, and requests fill the holes.
package struct PushPull: Topology {
  package static let manifest = Manifest(
    name: "pushpull",
    version: "1.0.0",
    summary: "Neighbours push stripes to those who subscribe, and each asks for what is missing",
    parameters: [
      Parameter(
        "stripes",
        .integer(1...Subscriptions.stripeLimit, default: 4),
        "into how many parts the stream is cut"
      ),
      .neighbours("partners"), .perCopy, .pace,
    ],
    wants: [.chunks, .gaps]
  )

  private static let watchInterval = Duration.milliseconds(200)
  private static let timer: UInt32 = 16

  private var membership: Membership
  private var exchange: Exchange
  private var subscriptions: Subscriptions

  package init(parameters: Parameters) throws(ParameterError) {
    membership = Membership(degree: parameters.integer("partners"), perCopy: parameters.integer("percopy"))
    var rules = Exchange.Rules()
    rules.pace = parameters.duration("pace")
    rules.patience = .milliseconds(450)
    rules.holdingInterval = .milliseconds(300)
    exchange = Exchange(rules)
    subscriptions = Subscriptions(stripes: parameters.integer("stripes"))
  }

  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    apply(membership.handle(event, &context), &context)
    switch event {
    case .start(let role): begin(role, &context)
    case .prepare(let epoch, let handover):
      begin(handover.role, &context)
      context.emit(.ready(epoch: epoch))
    case .capacity(let capacity): subscriptions.upload = capacity.upload
    case .message(let peer, _, let bytes): hear(bytes, from: peer, &context)
    case .chunks(let arrivals):
      exchange.arrived(arrivals, &context)
      exchange.missed(subscriptions.arrived(arrivals, now: context.now), &context)
    case .requestFailed(let peer, let chunks, let reason): exchange.failed(peer, chunks, reason, &context)
    case .inbound(let inbound):
      if inbound.purpose == .data, inbound.hello != nil { subscriptions.answer(inbound, &context) }
    case .linkUp(let link):
      if link.isParent { subscriptions.granted(link, &context) }
    case .linkDown(let peer, _, _): subscriptions.refused(peer, &context)
    case .silence(let peer, _): subscriptions.doubt(peer, &context)
    case .timer(Self.timer):
      context.emit(.setTimer(Self.timer, at: context.now + Self.watchInterval))
      subscriptions.watch(newest: exchange.newest, &context)
    case .timer(let number): _ = exchange.timer(number, &context)
    default: break
    }
    apply(membership.takeChanges(), &context)
    settle(context)
  }

  private mutating func begin(_ role: Role, _ context: inout TopologyContext) {
    exchange.role = role
    subscriptions.role = role
    exchange.begin(&context)
    context.emit(.setTimer(Self.timer, at: context.now + Self.watchInterval))
  }

  private mutating func hear(_ bytes: [UInt8], from peer: PeerRef, _ context: inout TopologyContext) {
    guard let note = Note(bytes) else { return }
    if case .own(let kind, let value) = note {
      subscriptions.hear(kind, value, from: peer, &context)
      exchange.note(peer, isFed: subscriptions.fed(peer))
    } else if !exchange.hear(note, from: peer, &context) {
      membership.hear(note, from: peer, &context)
    }
  }

  private mutating func apply(_ changes: [Membership.Change], _ context: inout TopologyContext) {
    for change in changes {
      switch change {
      case .came(let neighbour):
        exchange.add(neighbour, &context)
        subscriptions.add(neighbour, &context)
      case .went(let peer):
        exchange.remove(peer, &context)
        subscriptions.remove(peer, &context)
      }
    }
  }

  /// What is pushed is not asked for, and what the routes take is not offered.
  private mutating func settle(_ context: TopologyContext) {
    exchange.fed = subscriptions.fed
    let load = subscriptions.load(context.stream)
    let upload = subscriptions.upload / 16 * 15
    exchange.upload = max(upload / 20, upload > load ? upload - load : 0)
  }
}

@c(PushPull_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(PushPull.self) }
}
