import Lab
import Testing

@testable import Swarm

@Suite struct `LEDBAT through a bottleneck` {
  private static let rate: UInt64 = 20_000_000
  /// Code that is not optimised has no time for all of it.
  private static let seeds: [UInt64] = Scene.isOptimised ? [1, 2, 3] : [1]
  private static let long: Duration = .seconds(Scene.isOptimised ? 60 : 20)
  /// Bits per second that chunks can have of the link; the rest is UDP's and IP's.
  private static let room = Double(rate) * Double(Bottleneck.size) / Double(Bottleneck.size + 28)

  private func ledbat(_ profile: CongestionProfile = .background, starts: Duration = .zero, skew: Double = 0)
    -> Flow
  {
    Flow(control: .ledbat(CongestionControl(profile)), starts: starts, skew: skew, clock: .max - 40_000_000)
  }

  private func tcp(starts: Duration = .zero, ends: Duration = .seconds(100_000)) -> Flow {
    Flow(control: .reno(Reno()), starts: starts, ends: ends, datagramsPerAck: 2)
  }

  /// What each flow gets, in bits per second, and how long datagrams wait for the link, until a time.
  private func run(_ bottleneck: inout Bottleneck, until end: Duration) -> (
    shares: [Double], waits: [Duration]
  ) {
    let span = (end - bottleneck.now) / .seconds(1)
    _ = bottleneck.takeReceived()
    _ = bottleneck.takeWaits()
    bottleneck.run(until: end)
    return (bottleneck.takeReceived().map { Double($0) * 8 / span }, bottleneck.takeWaits())
  }

  private func megabits(_ shares: [Double]) -> [Double] { shares.map { ($0 / 1e4).rounded() / 100 } }

  private func queue(_ waits: [Duration]) -> String {
    "queue \(percentile(waits, 0.5).milliseconds), \(percentile(waits, 0.95).milliseconds) ms for 50, 95 %"
  }

  @Test(arguments: [CongestionProfile.background, .live], seeds)
  func `takes the link when it is alone, with a queue below its target (RFC 6817, 2.4.1 and 3.3)`(
    profile: CongestionProfile,
    seed: UInt64
  ) {
    var bottleneck = Bottleneck(rate: Self.rate, buffer: .milliseconds(100), seed: seed, [ledbat(profile)])
    let first = run(&bottleneck, until: .seconds(2))
    let (shares, waits) = run(&bottleneck, until: .seconds(2) + Self.long)
    print(
      "seed \(seed): alone, target \(profile.target.milliseconds) ms: \(megabits(shares)) Mbit/s,",
      queue(waits)
    )
    #expect(first.shares[0] > Self.room / 2, "seed \(seed)")
    #expect(shares[0] >= 0.9 * Double(Self.rate), "seed \(seed): \(shares)")
    #expect(percentile(waits, 0.95) < profile.target, "seed \(seed): \(queue(waits))")
  }

  @Test(arguments: seeds)
  func `yields to TCP, whoever came first, and comes back (RFC 6817, 4.2)`(seed: UInt64) {
    var bottleneck = Bottleneck(
      rate: Self.rate,
      buffer: .milliseconds(100),
      seed: seed,
      [ledbat(), tcp(starts: .seconds(20), ends: .seconds(20) + Self.long)]
    )
    bottleneck.run(until: .seconds(22))
    let (after, _) = run(&bottleneck, until: .seconds(20) + Self.long)
    bottleneck.run(until: .seconds(30) + Self.long)
    let (back, _) = run(&bottleneck, until: .seconds(40) + Self.long)
    var reverse = Bottleneck(
      rate: Self.rate,
      buffer: .milliseconds(100),
      seed: seed,
      [ledbat(starts: .seconds(10)), tcp()]
    )
    reverse.run(until: .seconds(12))
    let (before, _) = run(&reverse, until: .seconds(12) + Self.long)
    print(
      "seed \(seed): LEDBAT and TCP: \(megabits(after)) Mbit/s when TCP comes, \(megabits(before)) when it was there,",
      "\(megabits([back[0]])) when it has gone"
    )
    #expect(after[1] >= 0.9 * Self.room, "seed \(seed): \(after)")
    #expect(before[1] >= 0.9 * Self.room, "seed \(seed): \(before)")
    #expect(back[0] >= 0.9 * Double(Self.rate), "seed \(seed): \(back)")
  }

