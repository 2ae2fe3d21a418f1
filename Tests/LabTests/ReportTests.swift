import Foundation
import Lab
import PluginKit
import Support
import Testing

@Suite("Reports")
struct ReportTests {
  /// A comparison of made-up runs: `tree` delivers all, `<odd> 'one'` half of it.
  private static func report() -> Report {
    let scenario = Scenario(
      name: "a <small> world",
      summary: "Whether & how it works.",
      source: Access(upload: 8_000_000),
      groups: [Scenario.Group(access: Access(upload: 4_400_000))],
      count: 100,
      phases: Scenario.Phases(measure: .seconds(20)),
      happenings: [Scenario.Happening(at: .seconds(25), .crash(part: 0.3))]
    )
    func run(_ seed: UInt64, half: Bool) -> ReportLine.Run {
      var measurement = Measurement()
      var random = SplitMix64(seed: seed)
      for _ in 0..<1000 { measurement.delays.add(Int64.random(in: 40_000_000...400_000_000, using: &random)) }
      measurement.expected = half ? 2000 : 1000
      measurement.inTime = 1000
      measurement.arrivals = half ? 1500 : 1000
      measurement.duplicates = half ? 500 : 0
      measurement.chunkBytes = measurement.arrivals * 1400
      measurement.controlBytes = 7000
      measurement.timeline = (0..<20).map { second in
        var entry = Measurement.Second()
        entry.expected = 100
        entry.inTime = half ? 50 + UInt64(second) : 100
        return entry
      }
      measurement.peerParts = (0..<100).map { half ? Float($0) / 100 : 1 }
      measurement.depths = [1, 4, 20, 75]
      measurement.split.deliveries = 10
      measurement.split.propagation = 900_000_000
      measurement.split.queue = half ? 500_000_000 : 0
      measurement.blame = half ? [.queue: 1000] : [:]
      return ReportLine.Run(
        seed: seed,
        measurement: measurement,
        bound: ReportLine.Bound(half: 40_000_000, most: 80_000_000, all: 90_000_000, rate: 4_400_000)
      )
    }
    return Report(
      scenario: scenario,
      lines: [
        ReportLine(composition: "tree", runs: (1...8).map { run($0, half: false) }),
        ReportLine(composition: "<odd> 'one'_2", runs: (1...8).map { run($0, half: true) }),
      ],
      engine: "chunk",
      rerun: "freshet lab run a --seeds 8"
    )
  }

  @Test("gnuplot draws every picture as SVG and PNG without a complaint")
  func pictures() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "freshet-report-\(getpid())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let plots = Self.report().plots
    #expect(plots.map(\.name) == ["delivery", "missing", "front", "timeline", "split", "depth", "peers"])
    for plot in plots {
      for (name, table) in plot.tables {
        try Data(table.utf8).write(to: folder.appending(path: name))
      }
      try Data(plot.script.utf8).write(to: folder.appending(path: plot.name + ".gp"))
    }
    // One process for all: none may leave anything behind for the next.
    let result = try run(
      "/bin/sh",
      ["-c", "cd \(folder.path) && gnuplot \(plots.map { $0.name + ".gp" }.joined(separator: " "))"]
    )
    #expect(result.status == 0 && result.errors.isEmpty, "\(result.errors)")
    for plot in plots {
      let drawing = try String(contentsOf: folder.appending(path: plot.name + ".svg"), encoding: .utf8)
      #expect(drawing.hasSuffix("</svg>\n\n") && drawing.contains(plot.name == "front" ? "tree" : "<path"))
      let image = try Data(contentsOf: folder.appending(path: plot.name + ".png"))
      #expect(image.starts(with: [0x89, 0x50, 0x4E, 0x47]) && image.count > 4000, "\(plot.name).png")
    }
  }

  @Test("The page stands alone, escapes names and tells the best")
  func page() {
    var lines = Self.report().lines
    lines[0].runs[0].film = TreeFilm(
      title: "tree, seed 1",
      places: [Plan.Place(), Plan.Place(x: 0.5, y: -0.5)],
      changes: [
        TreeFilm.Change(time: 0, peer: 0, kind: .joined),
        TreeFilm.Change(time: 2_000_000, peer: 1, kind: .parent(0)),
      ],
      length: 10_000_000
    )
    let report = Report(scenario: Self.report().scenario, lines: lines, engine: "chunk", rerun: "x/rerun")
    let page = report.page(pictures: ["delivery": "<?xml?>\n<svg id=\"a\"></svg>"])
    #expect(page.contains("<svg id=\"delivery-a\">"))
    #expect(page.contains("&lt;odd&gt;") && !page.contains("<odd>"))
    #expect(page.contains("<b>100.000</b>"), "the best is bold")
    #expect(page.contains("50.000") && !page.contains("<b>50.000</b>"))
    #expect(!page.contains("http://") && !page.contains("https://"), "nothing is fetched")
    #expect(page.contains("c=[0,0,-2,2,1,0]"))
    let packets = Report(scenario: Self.report().scenario, lines: lines, engine: "packet", rerun: "x/rerun")
    #expect(packets.page(pictures: [:]).contains("a keyed checksum stood for signatures"))
    #expect(!page.contains("checksum"), "at chunk fidelity there are no signatures")
  }

  @Test("A delay that one run never reached has no median")
  func endless() throws {
    let report = Self.report()
    let column = try #require(Column.all.first { $0.name == "p99" })
    #expect(column.spread(report.lines[0]) != nil)
    #expect(column.spread(report.lines[1]) == nil)
    #expect(column.best(report.lines) == [0])
  }
}
