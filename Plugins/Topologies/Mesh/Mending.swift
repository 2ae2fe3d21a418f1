internal import Membership
internal import PluginKit

/// Chunks that did not come, and of whom they are asked.
///
/// Who misses a chunk that another peer has asks that one. When the chunk was lost on its way from the source, nobody has
/// it, and if all asked the source it would have to send it to each. So one of them, by the chunk's number, asks and passes
/// it on; only when that does not help others ask the source as well.
struct Mending {
  /// The most chunks that are looked for; past it the host repairs alone.
  static let limit = 512
  /// How many intervals are remembered of what one member has.
  private static let rangesLimit = 4
  /// After so many looks in vain the source is asked whoever's turn it is.
  private static let patience = 4

  private struct Missing {
    var chunk: UInt64
    var deadline: Duration
    var next: Duration
    var tries = 0
    var isAsked = false
  }

  private var missing: [Missing] = []
  private var owned: [(peer: PeerRef, ranges: [ClosedRange<UInt64>])] = []
  /// Chunks that others wait for to get from us.
  private var duties: [UInt64] = []

  /// When to look again.
  var next: Duration? { missing.lazy.filter { !$0.isAsked }.map(\.next).min() }

  mutating func look(for gap: Gap) {
    for chunk in gap.chunks {
      guard missing.count < Self.limit else { return }
      guard !missing.contains(where: { $0.chunk == chunk }) else { continue }
      missing.append(Missing(chunk: chunk, deadline: gap.deadline, next: .zero))
    }
  }

  mutating func retry(_ chunks: ClosedRange<UInt64>, at time: Duration) {
    for index in missing.indices where chunks.contains(missing[index].chunk) {
      missing[index].isAsked = false
      missing[index].next = time
    }
  }

  /// A chunk is here; says whether it is to be passed on to all.
  mutating func arrived(_ chunk: UInt64) -> Bool {
    missing.removeAll { $0.chunk == chunk }
    guard let index = duties.firstIndex(of: chunk) else { return false }
    duties.remove(at: index)
    return true
  }

  mutating func note(_ haves: [Advertisement]) {
    for have in haves {
      if let index = owned.firstIndex(where: { $0.peer == have.peer }) {
        owned[index].ranges.removeAll { have.chunks.overlaps($0) }
        owned[index].ranges.append(have.chunks)
        if owned[index].ranges.count > Self.rangesLimit { owned[index].ranges.removeFirst() }
      } else {
        owned.append((have.peer, [have.chunks]))
        if owned.count > 2 * 128 { owned.removeFirst() }
      }
    }
  }

  mutating func forget(_ peer: PeerRef) { owned.removeAll { $0.peer == peer } }

  /// Whom to ask for what now; `members` stand in an order that all share, and what nobody can be asked for is looked at again
  /// at `next`.
  mutating func requests(
    among members: [Member],
    me: PeerID,
    now: Duration,
    next: Duration,
    isHere: (UInt64) -> Bool
  ) -> [(chunk: UInt64, peer: PeerRef)] {
    missing.removeAll { $0.deadline <= now || isHere($0.chunk) }
    guard let source = members.first(where: { $0.isSource })?.peer else { return [] }
    let peers = members.filter { !$0.isSource }
    let place = peers.count { $0.contact.id < me }
    var found: [(chunk: UInt64, peer: PeerRef)] = []
    for index in missing.indices where !missing[index].isAsked && missing[index].next <= now {
      let chunk = missing[index].chunk
      let holders = peers.filter { member in
        owned.contains { $0.peer == member.peer && $0.ranges.contains { $0.contains(chunk) } }
      }
      let isMine = Int(chunk % UInt64(peers.count + 1)) == place
      missing[index].tries += 1
      if !holders.isEmpty {
        found.append((chunk, holders[(place + missing[index].tries) % holders.count].peer))
        missing[index].isAsked = true
      } else if isMine || missing[index].tries > Self.patience {
        found.append((chunk, source))
        missing[index].isAsked = true
        if isMine, !duties.contains(chunk) { duties.append(chunk) }
        if duties.count > Self.limit { duties.removeFirst() }
      } else {
        missing[index].next = next
      }
    }
    return found
  }
}
