import PluginKit

// What a peer holds: others ask for it, and are told of it.
extension ChunkWorld {
  // MARK: Answering

  mutating func serve(_ index: Int, _ link: Int, _ chunks: ClosedRange<UInt32>, isTopologys: Bool) {
    guard peers[index].links[link].carriesRequests, chunks.lowerBound <= view.newest(index) else { return }
    let first = max(chunks.lowerBound, view.first(index), 1)
    let last = min(chunks.upperBound, view.newest(index), first &+ Self.requestLimit)
    guard first <= last else { return }
    for chunk in first...last where view.has(index, chunk) && !isWaiting(index, link, chunk) {
      enqueue(index, link, chunk, note: 0, isTopologys ? .requested : .repaired)
    }
  }

  // MARK: Telling what is held

  /// Something is here that others may want to hear of.
  mutating func noteNews(_ index: Int, _ chunk: UInt32) {
    guard peers[index].listeners > 0 else { return }
    if chunk < view.newest(index), peers[index].grown.count < ChunkPeer.grownLimit {
      peers[index].grown.append(chunk)
    }
    planAnnouncement(index)
  }

  mutating func planAnnouncement(_ index: Int) {
    guard !peers[index].hasAnnouncement, view.newest(index) > 0 else { return }
    let due = peers[index].nextAnnouncement
    guard hasReaders(index) else {
      // Nobody's topology listens: only what it costs is counted.
      if due <= now {
        peers[index].nextAnnouncement = now + Self.haveInterval
        spend(index, (WireCost.ranges + WireCost.range) * Int(peers[index].listeners))
      }
      return
    }
    peers[index].hasAnnouncement = true
    events.schedule(ChunkEvent(.announce, at: max(now, due), to: index))
  }

  private func hasReaders(_ index: Int) -> Bool {
    guard wantsHaves else { return false }
    return peers[index].links.contains {
      !$0.isFree && $0.wantsHaves && peers[Int($0.peer)].wishes.contains(.haves)
    }
  }

  /// The biggest interval that holds the newest chunk, and others that have grown, to those who want to know.
  mutating func announce(_ index: Int) {
    peers[index].hasAnnouncement = false
    guard peers[index].state == .running, view.newest(index) > 0 else { return }
    peers[index].nextAnnouncement = now + Self.haveInterval
    let newest = view.newest(index)
    let start = view.runStart(index, newest)
    var ranges: [ClosedRange<UInt32>] = []
    for chunk in peers[index].grown.sorted() where chunk < start && view.has(index, chunk) {
      if let last = ranges.last, last.contains(chunk) { continue }
      var end = chunk
      while view.has(index, end + 1) { end += 1 }
      ranges.append(view.runStart(index, chunk)...end)
    }
    ranges.append(start...newest)
    peers[index].grown.removeAll(keepingCapacity: true)
    let bytes = WireCost.ranges + ranges.count * WireCost.range
    for link in peers[index].links.indices {
      let side = peers[index].links[link]
      guard !side.isFree, side.isOpen, side.wantsHaves else { continue }
      if peers[Int(side.peer)].wishes.contains(.haves) {
        send(index, link, .haves(ranges), bytes)
      } else {
        spend(index, bytes)
      }
    }
  }

  mutating func readHaves(_ index: Int, _ link: Int, _ ranges: [ClosedRange<UInt32>]) {
    for range in ranges { withdraw(index, link, range) }
    guard peers[index].wishes.contains(.haves) else { return }
    let peer = view.reference(peers[index].links[link].peer, at: index)
    tell(
      index,
      .haves(
        ranges.map { Advertisement(peer: peer, chunks: UInt64($0.lowerBound)...UInt64($0.upperBound)) }
      )
    )
  }
}
