public import CPluginABI
internal import Meshwork
package import PluginKit

/// A mesh in which each chunk is asked for: robust where peers come and go.
package struct Pull: Topology {
  package static let manifest = Manifest(
    name: "pull",
    version: "1.0.0",
    summary: "Neighbours offer chunks to each other, and each asks for what it lacks",
    parameters: [
      .neighbours("partners"), .perCopy, .pace,
    ],
    wants: [.chunks, .gaps]
  )

  private static let judgement = Duration.seconds(8)
  private static let timer: UInt32 = 16

  private var membership: Membership
  private var exchange: Exchange

  package init(parameters: Parameters) throws(ParameterError) {
    membership = Membership(degree: parameters.integer("partners"), perCopy: parameters.integer("percopy"))
    var rules = Exchange.Rules()
    rules.pace = parameters.duration("pace")
    exchange = Exchange(rules)
  }

  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    apply(membership.handle(event, &context), &context)
    switch event {
    case .start(let role): begin(role, &context)
    case .prepare(let epoch, let handover):
      begin(handover.role, &context)
      context.emit(.ready(epoch: epoch))
    case .capacity(let capacity): exchange.upload = capacity.upload
    case .message(let peer, _, let bytes):
      guard let note = Note(bytes) else { return }
      if !exchange.hear(note, from: peer, &context) { membership.hear(note, from: peer, &context) }
    case .chunks(let arrivals): exchange.arrived(arrivals, &context)
    case .requestFailed(let peer, let chunks, let reason): exchange.failed(peer, chunks, reason, &context)
    case .timer(Self.timer): judge(&context)
    case .timer(let number): _ = exchange.timer(number, &context)
    default: break
    }
    apply(membership.takeChanges(), &context)
  }

  private mutating func begin(_ role: Role, _ context: inout TopologyContext) {
    exchange.role = role
    exchange.begin(&context)
    context.emit(.setTimer(Self.timer, at: context.now + Self.judgement))
  }

  private mutating func apply(_ changes: [Membership.Change], _ context: inout TopologyContext) {
    for change in changes {
      switch change {
      case .came(let neighbour): exchange.add(neighbour, &context)
      case .went(let peer): exchange.remove(peer, &context)
      }
    }
  }

  /// A neighbour that brings nothing makes room for another one.
  private mutating func judge(_ context: inout TopologyContext) {
    context.emit(.setTimer(Self.timer, at: context.now + Self.judgement))
    let useless = exchange.judge()
    guard exchange.role != .source, let useless, membership.active.count >= membership.target(context.stream)
    else { return }
    membership.drop(useless, forget: false, &context)
  }
}

@c(Pull_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(Pull.self) }
}
