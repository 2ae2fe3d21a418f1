internal import Branching
public import CPluginABI
package import PluginKit

/// A tree in which each peer feeds up to `fanout` others: few hops for many viewers.
package struct Tree: Topology {
  package static let manifest = Manifest(
    name: "tree",
    version: "1.0.0",
    summary: "Each peer feeds up to fanout others, as far as its upload carries them",
    parameters: [
      Parameter("fanout", .integer(1...64, default: 8), "how many children a peer feeds at most"),
      Parameter("spare", .boolean(default: true), "keep a second link warm for repair"),
    ],
    wants: .linkSamples,
    claims: [
      .noDuplicates, .noLoops, .logarithmicDepth, .repair(within: .seconds(5)),
    ]
  )

  private var branch: Branch

  package init(parameters: Parameters) throws(ParameterError) {
    branch = Branch(
      Shape(fanout: parameters.integer("fanout"), keepsSpare: parameters.boolean("spare"))
    )
  }

  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    branch.handle(event, &context)
  }
}

@c(Tree_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(Tree.self) }
}
