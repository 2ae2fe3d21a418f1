package import Swarm
internal import Text

extension Statistics {
  /// One JSON object on one line, always with the same keys in the same order; `null` where nothing is known.
  package var json: String {
    let fields: [(String, String)] = [
      ("time_ms", Self.number(timeMilliseconds)),
      ("chunks_in", String(chunksIn)),
      ("chunks_out", String(chunksOut)),
      ("verified", String(verified)),
      ("duplicate", String(duplicate)),
      ("lost", String(lost)),
      ("late", String(late)),
      ("repaired", String(repaired)),
      ("rejected", String(rejected)),
      ("input_bytes", String(inputBytes)),
      ("bytes_in", String(bytesIn)),
      ("bytes_out", String(bytesOut)),
      ("children", String(children)),
      ("peers", String(peers)),
      ("id", id?.quotedAsJSON ?? "null"),
      ("parent", parent?.quotedAsJSON ?? "null"),
      ("depth", depth.map { String($0) } ?? "null"),
      ("window_fill", Self.number(windowFill)),
      ("behind_live_ms", Self.number(behindLiveMilliseconds)),
      ("delay_ms_median", Self.number(delayMedianMilliseconds)),
      ("delay_ms_p99", Self.number(delayP99Milliseconds)),
      ("delay_ms_p9999", Self.number(delayP9999Milliseconds)),
      ("within_2s", Self.number(within2Seconds, decimals: 6)),
      ("longest_gap_ms", Self.number(longestGapMilliseconds)),
      ("first_chunk_ms", Self.number(firstChunkMilliseconds)),
      ("first_frame_ms", Self.number(firstFrameMilliseconds)),
      ("first_frame_bytes", firstFrameBytes.map { String($0) } ?? "null"),
      ("epoch", epoch.map { String($0) } ?? "null"),
      ("topology", topology?.quotedAsJSON ?? "null"),
      ("swaps", String(swaps)),
      ("swap_gap_ms", Self.number(swapGapMilliseconds)),
      ("swap_lost", swapLost.map { String($0) } ?? "null"),
      ("swap_duplicate", swapDuplicates.map { String($0) } ?? "null"),
      ("hop_us_median", Self.number(hopMedianMicroseconds)),
      ("hop_us_p99", Self.number(hopP99Microseconds)),
    ]
    return "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
  }

  private static func number(_ value: Double?, decimals: Int = 3) -> String {
    guard let value, value.isFinite else { return "null" }
    return Number.text(value, decimals: decimals)
  }
}
