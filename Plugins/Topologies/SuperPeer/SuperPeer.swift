internal import Branching
public import CPluginABI
package import PluginKit

/// A tree of capable peers, the core, with all others as its leaves.
package struct SuperPeer: Topology {
  package static let manifest = Manifest(
    name: "superpeer",
    version: "1.0.0",
    summary: "Peers that can feed many form a core; all others hang below one of them",
    parameters: [
      Parameter(
        "fanout",
        .integer(1...64, default: 64),
        "how many children a peer of the core feeds at most"
      ),
      Parameter(
        "trial",
        .duration(.zero ... .seconds(3600), default: .seconds(10)),
        "how long a peer must have been there before it can be of the core"
      ),
      Parameter("spare", .boolean(default: true), "keep a second link warm for repair"),
    ],
    wants: .linkSamples,
    claims: [
      .noDuplicates, .noLoops, .logarithmicDepth, .repair(within: .seconds(10)),
    ]
  )

  private var branch: Branch

  package init(parameters: Parameters) throws(ParameterError) {
    branch = Branch(
      Shape(
        fanout: parameters.integer("fanout"),
        keepsSpare: parameters.boolean("spare"),
        trial: parameters.duration("trial")
      )
    )
  }

  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    branch.handle(event, &context)
  }
}

@c(SuperPeer_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(SuperPeer.self) }
}
