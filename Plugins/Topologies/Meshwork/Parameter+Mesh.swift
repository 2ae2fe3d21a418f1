package import PluginKit

/// What every topology on this mesh can be told.
extension Parameter {
  /// How many neighbours at least; called as the topology's paper calls them.
  package static func neighbours(_ name: String) -> Parameter {
    Parameter(name, .integer(2...16, default: 5), "how many neighbours a peer has at least")
  }

  package static let perCopy = Parameter(
    "percopy",
    .integer(0...8, default: 2),
    "how many more for each copy its upload carries"
  )

  package static let pace = Parameter(
    "pace",
    .duration(.milliseconds(5) ... .seconds(1), default: .milliseconds(25)),
    "how long offers are gathered"
  )
}
