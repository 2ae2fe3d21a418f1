public import CPluginABI
internal import Meshwork
package import PluginKit

/// Epidemic broadcast trees: a tree that comes about by itself on a mesh which mends it.
package struct Gossip: Topology {
  package static let manifest = Manifest(
    name: "gossip",
    version: "1.0.0",
    summary: "The first to bring a chunk goes on doing so, all others only tell of theirs",
    parameters: [
      Parameter(
        "stripes",
        .integer(1...Eager.stripeLimit, default: 4),
        "into how many parts the stream is cut, each with a tree of its own"
      ),
      .neighbours("active"), .perCopy, .pace,
    ],
    wants: [.chunks, .duplicates, .gaps]
  )

  private static let watchInterval = Duration.milliseconds(100)
  private static let timer: UInt32 = 16

  private var membership: Membership
  private var exchange: Exchange
  private var trees: [Eager]
  private var role = Role.relay
  private var upload: UInt64 = 0

  package init(parameters: Parameters) throws(ParameterError) {
    membership = Membership(degree: parameters.integer("active"), perCopy: parameters.integer("percopy"))
    var rules = Exchange.Rules()
    rules.pace = parameters.duration("pace")
    rules.patience = .milliseconds(450)
    rules.holdingInterval = .milliseconds(300)
    exchange = Exchange(rules)
    let stripes = parameters.integer("stripes")
    trees = (0..<stripes).map { Eager(stripe: $0, of: stripes) }
  }

  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    if case .capacity(let capacity) = event { upload = capacity.upload }
    apply(membership.handle(event, &context), &context)
    settle(context)
    switch event {
    case .start(let role): begin(role, &context)
    case .prepare(let epoch, let handover):
      for place in trees.indices { trees[place].isPrepared = true }
      begin(handover.role, &context)
      context.emit(.ready(epoch: epoch))
    case .message(let peer, _, let bytes): hear(bytes, from: peer, &context)
    case .chunks(let arrivals):
      var skipped: [UInt64] = []
      for place in trees.indices { skipped += trees[place].arrived(arrivals, exchange.partners, &context) }
      exchange.arrived(arrivals, &context)
      exchange.missed(skipped, &context)
    case .duplicates(let arrivals):
      for place in trees.indices { trees[place].repeated(arrivals, &context) }
    case .requestFailed(let peer, let chunks, let reason): exchange.failed(peer, chunks, reason, &context)
    case .silence(let peer, _):
      for place in trees.indices { trees[place].doubt(peer, &context) }
    case .timer(Self.timer):
      context.emit(.setTimer(Self.timer, at: context.now + Self.watchInterval))
      for place in trees.indices { trees[place].watch(newest: exchange.newest, &context) }
    case .timer(let number): _ = exchange.timer(number, &context)
    default: break
    }
    apply(membership.takeChanges(), &context)
    settle(context)
  }

  private mutating func begin(_ role: Role, _ context: inout TopologyContext) {
    exchange.role = role
    self.role = role
    for place in trees.indices { trees[place].role = role }
    exchange.begin(&context)
    context.emit(.setTimer(Self.timer, at: context.now + Self.watchInterval))
  }

  private mutating func hear(_ bytes: [UInt8], from peer: PeerRef, _ context: inout TopologyContext) {
    guard let note = Note(bytes) else { return }
    if case .own(let kind, let value) = note {
      for place in trees.indices { trees[place].hear(kind, value, from: peer, &context) }
      exchange.note(peer, isFed: stripes { $0.isFed(peer) })
    } else if !exchange.hear(note, from: peer, &context) {
      membership.hear(note, from: peer, &context)
    }
  }

  private mutating func apply(_ changes: [Membership.Change], _ context: inout TopologyContext) {
    for change in changes {
      switch change {
      case .came(let neighbour):
        exchange.add(neighbour, &context)
        for place in trees.indices { trees[place].add(neighbour, &context) }
      case .went(let peer):
        exchange.remove(peer, &context)
        for place in trees.indices { trees[place].remove(peer, &context) }
      }
    }
  }

  private func stripes(where isMeant: (Eager) -> Bool) -> StripeSet {
    var set: StripeSet = []
    for tree in trees where isMeant(tree) { set.formUnion(StripeSet(tree.stripe)) }
    return set
  }

  /// What is pushed is not asked for, and what pushing takes is not offered; a quarter of the upload is left for requests.
  private mutating func settle(_ context: TopologyContext) {
    exchange.fed = stripes { $0.isFed }
    let count = trees.reduce(0) { $0 + $1.eagerCount }
    let slot = max(1, context.stream.rate / UInt64(trees.count))
    let slots = role == .leaf ? 0 : Int(clamping: upload / 4 * 3 / slot)
    for place in trees.indices { trees[place].room = slots - count }
    let load = UInt64(count) * slot
    let free = upload / 16 * 15
    exchange.upload = max(upload / 20, free > load ? free - load : 0)
  }
}

@c(Gossip_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(Gossip.self) }
}
