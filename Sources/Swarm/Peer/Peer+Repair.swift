import PluginKit
import Wire

/// A chunk that should have come.
struct MissingChunk {
  var chunk: UInt64
  var since: Duration
  /// The channel that was asked last.
  var source: Int?
  var tries = 0
  /// When to ask, or to ask again.
  var next: Duration
  /// Whether the topology asked the one that was asked last.
  var isWish = false
  /// Whether the topology knows of it, so that it is the first to choose whom to ask.
  var isTold = false
}

// Repair has one owner: it knows what is missing, whom it asked and when, and asks nobody twice at once.
extension Peer {
  /// The most chunks that are looked for at a time.
  static let missingLimit = 4096
  /// How long an advertised chunk may be on its way by push.
  static let pushGrace: Duration = .milliseconds(40)
  /// The most chunks that one channel is asked for at a time.
  static let outstandingLimit = 256

  /// The first chunk that this peer will ever hold.
  mutating func begin(at chunk: UInt64) {
    expected = chunk
    nextRead = chunk
  }

  /// The first chunk that a parent promised does not come: output begins with what is here instead.
  ///
  /// False when nothing is here, or what is here has not waited for as long as output waits for any chunk.
  mutating func beginAnew() -> Bool {
    guard readCount == 0, let oldest = window.held.lowest, window.contains(oldest),
      now - window.arrival(of: oldest) >= configuration.patience
    else { return false }
    let chunk = window.newestEntry ?? oldest
    missing.removeAll()
    for index in channels.indices { channels[index].outstanding = 0 }
    begin(at: chunk)
    return true
  }

  /// A parent says which chunk it begins with; those before it that are missing may have been lost on the way.
  mutating func expectFrom(_ chunk: UInt64) {
    // A number that no chunk can have is no promise.
    guard chunk <= lastNumber else { return }
    guard let expected, let nextRead else {
      begin(at: chunk)
      return
    }
    // The first chunk itself was lost.
    if chunk < nextRead, nextRead - chunk < window.size, readCount == 0 {
      self.nextRead = chunk
      for number in chunk..<nextRead where !window.contains(number) && missing.count < Self.missingLimit {
        look(for: number, at: now)
      }
      missing.sort { $0.chunk < $1.chunk }
    }
    // A parent that begins later than we need leaves a hole for the spares.
    if chunk > expected, chunk - expected < window.size { look(upTo: chunk - 1, at: now) }
  }

  /// A chunk is here: what lies before it and is not, is missing.
  mutating func found(_ chunk: UInt64, from index: Int?) {
    if let place = place(of: chunk), missing[place].chunk == chunk {
      let entry = missing.remove(at: place)
      if entry.source == nil || entry.source != index { reordering.note(now - entry.since) }
      if let source = entry.source {
        channels[source].outstanding -= 1
        if let index, !channels[index].isPulled {
          counters.repaired += 1
          channels[index].repairsFrom += 1
        }
      }
    }
    guard let expected else { return }
    if chunk > expected {
      // Whoever jumps further than a window has left what was before.
      if chunk - expected > window.size { self.expected = window.first }
      look(
        upTo: chunk - 1,
        at: now + (index.map { channels[$0].isPulled } == true ? .zero : overtakingTime)
      )
    }
    if chunk >= self.expected ?? 0 { self.expected = chunk + 1 }
    if let index, channels[index].isPulled, channels[index].outstanding < Self.outstandingLimit / 2 {
      extendHorizon()
    }
  }

  /// Everything from `expected` to `last` should have come.
  ///
  /// A source makes the chunks; what it does not have does not exist, whoever says to have it.
  mutating func look(upTo last: UInt64, at time: Duration) {
    guard configuration.role != .source, var chunk = expected, chunk <= last else { return }
    while chunk <= last, missing.count < Self.missingLimit {
      if !window.contains(chunk), unified?.isRepresented(chunk) != true { look(for: chunk, at: time) }
      chunk += 1
    }
    expected = chunk
  }

  private mutating func look(for chunk: UInt64, at time: Duration) {
    missing.append(MissingChunk(chunk: chunk, since: now, next: time))
    nextRepair = min(nextRepair ?? time, time)
  }

  /// Looks for a chunk that was taken for as good as here, and is not.
  mutating func seek(_ chunk: UInt64) {
    guard let expected, chunk < expected, chunk >= max(nextRead ?? 0, window.first),
      !window.contains(chunk), missing.count < Self.missingLimit
    else { return }
    let place = missing.firstIndex { $0.chunk >= chunk } ?? missing.endIndex
    guard place == missing.endIndex || missing[place].chunk != chunk else { return }
    missing.insert(MissingChunk(chunk: chunk, since: now, next: now), at: place)
    nextRepair = now
  }

