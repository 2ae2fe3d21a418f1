import Lab
import PluginKit

extension Plan {
  /// Peers that upload the same, strewn over a square, each joining at its time.
  init(benchmark scenario: Scenario, upload: UInt64, joins: (Int) -> Duration) {
    var random = RandomSource(seed: 1)
    var peers = [Plan.Planned(role: .source, joins: .zero, access: scenario.source)]
    for index in 0..<scenario.count {
      let place = Plan.Place(
        x: Float(random.next() % 1400) / 1000 - 0.7,
        y: Float(random.next() % 1400) / 1000 - 0.7
      )
      peers.append(Plan.Planned(joins: joins(index), access: Access(upload: upload), place: place))
    }
    self.init(scenario: scenario, seed: 1, peers: peers)
  }
}
