/// LEDBAT (RFC 6817) for one channel, with the floor that RFC 7574, section 8.15, leaves to live streams.
///
/// A live channel to a child has a floor: while the queueing delay stays under its limit, nothing takes the channel below
/// the stream's rate plus repair, and a newcomer's burst begins from the profile's initial window. All others are
/// RFC 6817, with the slow start of RFC 5681, and empty the queue now and then to see how long the way is without it.
struct CongestionControl {
  /// RFC 6817's MSS here: a full chunk with its headers.
  static let segment = 1434
  /// ALLOWED_INCREASE: by how many segments the window may exceed what was under way in the last round trip.
  ///
  /// RFC 6817, section 2.5, wants 1 and allows more for a reason: datagrams are whole, so that as much as one of them is
  /// always missing from what is under way.
  static let allowedIncrease = 2
  private static let minimumWindow = 2.0 * Double(segment)
  private static let maximumWindow = 16 << 20

  /// Bytes that are under way.
  private(set) var flight = 0
  /// Bytes that were ever sent, and those that were given up.
  private(set) var sentBytes: UInt64 = 0
  private(set) var lostBytes: UInt64 = 0
  private var lastAcknowledgement: Duration = .zero
  private var trip = RoundTrip()
  let profile: CongestionProfile
  /// Bytes per second below which loss alone does not go; 0 for none.
  var floorRate: Double = 0

  private var size: Double
  /// Below this the window grows by all that is acknowledged (RFC 5681, section 3.1).
  private var threshold = Double.infinity
  private var delays = DelayHistory()
  private var pacer: Pacer
  private var peak = PeakFlight()
  private var drain = Drain()
  private var lastLoss: Duration?
  private var lastSent: Duration = .zero

  init(_ profile: CongestionProfile = .live) {
    self.profile = profile
    size = Double(profile.initialWindow)
    pacer = Pacer(tokens: profile.initialWindow)
  }

  /// Bytes that may be under way.
  var window: Int { Int(size) }
  /// The queue that our datagrams wait in.
  var queueing: Duration { delays.queueing }
  /// The smoothed round trip; nil before one was measured.
  @inline(__always) var roundTrip: Duration? { trip.smoothed }
  /// How much faster than ours the other side's clock runs.
  var drift: Double { delays.drift }

  /// How long an answer may take before it is taken for lost.
  var timeout: Duration {
    guard let roundTrip else { return .milliseconds(250) }
    return max(roundTrip + trip.variation * 4, .milliseconds(10)) + .milliseconds(10)
  }

  /// Where the window stays as it is.
  ///
  /// The target is the most that we may add (RFC 6817, section 2.4.1), and a controller swings about its aim.
  private var aim: Duration { profile.target * 4 / 5 }

  private var hasFloor: Bool { floorRate > 0 && profile.floorLimit != nil }

  private var floorWindow: Int {
    guard floorRate > 0, let limit = profile.floorLimit, queueing <= limit else { return 0 }
    let span = (roundTrip ?? .milliseconds(100)) + .milliseconds(60)
    // What a stream declares, and how far somebody says to be, may be anything.
    return Int(min(floorRate * seconds(span), Double(Self.maximumWindow))) + 4 * Self.segment
  }

  /// Bytes per second that are let out.
  private var pace: Double {
    let trip = max(seconds(roundTrip ?? .milliseconds(20)), 0.0005)
    return max(Double(max(window, floorWindow)) / trip * 1.25, profile.floorLimit == nil ? 0 : floorRate)
  }

  private var burst: Double { max(Double(profile.initialWindow), pace * 0.002) }

  /// What the channel can carry at the moment, in bits per second.
  var rate: UInt64 { UInt64(min(pace * 8, 1e12)) }

  func allows(_ bytes: Int, now: Duration) -> Bool { fits(bytes) && lacking(bytes, now) <= 0 }

  /// Bytes that the pace has not let through yet; a datagram longer than any burst waits for a whole one.
  private func lacking(_ bytes: Int, _ now: Duration) -> Double {
    min(Double(bytes), burst) - pacer.available(now, rate: pace, burst: burst)
  }

  /// One datagram fits any window: nothing else would ever open it again.
  private func fits(_ bytes: Int) -> Bool { flight == 0 || flight + bytes <= max(window, floorWindow) }

  /// When ``allows(_:now:)`` may answer otherwise without an acknowledgement; nil when only one can help.
  func nextChance(_ bytes: Int, now: Duration) -> Duration? {
    guard fits(bytes) else { return nil }
    let lacking = lacking(bytes, now)
    return lacking <= 0 ? now : now + .seconds(lacking / pace) + .microseconds(50)
  }