  /// What those we may pull from have, and have had for long enough that it should have come by push.
  mutating func extendHorizon() {
    guard lastChunk.map({ (expected ?? 0) <= $0 }) ?? true else { return }
    var horizon: UInt64?
    let isOrphan = !hasLivelyParent
    var isPulling = false
    for index in channels.indices where channels[index].isOpen && !channels[index].isChokingUs {
      guard let highest = channels[index].available.highest else { continue }
      if channels[index].isPulled { isPulling = true }
      if channels[index].isPulled || channels[index].isSpare && isOrphan || channels[index].isParent
        || isUnordered && channels[index].answersRequests
      {
        horizon = max(horizon ?? 0, highest)
      }
    }
    guard var horizon else { return }
    if expected == nil {
      guard isPulling,
        let source = channels.first(where: { $0.isOpen && $0.isPulled && !$0.available.isEmpty }),
        let range = source.available.ranges.last
      else { return }
      // Where a decoder can begin is not known of a plain peer: some chunks back, within what it still keeps.
      let back = min(Self.plainPreroll, source.theirWindow - 1)
      begin(at: max(range.lowerBound, range.upperBound - min(back, range.upperBound)))
    }
    if let lastChunk { horizon = min(horizon, lastChunk) }
    if isPulling {
      let room = UInt64(max(0, Self.outstandingLimit * 2 - missing.count))
      horizon = min(horizon, (expected ?? 0) &+ room)
      guard room > 0 else { return }
      look(upTo: horizon, at: now)
    } else if isUnordered {
      look(upTo: horizon, at: now + overtakingTime)
    } else {
      // Pushed chunks are on their way when their HAVE comes.
      let parent = channels.indices.first { channels[$0].isParent && channels[$0].isOpen }
      let trip = parent.flatMap { channels[$0].congestion.roundTrip } ?? .milliseconds(20)
      look(upTo: horizon, at: isOrphan ? now : now + trip + Self.pushGrace)
    }
  }

  /// How many chunks before the newest of a plain peer output begins.
  static let plainPreroll: UInt64 = 512

  func missing(_ chunk: UInt64) -> MissingChunk? {
    guard let place = place(of: chunk), missing[place].chunk == chunk else { return nil }
    return missing[place]
  }

  /// Where a chunk stands in the ascending list of what is missing, or would stand.
  private func place(of chunk: UInt64) -> Int? {
    guard let last = missing.last, last.chunk >= chunk else { return nil }
    var low = 0
    var high = missing.count - 1
    while low < high {
      let middle = (low + high) / 2
      if missing[middle].chunk < chunk { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Asks for what is due.
  mutating func repair() {
    guard let due = nextRepair, due <= now else { return }
    forgetOld()
    nextRepair = nil
    for place in missing.indices where missing[place].next <= now { attend(place) }
    nextRepair = missing.lazy.map(\.next).min()
    flushFailures()
    flushRequests()
  }

  private mutating func attend(_ place: Int) {
    let entry = missing[place]
    if entry.isWish, let source = entry.source {
      fail(entry.chunk...entry.chunk, channels[source].peer, .timeout)
      release(place)
    }
    let turn = entry.since + configuration.patience / 2
    if let later = push(of: entry.chunk) {
      missing[place].next = later
    } else if entry.isTold || wants(.gaps, of: entry.chunk), turn > now {
      if !entry.isTold { tellGap(entry) }
      missing[place].isTold = true
      missing[place].next = turn
    } else if let index = source(for: entry) {
      assign(place, to: index, isWish: false)
    } else {
      missing[place].next = now + .milliseconds(20)
    }
  }

  /// What has left the window, or was given up by the output, is not looked for any more.
  private mutating func forgetOld() {
    let limit = max(window.first, nextRead ?? 0)
    guard let first = missing.first, first.chunk < limit else { return }
    for entry in missing where entry.chunk < limit {
      guard let source = entry.source else { continue }
      channels[source].outstanding -= 1
      if entry.isWish { fail(entry.chunk...entry.chunk, channels[source].peer, .unavailable) }
    }
    missing.removeAll { $0.chunk < limit }
    flushFailures()
  }

  /// Whom to ask: the parent first, then in turn whoever is known to have it, the source after the others.
  private mutating func source(for entry: MissingChunk) -> Int? {
    var parent = feeder(of: entry.chunk)?.index
    if let index = parent, !mayAsk(index) { parent = nil }
    var holders: [Int] = []
    var strangers: [Int] = []
    for index in channels.indices where index != parent && isHolder(index, of: entry.chunk) && mayAsk(index) {
      let isChosen = isUnordered ? channels[index].isLink : channels[index].isClaimed
      if isChosen { holders.append(index) } else { strangers.append(index) }
    }
    // The upload of the source is that of all: were it asked whenever a parent is slow, one that has fallen behind would
    // not be let catch up.
    let hasOthers = holders.contains { channels[$0].hello?.depth != 0 }
    if parent == nil ? hasOthers && entry.tries < 2 : now - entry.since < configuration.patience / 2 {
      holders.removeAll { channels[$0].hello?.depth == 0 }
    }
    // Anybody can come and say that it has everything: who came by itself is asked when the others have failed.
    if entry.tries >= 2 || parent == nil && holders.isEmpty { holders += strangers }
    guard !holders.isEmpty else { return parent }
    guard let parent else {
      let share = isUnordered ? Int((me.id.ring &+ entry.chunk / 4) % UInt64(holders.count)) : 0
      return holders[(entry.tries + share) % holders.count]
    }
    // Every other try goes to a spare.
    return entry.tries % 2 == 0 ? parent : holders[entry.tries / 2 % holders.count]
  }

  private mutating func isHolder(_ index: Int, of chunk: UInt64) -> Bool {
    channels[index].isOpen
      && (channels[index].isPulled || channels[index].isSpare || channels[index].answersRequests)
      && channels[index].has(chunk)
  }

  private func mayAsk(_ index: Int) -> Bool {
    !channels[index].isChokingUs && channels[index].outstanding < Self.outstandingLimit
      && channels[index].understands(MessageType.request)
  }
}
