/// LEDBAT (RFC 6817) for one channel, with the floor that RFC 7574 section 8.15 leaves to live streams.
///
/// While the queueing delay stays under ``floorLimit``, nothing takes the channel below the stream's rate plus
/// repair, and a newcomer's burst begins from ``joinWindow``.
struct CongestionControl {
  /// The standing queue that is aimed at; RFC 6817 allows at most 100 ms.
  static let target: Duration = .milliseconds(25)
  /// Up to this queue the floor of a live channel holds: below the stream's rate a child gains nothing from our yielding.
  static let floorLimit: Duration = .milliseconds(100)
  /// What may be under way before the first acknowledgement, and after a pause, in bytes.
  static let joinWindow = 128 * 1024
  /// RFC 6817's MSS here: a full chunk with its headers.
  static let segment = 1434
  private static let minimumWindow = 2 * segment
  private static let maximumWindow = 16 << 20
  private static let baseHistoryLength = 10
  private static let filterLength = 4

  /// Bytes that may be under way.
  private(set) var window = CongestionControl.joinWindow
  /// Bytes that are under way.
  private(set) var flight = 0
  /// The smoothed round trip and its variation (RFC 6298).
  private(set) var roundTrip: Duration?
  private(set) var variation: Duration = .zero
  private(set) var queueing: Duration = .zero
  /// Bytes per second below which loss alone does not go; 0 for none.
  var floorRate: Double = 0

  private var isStarting = true
  private var baseHistory: [UInt64] = []
  private var baseSince: Duration = .zero
  private var recent: [UInt64] = []
  private var lastLoss: Duration?
  private var lastAcknowledgement: Duration = .zero
  private var tokens: Double = Double(CongestionControl.joinWindow)
  private var refilled: Duration = .zero

  /// How long an answer may take before it is taken for lost.
  var timeout: Duration {
    guard let roundTrip else { return .milliseconds(250) }
    return max(roundTrip + variation * 4, .milliseconds(10)) + .milliseconds(10)
  }

  private var floorWindow: Int {
    guard floorRate > 0, queueing <= Self.floorLimit else { return 0 }
    let span = (roundTrip ?? .milliseconds(100)) + .milliseconds(60)
    // What a stream declares, and how far somebody says to be, may be anything.
    return Int(min(floorRate * seconds(span), Double(Self.maximumWindow))) + 4 * Self.segment
  }

  /// Bytes per second that are let out; nil for no limit yet.
  private var pace: Double {
    let trip = max(seconds(roundTrip ?? .milliseconds(20)), 0.0005)
    return max(Double(max(window, floorWindow)) / trip * 1.25, floorRate)
  }

  /// What the channel can carry at the moment, in bits per second.
  var rate: UInt64 { UInt64(min(pace * 8, 1e12)) }

  func allows(_ bytes: Int, now: Duration) -> Bool {
    guard flight + bytes <= max(window, floorWindow) else { return false }
    return available(now) >= Double(bytes)
  }

  /// When ``allows(_:now:)`` may answer otherwise without an acknowledgement; nil when only one can help.
  func nextChance(_ bytes: Int, now: Duration) -> Duration? {
    guard flight + bytes <= max(window, floorWindow) else { return nil }
    let lacking = Double(bytes) - available(now)
    return lacking <= 0 ? now : now + .seconds(lacking / pace) + .microseconds(50)
  }

  mutating func sent(_ bytes: Int, now: Duration) {
    if flight == 0 { lastAcknowledgement = now }
    tokens = available(now) - Double(bytes)
    refilled = now
    flight += bytes
  }

  /// An acknowledgement of `bytes`, with a one-way delay sample in microseconds of two clocks.
  mutating func acknowledged(_ bytes: Int, delay: UInt64, now: Duration) {
    lastAcknowledgement = now
    sample(delay, now: now)
    let offTarget = seconds(Self.target - queueing) / seconds(Self.target)
    if isStarting, queueing < Self.target / 2 {
      window += bytes
    } else {
      isStarting = false
      window += Int(max(offTarget, -1) * Double(bytes) * Double(Self.segment) / Double(max(window, 1)))
    }
    let allowed = max(flight + Self.segment, Self.joinWindow)
    window = max(Self.minimumWindow, min(window, allowed, Self.maximumWindow))
    flight = max(0, flight - bytes)
  }

  /// A measured round trip.
  mutating func measured(_ trip: Duration) {
    let trip = max(trip, .microseconds(1))
    guard let smoothed = roundTrip else {
      roundTrip = trip
      variation = trip / 2
      return
    }
    let error = trip > smoothed ? trip - smoothed : smoothed - trip
    variation = (variation * 3 + error) / 4
    roundTrip = (smoothed * 7 + trip) / 8
  }

  /// Bytes that were under way and are not any more; halves the window at most once a round trip.
  mutating func lost(_ bytes: Int, now: Duration) {
    flight = max(0, flight - bytes)
    isStarting = false
    if let last = lastLoss, now - last < (roundTrip ?? .milliseconds(100)) { return }
    lastLoss = now
    window = min(window, max(window / 2, Self.minimumWindow))
  }

  /// When everything under way counts as lost, if nothing comes back.
  var silenceDeadline: Duration? {
    flight > 0 ? lastAcknowledgement + max(.seconds(1), timeout) : nil
  }

  /// Nothing came back for the timeout of RFC 6817.
  mutating func silent(now: Duration) {
    flight = 0
    isStarting = false
    window = Self.segment
    lastAcknowledgement = now
  }

  private func available(_ now: Duration) -> Double {
    let burst = max(Double(Self.joinWindow), pace * 0.01)
    return min(burst, tokens + pace * seconds(now - refilled))
  }

  private mutating func sample(_ delay: UInt64, now: Duration) {
    if baseHistory.isEmpty || now - baseSince >= .seconds(60) {
      baseHistory.append(delay)
      if baseHistory.count > Self.baseHistoryLength { baseHistory.removeFirst() }
      baseSince = now
    } else if Self.less(delay, baseHistory[baseHistory.count - 1]) {
      baseHistory[baseHistory.count - 1] = delay
    }
    if recent.count == Self.filterLength { recent.removeFirst() }
    recent.append(delay)
    let base = Self.minimum(baseHistory)
    let current = Self.minimum(recent)
    queueing = .microseconds(max(0, Int64(bitPattern: current &- base)))
  }

  /// Delays come from two clocks, so they wrap around.
  private static func less(_ left: UInt64, _ right: UInt64) -> Bool { Int64(bitPattern: left &- right) < 0 }

  private static func minimum(_ delays: [UInt64]) -> UInt64 {
    var lowest = delays[0]
    for delay in delays where less(delay, lowest) { lowest = delay }
    return lowest
  }
}
