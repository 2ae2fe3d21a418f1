import Testing

@testable import Lab

@Suite struct `Simulated and real` {
  /// A run in which of 1000 deliveries `inTime` came, each after so many milliseconds.
  private static func run(inTime: UInt64 = 1000, delay: Int64) -> ReportLine.Run {
    var measurement = Measurement()
    measurement.expected = 1000
    measurement.inTime = inTime
    for _ in 0..<inTime { measurement.delays.add(delay * 1_000_000) }
    return ReportLine.Run(
      seed: 1,
      measurement: measurement,
      bound: ReportLine.Bound(half: 1, most: 1, all: 1, rate: 1)
    )
  }

  private static func verdicts(
    _ simulated: ReportLine.Run,
    _ emulated: ReportLine.Run,
    busy: Double = 0.2
  ) -> [String: SimToReal.Verdict] {
    var comparison = SimToReal()
    comparison.add(
      SimToReal.Pair(composition: "tree", simulated: simulated, emulated: emulated, busy: busy)
    )
    return Dictionary(uniqueKeysWithValues: comparison.rows.map { ($0.figure, $0.verdict) })
  }

  @Test func `each figure has its own goal`() {
    let base = Self.run(delay: 100)
    let near = Self.verdicts(base, Self.run(inTime: 996, delay: 112))
    #expect(near["delivered"] == .within && near["p50"] == .within && near["p99"] == .within)
    #expect(near["copies"] == SimToReal.Verdict.none)
    let slower = Self.verdicts(base, Self.run(inTime: 994, delay: 120))
    #expect(slower["delivered"] == .outside && slower["p50"] == .outside && slower["p99"] == .within)
    #expect(Self.verdicts(base, Self.run(delay: 70))["p99"] == .outside)
  }

  @Test func `what did not arrive in either is the same, in one of them it is not`() {
    let half = Self.run(inTime: 900, delay: 100)
    #expect(Self.verdicts(half, half)["p99"] == .within)
    #expect(Self.verdicts(Self.run(delay: 100), half)["p99"] == .outside)
  }

  @Test func `what was measured on a busy machine does not count`() {
    var comparison = SimToReal()
    let (base, slow) = (Self.run(delay: 100), Self.run(delay: 300))
    comparison.add(SimToReal.Pair(composition: "tree", simulated: base, emulated: slow, busy: 0.51))
    comparison.add(SimToReal.Pair(composition: "pull", simulated: base, emulated: base, busy: 0.5))
    #expect(comparison.sentence.hasPrefix("3 of 3 figures are within their goals; 3 do not count"))
    #expect(comparison.table.contains("does not count: processors 51 % busy"))
    #expect(comparison.page.contains("<td>does not count: processors 51 % busy</td>"))
    #expect(SimToReal().page == "")
  }
}
