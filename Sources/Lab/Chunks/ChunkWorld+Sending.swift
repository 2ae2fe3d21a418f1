import PluginKit

// Chunks on their way: through the sender's upload, over the way, through the receiver's download.
extension ChunkWorld {
  /// The most chunks that wait for one link.
  private static let waitingLimit = 16_384

  func stripe(of chunk: UInt32) -> Int { Int(chunk % stripes) }

  // MARK: What is to be sent

  /// A chunk has come: everybody with a route for its stripe gets it.
  mutating func forward(_ index: Int, _ chunk: UInt32, except origin: Int?) {
    let stripe = UInt16(stripe(of: chunk))
    for place in peers[index].routes.indices {
      let route = peers[index].routes[place]
      guard route.stripe == stripe, route.from <= chunk, Int(route.link) != origin else { continue }
      enqueue(index, Int(route.link), chunk, note: 0, .fresh)
    }
  }

  /// A standing rule, which begins with what the window holds.
  mutating func route(_ index: Int, _ link: Int, _ stripe: UInt16, from: UInt64?) {
    let newest = view.newest(index)
    let entry = view.newestEntry(index)
    let next = newest > 0 ? newest + 1 : peers[index].expected
    var first = from.map { UInt32(clamping: $0) } ?? (entry > 0 ? entry : next)
    first = max(first, view.first(index), 1)
    dropRoutes(index, link) { $0 == stripe }
    withdraw(index, link) { [stripes] in $0.chunk % stripes == UInt32(stripe) }
    peers[index].routes.append(ChunkPeer.Route(stripe: stripe, link: UInt16(link), from: first))
    peers[index].links[link].routeCount += 1
    var chunk = first
    while chunk <= newest {
      if self.stripe(of: chunk) == Int(stripe), view.has(index, chunk) {
        enqueue(index, link, chunk, note: 0, .later)
      }
      chunk += 1
    }
  }

  /// Ends a route to a child, or asks a parent to end its route to us.
  mutating func stop(_ index: Int, _ link: Int, _ stripe: Int) {
    let hadRoutes = peers[index].links[link].routeCount > 0
    dropRoutes(index, link) { Int($0) == stripe }
    if hadRoutes, peers[index].links[link].routeCount == 0 { forgetQueue(index, link) }
    guard peers[index].links[link].parentStripes.contains(stripe: stripe) else { return }
    peers[index].links[link].parentStripes.subtract(StripeSet(stripe))
    send(index, link, .stop(StripeSet(stripe)), WireCost.stop)
  }

  mutating func dropRoutes(_ index: Int, _ link: Int, where isMeant: (UInt16) -> Bool) {
    guard peers[index].links[link].routeCount > 0 else { return }
    peers[index].routes.removeAll { Int($0.link) == link && isMeant($0.stripe) }
    peers[index].links[link].routeCount = UInt16(peers[index].routes.count { Int($0.link) == link })
  }

  mutating func enqueue(_ index: Int, _ link: Int, _ chunk: UInt32, note: UInt64, _ cause: ChunkCause) {
    guard peers[index].behaviour != .freeRider || index == 0 else { return }
    guard peers[index].links[link].waiting < Self.waitingLimit else {
      overflow(index, link, chunk)
      return
    }
    var extra: UInt32 = 0
    let isSampled = sample(of: chunk) != nil
    if note != 0 || isSampled {
      extra = makeExtra(ChunkExtra(note: note, cause: cause, isSampled: isSampled))
    }
    let entry = WaitingChunk(chunk: chunk, extra: extra, since: now)
    if isIdle(index) {
      transmit(index, link, entry)
      return
    }
    if cause == .requested || cause == .repaired {
      waiting.append(entry, to: &peers[index].links[link].urgent)
    } else {
      waiting.append(entry, to: &peers[index].links[link].queue)
    }
    peers[index].links[link].waiting += 1
    peers[index].takeTurn(link)
    startSending(index)
  }

  /// Whether what is to be sent can go at once.
  private func isIdle(_ index: Int) -> Bool {
    !peers[index].isWakeSet && peers[index].uploadFree <= now && peers[index].hasNoTurns
  }

  private mutating func makeExtra(_ extra: ChunkExtra) -> UInt32 {
    if let free = freeExtras.popLast() {
      extras[Int(free)] = extra
      return free
    }
    extras.append(extra)
    return UInt32(extras.count - 1)
  }

  /// Takes back what waits for a link.
  mutating func forgetQueue(_ index: Int, _ link: Int) {
    while let entry = waiting.removeFirst(&peers[index].links[link].urgent) { release(entry) }
    while let entry = waiting.removeFirst(&peers[index].links[link].queue) { release(entry) }
    peers[index].links[link].waiting = 0
  }

  private mutating func release(_ entry: WaitingChunk) {
    if entry.extra != 0 { freeExtras.append(entry.extra) }
  }

