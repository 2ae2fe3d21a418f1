/// How long chunks that later ones have overtaken take to come all the same.
///
/// As in RACK (RFC 8985, section 6.2) and QUIC (RFC 9002, section 6.1.2) what counts as lost is learned from what was
/// overtaken and not lost: the longest of the last seconds and a quarter more.
struct Reordering {
  /// The longest is remembered for one to two of these.
  static let period: Duration = .seconds(4)
  /// What is waited in any case.
  static let shortest: Duration = .milliseconds(4)

  /// What is waited at most, and as long as nothing was learned.
  let limit: Duration
  private var longest: Duration = .zero
  private var longestBefore: Duration
  private var turned: Duration

  init(limit: Duration, now: Duration) {
    self.limit = limit
    longestBefore = limit
    turned = now
  }

  /// How long a chunk is waited for that has been overtaken.
  var time: Duration {
    let known = max(longest, longestBefore)
    return min(known + known / 4 + Self.shortest, limit)
  }

  /// A chunk came by itself, so long after it was first known to exist.
  mutating func note(_ lateness: Duration) { longest = max(longest, lateness) }

  /// Time has passed in which chunks came.
  mutating func advance(now: Duration) {
    guard now - turned >= Self.period else { return }
    turned = now
    longestBefore = longest
    longest = .zero
  }
}