  @Test(arguments: [10, 31, 73], seeds)
  func `shares with one that comes later (RFC 6817, 4.4)`(gap: Int, seed: UInt64) {
    let rate = Scene.isOptimised ? Self.rate : 5_000_000
    var bottleneck = Bottleneck(
      rate: rate,
      buffer: .milliseconds(200),
      seed: seed,
      [ledbat(), ledbat(starts: .seconds(gap))]
    )
    bottleneck.run(until: .seconds(gap))
    for part in 1...6 {
      let (shares, waits) = run(&bottleneck, until: .seconds(gap + 20 * part))
      let fairness = jain(shares.map { Int($0) })
      if part == 1 || part == 6 {
        print(
          "seed \(seed): \(gap) s later, to \(20 * part) s: \(megabits(shares)) Mbit/s, Jain \(fairness),",
          queue(waits)
        )
      }
      // Linear growth takes its time to even things out; no one is shut out meanwhile.
      #expect(fairness >= (part < 4 ? 0.8 : 0.9), "seed \(seed): \(shares)")
      #expect(shares.reduce(0, +) >= 0.9 * Double(rate), "seed \(seed): \(shares)")
      #expect(percentile(waits, 0.95) < CongestionProfile.background.target, "seed \(seed): \(queue(waits))")
    }
  }

  @Test(arguments: [CongestionProfile.background, .live], [-100e-6, 100e-6])
  func `neither starves nor floods for an hour with a clock that is 100 ppm off (RFC 6817, A.2)`(
    profile: CongestionProfile,
    skew: Double
  ) {
    var bottleneck = Bottleneck(rate: 2_000_000, buffer: .milliseconds(300), [ledbat(profile, skew: skew)])
    bottleneck.run(until: .seconds(10))
    var least = Double.infinity
    var longest = Duration.zero
    for minute in 1...(Scene.isOptimised ? 60 : 10) {
      let (shares, waits) = run(&bottleneck, until: .seconds(60 * minute))
      least = min(least, shares[0])
      longest = max(longest, percentile(waits, 0.95))
    }
    let drift = bottleneck.ledbat(0)?.drift ?? 0
    print(
      "skew \(skew * 1e6) ppm, target \(profile.target.milliseconds) ms: at least \(megabits([least])) Mbit/s in a minute,",
      "95 % wait less than \(longest.milliseconds) ms in each; drift found \(drift * 1e6) ppm"
    )
    // The drift is known after three minutes; until then it may take half of the live target.
    #expect(least >= (profile == .live ? 0.6 : 0.85) * 2_000_000)
    #expect(longest < profile.target * 5 / 4)
    #expect(abs(drift - skew) < 2e-6)
  }

  @Test func `finds its way when the route changes (RFC 6817, 2.5 and 3.1.1)`() {
    var bottleneck = Bottleneck(rate: 2_000_000, buffer: .milliseconds(200), [ledbat()])
    bottleneck.run(until: .seconds(100))
    // A longer way looks like a queue until the shorter one is forgotten; a shorter one is seen at once.
    bottleneck.setDelay(0, .milliseconds(60))
    bottleneck.run(until: .seconds(100 + 60 * 11))
    let (longer, waits) = run(&bottleneck, until: .seconds(900))
    #expect(longer[0] >= 0.8 * 2_000_000 && percentile(waits, 0.95) < CongestionProfile.background.target)
    bottleneck.setDelay(0, .milliseconds(10))
    bottleneck.run(until: .seconds(910))
    let (shorter, after) = run(&bottleneck, until: .seconds(960))
    #expect(shorter[0] >= 0.9 * 2_000_000 && percentile(after, 0.95) < CongestionProfile.background.target)
  }

  @Test
  func
    `is no more aggressive than TCP where the buffer is below its target or datagrams get lost (RFC 6817, 4.2)`()
  {
    var small = Bottleneck(rate: Self.rate, buffer: .milliseconds(20), [ledbat(), tcp(starts: .seconds(5))])
    small.run(until: .seconds(10))
    let (shares, _) = run(&small, until: .seconds(10) + Self.long * 2)
    print("a buffer of 20 ms: LEDBAT and TCP get \(megabits(shares)) Mbit/s")
    #expect(shares[0] <= shares[1] * 1.2)
    var alone: [Double] = []
    for flow in [ledbat(), Flow(control: .reno(Reno()))] {
      var lossy = Bottleneck(rate: Self.rate, buffer: .milliseconds(100), loss: 0.01, [flow])
      alone.append(run(&lossy, until: Self.long * 2).shares[0])
    }
    print("1 % loss: LEDBAT alone \(megabits([alone[0]])), TCP alone \(megabits([alone[1]])) Mbit/s")
    #expect(alone[0] <= alone[1] * 1.1 && alone[0] >= alone[1] / 2)
  }
}
