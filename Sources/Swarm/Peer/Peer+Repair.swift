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
}

// Repair has one owner: it knows what is missing, whom it asked and when, and asks nobody twice at once.
extension Peer {
  /// The most chunks that are looked for at a time.
  static let missingLimit = 4096
  /// How long a chunk may be overtaken before it counts as missing.
  static let reorderGrace: Duration = .milliseconds(4)
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
        at: now + (index.map { channels[$0].isPulled } == true ? .zero : Self.reorderGrace)
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
    let start = chunk
    while chunk <= last, missing.count < Self.missingLimit {
      if !window.contains(chunk), unified?.isRepresented(chunk) != true { look(for: chunk, at: time) }
      chunk += 1
    }
    expected = chunk
    if wants.contains(.gaps), chunk > start {
      gapBatch.append(Gap(chunks: start...(chunk - 1), deadline: now + configuration.patience))
    }
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
    for channel in channels where channel.isOpen && !channel.isChokingUs {
      guard let highest = channel.available.highest else { continue }
      if channel.isPulled {
        isPulling = true
        horizon = max(horizon ?? 0, highest)
      } else if channel.isSpare && isOrphan || !channel.parentStripes.isEmpty {
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
    } else {
      // Pushed chunks are on their way when their HAVE comes.
      let trip = channels.first { $0.isParent && $0.isOpen }?.congestion.roundTrip ?? .milliseconds(20)
      look(upTo: horizon, at: isOrphan ? now : now + trip + Self.pushGrace)
    }
  }

  /// How many chunks before the newest of a plain peer output begins.
  static let plainPreroll: UInt64 = 512

  /// Whether somebody who pushes to us has been heard lately.
  var hasLivelyParent: Bool {
    channels.contains { channel in
      channel.isOpen && !channel.parentStripes.isEmpty && channel.silenceReported == nil
    }
  }

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

  /// A channel cannot answer any more: what it was asked for is asked elsewhere, at once.
  mutating func reassign(from index: Int) {
    for place in missing.indices where missing[place].source == index {
      missing[place].source = nil
      missing[place].next = now
      nextRepair = now
    }
    channels[index].outstanding = 0
  }

  /// The topology asks for chunks by itself.
  mutating func request(_ chunks: ChunkRange, from index: Int) {
    guard !channels[index].isChokingUs, chunks.upperBound <= lastNumber else { return }
    if expected == nil { begin(at: chunks.lowerBound) }
    if let expected, chunks.upperBound >= expected, chunks.upperBound - expected < window.size {
      look(upTo: chunks.upperBound, at: now)
    }
    for place in missing.indices where chunks.contains(missing[place].chunk) {
      assign(place, to: index)
    }
    send(index, lane: .urgent) { [plainFormat] bytes in plainFormat.appendRequest(chunks, to: &bytes) }
  }

  private mutating func assign(_ place: Int, to index: Int) {
    if let old = missing[place].source { channels[old].outstanding -= 1 }
    missing[place].source = index
    missing[place].tries += 1
    // How far away somebody is, is its own word: it must not keep others from being asked in time.
    let patience = min(channels[index].congestion.timeout, configuration.patience / 4)
    missing[place].next = now + patience * (missing[place].tries < 4 ? 1 : 2)
    channels[index].outstanding += 1
  }

  /// Asks for what is due, merged into ranges.
  mutating func repair() {
    guard let due = nextRepair, due <= now else { return }
    forgetOld()
    var requests: [(index: Int, chunks: ChunkRange)] = []
    var next: Duration?
    for place in missing.indices {
      if missing[place].next <= now {
        let chunk = missing[place].chunk
        if let later = push(of: chunk) {
          missing[place].next = later
        } else if let index = source(for: missing[place]) {
          assign(place, to: index)
          if let last = requests.last, last.index == index, last.chunks.upperBound + 1 == chunk {
            requests[requests.count - 1].chunks = last.chunks.lowerBound...chunk
          } else {
            requests.append((index, chunk...chunk))
          }
        } else {
          missing[place].next = now + .milliseconds(20)
        }
      }
      next = min(next ?? missing[place].next, missing[place].next)
    }
    nextRepair = next
    for request in requests {
      send(request.index, lane: .urgent) { [plainFormat] bytes in
        plainFormat.appendRequest(request.chunks, to: &bytes)
      }
    }
  }

  /// A parent pushes in order: notes how far it is.
  mutating func notePush(_ index: Int, _ chunk: UInt64) {
    guard !channels[index].parentStripes.isEmpty, missing(chunk)?.source != index else { return }
    let before = channels[index].pushed
    guard before.map({ $0 < chunk }) ?? true else { return }
    channels[index].pushed = chunk
    // What it has passed over does not come by itself any more, whenever it was to be asked for.
    let time = now + Self.reorderGrace
    for place in missing.indices.reversed() where missing[place].chunk < chunk {
      if let before, missing[place].chunk <= before { break }
      guard missing[place].tries == 0, missing[place].next > time,
        channels[index].parentStripes.contains(stripe: stripe(of: missing[place].chunk))
      else { continue }
      missing[place].next = time
      nextRepair = min(nextRepair ?? time, time)
    }
  }

  /// Until when a chunk is waited for because the parent is pushing what lies before it.
  ///
  /// It may be known from a HAVE, or from what spares sent; to ask for it now would load those who are slow already.
  private func push(of chunk: UInt64) -> Duration? {
    let stripe = stripe(of: chunk)
    for channel in channels where channel.isOpen && channel.parentStripes.contains(stripe: stripe) {
      guard channel.silenceReported == nil, let pushed = channel.pushed, pushed < chunk else { continue }
      let limit = channel.lastProgress + (channel.congestion.roundTrip ?? .milliseconds(20)) + Self.pushPause
      if limit > now { return limit }
    }
    return nil
  }

  /// How long a parent that is pushing may pause.
  private static let pushPause: Duration = .milliseconds(40)

  /// What has left the window, or was given up by the output, is not looked for any more.
  private mutating func forgetOld() {
    let limit = max(window.first, nextRead ?? 0)
    guard let first = missing.first, first.chunk < limit else { return }
    for entry in missing where entry.chunk < limit {
      if let source = entry.source { channels[source].outstanding -= 1 }
    }
    missing.removeAll { $0.chunk < limit }
  }

  /// Whom to ask: the parent first, then in turn whoever is known to have it.
  private func source(for entry: MissingChunk) -> Int? {
    let stripe = stripe(of: entry.chunk)
    var parent: Int?
    var holders: [Int] = []
    var strangers: [Int] = []
    for index in channels.indices where channels[index].isOpen && !channels[index].isChokingUs {
      let channel = channels[index]
      guard channel.outstanding < Self.outstandingLimit, channel.understands(MessageType.request) else {
        continue
      }
      if channel.parentStripes.contains(stripe: stripe), channel.silenceReported == nil {
        parent = index
      } else if channel.isPulled || channel.isSpare, channel.has(entry.chunk) {
        if channel.claimed == nil { strangers.append(index) } else { holders.append(index) }
      }
    }
    // Anybody can come and say that it has everything: who came by itself is asked when the others have failed.
    if entry.tries >= 2 || parent == nil && holders.isEmpty { holders += strangers }
    guard !holders.isEmpty else { return parent }
    guard let parent else { return holders[entry.tries % holders.count] }
    // Every other try goes to a spare.
    return entry.tries % 2 == 0 ? parent : holders[entry.tries / 2 % holders.count]
  }
}
