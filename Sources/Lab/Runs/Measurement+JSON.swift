internal import Text

extension ReportLine.Run {
  /// All that a run showed, as one JSON object on one line.
  ///
  /// `engine` is the fidelity, or that the run was emulated. Times are in nanoseconds, `delays` and `starts` are pairs of a time and of how many did not exceed it; `timeline` has
  /// a pair for each second: expected and in time. `peer_parts` are ascending, at most ``partLimit`` of them at equal
  /// distances. `swaps` have the longest gap at the output of each peer that saw one to its end. `film` has a time in milliseconds, a peer and what changed: the number of its parent, -1 for none, -2 when
  /// it joined and -3 when it left.
  package func json(composition: String, engine: String) -> String {
    let seen = measurement
    let fields: [(String, String)] = [
      ("composition", composition.quotedAsJSON), ("seed", String(seed)),
      ("fidelity", engine.quotedAsJSON),
      ("trace", seen.trace.hexadecimal.quotedAsJSON), ("expected", String(seen.expected)),
      ("in_time", String(seen.inTime)), ("late", String(seen.late)), ("joins", String(seen.joins)),
      ("never_started", String(seen.neverStarted)), ("arrivals", String(seen.arrivals)),
      ("duplicates", String(seen.duplicates)), ("chunk_bytes", String(seen.chunkBytes)),
      ("control_bytes", String(seen.controlBytes)),
      ("source_chunks", String(seen.sourceChunks)), ("published", String(seen.published)),
      ("overflowed", String(seen.overflowed)), ("requested", String(seen.requested)),
      ("repaired", String(seen.repaired)), ("rejected", String(seen.rejected)),
      ("calls", String(seen.calls)),
      (
        "bound",
        """
        {"half":\(Self.text(bound.half)),"most":\(Self.text(bound.most)),"all":\(Self.text(bound.all)),\
        "rate":\(Number.fixed(bound.rate, decimals: 0))}
        """
      ),
      (
        "split",
        """
        {"deliveries":\(seen.split.deliveries),"serialisation":\(seen.split.serialisation),\
        "propagation":\(seen.split.propagation),"queue":\(seen.split.queue),"request":\(seen.split.request),\
        "repair":\(seen.split.repair),"hops":\(seen.split.hops)}
        """
      ),
      (
        "blame",
        "{"
          + Measurement.Blame.allCases.map { "\($0.rawValue.quotedAsJSON):\(seen.blame[$0] ?? 0)" }.joined(
            separator: ","
          )
          + "}"
      ),
      ("depths", "[" + seen.depths.map { String($0) }.joined(separator: ",") + "]"),
      ("timeline", Self.pairs(seen.timeline.map { ($0.expected, $0.inTime) })),
      ("delays", Self.text(seen.delays)),
      ("starts", Self.text(seen.starts)),
      (
        "peer_parts",
        "["
          + Self.sampled(seen.peerParts).map { Number.fixed(Double($0), decimals: 6) }.joined(separator: ",")
          + "]"
      ),
      (
        "swaps",
        "["
          + seen.swaps.map { swap in
            """
            {"topology":\(swap.topology.quotedAsJSON),"at":\(swap.at),"lost":\(swap.lost),\
            "duplicates":\(swap.duplicates),"gaps":\(Self.text(swap.gaps))}
            """
          }.joined(separator: ",") + "]"
      ),
      ("film", film.map { "[\($0.numbers)]" } ?? "null"),
    ]
    return "{" + fields.map { "\($0.0.quotedAsJSON):\($0.1)" }.joined(separator: ",") + "}"
  }

  /// More parts of peers than these are not written.
  private static let partLimit = 1001

  private static func sampled(_ parts: [Float]) -> [Float] {
    guard parts.count > partLimit else { return parts }
    return (0..<partLimit).map { parts[$0 * (parts.count - 1) / (partLimit - 1)] }
  }

  private static func text(_ times: DelayHistogram) -> String {
    let points = pairs(times.cumulative.map { (UInt64($0.time), $0.count) })
    return
      "{\"greatest\":\(times.greatest),\"mean\":\(Number.fixed(times.mean, decimals: 0)),\"points\":\(points)}"
  }

  private static func text(_ time: Int64?) -> String { time.map { String($0) } ?? "null" }

  private static func pairs(_ pairs: [(UInt64, UInt64)]) -> String {
    "[" + pairs.map { "[\($0.0),\($0.1)]" }.joined(separator: ",") + "]"
  }
}
