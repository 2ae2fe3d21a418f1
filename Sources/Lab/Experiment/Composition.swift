/// Which plugins run in a swarm.
package struct Composition: Hashable, Sendable {
  /// A plugin with its parameters, and the part of all peers that have it.
  package struct Part: Hashable, Sendable {
    /// The topology's name, as in `tree`.
    package var topology: String
    /// As in `fanout=4,spare=no`.
    package var parameters: String
    package var share: Double

    package init(_ topology: String, parameters: String = "", share: Double = 1) {
      self.topology = topology
      self.parameters = parameters
      self.share = share
    }

    /// As `freshet broadcast --topology` takes it: `tree:fanout=2`.
    package var text: String { parameters.isEmpty ? topology : "\(topology):\(parameters)" }
  }

  /// As results name it: `tree:fanout=2`.
  package var name: String
  /// What the source announces comes first; peers of other parts run another plugin, or lack the announced one.
  package var parts: [Part]

  package init(name: String, parts: [Part]) {
    self.name = name
    self.parts = parts
  }
}
