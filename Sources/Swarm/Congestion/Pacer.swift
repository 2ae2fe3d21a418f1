/// Spreads what a window allows over the round trip, so that a sender's own bursts do not stand in the queue.
///
/// A bucket of bytes that fills at the rate that it is asked with.
struct Pacer {
  private var tokens: Double
  private var refilled: Duration = .zero

  init(tokens: Int) { self.tokens = Double(tokens) }

  /// Bytes that may go out now, at most `burst`, at a rate in bytes per second.
  func available(_ now: Duration, rate: Double, burst: Double) -> Double {
    min(burst, tokens + rate * seconds(max(now - refilled, .zero)))
  }

  mutating func take(_ bytes: Int, now: Duration, rate: Double, burst: Double) {
    tokens = available(now, rate: rate, burst: burst) - Double(bytes)
    refilled = now
  }
}
