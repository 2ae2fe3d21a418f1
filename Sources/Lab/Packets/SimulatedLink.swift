internal import PluginKit

/// What one direction of the way between two hosts does to datagrams.
package struct Path: Hashable, Sendable {
  /// From the sender to the receiver; at least one microsecond.
  package var delay: Duration
  /// Up to this much is added, evenly distributed; datagrams still arrive in order.
  package var jitter: Duration
  /// The part of all datagrams that vanish, 0 to 1.
  package var loss: Double
  /// How many datagrams vanish in a row on average; 1: whether one vanishes says nothing about the next.
  package var burst: Double
  /// The part of all datagrams that are overtaken by later ones, 0 to 1.
  package var reordering: Double
  /// How much longer than others such a datagram takes, at most.
  package var reorderingDelay: Duration
  /// The part of all datagrams that arrive twice, 0 to 1.
  package var duplication: Double
  /// Bits per second, the 28 bytes of an IPv4 and a UDP header included; 0 for no limit.
  package var rate: UInt64
  /// How long a datagram may wait for the rate; what would wait longer vanishes.
  package var queue: Duration

  package init(
    delay: Duration = .milliseconds(1),
    jitter: Duration = .zero,
    loss: Double = 0,
    burst: Double = 1,
    reordering: Double = 0,
    reorderingDelay: Duration = .milliseconds(20),
    duplication: Double = 0,
    rate: UInt64 = 0,
    queue: Duration = .milliseconds(100)
  ) {
    self.delay = delay
    self.jitter = jitter
    self.loss = loss
    self.burst = burst
    self.reordering = reordering
    self.reorderingDelay = reorderingDelay
    self.duplication = duplication
    self.rate = rate
    self.queue = queue
  }

  /// A way on which nothing arrives.
  package static let cut = Path(loss: 1)
}

/// One direction of the way between two hosts, in virtual or in real time.
///
/// The same seed and the same sequence of calls give the same arrivals.
package struct SimulatedLink: Sendable {
  package var path: Path
  /// Datagrams that vanished by chance, and because the queue was full.
  package private(set) var lost: UInt64 = 0
  package private(set) var overflowed: UInt64 = 0
  private var random: RandomSource
  /// When the last bit that was accepted leaves.
  private var busyUntil = Duration.zero
  private var lastArrival = Duration.zero
  /// Whether the last datagram vanished in a burst.
  private var isLosing = false

  package init(_ path: Path, seed: UInt64) {
    self.path = path
    random = RandomSource(seed: seed)
  }

  /// What IPv4 and UDP put before a datagram, in bytes.
  package static let headers = 28

  /// How long a rate in bits per second takes to send a datagram; no time where it has no limit.
  static func sending(_ byteCount: Int, rate: UInt64) -> Duration {
    rate > 0 ? .nanoseconds(Int64(UInt64(byteCount + headers) * 8_000_000_000 / rate)) : .zero
  }

  /// When a datagram that is sent now arrives: never, once, or twice.
  package mutating func send(byteCount: Int, now: Duration) -> (first: Duration?, second: Duration?) {
    var departure = now
    if path.rate > 0 {
      departure = max(now, busyUntil)
      guard departure - now <= path.queue else {
        overflowed += 1
        return (nil, nil)
      }
      departure += Self.sending(byteCount, rate: path.rate)
      busyUntil = departure
    }
    guard !vanishes() else {
      lost += 1
      return (nil, nil)
    }
    let first = arrival(departure)
    guard chance(path.duplication) else { return (first, nil) }
    return (first, arrival(departure))
  }

  private mutating func arrival(_ departure: Duration) -> Duration {
    let arrival = departure + max(path.delay, .microseconds(1)) + part(of: path.jitter)
    if chance(path.reordering) { return max(arrival, lastArrival) + part(of: path.reorderingDelay) }
    lastArrival = max(lastArrival, arrival)
    return lastArrival
  }

  /// Two states (Gilbert's model): all is lost in one and nothing in the other, and neither is left every time.
  private mutating func vanishes() -> Bool {
    guard path.burst > 1, path.loss > 0, path.loss < 1 else { return chance(path.loss) }
    isLosing =
      isLosing ? !chance(1 / path.burst) : chance(min(1, path.loss / (path.burst * (1 - path.loss))))
    return isLosing
  }

  private mutating func chance(_ part: Double) -> Bool {
    part > 0 && Double(random.next() >> 11) * 0x1p-53 < part
  }

  private mutating func part(of duration: Duration) -> Duration {
    let span = duration.nanoseconds
    return span > 0 ? .nanoseconds(Int64(random.next() % UInt64(span))) : .zero
  }
}

extension Duration {
  /// Whole nanoseconds, for times that a simulation reaches.
  package var nanoseconds: Int64 { Int64(truncatingIfNeeded: attoseconds / 1_000_000_000) }

  /// Milliseconds, to be printed.
  package var milliseconds: Double { Double(nanoseconds / 1000) / 1000 }
}
