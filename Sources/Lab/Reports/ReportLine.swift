/// All runs of one composition, as a report shows them.
package struct ReportLine: Sendable {
  /// One run: its seed, what it showed and what was possible.
  package struct Run: Sendable {
    package var seed: UInt64
    package var measurement: Measurement
    /// The earliest times at which half, 99 in 100, and all peers can hold a chunk, in nanoseconds; `nil`: never.
    package var bound: Bound
    /// Who fed whom; of few runs only.
    package var film: TreeFilm?

    package init(seed: UInt64, measurement: Measurement, bound: Bound) {
      self.seed = seed
      self.measurement = measurement
      self.bound = bound
    }
  }

  /// What no topology can do better in the same world.
  package struct Bound: Hashable, Sendable {
    package var half: Int64?
    package var most: Int64?
    package var all: Int64?
    /// The greatest rate in bits per second that can reach all peers.
    package var rate: Double

    package init(half: Int64?, most: Int64?, all: Int64?, rate: Double) {
      self.half = half
      self.most = most
      self.all = all
      self.rate = rate
    }

    package init(_ bounds: Bounds) {
      self.init(
        half: bounds.delay.time(0.5),
        most: bounds.delay.time(0.99),
        all: bounds.delay.time(),
        rate: bounds.rate.greatest
      )
    }
  }

  package var composition: String
  package var runs: [Run]

  package init(composition: String, runs: [Run]) {
    self.composition = composition
    self.runs = runs
  }

  /// A figure of each run that has one.
  func values(_ figure: (Run) -> Double?) -> [Double] { runs.compactMap(figure) }
}

extension ReportLine.Run {
  /// The delay in milliseconds that a part of all expected deliveries did not exceed; `nil` when so many never came.
  package func delay(_ part: Double) -> Double? {
    measurement.delays.quantile(part, of: measurement.expected).map { Double($0) / 1e6 }
  }

  /// How many times the least possible delay the 99th part of a hundred took.
  package var ratio: Double? {
    guard let delay = delay(0.99), let bound = bound.most, bound > 0 else { return nil }
    return delay * 1e6 / Double(bound)
  }
}
