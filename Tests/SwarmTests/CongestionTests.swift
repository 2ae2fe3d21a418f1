import Testing

@testable import Swarm

@Suite struct `Congestion control` {
  private static let segment = CongestionControl.segment
  private static let trip = Duration.milliseconds(40)

  /// Sends as much as is allowed at one time, at most `limit` bytes; how much it was.
  @discardableResult
  private func fill(_ control: inout CongestionControl, at now: Duration, limit: Int = .max) -> Int {
    var sent = 0
    while sent + Self.segment <= limit, control.flight + Self.segment <= control.window {
      control.sent(Self.segment, now: now)
      sent += Self.segment
    }
    return sent
  }

  /// One whose slow start is over, with nothing under way, and a window of about `segments`.
  private func steady(segments: Int, at now: inout Duration) -> CongestionControl {
    var control = CongestionControl(.background)
    control.measured(Self.trip)
    while control.window < segments * Self.segment { round(&control, &now, queue: .zero) }
    control.sent(Self.segment, now: now)
    control.lost(Self.segment, sentAt: now, now: now)
    now += Self.trip
    return control
  }

  /// A round trip with a queue: fills the window, and all of it is acknowledged, segment by segment.
  private func round(
    _ control: inout CongestionControl,
    _ now: inout Duration,
    queue: Duration,
    limit: Int = .max
  ) {
    let sent = fill(&control, at: now, limit: limit)
    now += Self.trip
    for _ in 0..<sent / Self.segment {
      control.acknowledged(Self.segment, delay: UInt64((Self.trip / 2 + queue).microseconds), now: now)
    }
  }

  @Test func `begins with two segments and slow start where RFC 6817, 2.2 and 2.5, say so`() {
    var control = CongestionControl(.background)
    #expect(control.window == 2 * Self.segment)
    control.measured(Self.trip)
    var now = Duration.zero
    for doubled in [4, 8, 16, 32] {
      round(&control, &now, queue: .zero)
      #expect(control.window == doubled * Self.segment)
    }
    #expect(CongestionControl(.live).window == 128 * 1024)
  }

  @Test func `grows by at most a segment in a round trip (RFC 6817, 2.4.2 and 2.5: GAIN)`() {
    var now = Duration.zero
    var control = steady(segments: 32, at: &now)
    round(&control, &now, queue: .zero)
    for _ in 0..<50 {
      let before = control.window
      round(&control, &now, queue: .zero)
      #expect((Self.segment * 9 / 10...Self.segment).contains(control.window - before))
    }
  }

  @Test func `grows and shrinks in proportion to how far the queue is off its target (RFC 6817, 2.4.1)`() {
    var now = Duration.zero
    var control = steady(segments: 64, at: &now)
    round(&control, &now, queue: .zero)
    var changes: [Int] = []
    for queue in [10, 20, 30, 39, 45, 60, 80] {
      var copy = control
      var later = now
      let before = copy.window
      round(&copy, &later, queue: .milliseconds(queue))
      changes.append(copy.window - before)
    }
    #expect(changes == changes.sorted(by: >) && changes[3] >= 0 && changes[4] < 0, "\(changes)")
  }

