import PluginKit
import Testing

@testable import Lab

/// What a run showed, written and read back.
struct RunRecordTests {
  @Test(arguments: 1...20) func `A run is read back as it was written`(seed: UInt64) throws {
    let run = Self.run(seed)
    let line = run.json(composition: "tree:fanout=2", engine: "packet")
    let record = try RunRecord(Array(line.utf8), file: "runs.ndjson")
    #expect(record.composition == "tree:fanout=2" && record.fidelity == .packet)
    #expect(record.run.json(composition: "tree:fanout=2", engine: "packet") == line, "seed \(seed)")
    for part in [0.5, 0.99, 1] {
      let (delay, before) = (
        record.run.measurement.delays.quantile(part), run.measurement.delays.quantile(part)
      )
      #expect(delay == before, "seed \(seed)")
    }
  }

  @Test func `Every line that is cut short or altered is one sentence, never a trap`() throws {
    let line = Array(Self.run(7).json(composition: "tree", engine: "chunk").utf8)
    for length in stride(from: 0, to: line.count, by: 7) {
      #expect(throws: FileError.self) { try RunRecord(Array(line[..<length]), file: "x") }
    }
    var dice = RandomSource(seed: 7)
    for _ in 0..<500 {
      var altered = line
      altered[Int(UInt64.random(in: 0..<UInt64(line.count), using: &dice))] = UInt8(
        UInt64.random(in: 0..<256, using: &dice)
      )
      _ = try? RunRecord(altered, file: "x")
    }
  }

  private static func run(_ seed: UInt64) -> ReportLine.Run {
    var dice = RandomSource(seed: seed)
    var seen = Measurement()
    seen.expected = UInt64.random(in: 0..<1_000_000, using: &dice)
    seen.inTime = UInt64.random(in: 0..<1_000_000, using: &dice)
    seen.trace = dice.next()
    for _ in 0..<UInt64.random(in: 0..<2000, using: &dice) {
      seen.delays.add(Int64(UInt64.random(in: 0..<1 << 45, using: &dice)))
    }
    for _ in 0..<UInt64.random(in: 0..<50, using: &dice) {
      seen.starts.add(Int64(UInt64.random(in: 0..<1 << 30, using: &dice)))
    }
    for _ in 0..<UInt64.random(in: 0..<30, using: &dice) {
      var second = Measurement.Second()
      second.expected = UInt64.random(in: 0..<1000, using: &dice)
      second.inTime = UInt64.random(in: 0..<1000, using: &dice)
      seen.timeline.append(second)
    }
    seen.peerParts = (0..<UInt64.random(in: 0..<3000, using: &dice)).map { _ in
      Float(UInt64.random(in: 0..<1_000_000, using: &dice)) / 1_000_000
    }.sorted()
    if seen.peerParts.count > 1001 { seen.peerParts.removeLast(seen.peerParts.count - 1001) }
    for place in 0..<Int64(UInt64.random(in: 0..<4, using: &dice)) {
      var swap = Measurement.Swap("striped:stripes=4", at: place * 1_000_000_000)
      swap.lost = UInt64.random(in: 0..<100, using: &dice)
      swap.duplicates = UInt64.random(in: 0..<100, using: &dice)
      swap.gaps.add(Int64(UInt64.random(in: 0..<1 << 30, using: &dice)))
      seen.swaps.append(swap)
    }
    seen.depths = (0..<UInt64.random(in: 0..<9, using: &dice)).map { _ in
      UInt32(UInt64.random(in: 0..<100, using: &dice))
    }
    seen.split.queue = -Int64(UInt64.random(in: 0..<1000, using: &dice))
    seen.blame = [.queue: UInt64.random(in: 0..<9, using: &dice), .way: 3]
    return ReportLine.Run(
      seed: seed,
      measurement: seen,
      bound: ReportLine.Bound(half: 1, most: seed % 2 == 0 ? nil : 5, all: nil, rate: 2_000_000)
    )
  }
}
