import PluginKit

/// Chunks that did not come, and which of those that answer requests have them.
///
/// What was lost on its way from the source may be held by nobody; only after a while some ask the source, which has to
/// feed the swarm, and the others get it from those.
struct Mending {
  /// The most chunks that are looked for; past it the host repairs alone.
  static let limit = 512
  /// The most peers of which it is remembered what they have.
  private static let ownersLimit = 32
  /// How long it takes until what nobody seems to have is looked for again.
  private static let interval: Duration = .milliseconds(50)
  /// After so many looks in vain the source is asked.
  private static let patience = 3

  /// How long a chunk that others have overtaken is waited for before somebody is asked.
  ///
  /// Each chunk takes another way, so that most of them come all the same; how long that takes is learned, within these.
  private static let waits = Duration.milliseconds(80)...Duration.milliseconds(400)
  /// What is missing for so long is of no use any more.
  private static let lifetime: Duration = .seconds(3)

  private struct Missing {
    var chunk: UInt64
    var since: Duration
    var next: Duration
    var tries = 0
    var isAsked = false
  }

  private var missing: [Missing] = []
  private var newest: UInt64?
  private var wait: Duration = .milliseconds(200)
  private var owners: [(peer: PeerRef, chunks: Possession)] = []

  /// When to look again.
  var next: Duration? { missing.lazy.filter { !$0.isAsked }.map(\.next).min() }

  /// A chunk is here, as an answer or by itself; what lies between it and the newest before it was overtaken.
  mutating func arrived(_ chunk: UInt64, isAnswer: Bool, now: Duration) {
    if let index = missing.firstIndex(where: { $0.chunk == chunk }) {
      if !isAnswer { wait = min(max(wait, (now - missing[index].since) * 5 / 4), Self.waits.upperBound) }
      missing.remove(at: index)
    }
    let last = newest ?? chunk
    guard chunk >= last else { return }
    newest = chunk
    wait = max(Self.waits.lowerBound, wait - wait / 2048)
    guard chunk > last + 1 else { return }
    expect(max(last + 1, chunk - min(chunk, UInt64(Self.limit)))...(chunk - 1), now: now)
  }

  /// Of what comes after a chunk all is missing that does not come.
  mutating func begin(after chunk: UInt64) { newest = chunk }

  private mutating func expect(_ chunks: ClosedRange<UInt64>, now: Duration) {
    for chunk in chunks where missing.count < Self.limit {
      missing.append(Missing(chunk: chunk, since: now, next: now + wait))
    }
  }

  /// Somebody was asked in vain.
  mutating func retry(_ chunks: ClosedRange<UInt64>, now: Duration) {
    for chunk in chunks.prefix(Self.limit) {
      if let index = missing.firstIndex(where: { $0.chunk == chunk }) {
        missing[index].isAsked = false
        missing[index].next = now + Self.interval
      } else if missing.count < Self.limit {
        missing.append(Missing(chunk: chunk, since: now, next: now + Self.interval))
      }
    }
  }

  mutating func note(_ have: Advertisement) {
    if let index = owners.firstIndex(where: { $0.peer == have.peer }) {
      owners[index].chunks.insert(have.chunks)
    } else {
      if owners.count >= Self.ownersLimit { owners.removeFirst() }
      owners.append((have.peer, Possession()))
      owners[owners.count - 1].chunks.insert(have.chunks)
    }
  }

  mutating func forget(_ peer: PeerRef) { owners.removeAll { $0.peer == peer } }

  /// Whom to ask for what now: one of the spares that has it, or in the end the source, where that is given.
  mutating func requests(
    among spares: [PeerRef],
    source: PeerRef?,
    now: Duration,
    random: inout RandomSource,
    isHere: (UInt64) -> Bool
  ) -> [(chunk: UInt64, peer: PeerRef)] {
    missing.removeAll { now - $0.since >= Self.lifetime || isHere($0.chunk) }
    var found: [(chunk: UInt64, peer: PeerRef)] = []
    for index in missing.indices where !missing[index].isAsked && missing[index].next <= now {
      let chunk = missing[index].chunk
      let holders = spares.filter { peer in
        owners.contains { $0.peer == peer && $0.chunks.contains(chunk) }
      }
      missing[index].tries += 1
      if let holder = holders.randomElement(using: &random) {
        found.append((chunk, holder))
        missing[index].isAsked = true
      } else if let source, missing[index].tries > Self.patience {
        found.append((chunk, source))
        missing[index].isAsked = true
      } else {
        missing[index].next = now + Self.interval
      }
    }
    return found
  }
}