  /// Takes back some of what waits for a link, apart from what was asked for.
  private mutating func withdraw(_ index: Int, _ link: Int, where isMeant: (WaitingChunk) -> Bool) {
    guard !peers[index].links[link].queue.isEmpty else { return }
    var kept = WaitingList()
    while let entry = waiting.removeFirst(&peers[index].links[link].queue) {
      if isMeant(entry) {
        release(entry)
        peers[index].links[link].waiting -= 1
      } else {
        waiting.append(entry, to: &kept)
      }
    }
    peers[index].links[link].queue = kept
  }

  /// The other side does not want chunks any more, or has them.
  mutating func withdraw(_ index: Int, _ link: Int, _ chunks: ClosedRange<UInt32>) {
    withdraw(index, link) { [extras] entry in
      chunks.contains(entry.chunk) && extras[Int(entry.extra)].note == 0
    }
  }

  /// Whether a chunk waits to be sent over a link.
  func isWaiting(_ index: Int, _ link: Int, _ chunk: UInt32) -> Bool {
    let side = peers[index].links[link]
    return waiting.contains(chunk, in: side.urgent) || waiting.contains(chunk, in: side.queue)
  }

  // MARK: The upload

  private func duration(_ bytes: Int, _ rate: UInt64) -> Int64 {
    rate == 0 ? 0 : Int64(UInt64(bytes) * 8_000_000_000 / rate)
  }

  /// Takes the upload for something that goes ahead of all chunks; gives the time at which it has left.
  @discardableResult
  mutating func spend(_ index: Int, _ bytes: Int) -> Int64 {
    measurement.controlBytes += UInt64(bytes)
    let time = duration(bytes, peers[index].upload)
    peers[index].controlFree = max(now, peers[index].controlFree) + time
    peers[index].uploadFree = max(now, peers[index].uploadFree) + time
    return peers[index].controlFree
  }

  private mutating func startSending(_ index: Int) {
    guard !peers[index].isWakeSet else { return }
    if peers[index].uploadFree > now { wake(index) } else { sendNext(index) }
  }

  private mutating func wake(_ index: Int) {
    peers[index].isWakeSet = true
    events.schedule(ChunkEvent(.uploadFree, at: peers[index].uploadFree, to: index))
  }

  mutating func continueSending(_ index: Int) {
    peers[index].isWakeSet = false
    guard peers[index].state == .running else { return }
    if peers[index].uploadFree > now { wake(index) } else { sendNext(index) }
  }

  /// Lets the links send in turn for as long as the upload is free.
  private mutating func sendNext(_ index: Int) {
    while let link = peers[index].nextTurn() {
      guard
        let entry = waiting.removeFirst(&peers[index].links[link].urgent)
          ?? waiting.removeFirst(&peers[index].links[link].queue)
      else { return }
      peers[index].links[link].waiting -= 1
      if peers[index].links[link].waiting > 0 { peers[index].takeTurn(link) }
      // Live data is never sent late.
      if now - entry.since >= peers[index].patience || !view.has(index, entry.chunk) {
        release(entry)
        overflow(index, link, entry.chunk)
        continue
      }
      transmit(index, link, entry)
      guard peers[index].uploadFree > now else { continue }
      if !peers[index].hasNoTurns { wake(index) }
      return
    }
  }

  private mutating func overflow(_ index: Int, _ link: Int, _ chunk: UInt32) {
    measurement.overflowed += 1
    peers[index].links[link].lateSince += 1
    mark(Int(peers[index].links[link].peer), chunk, .queue)
  }

  private mutating func transmit(_ index: Int, _ link: Int, _ entry: WaitingChunk) {
    let hasNote = entry.extra != 0 && extras[Int(entry.extra)].note != 0
    let bytes = chunkBytes + (hasNote ? WireCost.note : 0)
    let time = duration(bytes, peers[index].upload)
    let departure = now + time
    peers[index].uploadFree = departure
    tally.sent += 1
    measurement.chunkBytes += UInt64(bytes)
    if index == 0 { measurement.sourceChunks += 1 }
    let target = Int(peers[index].links[link].peer)
    peers[index].links[link].lastUsed = now
    peers[index].links[link].lastPush = now
    // To whom there is a link has been there.
    guard goneCount == 0 && !isDivided || reaches(index, target), !isLost(index, link) else {
      tally.lost += 1
      mark(target, entry.chunk, .repair)
      release(entry)
      return
    }
    let way = peers[index].links[link].latency + jitter(index)
    let arrival = max(departure + way, peers[index].links[link].lastArrival)
    peers[index].links[link].lastArrival = arrival
    if entry.extra != 0 { takeApart(index, entry, serialisation: time, arrival: arrival) }
    events.schedule(
      ChunkEvent(
        .chunk,
        at: arrival,
        to: target,
        from: UInt32(index),
        first: entry.chunk,
        second: entry.extra
      )
    )
  }

  // MARK: The way

  mutating func jitter(_ index: Int) -> Int64 {
    jitter == 0 ? 0 : Int64(peers[index].weather.next() % jitter)
  }

  /// Whether the next datagram on a link is lost.
  ///
  /// Losses in bursts are those of a channel that is either good or lets nothing through (Gilbert, 1960).
  mutating func isLost(_ index: Int, _ link: Int) -> Bool {
    guard loss > 0 else { return false }
    let roll = Double(peers[index].weather.next() >> 11) * 0x1p-53
    guard burst > 1 else { return roll < loss }
    let isInBurst =
      peers[index].links[link].isInBurst
      ? roll >= 1 / burst : roll < loss / (burst * (1 - min(loss, 0.999)))
    peers[index].links[link].isInBurst = isInBurst
    return isInBurst
  }

