internal import PluginKit

/// What a comparison found, to be looked at: pictures, a table, and one page that holds all of it.
package struct Report: Sendable {
  package let scenario: Scenario
  /// One for each composition, in the order in which they were named.
  package let lines: [ReportLine]
  /// How the runs were simulated: `chunk` or `packet`, or that they were emulated.
  package let engine: String
  /// The command that makes the same runs again.
  package let rerun: String
  /// What was simulated beside what was emulated; empty where nothing was emulated.
  let comparison: SimToReal
  /// The earliest times at which parts of all peers can hold a chunk, in milliseconds, of the first seed.
  let boundCurve: [(part: Double, time: Double)]

  /// - Parameters:
  ///   - scenario: the world.
  ///   - lines: what was found; those without a run are left out.
  ///   - engine: how it was found.
  ///   - rerun: the command that finds it again.
  ///   - bounds: of the first seed, for the curve of what is possible.
  ///   - comparison: of what was emulated with what was simulated.
  package init(
    scenario: Scenario,
    lines: [ReportLine],
    engine: String,
    rerun: String,
    bounds: Bounds? = nil,
    comparison: SimToReal = SimToReal()
  ) {
    self.comparison = comparison
    self.scenario = scenario
    self.lines = lines.filter { !$0.runs.isEmpty }
    self.engine = engine
    self.rerun = rerun
    boundCurve = (1...100).compactMap { step in
      let part = Double(step) / 100
      return bounds?.delay.time(part).map { (part, Double($0) / 1e6) }
    }
  }
}

extension Measurement {
  /// Bytes sent for each byte of the chunks that were new to somebody; 1 is the optimum.
  package var overhead: Double {
    guard arrivals > duplicates, chunkBytes > 0 else { return 1 }
    let useful = Double(chunkBytes) / Double(arrivals) * Double(arrivals - duplicates)
    return Double(chunkBytes + controlBytes) / useful
  }
}
