/// The plan's latencies in nanoseconds, ready to be asked for often.
struct Geography {
  private let places: [Plan.Place]
  private let least: Int64
  private let span: Double
  private let rows: [[Int64]]

  init(_ plan: Plan) {
    places = plan.peers.map(\.place)
    switch plan.scenario.latency {
    case .disc(let least, let greatest):
      self.least = least.nanoseconds
      span = Double(greatest.nanoseconds - least.nanoseconds)
      rows = []
    case .matrix(let rows):
      least = 0
      span = 0
      self.rows = rows.map { row in row.map(\.nanoseconds) }
    }
  }

  /// One way from a peer to another, without jitter.
  func latency(_ from: Int, _ to: Int) -> Int64 {
    let here = places[from]
    let there = places[to]
    if !rows.isEmpty { return rows[Int(here.row)][Int(there.row)] }
    let x = Double(here.x - there.x)
    let y = Double(here.y - there.y)
    return least + Int64(min(1, (x * x + y * y).squareRoot() / 2) * span)
  }
}
