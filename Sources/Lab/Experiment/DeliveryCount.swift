/// Counts what came of what was expected, in the same way for all who run a plan.
///
/// Times are those of the plan: since its beginning.
package struct DeliveryCount {
  private struct Seat {
    var hasStarted = false
    var expected: UInt64 = 0
    var inTime: UInt64 = 0
  }

  private let plan: Plan
  private var seats: [Seat]
  /// What was seen, with what else its owner counts.
  package var measurement = Measurement()

  package init(_ plan: Plan) {
    self.plan = plan
    seats = Array(repeating: Seat(), count: plan.peers.count)
    measurement.timeline = Array(
      repeating: Measurement.Second(),
      count: Int((plan.scenario.phases.measure / .seconds(1)).rounded(.up))
    )
  }

  /// A peer has an entry with all that follows it so far.
  package mutating func begin(_ peer: Int, at time: Duration) {
    guard peer > 0, !seats[peer].hasStarted else { return }
    seats[peer].hasStarted = true
    measurement.starts.add((time - plan.peers[peer].joins).nanoseconds)
  }

  /// A chunk that was published at one time came to a peer at another.
  package mutating func deliver(to peer: Int, published: Duration, arrived: Duration) {
    guard peer > 0, isExpected(peer, published) else { return }
    let delay = arrived - published
    measurement.delays.add(delay.nanoseconds)
    guard delay <= plan.scenario.stream.deadline else {
      measurement.late += 1
      return
    }
    measurement.inTime += 1
    seats[peer].inTime += 1
    measurement.timeline[second(published)].inTime += 1
  }

  /// Counts what was expected, when these were the times at which chunks were published; to be called once, in the end.
  package mutating func conclude(published: [Duration]) {
    let times = published.filter(plan.scenario.phases.measured.contains)
    for peer in plan.peers.indices.dropFirst() {
      for time in times where isExpected(peer, time) {
        seats[peer].expected += 1
        measurement.timeline[second(time)].expected += 1
      }
      measurement.expected += seats[peer].expected
    }
    measurement.published = UInt64(published.count)
    measurement.neverStarted = measurement.joins - min(measurement.joins, measurement.starts.count)
    measurement.peerParts = seats.dropFirst().compactMap { seat in
      seat.expected == 0 ? nil : Float(seat.inTime) / Float(seat.expected)
    }.sorted()
  }

  private func second(_ time: Duration) -> Int {
    Int((time - plan.scenario.phases.measured.lowerBound) / .seconds(1))
  }

  /// Whether a chunk of that time counts at a peer: it is there all the time until the deadline.
  func isExpected(_ peer: Int, _ time: Duration) -> Bool {
    let phases = plan.scenario.phases
    let deadline = time + plan.scenario.stream.deadline
    return phases.measured.contains(time) && deadline <= phases.end && plan.peers[peer].joins <= time
      && plan.peers[peer].goes.map { $0 > deadline } ?? true
  }
}
