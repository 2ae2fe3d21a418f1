import PluginKit

/// Chunks that later ones have overtaken, and for how long they are waited for before somebody is asked.
///
/// Each chunk takes another way, so that most of those that are overtaken come all the same. How long that takes is
/// learned from those that did.
struct Patience: Hashable, Sendable {
  /// The most ranges that are waited for; of what is beyond, nobody is asked but by the host.
  static let limit = 512
  private static let range = Duration.milliseconds(80)...Duration.milliseconds(500)
  /// How long it is from an answer that did not come to the next ask; each time twice as long, so that those who are busy
  /// are not asked to death.
  private static let pause = Duration.milliseconds(100)
  private static let doublings: UInt64 = 4

  struct Wait: Hashable, Sendable {
    var chunks: ClosedRange<UInt64>
    var since: Duration
    var due: Duration
  }

  private var waits: [Wait] = []
  /// How often chunks were asked for in vain, in the lowest three bits, by their number modulo the limit.
  private var tries = [UInt64](repeating: .max, count: limit)
  private(set) var time = Duration.milliseconds(200)

  /// When the first of them is due, and a little later, so that several are dealt with at once.
  var due: Duration? { waits.first.map { $0.due + .milliseconds(5) } }

  mutating func wait(for chunks: ClosedRange<UInt64>, now: Duration) { add(chunks, now, due: now + time) }

  /// Somebody was asked, and there was no answer.
  mutating func waitAgain(for chunks: ClosedRange<UInt64>, now: Duration) {
    let place = Int(chunks.lowerBound % UInt64(Self.limit))
    let key = chunks.lowerBound << 3
    let count = tries[place] & ~7 == key ? tries[place] & 7 : 0
    tries[place] = key | min(count + 1, Self.doublings)
    add(chunks, now, due: now + Self.pause * (1 << Int(count)))
  }

  private mutating func add(_ chunks: ClosedRange<UInt64>, _ now: Duration, due: Duration) {
    guard waits.count < Self.limit else { return }
    let index = waits.lastIndex { $0.due <= due }.map { $0 + 1 } ?? 0
    waits.insert(Wait(chunks: chunks, since: now, due: due), at: index)
  }

  /// A chunk has come that nobody was asked for.
  mutating func came(_ chunk: UInt64, now: Duration) {
    guard let wait = waits.first(where: { $0.chunks.contains(chunk) }) else {
      time = max(Self.range.lowerBound, time - time / 4096)
      return
    }
    time = min(max(time, (now - wait.since) * 5 / 4), Self.range.upperBound)
  }

  /// Those that were waited for long enough.
  mutating func overdue(now: Duration) -> [ClosedRange<UInt64>] {
    let count = waits.firstIndex { $0.due > now } ?? waits.count
    defer { waits.removeFirst(count) }
    return waits[..<count].map(\.chunks)
  }
}
