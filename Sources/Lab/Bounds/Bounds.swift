internal import PluginKit

/// The theoretical bounds that a plan's results stand beside.
///
/// All are for the whole swarm as it is at the end of the ramp, without churn.
package struct Bounds: Hashable, Sendable {
  package let rate: RateBound
  /// Without a limit on how many copies of a chunk one peer sends.
  package let delay: DelayBound
  /// Where each peer sends at most floor(upload / rate) copies of each chunk, as in a static tree; homogeneous only.
  package let treeDelay: DelayBound?

  package init(_ plan: Plan, stripes: Int = 1) {
    let stream = plan.scenario.stream
    let peers = plan.peers.indices.dropFirst().filter { plan.peers[$0].joins <= plan.scenario.phases.ramp }
    let uploads = peers.map { plan.peers[$0].behaviour == .honest ? plan.peers[$0].access.upload : 0 }
    let upload = plan.peers[0].access.upload
    rate = RateBound(
      source: upload,
      uploads: uploads,
      downloads: peers.map { plan.peers[$0].access.download },
      rate: stream.rate,
      stripes: stripes
    )
    let source = DelayBound.Source(
      serialisation: Self.serialisation(stream, upload) ?? .max,
      copies: Int(clamping: upload / max(1, stream.rate))
    )
    let least = plan.leastLatency
    let extras = plan.shortestWays(to: peers).map { max(0, $0) }
    if let first = uploads.first, first > 0, uploads.allSatisfy({ $0 == first }),
      let step = Self.serialisation(stream, first)
    {
      delay = DelayBound(source: source, serialisation: step, least: least, extras: extras)
      treeDelay = DelayBound(
        source: source,
        serialisation: step,
        copies: Int(clamping: first / max(1, stream.rate)),
        least: least,
        extras: extras
      )
    } else {
      let steps = uploads.map { Self.serialisation(stream, $0) }
      delay = DelayBound(source: source, serialisations: steps, least: least, extras: extras)
      treeDelay = nil
    }
  }

  /// How long a chunk's payload occupies an upload, in nanoseconds; `nil` when nothing can be sent.
  private static func serialisation(_ stream: Scenario.Stream, _ upload: UInt64) -> Int64? {
    upload == 0 ? nil : Int64(max(1, Double(stream.chunkSize) * 8e9 / Double(upload)))
  }
}

extension Plan {
  /// What every way between two peers costs at least, in nanoseconds.
  var leastLatency: Int64 {
    switch scenario.latency {
    case .disc(let least, _): least.nanoseconds
    case .matrix(let rows): rows.joined().map(\.nanoseconds).min() ?? 0
    }
  }

  /// For each of some peers, the shortest path from the source when every way costs what it costs beyond the least.
  func shortestWays(to peers: [Int]) -> [Int64] {
    let least = leastLatency
    switch scenario.latency {
    // In a plane no detour is shorter.
    case .disc: return peers.map { latency(0, $0) - least }
    case .matrix(let rows):
      let start = Int(self.peers[0].place.row)
      var distances = [Int64](repeating: .max, count: rows.count)
      distances[start] = 0
      var open = Set(rows.indices)
      while let near = open.min(by: { (distances[$0], $0) < (distances[$1], $1) }), distances[near] < .max {
        open.remove(near)
        for other in open {
          let way = distances[near] + max(0, rows[near][other].nanoseconds - least)
          distances[other] = min(distances[other], way)
        }
      }
      return peers.map { distances[Int(self.peers[$0].place.row)] }
    }
  }
}
