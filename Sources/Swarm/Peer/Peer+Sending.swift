import PluginKit
import Wire

// Chunks on their way to the next hop.
extension Peer {
  /// A chunk has come: everybody with a route for its stripe gets it.
  mutating func forward(_ chunk: UInt64, from origin: Int?) {
    let (course, stripe) = (course(of: chunk), stripe(of: chunk))
    for index in channels.indices where index != origin && channels.agenda(index).isRouted {
      guard channels[index].isOpen else { continue }
      let isRouted = channels[index].roles[course].routes.contains { $0.stripe == stripe && $0.from <= chunk }
      guard isRouted, !channels[index].has(chunk) else { continue }
      enqueue(chunk, to: index, note: 0, isFresh: true)
      pump(index)
    }
  }

  mutating func enqueue(_ chunk: UInt64, to index: Int, note: UInt64, isFresh: Bool = false) {
    guard channels[index].queue.count < Channel.queueLimit else {
      counters.late += 1
      return
    }
    channels[index].queue.append(
      Channel.Queued(chunk: chunk, deadline: now + configuration.patience, note: note, isFresh: isFresh)
    )
  }

  /// A standing rule, which begins with what the window holds.
  mutating func route(_ stripe: Int, to index: Int, from: UInt64?, in course: Int) {
    let (stripes, share) = (courses[course].stripes, share(of: course))
    let begin = from ?? window.newestEntry ?? window.newest.map { $0 + 1 } ?? expected ?? 0
    let first = max(begin, share.lowerBound)
    channels[index].roles[course].routes.removeAll { $0.stripe == stripe }
    channels[index].roles[course].routes.append(
      Channel.Route(stripe: stripe, from: max(first, window.first))
    )
    channels[index].queue.filter {
      $0.note != 0 || !share.contains($0.chunk) || Int($0.chunk % stripes) != stripe
    }
    for range in held(for: course) where range.upperBound >= first {
      for chunk in max(range.lowerBound, first)...range.upperBound where Int(chunk % stripes) == stripe {
        guard !channels[index].has(chunk) else { continue }
        enqueue(chunk, to: index, note: 0)
      }
    }
    pump(index)
  }

  /// Sends what the channel may have now.
  mutating func pump(_ index: Int) {
    // Whoever waits for its turn keeps to it.
    guard !channels[index].waitsForUpload else { return }
    while let size = nextSize(index) {
      let isChild = channels[index].isChild
      guard upload.allows(size, isChild: isChild, now: now) else {
        channels[index].waitsForUpload = true
        upload.wait(for: size, isChild: isChild, now: now)
        return
      }
      transmitFirst(index)
    }
  }

  /// Gives what has come together of the upload to the channels that wait for it, children first.
  mutating func shareUpload() {
    upload.begin()
    guard takeTurns(children: true) else { return }
    upload.settled(children: true)
    if takeTurns(children: false) { upload.settled(children: false) }
  }

  /// Lets the channels send in turn until the upload is used up; whether none waits any more.
  private mutating func takeTurns(children: Bool) -> Bool {
    var index = upload.turn < channels.count ? upload.turn : 0
    var idle = 0
    while idle < channels.count {
      while isWaiting(index, children), let size = nextSize(index), size <= channels[index].deficit {
        guard upload.suffices(for: size, isChild: children, now: now) else {
          upload.turn = index
          upload.wait(for: size, isChild: children, now: now)
          return false
        }
        channels[index].deficit -= size
        transmitFirst(index)
      }
      if isWaiting(index, children), nextSize(index) == nil {
        channels[index].waitsForUpload = false
        channels[index].deficit = 0
      }
      idle = isWaiting(index, children) ? 0 : idle + 1
      index = index + 1 < channels.count ? index + 1 : 0
      if isWaiting(index, children) { channels[index].deficit += UploadShare.quantum }
    }
    upload.turn = index
    return true
  }

  private func isWaiting(_ index: Int, _ asChild: Bool) -> Bool {
    channels[index].waitsForUpload && channels[index].isOpen && channels[index].isChild == asChild
  }

  /// The size of the datagram that would go out next; nil when there is none, or the channel is not to send it now.
  private mutating func nextSize(_ index: Int) -> Int? {
    channels[index].nextRelease = nil
    if content != nil { return nextContentSize(index) }
    while true {
      let isUrgent = !channels[index].urgent.isEmpty
      guard let queued = isUrgent ? channels[index].urgent.first : channels[index].queue.first else {
        return nil
      }
      guard window.contains(queued.chunk), queued.deadline > now, isProvable(queued.chunk) else {
        // Live data is never sent late, nor what the other side could not check.
        removeFirst(index, isUrgent)
        counters.late += 1
        channels[index].lateSince += 1
        continue
      }
      if !isUrgent, queued.note == 0, channels[index].has(queued.chunk) {
        // It got it from somebody else while the chunk waited.
        removeFirst(index, false)
        continue
      }
      let size = window.length(of: queued.chunk) + window.signatureLength + 64
      guard channels[index].congestion.allows(size, now: now) else {
        channels[index].nextRelease = channels[index].congestion.nextChance(size, now: now)
        return nil
      }
      return size
    }
  }

