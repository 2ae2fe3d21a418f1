import PluginKit

// Telling silence from a pause, without a heartbeat: a peer that is gone or cut off is noticed as hosts notice it.
extension ChunkWorld {
  /// The shortest silence of a parent that counts.
  private static let shortestSilence: Int64 = 150_000_000
  /// How long a silence is between two reports of it.
  private static let silenceInterval: Int64 = 60_000_000
  /// A parent that is heard but brings nothing new, while others have more, is as good as silent.
  private static let stallLimit: Int64 = 600_000_000
  /// How many chunks more a spare must have for that.
  private static let stallDistance: UInt32 = 8
  /// After this a link is given up.
  private static let deadAfter: Int64 = 6_000_000_000

  private func silenceLimit(_ trip: Int64) -> Int64 {
    max(Self.shortestSilence, interval * 3 + min(trip * 2, 1_000_000_000))
  }

  /// Nothing can come from a peer any more, for now: its links will find out.
  mutating func notice(loss other: UInt32, at index: Int) {
    guard peers[index].state == .running, let link = link(index, to: other) else { return }
    if peers[index].links[link].lostSince == ChunkPeer.never {
      peers[index].links[link].lostSince = now + peers[index].links[link].latency
    }
    planSilence(index, link)
  }

  private mutating func planSilence(_ index: Int, _ link: Int) {
    let side = peers[index].links[link]
    var time = side.lostSince + (isWatched(index, link) ? silenceLimit(side.trip) : Self.deadAfter)
    if side.isSilent { time = min(now + Self.silenceInterval, side.lostSince + Self.deadAfter) }
    time = max(time, now + 1)
    peers[index].links[link].silenceAt = time
    events.schedule(ChunkEvent(.silence, at: time, to: index, from: side.peer))
  }

  /// Whether a link's silence is told: it feeds us, or chunks that are pushed to it get no answer.
  private func isWatched(_ index: Int, _ link: Int) -> Bool {
    let side = peers[index].links[link]
    return side.parentStripes.rawValue != 0
      || peers[index].wishes.contains(.chunks) && side.waiting > 0
      || peers[index].wishes.contains(.chunks) && side.lastPush > side.lostSince - 1_000_000_000
  }

  mutating func watchSilence(_ index: Int, _ other: UInt32) {
    guard peers[index].state == .running, let link = link(index, to: other),
      peers[index].links[link].silenceAt == now
    else { return }
    let isHeard = reaches(Int(other), index) && self.link(Int(other), to: UInt32(index)) != nil
    guard !isHeard || peers[Int(other)].state == .gone else {
      peers[index].links[link].lostSince = ChunkPeer.never
      peers[index].links[link].isSilent = false
      if !peers[index].missing.isEmpty { planRepair(index, now) }
      return
    }
    let since = peers[index].links[link].lostSince
    if now - since >= Self.deadAfter {
      lose(index, link, .silent)
      return
    }
    guard isWatched(index, link) else {
      planSilence(index, link)
      return
    }
    report(index, link, since: since)
    if let link = self.link(index, to: other), peers[index].links[link].lostSince == since {
      planSilence(index, link)
    }
  }

  private mutating func report(_ index: Int, _ link: Int, since: Int64) {
    peers[index].links[link].isSilent = true
    reassign(index, from: link, because: .timeout)
    planRepair(index, now)
    let peer = view.reference(peers[index].links[link].peer, at: index)
    tell(index, .silence(peer, for: .nanoseconds(now - since)))
  }

  /// Somebody feeds us from now on.
  mutating func watchParents(_ index: Int) {
    guard !peers[index].hasStallWatch else { return }
    peers[index].hasStallWatch = true
    events.schedule(ChunkEvent(.stall, at: now + Self.stallLimit, to: index))
  }

  mutating func watchStalls(_ index: Int) {
    peers[index].hasStallWatch = false
    guard peers[index].state == .running else { return }
    let newest = view.newest(index)
    let isBehind = peers[index].links.contains {
      !$0.isFree && $0.claimed == .spare && reaches(Int($0.peer), index)
        && view.newest(Int($0.peer)) > newest &+ Self.stallDistance
    }
    var next = ChunkPeer.never
    for link in peers[index].links.indices {
      let side = peers[index].links[link]
      guard !side.isFree, side.parentStripes.rawValue != 0 else { continue }
      guard now - side.lastProgress >= Self.stallLimit else {
        next = min(next, side.lastProgress + Self.stallLimit)
        continue
      }
      next = min(next, now + (isBehind ? Self.silenceInterval : Self.haveInterval))
      if isBehind, side.lostSince == ChunkPeer.never { report(index, link, since: side.lastProgress) }
    }
    guard next < .max, peers[index].state == .running, !peers[index].hasStallWatch else { return }
    peers[index].hasStallWatch = true
    events.schedule(ChunkEvent(.stall, at: next, to: index))
  }
}
