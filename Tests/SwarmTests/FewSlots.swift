import PluginKit

/// Takes so many plain peers, and nobody else.
struct FewSlots: Topology {
  static let manifest = Manifest(name: "slots", version: "1.0.0", summary: "Takes a few plain peers")

  private var slots = 0
  private var inside: Set<PeerRef> = []

  init(_ slots: Int) { self.slots = slots }
  init(parameters: Parameters) throws(ParameterError) {}

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .inbound(let ask):
      if inside.contains(ask.peer) || inside.count < slots {
        inside.insert(ask.peer)
        context.emit(.accept(ask.peer, ask.stripes, note: []))
      } else {
        context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
      }
    case .linkDown(let peer, _, _): inside.remove(peer)
    default: break
    }
  }
}
