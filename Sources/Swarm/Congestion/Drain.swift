/// When a sender empties the queue that it keeps, to see how long the way is without it.
///
///     watching ──not seen empty for long──▶ emptying ──little under way for a round trip──▶ returning ──window as before──▶ watching
struct Drain {
  /// How long a sender goes on without having seen an empty queue, at least.
  static let interval: Duration = .seconds(10)
  /// How many times as long it goes on as emptying the queue and coming back took.
  static let factor = 9

  private enum Phase {
    case watching(until: Duration)
    /// The end is known when what was sent before has arrived.
    case emptying(since: Duration, until: Duration?)
    case returning(since: Duration)
  }

  private var phase = Phase.watching(until: interval)

  var isEmptying: Bool { if case .emptying = phase { true } else { false } }

  /// Whether it is time to begin.
  func isDue(_ now: Duration) -> Bool { if case .watching(let until) = phase { now >= until } else { false } }

  /// There is nothing to be emptied for a while.
  mutating func postpone(_ now: Duration, by interval: Duration = Self.interval) {
    if case .watching = phase { phase = .watching(until: now + interval) }
  }

  mutating func begin(_ now: Duration) { phase = .emptying(since: now, until: nil) }

  /// Lets the window grow again when the queue had a round trip to empty, with no more under way than the window.
  mutating func turn(_ now: Duration, hasArrived: Bool, trip: Duration) {
    guard case .emptying(let since, let until) = phase else { return }
    if let until {
      if now >= until { phase = .returning(since: since) }
    } else if hasArrived {
      phase = .emptying(since: since, until: now + trip)
    }
  }

  /// The window is what it was.
  mutating func returned(_ now: Duration) {
    guard case .returning(let since) = phase else { return }
    phase = .watching(until: now + max(Self.interval, (now - since) * Self.factor))
  }
}
