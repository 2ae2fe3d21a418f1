internal import Glibc
internal import PluginKit

/// The random numbers of a plan: one stream for each purpose and number.
///
/// What one purpose draws never moves another: a scenario with other lives has its peers in the same places.
struct Dice {
  enum Purpose: UInt64 {
    case arrival = 1
    case group
    case place
    case life
    case manners
    case replacement
    case happening
    case trial
  }

  private let seed: UInt64

  init(seed: UInt64) { self.seed = seed }

  func stream(_ purpose: Purpose, _ number: Int = 0) -> RandomSource {
    // Through the generator at each step, for seeds that lie near each other must not give streams that overlap.
    var first = RandomSource(seed: seed ^ purpose.rawValue &* 0xA24B_AED4_963E_E407)
    var second = RandomSource(seed: first.next() ^ UInt64(number) &* 0x9FB2_1C65_1E98_DF25)
    return RandomSource(seed: second.next())
  }
}

extension RandomSource {
  /// 0 to 1, without 1.
  mutating func part() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A time from zero to `limit`, without it; zero when that is zero.
  mutating func time(below limit: Duration) -> Duration {
    let span = limit.nanoseconds
    return span > 0 ? .nanoseconds(Int64.random(in: 0..<span, using: &self)) : .zero
  }

  /// How long a peer stays, at most ``Churn/longestLife``.
  mutating func time(_ life: Churn.Life) -> Duration {
    switch life {
    case .exponential(let mean): return Self.bounded(-log(1 - part()) * Double(mean.nanoseconds))
    case .pareto(let mean, let shape):
      let least = Double(mean.nanoseconds) * (shape - 1) / shape
      return Self.bounded(least * pow(1 - part(), -1 / shape))
    case .lognormal(let median, let sigma):
      let normal = (-2 * log(1 - part())).squareRoot() * cos(2 * Double.pi * part())
      return Self.bounded(Double(median.nanoseconds) * exp(sigma * normal))
    case .trace(let lives): return lives.randomElement(using: &self) ?? Churn.longestLife
    }
  }

  private static func bounded(_ nanoseconds: Double) -> Duration {
    .nanoseconds(Int64(min(nanoseconds, Double(Churn.longestLife.nanoseconds))))
  }

  /// A point in the unit disc, all equally likely.
  mutating func pointInDisc() -> (x: Float, y: Float) {
    while true {
      let x = part() * 2 - 1
      let y = part() * 2 - 1
      if x * x + y * y <= 1 { return (Float(x), Float(y)) }
    }
  }
}
