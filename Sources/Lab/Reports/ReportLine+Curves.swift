internal import Glibc

/// A figure over an axis, as many runs showed it.
struct Curve {
  struct Point {
    var x: Double
    var spread: Spread
  }

  var points: [Point]

  /// Columns: x, median, lower and upper end of its interval.
  var table: String {
    points.map {
      "\($0.x)\t\($0.spread.median)\t\($0.spread.interval.lowerBound)\t\($0.spread.interval.upperBound)"
    }
    .joined(separator: "\n") + "\n"
  }
}

extension ReportLine {
  /// Which part of the expected deliveries came within each deadline, in milliseconds.
  func deliveryCurve(from first: Double, to last: Double) -> Curve {
    let count = 160
    let deadlines = (0...count).map { first * pow(last / first, Double($0) / Double(count)) }
    let columns = runs.map { run in run.deliveries(within: deadlines) }
    return Curve(
      points: deadlines.indices.compactMap { index in
        Spread(columns.map { $0[index] }).map { Curve.Point(x: deadlines[index], spread: $0) }
      }
    )
  }

  /// Which part came in time, second by second of the stream that was measured.
  var timeline: Curve {
    let seconds = runs.map(\.measurement.timeline.count).min() ?? 0
    return Curve(
      points: (0..<seconds).compactMap { second in
        let parts = values { run in
          let second = run.measurement.timeline[second]
          return second.expected == 0 ? nil : Double(second.inTime) / Double(second.expected)
        }
        return Spread(parts).map { Curve.Point(x: Double(second), spread: $0) }
      }
    )
  }

  /// What the peers that fared worst got: the part in time over the part of all peers.
  var peerCurve: Curve {
    let count = 100
    return Curve(
      points: (0...count).compactMap { step in
        let parts = values { run in
          let peers = run.measurement.peerParts
          guard !peers.isEmpty else { return nil }
          return Double(peers[min(peers.count - 1, peers.count * step / count)])
        }
        return Spread(parts).map { Curve.Point(x: Double(step) / Double(count), spread: $0) }
      }
    )
  }
}

extension ReportLine.Run {
  /// For each of some ascending deadlines in milliseconds, which part of the expected deliveries had come.
  fileprivate func deliveries(within deadlines: [Double]) -> [Double] {
    let cumulative = measurement.delays.cumulative
    var index = 0
    var seen: UInt64 = 0
    return deadlines.map { deadline in
      while index < cumulative.count, Double(cumulative[index].time) <= deadline * 1e6 {
        seen = cumulative[index].count
        index += 1
      }
      return measurement.expected == 0 ? 0 : Double(seen) / Double(measurement.expected)
    }
  }
}
