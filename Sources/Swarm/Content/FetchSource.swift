/// What one source was asked for and has not sent yet.
struct FetchSource {
  /// A chunk that a later one has overtaken.
  struct Late {
    var chunk: UInt64
    var since: Duration
  }

  /// How many chunks may be asked for at a time: at first, and at the least and the most.
  static let firstLimit = 256
  static let lowestLimit = 16
  static let highestLimit = 8192
  /// What a source has for sending is asked for ahead by this much more than a round trip.
  static let slack: Duration = .milliseconds(20)
  /// How long an overtaken chunk may still come, at first and at most.
  static let firstGrace: Duration = .milliseconds(5)
  static let longestGrace: Duration = .seconds(1)
  /// How long a source may send nothing of what it was asked for, beside four round trips; doubled each time.
  static let patience: Duration = .milliseconds(300)
  private static let mostDoublings = 5
  /// So many chunks in a row that cannot be used count like a patience that has passed.
  static let uselessLimit = 256

  var roundTrip: Duration = .milliseconds(20)
  var isChoking = false
  /// The piece that it is asked from.
  var piece: Int?
  /// The pieces that it was counted for as having them, one bit each.
  var counted: [UInt64]
  private(set) var asked = Ring<UInt64>()
  private(set) var late = Ring<Late>()
  private(set) var limit = firstLimit
  /// Chunks that arrive in a second.
  private(set) var rate = 0.0
  /// How often in a row it has let its patience pass.
  private(set) var failures = 0
  private var grace = firstGrace
  private var lastProgress: Duration = .zero
  private var roundBegan: Duration = .zero
  private var arrivals = 0
  private var useless = 0

  init(pieces: Int) { counted = [UInt64](repeating: 0, count: (pieces + 63) / 64) }

  var outstanding: Int { asked.count + late.count }

  /// How many chunks more it may be asked for; none before it is worth a request.
  var room: Int {
    guard !isChoking else { return 0 }
    let limit = failures > 0 ? min(limit, Self.lowestLimit) : limit
    let room = limit - outstanding
    return outstanding == 0 || room >= limit / 4 ? max(room, 0) : 0
  }

  /// When what it was asked for is given back, if nothing comes.
  var deadline: Duration? {
    guard outstanding > 0 else { return nil }
    let patience = (roundTrip * 4 + Self.patience) * (1 << min(failures, Self.mostDoublings))
    return lastProgress + patience
  }

  var nextTimeout: Duration? {
    guard let deadline else { return nil }
    guard let since = late.first?.since else { return deadline }
    return min(deadline, since + grace)
  }

  /// When all that it was asked for will have come; nil when nothing has come so far.
  var remaining: Duration? { rate > 0 ? .seconds(Double(outstanding) / rate) : nil }

  mutating func ask(_ chunk: UInt64, now: Duration) {
    if outstanding == 0 {
      lastProgress = now
      roundBegan = now
      arrivals = 0
    }
    asked.append(chunk)
  }

  /// A chunk has come, good or not: those asked for before it that have not are late.
  mutating func arrived(_ chunk: UInt64, isGood: Bool, now: Duration) {
    if isGood {
      lastProgress = now
      failures = 0
      useless = 0
      count(now)
    } else {
      useless += 1
      if useless % Self.uselessLimit == 0 { failures += 1 }
    }
    if let place = (0..<asked.count).first(where: { asked[$0] == chunk }) {
      for _ in 0..<place {
        if let overtaken = asked.removeFirst() { late.append(Late(chunk: overtaken, since: now)) }
      }
      asked.removeFirst()
    } else if let place = (0..<late.count).first(where: { late[$0].chunk == chunk }) {
      if place == 0 { late.removeFirst() } else { late.filter { $0.chunk != chunk } }
    } else if isGood {
      // It was given up too early.
      grace = min(grace * 2, Self.longestGrace)
    }
  }

  private mutating func count(_ now: Duration) {
    arrivals += 1
    let span = roundTrip + Self.slack
    let elapsed = now - roundBegan
    guard elapsed >= span else { return }
    rate = Double(arrivals) / seconds(elapsed)
    limit = min(max(Int(2 * rate * seconds(span)), Self.lowestLimit), Self.highestLimit)
    roundBegan = now
    arrivals = 0
  }

  /// A chunk that will not come any more; nil when there is none.
  mutating func takeOverdue(now: Duration) -> UInt64? {
    guard let first = late.first, first.since + grace <= now else { return nil }
    return late.removeFirst()?.chunk
  }

  /// The chunk that was asked for last, which it is not asked for any more.
  mutating func takeLast() -> UInt64? { asked.removeLast() }

  /// One of the chunks that it was asked for, which it is not asked for any more.
  mutating func takeAny() -> UInt64? { late.removeFirst()?.chunk ?? asked.removeFirst() }

  mutating func fail() { failures += 1 }
}