  private mutating func transmitFirst(_ index: Int) {
    if content != nil { return transmitContent(index) }
    let isUrgent = !channels[index].urgent.isEmpty
    guard let queued = isUrgent ? channels[index].urgent.first : channels[index].queue.first else { return }
    removeFirst(index, isUrgent)
    transmit(queued, to: index, lane: isUrgent ? .urgent : .data)
  }

  private mutating func removeFirst(_ index: Int, _ isUrgent: Bool) {
    if isUrgent {
      channels[index].urgent.removeFirst()
    } else {
      channels[index].queue.removeFirst()
    }
  }

  private mutating func transmit(_ queued: Channel.Queued, to index: Int, lane: Lane) {
    let chunk = queued.chunk
    let payload = window.payload(of: chunk)
    let address = channels[index].address
    let clock = wireClock
    outbox.begin()
    WireFormat.appendChannel(channels[index].remote, to: &outbox.heads)
    switch configuration.integrity {
    case .signAll: window.appendSignedIntegrity(of: chunk, plainFormat, to: &outbox.heads)
    case .unifiedMerkleTree: appendHashes(index, of: chunk, isAsked: lane == .urgent, lane: lane)
    case .none, .merkleTree: break
    }
    let dataSize = plainFormat.dataHeaderSize + Int(payload.count) + (queued.note == 0 ? 0 : Self.noteSize)
    if outbox.pending + dataSize > configuration.datagramLimit {
      // All does not fit: what proves the chunk goes first, in a datagram of its own (RFC 7574, sections 5.3 and 6.1.1).
      split(to: address, channels[index].remote, lane: lane)
    }
    if queued.note != 0 {
      var body: [UInt8] = []
      body.appendInteger(queued.note)
      unsafe WireFormat.appendExtension(
        kind: Extension.Kind.note.rawValue,
        body: body.span.bytes,
        to: &outbox.heads
      )
    }
    plainFormat.appendDataHeader(chunk, length: Int(payload.count), timestamp: clock, to: &outbox.heads)
    let size = outbox.pending + Int(payload.count)
    outbox.end(
      to: address,
      body: payload,
      chunk: chunk,
      lane: lane,
      deadline: queued.deadline,
      arrival: queued.isFresh ? window.arrival(of: chunk) : .zero
    )
    counters.bytesOut &+= UInt64(size)
    counters.chunksOut += 1
    channels[index].lastSent = now
    channels[index].sentSinceHeard += 1
    if channels[index].unansweredSince == nil { channels[index].unansweredSince = now }
    channels[index].congestion.sent(size, now: now)
    channels[index].flight.append(Channel.Sent(chunk: chunk, bytes: size, at: now))
    upload.take(size, now: now)
    trimFlight(index)
  }

  /// Bytes of a note with its chunk.
  private static let noteSize = 12

  /// The most chunks under way that are remembered for one channel.
  private static let flightLimit = 8192

  mutating func trimFlight(_ index: Int) {
    guard channels[index].flight.count > Self.flightLimit, let first = channels[index].flight.removeFirst()
    else {
      return
    }
    if !first.isAcknowledged { channels[index].congestion.lost(first.bytes, sentAt: first.at, now: now) }
  }

  // MARK: - Telling what we have

  /// HAVE is merged and goes at most this often.
  static let haveInterval: Duration = .milliseconds(100)

  mutating func sendHave(_ index: Int, _ range: ChunkRange) {
    guard channels[index].isOpen, channels[index].understands(MessageType.have) else { return }
    send(index) { [plainFormat] bytes in plainFormat.appendHave(range, to: &bytes) }
  }

  /// Notes a chunk that filled a hole and left another above it, for those who want to know.
  mutating func noteGrowth(_ chunk: UInt64) {
    guard let newest = window.newest, let range = window.held.range(containing: chunk),
      range.upperBound < newest
    else { return }
    for index in channels.indices where channels[index].isOpen && channels[index].wantsHaves {
      channels[index].grown.removeAll { range.contains($0.lowerBound) }
      if channels[index].grown.count >= Channel.grownLimit { channels[index].grown.removeFirst() }
      channels[index].grown.append(range)
    }
  }

  /// The biggest interval that holds the newest chunk, and others that have grown, to those who want to know.
  mutating func announce(_ index: Int) {
    guard channels[index].wantsHaves, now >= channels[index].nextHave, let newest = window.newest,
      let range = window.held.range(containing: newest),
      channels[index].saidHave != range || !channels[index].grown.isEmpty
    else { return }
    channels[index].saidHave = range
    channels[index].nextHave = now + Self.haveInterval
    sendRightmostMunro(index)
    guard channels[index].isOpen, channels[index].understands(MessageType.have) else { return }
    let grown = channels[index].grown.filter { $0.upperBound < range.lowerBound }
    channels[index].grown.removeAll(keepingCapacity: true)
    send(index) { [plainFormat] bytes in
      for older in grown { plainFormat.appendHave(older, to: &bytes) }
      plainFormat.appendHave(range, to: &bytes)
    }
  }
}
