import Support
import Testing

@testable import Swarm

@Suite struct `A delay history` {
  /// A sample of a queue, with the two clocks `base` microseconds apart.
  private func add(
    _ queue: Duration,
    to history: inout DelayHistory,
    at now: Duration,
    base: UInt64 = 5_000,
    span: Duration = .milliseconds(20)
  ) {
    history.add(base &+ UInt64(bitPattern: queue.microseconds), now: now, span: span)
  }

  @Test(arguments: [0, 5_000, .max - 20_000, 1 << 63, 1 << 63 - 20_000] as [UInt64])
  func `measures the queue from the lowest delay, whatever two clocks show (RFC 6817, 3.1 and A.1)`(
    base: UInt64
  ) {
    var history = DelayHistory()
    for number in 0..<40 {
      add(.milliseconds(number), to: &history, at: .milliseconds(100 * number), base: base)
      #expect(history.queueing == .milliseconds(number))
    }
    // A shorter way is believed at once.
    add(.milliseconds(-3), to: &history, at: .seconds(5), base: base)
    #expect(history.queueing == .zero)
    add(.zero, to: &history, at: .seconds(6), base: base)
    #expect(history.queueing == .milliseconds(3))
  }

  @Test func `forgets a shorter way after ten minutes, minute by minute (RFC 6817, 2.4.2 and 2.5)`() {
    var history = DelayHistory()
    add(.zero, to: &history, at: .seconds(59))
    for second in stride(from: 60, to: 600, by: 10) {
      add(.milliseconds(30), to: &history, at: .seconds(second))
      #expect(history.queueing == .milliseconds(30), "after \(second) s")
    }
    add(.milliseconds(30), to: &history, at: .seconds(600))
    #expect(history.queueing == .zero)
  }

  @Test func `knows nothing of minutes in which nothing was sent (RFC 6817, 2.4.2)`() {
    var history = DelayHistory()
    add(.zero, to: &history, at: .seconds(10))
    add(.milliseconds(30), to: &history, at: .seconds(9 * 60 + 10))
    #expect(history.queueing == .milliseconds(30))
    add(.milliseconds(50), to: &history, at: .seconds(30 * 60))
    #expect(history.queueing == .zero)
  }

  @Test func `takes the lowest of the current delays, and none that is old (RFC 6817, 2.4.2 and 2.5)`() {
    var history = DelayHistory()
    add(.zero, to: &history, at: .zero)
    for (number, spike) in [40, 12, 90, 33].enumerated() {
      add(.milliseconds(spike), to: &history, at: .milliseconds(1000 + 4 * number))
    }
    #expect(history.queueing == .milliseconds(12))
    add(.milliseconds(60), to: &history, at: .milliseconds(1000 + 4 + 19))
    #expect(history.queueing == .milliseconds(12))
    add(.milliseconds(60), to: &history, at: .milliseconds(1000 + 8 + 19))
    #expect(history.queueing == .milliseconds(33))
    // More samples than it holds: the newest count.
    for number in 0..<DelayHistory.filterLength {
      add(.milliseconds(70 + number), to: &history, at: .milliseconds(1030) + .microseconds(number))
    }
    #expect(history.queueing == .milliseconds(70))
  }

  @Test(arguments: [-200, -100, -30, 0, 30, 100, 200], [1, 2, 3] as [UInt64])
  func `finds out how fast two clocks drift apart (RFC 6817, A.2)`(ppm: Int, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var history = DelayHistory()
    var worst = Duration.zero
    for tick in 0..<36_000 {
      let now = Duration.milliseconds(100 * tick)
      // Now and then the queue is empty, to within a millisecond.
      let queue = Duration.microseconds(tick % 100 == 0 ? Int.random(in: 0..<1000, using: &random) : 20_000)
      add(queue + now * ppm / 1_000_000, to: &history, at: now)
      if now > .seconds(200), tick % 100 == 50 {
        worst = max(worst, magnitude(history.queueing - .milliseconds(20)))
      }
    }
    #expect(abs(history.drift * 1e6 - Double(ppm)) < 5, "seed \(seed): \(history.drift)")
    #expect(worst < .milliseconds(5), "seed \(seed): \(worst)")
  }

  private func magnitude(_ duration: Duration) -> Duration { max(duration, .zero - duration) }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `takes neither a new route nor a queue that comes and goes for a drift (RFC 6817, A.2)`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var routes = DelayHistory()
    var queues = DelayHistory()
    for minute in 0..<30 {
      add(.milliseconds(minute < 12 ? 0 : 40), to: &routes, at: .seconds(60 * minute + 1))
      add(.milliseconds(Int.random(in: 0..<80, using: &random)), to: &queues, at: .seconds(60 * minute + 1))
      #expect(abs(routes.drift) < 1e-6)
      #expect(abs(queues.drift) <= DelayHistory.driftLimit, "seed \(seed)")
    }
  }

  @Test func `begins anew when a clock was set, and survives any sample`() {
    var history = DelayHistory()
    add(.zero, to: &history, at: .zero)
    add(.seconds(3600), to: &history, at: .seconds(1))
    add(.seconds(3600) + .milliseconds(7), to: &history, at: .seconds(2))
    #expect(history.queueing == .milliseconds(7))
    var random = SplitMix64(seed: 1)
    for tick in 0..<20_000 {
      let delay = [random.next(), .max, 0, 1 << 63, random.next() % 1000].randomElement(using: &random) ?? 0
      history.add(delay, now: .milliseconds(700 * tick), span: .milliseconds(10))
      #expect(history.queueing >= .zero && history.queueing <= .seconds(20))
    }
  }
}
