public import CPluginABI
import PluginKit

/// Everybody hangs directly under the source.
struct Star: Topology {
  static let manifest = Manifest(
    name: "star",
    version: "1.0.0",
    summary: "The source feeds every viewer itself",
    parameters: [
      Parameter("rays", .integer(1...1000, default: 8), "how many viewers the source feeds at most")
    ],
    claims: [.noDuplicates, .noLoops, .fanOut(parameter: "rays")]
  )

  let limit: Int
  var upload: UInt64 = 0
  var rays: Set<PeerRef> = []
  var isSource = false

  init(parameters: Parameters) { limit = parameters.integer("rays") }

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    let stripes = StripeSet.first(context.stream.stripes)
    switch event {
    case .start(let role):
      isSource = role == .source
      if isSource {
        declare(parent: nil, depth: 0, stripes, &context)
      } else {
        context.emit(.discover(limit: 8))
      }
    case .capacity(let own):
      upload = own.upload
    case .discovered(let candidates):
      if let one = candidates.randomElement(using: &context.random) {
        context.emit(.connect(one.peer, .data, stripes, from: nil, note: []))
      } else {
        context.emit(.setTimer(1, at: context.now + .seconds(1)))
      }
    case .inbound(let caller):
      let room = min(limit, context.stream.copies(in: upload))
      guard isSource, caller.purpose == .data, rays.count < room || rays.contains(caller.peer) else {
        context.emit(.refuse(caller.peer, caller.stripes, redirect: []))
        return
      }
      rays.insert(caller.peer)
      context.emit(.accept(caller.peer, caller.stripes, note: []))
      // One without a hello is a plain RFC 7574 peer, which pulls.
      guard caller.hello != nil else { return }
      for stripe in caller.stripes.stripes {
        context.emit(.route(stripe: stripe, to: caller.peer, from: caller.from))
      }
    case .linkUp(let link) where link.isParent:
      declare(parent: link.peer, depth: 1, link.stripes, &context)
    case .linkDown(let peer, _, _):
      rays.remove(peer)
      guard !isSource else { return }
      declare(parent: nil, depth: 0, stripes, &context)
      context.emit(.setTimer(1, at: context.now + .seconds(1)))
    case .timer:
      context.emit(.discover(limit: 8))
    default:
      break
    }
  }

  func declare(parent: PeerRef?, depth: Int, _ stripes: StripeSet, _ context: inout TopologyContext) {
    for stripe in stripes.stripes { context.emit(.declareParent(stripe: stripe, parent, depth: depth)) }
  }
}

@c(Star_plugin)
public func descriptor() -> plugin_descriptor {
  plugin_describe { Plugin.retained(Star.self) }
}
