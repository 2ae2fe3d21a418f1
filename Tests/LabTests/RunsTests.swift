import Lab
import PluginKit
import Synchronization
import Testing

@testable import Tree

private func run(seed: UInt64, inTime: UInt64) -> ReportLine.Run {
  var measurement = Measurement()
  measurement.expected = 1000
  measurement.inTime = inTime
  for index in 0..<inTime { measurement.delays.add(Int64(100_000_000 + index * 1000)) }
  measurement.arrivals = inTime
  measurement.chunkBytes = 990
  measurement.controlBytes = 10
  measurement.trace = 0xAB + seed
  let bound = ReportLine.Bound(half: 50_000_000, most: 50_000_000, all: 60_000_000, rate: 4e6)
  return ReportLine.Run(seed: seed, measurement: measurement, bound: bound)
}

private func results(seeds: ClosedRange<UInt64>) -> Results {
  let scenario = Scenario(name: "x", source: Access(upload: 1), groups: [], count: 1)
  let compositions = ["tree", "chain:a=1,b=2"].map { Composition(name: $0, parts: [.init($0)]) }
  let experiment = Experiment(scenario: scenario, compositions: compositions, seeds: seeds)
  var results = Results(experiment)
  for job in experiment.jobs.reversed() {
    results.add(run(seed: job.seed, inTime: job.composition == 0 ? 990 + job.seed % 5 : 500), of: job)
  }
  return results
}

struct RunsTests {
  @Test(arguments: [1, 2, 7]) func `Every job is done once, however many threads there are`(threads: Int) {
    let workers = Workers<Int>(count: 50, threads: threads) { job, goesOn in goesOn(0.5) ? job * job : nil }
    var found: [Int: Int] = [:]
    while true {
      let isOver = workers.progress.isOver
      for (job, outcome) in workers.takeOutcomes() { found[job] = outcome }
      if isOver { break }
    }
    #expect(found == Dictionary(uniqueKeysWithValues: (0..<50).map { ($0, $0 * $0) }))
    #expect(workers.progress.finished == 50 && workers.progress.done == 50)
  }

  @Test func `What is stopped gives nothing, and nothing more begins`() {
    let begun = Atomic(0)
    let workers = Workers<Int>(count: 50, threads: 2) { job, goesOn in
      begun.add(1, ordering: .relaxed)
      while goesOn(0.1) {}
      return nil
    }
    while begun.load(ordering: .relaxed) < 2 {}
    workers.stop()
    while !workers.progress.isOver {}
    #expect(begun.load(ordering: .relaxed) == 2)
    #expect(workers.takeOutcomes().isEmpty && workers.progress.finished == 0)
  }

  @Test func `The table has a line for each composition, and marks the best`() {
    let lines = results(seeds: 1...20).table.split(separator: "\n")
    #expect(lines[0].hasPrefix("composition    seeds  delivered %"))
    #expect(lines[1].hasPrefix("tree           20     99.200* [99.100, 99.300]  "))
    #expect(lines[2].hasPrefix("chain:a=1,b=2  20     50.000  [50.000, 50.000]"))
    // Half never came, so no delay was kept by 99 of 100.
    #expect(lines[2].contains("–"))
    #expect(lines.last?.contains("best") == true)
    var packets = results(seeds: 1...1).experiment
    packets.fidelity = .packet
    #expect(Results(packets).table.contains("a keyed checksum stood for signatures"))
  }

  @Test func `The files have a line for each run, in the order of compositions and seeds`() {
    let results = results(seeds: 3...4)
    let csv = results.csv.split(separator: "\n")
    #expect(csv.count == 5)
    #expect(csv[0].hasPrefix("composition,seed,delivered [%],p50 [ms],") && csv[0].hasSuffix(",trace"))
    #expect(csv[1].hasPrefix("tree,3,99.300000,100.") && csv[1].hasSuffix(",00000000000000ae"))
    #expect(csv[4].hasPrefix("\"chain:a=1,b=2\",4,50.000000,"))
    #expect(
      results.traces == """
        tree 3 00000000000000ae
        tree 4 00000000000000af
        chain:a=1,b=2 3 00000000000000ae
        chain:a=1,b=2 4 00000000000000af

        """
    )
    let json = run(seed: 3, inTime: 2).json(composition: "a\"b", engine: "chunk")
    #expect(
      json.hasPrefix(
        "{\"composition\":\"a\\\"b\",\"seed\":3,\"fidelity\":\"chunk\",\"trace\":\"00000000000000ae\","
      )
    )
    #expect(json.contains("\"expected\":1000,\"in_time\":2,") && !json.contains("\n"))
  }

  @Test func `An experiment runs each seed with every composition before the next`() {
    let jobs = results(seeds: 5...6).experiment.jobs
    #expect(jobs.map(\.seed) == [5, 5, 6, 6] && jobs.map(\.composition) == [0, 1, 0, 1])
  }
}