  mutating func sent(_ bytes: Int, now: Duration) {
    if flight == 0 {
      // What was learned before a pause may not hold any more (RFC 5681, section 4.1).
      if now - lastSent > trip.congestionTimeout { size = min(size, Double(profile.initialWindow)) }
      lastAcknowledgement = now
    }
    lastSent = now
    pacer.take(bytes, now: now, rate: pace, burst: burst)
    flight += bytes
    sentBytes &+= UInt64(bytes)
    peak.note(flight)
  }

  /// An acknowledgement of `bytes`, with a one-way delay sample in microseconds of two clocks.
  mutating func acknowledged(_ bytes: Int, delay: UInt64, now: Duration) {
    let span = roundTrip ?? .milliseconds(100)
    lastAcknowledgement = now
    trip.heard()
    delays.add(delay, now: now, span: span / 2)
    peak.turn(now, flight: flight, after: span)
    if !drain.isEmptying { adjust(bytes, now) }
    flight = max(0, flight - bytes)
    review(now)
  }

  private mutating func adjust(_ bytes: Int, _ now: Duration) {
    let isStarting = size < threshold
    if isStarting, queueing < (threshold == .infinity ? aim / 2 : aim) {
      size += Double(bytes)
    } else if isStarting {
      endSlowStart(now)
    } else {
      size += max(change, -size / 2) * Double(bytes) / size
    }
    // Growth is for those who use what they have: the flight of the last round trip, twice that in slow start.
    let used = Double(peak.bytes * (isStarting ? 2 : 1) + Self.allowedIncrease * Self.segment)
    size = min(size, max(used, Double(profile.initialWindow)), Double(Self.maximumWindow))
    size = max(size, Self.minimumWindow)
    if !isStarting { threshold = min(threshold, size) }
  }

  /// By how many bytes the window changes in a round trip.
  ///
  /// The shrinking is in proportion to the window as well, a decrease-GAIN above 1, which RFC 6817, section 2.5, leaves
  /// to us: a wide flow that only lost a segment per round trip would make room for TCP after a minute, and never for
  /// a flow that came later.
  private var change: Double {
    let offTarget = 1 - seconds(queueing) / seconds(aim)
    return offTarget * (offTarget < 0 ? size : Double(Self.segment))
  }

  private mutating func endSlowStart(_ now: Duration) {
    guard threshold == .infinity else {
      threshold = size
      return
    }
    // What is in the queue was sent a round trip ago, with half of this window.
    size = max(size / 2, Self.minimumWindow)
    threshold = size
    // Should the queue have overflowed as well, this was the halving for it.
    lastLoss = now
    if !hasFloor { empty(now) }
  }

  /// Empties the queue when it was not seen empty for long.
  private mutating func review(_ now: Duration) {
    drain.turn(now, hasArrived: flight <= window, trip: roundTrip ?? .milliseconds(100))
    if queueing < profile.target / 8 { drain.postpone(now) }
    if size >= threshold { drain.returned(now) }
    if drain.isDue(now), !hasFloor { empty(now) }
  }

  /// Lets the queue run empty and comes back to the window of now by slow start.
  ///
  /// A sender that keeps its queue at the target sees no base delay: the history forgets the true one after its ten
  /// minutes, and those who come later never learn it (RFC 6817, section 4.4).
  private mutating func empty(_ now: Duration) {
    threshold = max(size, Self.minimumWindow)
    size = Self.minimumWindow
    drain.begin(now)
  }

  /// A measured round trip.
  mutating func measured(_ trip: Duration) { self.trip.measured(trip) }

  /// Bytes that were under way and are not any more; halves the window at most once a round trip.
  ///
  /// What was sent before the last halving is no news (RFC 6582).
  mutating func lost(_ bytes: Int, sentAt: Duration, now: Duration) {
    flight = max(0, flight - bytes)
    lostBytes &+= UInt64(bytes)
    if let last = lastLoss, sentAt < last { return }
    lastLoss = now
    // While the queue empties, it is the window to come back to that was too large.
    if drain.isEmptying {
      threshold = max(threshold / 2, Self.minimumWindow)
    } else {
      size = min(size, max(size / 2, Self.minimumWindow))
      threshold = size
    }
  }

  /// When everything under way counts as lost, if nothing comes back.
  @inline(__always)
  var silenceDeadline: Duration? {
    flight > 0 ? lastAcknowledgement + trip.congestionTimeout : nil
  }

  /// Nothing came back for the timeout of RFC 6817: one segment is what is tried next, and after twice that time.
  ///
  /// What has a floor is tried as often as before: its chunks cannot wait, and who hears none is soon given up.
  mutating func silent(now: Duration) {
    // Who sends little, to empty the queue, hears little.
    if !drain.isEmptying { threshold = max(Double(flight) / 2, Self.minimumWindow) }
    flight = 0
    size = Double(Self.segment)
    if !hasFloor { trip.timedOut() }
    lastAcknowledgement = now
  }
}
