/// The smoothed round trip and the timeout that follows from it (RFC 6298).
struct RoundTrip {
  /// The congestion timeout before anything was measured, and the shortest one (RFC 6298, section 2).
  static let shortestTimeout: Duration = .seconds(1)
  /// The longest congestion timeout; RFC 6817, section 2.4.2, wants at least this.
  static let longestTimeout: Duration = .seconds(60)

  private(set) var smoothed: Duration?
  private(set) var variation: Duration = .zero
  private var backoff = 0

  mutating func measured(_ trip: Duration) {
    let trip = max(trip, .microseconds(1))
    guard let old = smoothed else {
      smoothed = trip
      variation = trip / 2
      return
    }
    let error = trip > old ? trip - old : old - trip
    variation = (variation * 3 + error) / 4
    smoothed = (old * 7 + trip) / 8
  }

  /// After how long without any acknowledgement everything under way counts as lost.
  var congestionTimeout: Duration {
    let timeout = smoothed.map { max($0 + variation * 4, Self.shortestTimeout) } ?? Self.shortestTimeout
    return min(timeout * (1 << backoff), Self.longestTimeout)
  }

  /// Nothing came for the timeout: the next one is twice as long.
  mutating func timedOut() { backoff = min(backoff + 1, 6) }

  /// Something came back.
  mutating func heard() { backoff = 0 }
}
