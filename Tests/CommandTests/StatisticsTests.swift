import FoundationEssentials
import Swarm
import Testing
import Text
import freshet

struct StatisticsTests {
  @Test func `The JSON has every promised key, and null for what is not known`() throws {
    let json = Statistics().json
    for key in [
      "chunks_in", "chunks_out", "duplicate", "lost", "late", "repaired", "rejected",
      "input_bytes", "bytes_in", "bytes_out", "children", "parent", "depth", "behind_live_ms",
      "first_chunk_ms", "first_frame_ms",
      "first_frame_bytes",
      "id", "peers", "window_fill", "verified", "time_ms", "hop_us_median", "hop_us_p99", "longest_gap_ms",
      "delay_ms_median", "delay_ms_p99", "delay_ms_p9999", "within_2s",
    ] {
      #expect(json.contains("\"\(key)\":"), "\(key)")
    }
    #expect(json.contains("\"parent\":null"))
    #expect(json.contains("\"first_frame_ms\":null"))
    #expect(!json.contains("\n"))
  }

  @Test func `Values are read back from the JSON`() throws {
    struct Some: Decodable {
      var chunks_in: UInt64
      var parent: String
      var depth: Int
      var behind_live_ms: Double
      var window_fill: Double?
    }
    var statistics = Statistics()
    statistics.chunksIn = .max
    statistics.parent = "a\"\\\n\u{1}é"
    statistics.depth = 3
    statistics.behindLiveMilliseconds = 12.3456
    statistics.windowFill = .nan
    let some = try JSONDecoder().decode(Some.self, from: Data(statistics.json.utf8))
    #expect(some.chunks_in == .max)
    #expect(some.parent == statistics.parent)
    #expect(some.depth == 3)
    #expect(some.behind_live_ms == 12.346)
    #expect(some.window_fill == nil)
  }

  @Test func `The status line tells rates since it was last shown and fits the terminal`() {
    var line = StatusLine(isSource: false)
    var statistics = Statistics()
    statistics.timeMilliseconds = 1000
    line.update(statistics)
    statistics.timeMilliseconds = 3000
    statistics.bytesIn = 1_000_000
    statistics.bytesOut = 2_500_000
    statistics.parent = "x"
    statistics.depth = 2
    statistics.peers = 1
    statistics.behindLiveMilliseconds = 1234
    statistics.windowFill = 0.256
    statistics.lost = 7
    line.update(statistics)
    let log = line.log
    for part in [
      "receiving", "in 4.00 Mbit/s", "out 10.0 Mbit/s", "1 peer,", "depth 2", "1.23 s behind live",
      "window 26 %", "lost 7",
      "repaired 0", "rejected 0",
    ] {
      #expect(log.contains(part), "\(log)")
    }
    var source = StatusLine(isSource: true)
    source.update(Statistics())
    #expect(source.log.hasPrefix("waiting for viewers  in 0 kbit/s  out"))
    for width in 0...160 { #expect(line.terminal(width: width).count <= max(0, width - 3)) }
    #expect(line.terminal(width: 400) == log)
  }

  @Test(arguments: [
    (40, "in 3.80M  lag 1.23s  lost 1,234"),
    (60, "in 3.80M  lag 1.23s  depth 2  lost 1,234  repaired 12"),
    (80, "in 3.80M  out 7.60M  lag 1.23s  depth 2  lost 1,234  repaired 12  rejected 0"),
    (
      120,
      "receiving  in 3.80M  out 7.60M  lag 1.23s  depth 2  lost 1,234  repaired 12  rejected 0  feeding 2  window 26%"
    ),
  ])
  func `A viewer's line shows what matters most at any width`(width: Int, text: String) {
    var line = StatusLine(isSource: false)
    var statistics = Statistics()
    line.update(statistics)
    statistics.timeMilliseconds = 1000
    statistics.bytesIn = 475_000
    statistics.bytesOut = 950_000
    statistics.parent = "x"
    statistics.depth = 2
    statistics.peers = 1234
    statistics.children = 2
    statistics.behindLiveMilliseconds = 1234
    statistics.windowFill = 0.256
    statistics.lost = 1234
    statistics.repaired = 12
    line.update(statistics)
    #expect(line.terminal(width: width) == text)
    #expect(line.log.contains("1,234 peers, feeding 2"))
    statistics.parent = nil
    line.update(statistics)
    #expect(line.terminal(width: width).hasPrefix("looking for a parent"))
  }

  @Test(arguments: [
    (40, "in 3.80M  out 7.60M  feeding 2"),
    (60, "in 3.80M  out 7.60M  feeding 2  late 1,000  rejected 0"),
    (80, "sending  in 3.80M  out 7.60M  feeding 2  late 1,000  rejected 0  window 26%"),
    (
      120, "sending  in 3.80 Mbit/s  out 7.60 Mbit/s  3 peers, feeding 2  late 1,000  rejected 0  window 26 %"
    ),
  ])
  func `A broadcaster's line shows what comes in and goes out at any width`(width: Int, text: String) {
    var line = StatusLine(isSource: true)
    var statistics = Statistics()
    line.update(statistics)
    statistics.timeMilliseconds = 1000
    statistics.bytesIn = 99
    statistics.inputBytes = 475_000
    statistics.bytesOut = 950_000
    statistics.peers = 3
    statistics.children = 2
    statistics.windowFill = 0.256
    statistics.late = 1000
    line.update(statistics)
    #expect(line.terminal(width: width) == text)
  }

  @Test func `Numbers are written without surprises`() {
    #expect(Number.fixed(-0.004, decimals: 2) == "0.00")
    #expect(Number.fixed(1.005e18, decimals: 2) == "1.005e+18")
    #expect(Number.fixed(.infinity, decimals: 2) == "-")
    #expect(Number.text(1.50, decimals: 3) == "1.5")
    #expect(Number.text(100, decimals: 3) == "100")
    #expect(Number.shortRate(3_804_000) == "3.80M" && Number.shortRate(20) == "0k")
    #expect(Number.rate(999_999) == "1000 kbit/s")
  }
}
