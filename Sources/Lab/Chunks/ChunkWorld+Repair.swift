import PluginKit

// Repair has one owner, the host: it knows what is missing, whom it asked and when, and asks nobody twice at once.
extension ChunkWorld {
  /// How long a chunk may be overtaken by what its parent sent after it before it counts as missing.
  private static let reorderGrace: Int64 = 4_000_000
  /// How long a parent that is pushing may pause beyond the rhythm of the stream.
  private static let pushPause: Int64 = 40_000_000
  /// How long to wait when there is nobody to ask.
  private static let pause: Int64 = 20_000_000
  private static let outstandingLimit = 256
  static let requestLimit: UInt32 = 512
  /// How often those who follow a spare look whether it has more.
  static let haveInterval: Int64 = 100_000_000

  // MARK: Finding out

  func missing(_ index: Int, _ chunk: UInt32) -> Int? {
    guard let last = peers[index].missing.last, last.chunk >= chunk else { return nil }
    let place = position(index, chunk)
    return peers[index].missing[place].chunk == chunk ? place : nil
  }

  /// Where a chunk stands in the ascending list of what is missing, or would stand.
  private func position(_ index: Int, _ chunk: UInt32) -> Int {
    var low = 0
    var high = peers[index].missing.count
    while low < high {
      let middle = (low + high) / 2
      if peers[index].missing[middle].chunk < chunk { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// A parent says which chunk it begins with.
  mutating func expect(_ index: Int, from chunk: UInt32) {
    let expected = peers[index].expected
    guard expected > 0 else {
      peers[index].expected = chunk
      return
    }
    if chunk > expected, chunk - expected < view.size { look(index, upTo: chunk - 1, at: now) }
  }

  /// A chunk is here: what lies before it and is not, is missing.
  mutating func found(_ index: Int, _ chunk: UInt32, from link: Int) {
    if let place = missing(index, chunk) {
      let entry = peers[index].missing.remove(at: place)
      if entry.source != ChunkPeer.nobody {
        settle(index, entry.source)
        measurement.repaired += 1
        peers[index].links[link].repairsFrom += 1
      } else {
        peers[index].overtaken = max(now - entry.since, peers[index].overtaken)
      }
    }
    let expected = peers[index].expected
    if chunk > expected {
      // Whoever jumps further than a window has left what was before.
      if chunk - expected > view.size { peers[index].expected = max(view.first(index), 1) }
      look(index, upTo: chunk - 1, at: now + Self.reorderGrace)
    }
    if chunk >= peers[index].expected {
      peers[index].expected = chunk + 1
      if peers[index].missing.isEmpty { peers[index].overtaken -= peers[index].overtaken / 64 }
    }
  }

  /// Everything from `expected` to `last` should have come.
  private mutating func look(_ index: Int, upTo last: UInt32, at time: Int64) {
    guard index != 0 else { return }
    var chunk = max(peers[index].expected, view.first(index), 1)
    guard chunk <= last else { return }
    while chunk <= last, peers[index].missing.count < ChunkPeer.missingLimit {
      if !view.has(index, chunk) {
        peers[index].missing.append(
          ChunkPeer.Missing(
            chunk: chunk,
            source: ChunkPeer.nobody,
            tries: 0,
            isTopologys: false,
            isTold: false,
            since: now,
            next: time
          )
        )
      }
      chunk += 1
    }
    peers[index].expected = max(peers[index].expected, chunk)
    planRepair(index, time)
  }

  mutating func planRepair(_ index: Int, _ time: Int64) {
    let time = max(time, now)
    guard time < peers[index].nextRepair else { return }
    peers[index].nextRepair = time
    events.schedule(ChunkEvent(.repair, at: time, to: index))
  }

  /// A parent pushes in order: notes how far it is.
  mutating func notePush(_ index: Int, _ link: Int, _ chunk: UInt32) {
    let side = peers[index].links[link]
    guard side.parentStripes.rawValue != 0, side.pushed < chunk else { return }
    if !peers[index].missing.isEmpty, let place = missing(index, chunk),
      peers[index].missing[place].source == side.peer
    {
      return
    }
    peers[index].links[link].pushed = chunk
    guard !peers[index].missing.isEmpty else { return }
    // What it has passed over does not come by itself any more, whenever it was to be asked for.
    let time = now + Self.reorderGrace
    for place in peers[index].missing.indices.reversed() {
      let entry = peers[index].missing[place]
      guard entry.chunk < chunk else { continue }
      guard entry.chunk > side.pushed else { break }
      guard entry.tries == 0, entry.next > time, side.parentStripes.contains(stripe: stripe(of: entry.chunk))
      else { continue }
      peers[index].missing[place].next = time
      planRepair(index, time)
    }
  }

  // MARK: Asking

  /// The topology asks for chunks by itself; false when that is not possible.
  mutating func request(_ index: Int, _ chunks: ClosedRange<UInt32>, from link: Int) -> Bool {
    let side = peers[index].links[link]
    let newest = max(view.newest(index), peers[index].expected)
    guard index != 0, side.carriesRequests, chunks.upperBound >= max(view.first(index), 1),
      newest == 0 || chunks.lowerBound <= newest &+ view.size
    else { return false }
    let first = max(chunks.lowerBound, view.first(index), 1)
    let last = min(chunks.upperBound, first &+ Self.requestLimit)
    if peers[index].expected == 0 { peers[index].expected = first }
    if last >= peers[index].expected { look(index, upTo: last, at: now + ChunkWorld.patience / 2) }
    var ranges: [ClosedRange<UInt32>] = []
    for chunk in first...last where !view.has(index, chunk) {
      guard peers[index].links[link].outstanding < Self.outstandingLimit else { break }
      var place = position(index, chunk)
      if place == peers[index].missing.count || peers[index].missing[place].chunk != chunk {
        guard peers[index].missing.count < ChunkPeer.missingLimit else { break }
        let entry = ChunkPeer.Missing(
          chunk: chunk,
          source: ChunkPeer.nobody,
          tries: 0,
          isTopologys: true,
          isTold: true,
          since: now,
          next: now
        )
        peers[index].missing.insert(entry, at: place)
        place = position(index, chunk)
      }
      assign(index, place, to: link)
      peers[index].missing[place].isTopologys = true
      Self.append(chunk, to: &ranges)
    }
    for range in ranges {
      send(index, link, .request(range, isTopologys: true), WireCost.ranges + WireCost.range)
    }
    return !ranges.isEmpty || side.outstanding < Self.outstandingLimit
  }

  private static func append(_ chunk: UInt32, to ranges: inout [ClosedRange<UInt32>]) {
    if let last = ranges.last, last.upperBound + 1 == chunk {
      ranges[ranges.count - 1] = last.lowerBound...chunk
    } else {
      ranges.append(chunk...chunk)
    }
  }

  private mutating func assign(_ index: Int, _ place: Int, to link: Int) {
    let old = peers[index].missing[place].source
    if old != ChunkPeer.nobody { settle(index, old) }
    let side = peers[index].links[link]
    measurement.requested += 1
    let tries = peers[index].missing[place].tries
    // A chunk that takes long to send is waited for; nobody keeps others from being asked in time.
    let sending = chunkTime(Int(side.peer)) * 2
    let patience = min(timeout(side.trip) + sending, Self.patience / 4)
    peers[index].missing[place].source = side.peer
    peers[index].missing[place].tries = min(tries, 250) + 1
    peers[index].missing[place].isTold = true
    peers[index].missing[place].next = now + patience * (tries < 3 ? 1 : 2)
    peers[index].links[link].outstanding += 1
    planRepair(index, peers[index].missing[place].next)
  }

  /// How long a chunk takes through an upload, by what its owner says.
  private func chunkTime(_ peer: Int) -> Int64 {
    let upload = plan.peers[peer].access.upload
    return upload == 0 ? 0 : Int64(UInt64(chunkBytes) * 8_000_000_000 / upload)
  }

  private mutating func settle(_ index: Int, _ source: UInt32) {
    guard let link = link(index, to: source), peers[index].links[link].outstanding > 0 else { return }
    peers[index].links[link].outstanding -= 1
  }

  /// A link cannot answer any more: what was asked over it is asked elsewhere, at once.
  mutating func reassign(_ index: Int, from link: Int, because reason: RequestFailure) {
    let peer = peers[index].links[link].peer
    guard peers[index].links[link].outstanding > 0 else { return }
    var failed: [ClosedRange<UInt32>] = []
    for place in peers[index].missing.indices where peers[index].missing[place].source == peer {
      peers[index].missing[place].source = ChunkPeer.nobody
      peers[index].missing[place].next = now
      if peers[index].missing[place].isTopologys {
        peers[index].missing[place].isTopologys = false
        Self.append(peers[index].missing[place].chunk, to: &failed)
      }
    }
    peers[index].links[link].outstanding = 0
    planRepair(index, now)
    for range in failed { tellFailure(index, peer, range, reason) }
  }

  private mutating func tellFailure(
    _ index: Int,
    _ peer: UInt32,
    _ range: ClosedRange<UInt32>,
    _ reason: RequestFailure
  ) {
    let chunks = UInt64(range.lowerBound)...UInt64(range.upperBound)
    tell(index, .requestFailed(view.reference(peer, at: index), chunks, reason))
  }

  /// Asks for what is due, merged into ranges.
  mutating func repair(_ index: Int) {
    peers[index].nextRepair = ChunkPeer.never
    guard peers[index].state == .running else { return }
    followSpares(index)
    forgetOld(index)
    var requests: [(link: Int, chunks: ClosedRange<UInt32>)] = []
    var failed: [(peer: UInt32, chunks: ClosedRange<UInt32>)] = []
    var gaps: [ClosedRange<UInt32>] = []
    var next = ChunkPeer.never
    for place in peers[index].missing.indices {
      if peers[index].missing[place].next <= now {
        let entry = peers[index].missing[place]
        if entry.isTopologys, entry.source != ChunkPeer.nobody {
          if let last = failed.last, last.peer == entry.source, last.chunks.upperBound + 1 == entry.chunk {
            failed[failed.count - 1].chunks = last.chunks.lowerBound...entry.chunk
          } else {
            failed.append((entry.source, entry.chunk...entry.chunk))
          }
          settle(index, entry.source)
          peers[index].missing[place].source = ChunkPeer.nobody
          peers[index].missing[place].isTopologys = false
          peers[index].missing[place].next = max(now + Self.pause, entry.since + Self.patience / 2)
        } else if let later = awaited(index, entry) {
          peers[index].missing[place].next = later
        } else if !entry.isTold, peers[index].wishes.contains(.gaps) {
          // The topology is the first to choose.
          peers[index].missing[place].isTold = true
          peers[index].missing[place].next = max(now + Self.pause, entry.since + Self.patience / 2)
          Self.append(entry.chunk, to: &gaps)
        } else if let link = source(index, entry) {
          assign(index, place, to: link)
          if let last = requests.last, last.link == link, last.chunks.upperBound + 1 == entry.chunk {
            requests[requests.count - 1].chunks = last.chunks.lowerBound...entry.chunk
          } else {
            requests.append((link, entry.chunk...entry.chunk))
          }
        } else {
          peers[index].missing[place].next = now + Self.pause
        }
      }
      next = min(next, peers[index].missing[place].next)
    }
    for request in requests {
      let bytes = WireCost.ranges + WireCost.range
      send(index, request.link, .request(request.chunks, isTopologys: false), bytes)
    }
    if isOrphan(index), peers[index].links.contains(where: { !$0.isFree && $0.claimed == .spare }) {
      next = min(next, now + Self.haveInterval)
    }
    // With nobody to ask, the next link brings it up again.
    if next < .max, canRepair(index) { planRepair(index, next) }
    for failure in failed { tellFailure(index, failure.peer, failure.chunks, .timeout) }
    guard !gaps.isEmpty else { return }
    let deadline = Duration.nanoseconds(now + Self.patience)
    tell(
      index,
      .gaps(gaps.map { Gap(chunks: UInt64($0.lowerBound)...UInt64($0.upperBound), deadline: deadline) })
    )
  }

  private func canRepair(_ index: Int) -> Bool {
    if !peers[index].wishes.isDisjoint(with: [.gaps, .chunks]) { return true }
    return peers[index].links.contains {
      !$0.isFree && ($0.parentStripes.rawValue != 0 || $0.claimed == .spare)
    }
  }

  /// Until when a chunk is waited for because it may still be pushed; `nil` when it is to be asked for.
  private func awaited(_ index: Int, _ entry: ChunkPeer.Missing) -> Int64? {
    guard entry.tries == 0 else { return nil }
    let stripe = stripe(of: entry.chunk)
    var hasParent = false
    for side in peers[index].links where !side.isFree && side.parentStripes.contains(stripe: stripe) {
      guard !side.isSilent else { continue }
      hasParent = true
      guard side.pushed < entry.chunk else { continue }
      // The next of its stripes comes in the stream's rhythm.
      let share = Int64(stripes) / Int64(max(1, side.parentStripes.rawValue.nonzeroBitCount))
      let rhythm = share > 1 ? interval * share * 3 / 2 : 0
      let limit = side.lastProgress + side.trip + Self.pushPause + rhythm
      if limit > now { return limit }
    }
    guard !hasParent, peers[index].wishes.contains(.chunks) else { return nil }
    // Without parents chunks come by several ways: as late as they came lately, this one may come too.
    let limit = entry.since + max(Self.reorderGrace, peers[index].overtaken * 5 / 4)
    return limit > now ? limit : nil
  }

  /// What has left the window, or was waited for in vain, is not looked for any more.
  private mutating func forgetOld(_ index: Int) {
    guard let first = peers[index].missing.first else { return }
    let limit = view.first(index)
    guard first.chunk < limit || now - first.since >= Self.patience else { return }
    for entry in peers[index].missing where entry.chunk < limit || now - entry.since >= Self.patience {
      if entry.source != ChunkPeer.nobody { settle(index, entry.source) }
    }
    peers[index].missing.removeAll { $0.chunk < limit || now - $0.since >= Self.patience }
  }

  /// Whether nobody who pushes to us is heard.
  private func isOrphan(_ index: Int) -> Bool {
    !peers[index].links.contains { !$0.isFree && $0.parentStripes.rawValue != 0 && !$0.isSilent }
  }

  /// An orphan looks for what its spares have.
  private mutating func followSpares(_ index: Int) {
    guard index != 0, peers[index].expected > 0, isOrphan(index) else { return }
    var horizon: UInt32 = 0
    for side in peers[index].links where !side.isFree && side.claimed == .spare {
      if reaches(Int(side.peer), index) { horizon = max(horizon, view.newest(Int(side.peer))) }
    }
    if horizon >= peers[index].expected { look(index, upTo: horizon, at: now) }
  }

  /// Whom to ask: the parent first, then in turn the spares that have it.
  private func source(_ index: Int, _ entry: ChunkPeer.Missing) -> Int? {
    let stripe = stripe(of: entry.chunk)
    var parent: Int?
    var holders: [Int] = []
    for link in peers[index].links.indices {
      let side = peers[index].links[link]
      guard !side.isFree, side.isOpen, Int(side.outstanding) < Self.outstandingLimit else { continue }
      if side.parentStripes.contains(stripe: stripe), !side.isSilent {
        parent = link
      } else if side.claimed == .spare, side.lostSince == ChunkPeer.never,
        view.has(Int(side.peer), entry.chunk)
      {
        holders.append(link)
      }
    }
    guard !holders.isEmpty else { return parent }
    guard let parent else { return holders[Int(entry.tries) % holders.count] }
    // Every other try goes to a spare.
    return entry.tries % 2 == 0 ? parent : holders[Int(entry.tries) / 2 % holders.count]
  }
}