  @Test func `never aims at more than 100 ms (RFC 6817, 2.5: TARGET)`() {
    #expect(
      CongestionProfile(target: .seconds(3), initialWindow: 0, floorLimit: nil).target == .milliseconds(100)
    )
    #expect(CongestionProfile(target: .zero, initialWindow: 0, floorLimit: nil).target > .zero)
    #expect(CongestionProfile.live.target == .milliseconds(25))
    #expect(CongestionProfile.background.target <= .milliseconds(100))
  }

  @Test func `does not grow what is not used (RFC 6817, 2.4.2: ALLOWED_INCREASE)`() {
    var now = Duration.zero
    var control = steady(segments: 64, at: &now)
    for _ in 0..<100 { round(&control, &now, queue: .zero, limit: 10 * Self.segment) }
    #expect(control.window <= (10 + CongestionControl.allowedIncrease) * Self.segment)
    #expect(control.window >= 10 * Self.segment)
  }

  @Test func `halves its window once for all that one round trip lost (RFC 6817, 3.2.2)`() {
    var now = Duration.zero
    var control = steady(segments: 64, at: &now)
    round(&control, &now, queue: .zero)
    let before = control.window
    let sentAt = now
    fill(&control, at: now)
    now += Self.trip
    for _ in 0..<10 { control.lost(Self.segment, sentAt: sentAt, now: now) }
    #expect(abs(control.window - before / 2) <= 1)
    now += Self.trip
    control.lost(Self.segment, sentAt: sentAt + .milliseconds(1), now: now)
    #expect(abs(control.window - before / 2) <= 1)
    control.lost(Self.segment, sentAt: now, now: now)
    #expect(abs(control.window - before / 4) <= 1)
    for _ in 0..<20 {
      now += Self.trip
      control.lost(Self.segment, sentAt: now, now: now)
    }
    #expect(control.window == 2 * Self.segment)
  }

  @Test
  func `falls to one segment when all is silent, and waits twice as long each time (RFC 6817, 2.4.2: CTO)`() {
    var now = Duration.zero
    var control = steady(segments: 64, at: &now)
    fill(&control, at: now)
    var waits: [Duration] = []
    for _ in 0..<8 {
      guard let deadline = control.silenceDeadline else { break }
      waits.append(deadline - now)
      now = deadline
      control.silent(now: now)
      #expect(control.window == Self.segment && control.flight == 0)
      // A datagram that is longer than the segment must not close the window for good.
      #expect(control.allows(Self.segment + 500, now: now + .seconds(1)))
      control.sent(Self.segment, now: now)
    }
    #expect(waits == [1, 2, 4, 8, 16, 32, 60, 60].map { .seconds($0) })
    now += Self.trip
    control.acknowledged(Self.segment, delay: 20_000, now: now)
    control.sent(Self.segment, now: now)
    #expect(control.silenceDeadline == now + .seconds(1))
  }

  @Test func `takes round trips as RFC 6298, 2, does`() {
    var trip = RoundTrip()
    #expect(trip.congestionTimeout == .seconds(1))
    trip.measured(.milliseconds(400))
    #expect(trip.smoothed == .milliseconds(400) && trip.variation == .milliseconds(200))
    #expect(trip.congestionTimeout == .milliseconds(1200))
    trip.measured(.milliseconds(800))
    #expect(trip.smoothed == .milliseconds(450) && trip.variation == .milliseconds(250))
    #expect(trip.congestionTimeout == .milliseconds(1450))
  }

  @Test func `begins again with the initial window after a pause (RFC 5681, 4.1)`() {
    var now = Duration.zero
    var control = steady(segments: 64, at: &now)
    round(&control, &now, queue: .zero)
    now += .seconds(2)
    control.sent(Self.segment, now: now)
    #expect(control.window == 2 * Self.segment)
  }

  @Test func `spreads its window over the round trip instead of sending it in one burst (RFC 6817, 4.4)`() {
    var now = Duration.zero
    var control = steady(segments: 256, at: &now)
    now += .milliseconds(500)
    var burst = 0
    while control.allows(Self.segment, now: now) {
      control.sent(Self.segment, now: now)
      burst += Self.segment
    }
    let span = Duration.seconds(Double(burst) * 8 / Double(control.rate))
    #expect(burst < control.window / 8 && span <= .milliseconds(2))
    let next = control.nextChance(Self.segment, now: now)
    #expect(next.map { $0 > now && $0 < now + .milliseconds(2) } == true)
    #expect(next.map { control.allows(Self.segment, now: $0) } == true)
  }

  @Test func `lets out a datagram of any length`() {
    var control = CongestionControl(.background)
    var now = Duration.zero
    for _ in 0..<10 {
      #expect(control.allows(65_000, now: now))
      control.sent(65_000, now: now)
      now += .seconds(1)
      control.acknowledged(65_000, delay: 0, now: now)
      let next = control.nextChance(65_000, now: now)
      #expect(next != nil)
      now = max(now, next ?? now)
    }
  }

  @Test func `empties the queue when it was not seen empty for ten seconds, and comes back (RFC 6817, 4.4)`()
  {
    var now = Duration.zero
    var control = steady(segments: 64, at: &now)
    round(&control, &now, queue: .zero)
    var lowest = Int.max
    var emptied: [Duration] = []
    for _ in 0..<1000 {
      let wasSmall = lowest == 2 * Self.segment
      lowest = control.window
      if lowest == 2 * Self.segment, !wasSmall { emptied.append(now) }
      // The queue is what it sends above 32 segments a round trip.
      let above = max(0, control.window - 32 * Self.segment)
      round(&control, &now, queue: .milliseconds(above / Self.segment))
    }
    let pauses = zip(emptied, emptied.dropFirst()).map { $1 - $0 }
    #expect(
      !pauses.isEmpty && pauses.allSatisfy { $0 >= Drain.interval && $0 < Drain.interval * 2 },
      "\(pauses)"
    )
    #expect(control.window > 48 * Self.segment)
  }

  @Test func `keeps a live child's floor up to its limit, and none beyond (RFC 7574, 8.15)`() {
    var control = CongestionControl(.live)
    control.floorRate = 500_000
    control.measured(Self.trip)
    var now = Duration.zero
    for _ in 0..<50 {
      now += Self.trip
      control.lost(0, sentAt: now, now: now)
    }
    #expect(control.window == 2 * Self.segment)
    // A hundred milliseconds of the floor's rate.
    #expect(control.nextChance(50_000, now: now) != nil)
    #expect(control.rate >= 4_000_000)
    control.acknowledged(0, delay: 20_000, now: now)
    now += .seconds(1)
    control.acknowledged(0, delay: 120_000, now: now)
    #expect(control.nextChance(50_000, now: now) != nil)
    now += .seconds(1)
    control.sent(Self.segment, now: now)
    control.acknowledged(0, delay: 121_000, now: now)
    #expect(control.nextChance(50_000, now: now) == nil)
    // Nobody else has one.
    var background = CongestionControl(.background)
    background.floorRate = 500_000
    background.sent(Self.segment, now: now)
    #expect(background.nextChance(50_000, now: now) == nil)
  }
}
