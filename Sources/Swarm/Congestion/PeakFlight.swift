/// The most bytes that were under way in the last round trip.
struct PeakFlight {
  private var current = 0
  private var previous = 0
  private var since: Duration = .zero

  var bytes: Int { max(current, previous) }

  mutating func note(_ flight: Int) { current = max(current, flight) }

  /// Begins the next round trip when this one is over.
  mutating func turn(_ now: Duration, flight: Int, after trip: Duration) {
    guard now - since >= trip else { return }
    // What lies two round trips back was not of the last one.
    previous = now - since < trip * 2 ? current : flight
    current = flight
    since = now
  }
}