  // MARK: Arrival

  mutating func arrive(_ event: ChunkEvent) {
    let index = Int(event.to)
    guard peers[index].state == .running else {
      tally.lost += 1
      releaseExtra(event.second)
      return
    }
    if peers[index].download > 0 {
      let time = duration(chunkBytes, peers[index].download)
      let free = max(now, peers[index].downloadFree + time)
      if free - now > plan.peers[index].access.queue.nanoseconds {
        tally.overwhelmed += 1
        measurement.overflowed += 1
        mark(index, event.first, .queue)
        releaseExtra(event.second)
        return
      }
      peers[index].downloadFree = free
      if free > now {
        events.schedule(
          ChunkEvent(
            .downloaded,
            at: free,
            to: index,
            from: event.from,
            first: event.first,
            second: event.second
          )
        )
        return
      }
    }
    take(event)
  }

  private mutating func releaseExtra(_ extra: UInt32) {
    if extra != 0 { freeExtras.append(extra) }
  }

  /// A chunk is here.
  mutating func take(_ event: ChunkEvent) {
    let index = Int(event.to)
    defer { releaseExtra(event.second) }
    guard peers[index].state == .running else {
      tally.lost += 1
      return
    }
    tally.arrived += 1
    guard let link = link(index, to: event.from) else { return }
    // The next hop comes first.
    defer { spend(index, WireCost.acknowledgement) }
    let chunk = event.first
    let note = event.second == 0 ? 0 : extras[Int(event.second)].note
    peers[index].links[link].isSilent = false
    if view.isHere(index, chunk) {
      measurement.arrivals += 1
      measurement.duplicates += 1
      peers[index].links[link].lastProgress = now
      notePush(index, link, chunk)
      guard peers[index].wishes.contains(.duplicates) else { return }
      let sender = view.reference(event.from, at: index)
      tell(index, .duplicates([ChunkArrival(chunk: UInt64(chunk), from: sender, note: note)]))
      return
    }
    guard isSolicited(index, link, chunk), chunk >= view.first(index) else { return }
    guard peers[Int(event.from)].behaviour != .liar || event.from == 0 else {
      measurement.rejected += 1
      mark(index, chunk, .liar)
      peers[index].links[link].falseChunks += 1
      if peers[index].links[link].falseChunks >= Self.falseChunkLimit { punish(index, link) }
      return
    }
    measurement.arrivals += 1
    if peers[index].expected == 0 { peers[index].expected = chunk }
    peers[index].links[link].lastProgress = now
    peers[index].links[link].chunksFrom += 1
    notePush(index, link, chunk)
    view.store(index, chunk)
    // How it came is known before it goes on.
    reached(index, chunk, event.second)
    passOn(index, chunk, from: link)
    found(index, chunk, from: link)
    guard peers[index].wishes.contains(.chunks) else { return }
    let sender = view.reference(event.from, at: index)
    tell(index, .chunks([ChunkArrival(chunk: UInt64(chunk), from: sender, note: note)]))
  }

  /// So many false chunks end a link, as in the product.
  private static let falseChunkLimit: UInt8 = 3

  /// Whether we asked this peer for a chunk, by a stripe or by name.
  private func isSolicited(_ index: Int, _ link: Int, _ chunk: UInt32) -> Bool {
    let side = peers[index].links[link]
    if side.parentStripes.contains(stripe: stripe(of: chunk)) { return true }
    if side.asked > 0, side.askedFor == .data { return true }
    if peers[index].wishes.contains(.chunks) { return true }
    return missing(index, chunk).map { peers[index].missing[$0].source == side.peer } ?? false
  }

  /// A chunk is in the window: on to the next hop at once.
  private mutating func passOn(_ index: Int, _ chunk: UInt32, from link: Int?) {
    peers[index].lastArrival = now
    forward(index, chunk, except: link)
    noteNews(index, chunk)
    guard peers[index].wishes.contains(.windowMoved), view.newest(index) == chunk else { return }
    tell(index, .windowMoved(view.window(index)))
  }

  // MARK: The source

  /// Makes the next chunk.
  mutating func publish() {
    guard now < measured.upperBound else { return }
    let chunk = UInt32(published.count)
    published.append(now)
    measurement.published += 1
    beginSample(chunk)
    peers[0].expected = chunk + 1
    view.store(0, chunk)
    passOn(0, chunk, from: nil)
    if peers[0].wishes.contains(.chunks) {
      let me = view.reference(0, at: 0)
      tell(0, .chunks([ChunkArrival(chunk: UInt64(chunk), from: me, note: 0)]))
    }
    if measured.contains(now), now + deadline <= end {
      events.schedule(ChunkEvent(.reckon, at: now + deadline, to: 0, first: chunk))
    }
    events.schedule(ChunkEvent(.publish, at: now + interval, to: 0))
  }
}
