internal import Branching
public import CPluginABI
package import PluginKit

/// A chain in which the newest peer is fed by the one that came before it: one copy of the stream per peer.
///
/// When a peer leaves, the one behind it re-attaches to the one before it. The source learns of the newest peer by
/// reports that run up the chain at once, so that a newcomer is there after one or two redirects.
package struct Chain: Topology {
  package static let manifest = Manifest(
    name: "chain",
    version: "1.0.0",
    summary: "Each peer feeds the one that came after it",
    parameters: [
      Parameter("spare", .boolean(default: true), "keep a second link warm for repair")
    ],
    wants: .linkSamples,
    claims: [.noDuplicates, .noLoops, .repair(within: .seconds(5))]
  )

  private var branch: Branch

  package init(parameters: Parameters) throws(ParameterError) {
    branch = Branch(Shape(fanout: 1, keepsSpare: parameters.boolean("spare"), newsDelay: .zero))
  }

  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    branch.handle(event, &context)
  }
}

@c(Chain_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(Chain.self) }
}
