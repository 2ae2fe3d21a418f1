import PluginKit

/// Takes whoever comes, and everything from the first that it hears of.
struct Star: Topology {
  static let manifest = Manifest(
    name: "star",
    version: "1.0.0",
    summary: "Everybody is fed by the first",
    wants: [.chunks, .duplicates, .haves, .gaps, .windowMoved, .linkSamples]
  )

  init() {}
  init(parameters: Parameters) throws(ParameterError) {}

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start(let role):
      if role != .source { context.emit(.discover(limit: 1)) }
    case .discovered(let candidates):
      guard let first = candidates.first else { return }
      context.emit(.connect(first.peer, .data, .first(1), from: nil, note: []))
    case .inbound(let ask):
      context.emit(.accept(ask.peer, ask.stripes, note: ask.note))
      if ask.hello != nil, ask.purpose == .data {
        context.emit(.route(stripe: 0, to: ask.peer, from: ask.from))
      }
    case .linkUp(let link):
      if link.isParent { context.emit(.declareParent(stripe: 0, link.peer, depth: 1)) }
    case .linkDown(_, _, let redirect):
      if let first = redirect.first {
        context.emit(.connect(first.peer, .spare, .first(1), from: nil, note: []))
      }
    case .message(let peer, _, let bytes): context.emit(.send(peer, bytes))
    default: break
    }
  }
}
