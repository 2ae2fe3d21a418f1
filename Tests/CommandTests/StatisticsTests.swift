import FoundationEssentials
import Swarm
import Testing
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
    #expect(source.log.hasPrefix("waiting for viewers  out"))
    for width in 0...160 { #expect(line.terminal(width: width).count <= max(0, width - 1)) }
    #expect(line.terminal(width: 400) == log)
  }

  @Test func `Numbers are written without surprises`() {
    #expect(Number.fixed(-0.004, decimals: 2) == "0.00")
    #expect(Number.fixed(1.005e18, decimals: 2) == "1.005e+18")
    #expect(Number.fixed(.infinity, decimals: 2) == "-")
    #expect(Number.text(1.50, decimals: 3) == "1.5")
    #expect(Number.text(100, decimals: 3) == "100")
    #expect(Number.grouped(1_234_567) == "1,234,567")
    #expect(Number.rate(999_999) == "1000 kbit/s")
  }
}
