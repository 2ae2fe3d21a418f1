import Integrity
import PluginKit
import Wire

// Fetching content that does not change (RFC 7574, sections 3.7, 5.2 and 5.6).
extension Peer {
  /// How long the answer to a first request may take; doubled each time.
  private static let probePatience: Duration = .milliseconds(250)
  private static let mostProbeDoublings = 4
  /// How often it is looked who could take over from whom.
  private static let reviewInterval: Duration = .milliseconds(20)
  /// How many chunks of content an acknowledgement may wait for.
  private static let contentPerAck = 32

  /// Gives the content its memory, in answer to ``Notice/sized(chunks:)``.
  ///
  /// - Precondition: it has room for all chunks, each of full size.
  public mutating func provide(_ memory: ContentMemory, now: Duration) {
    self.now = now
    guard let count = content?.chunkCount, content?.memory == nil else { return }
    precondition(memory.byteCount / configuration.chunkSize >= count, "the memory has no room for all chunks")
    content?.memory = memory
    for early in content?.early ?? [] {
      unsafe memory.write(early.bytes.span.bytes, at: Int(early.chunk) * configuration.chunkSize)
      content?.hold(early.chunk)
    }
    content?.early = []
    content?.beginFetch(now: now)
    for index in channels.indices where channels[index].isOpen && isAdmitted(index) {
      channels[index].content.probe = nil
      content?.fetch?.join(index)
      let available = channels[index].available
      for range in available.ranges { content?.fetch?.offers(index, range, available) }
      tend(index)
    }
    noteContent()
    settle()
  }

  // MARK: - Asking

  /// Asks a peer for what it is to send next.
  mutating func tend(_ index: Int) {
    guard channels[index].isOpen, isAdmitted(index), !channels[index].isChokingUs else { return }
    guard content?.fetch != nil else {
      if content?.memory == nil, content?.chunkCount == nil { probe(index) }
      return
    }
    let trip = channels[index].congestion.roundTrip ?? .milliseconds(20)
    asking.removeAll(keepingCapacity: true)
    content?.fetch?.ask(
      index,
      having: channels[index].available,
      roundTrip: trip,
      now: now,
      using: &random,
      &asking
    )
    if asking.isEmpty,
      let other = content?.fetch?.takeOver(index, having: channels[index].available, now: now, &asking)
    {
      sendRanges(other, asking) { format, range, bytes in format.appendCancel(range, to: &bytes) }
    }
    if !asking.isEmpty { request(index, asking) }
    if content?.nextReview == nil, content?.fetch?.hasIdleSource == true {
      content?.nextReview = now + Self.reviewInterval
    }
  }

  private mutating func request(_ index: Int, _ ranges: [ChunkRange]) {
    channels[index].isPulled = true
    channels[index].content.isSource = true
    sendRanges(index, ranges) { format, range, bytes in format.appendRequest(range, to: &bytes) }
  }

  /// Sends a message for each of some ranges, in as few datagrams as they fit into.
  private mutating func sendRanges(
    _ index: Int,
    _ ranges: [ChunkRange],
    _ append: (WireFormat, ChunkRange, inout [UInt8]) -> Void
  ) {
    guard channels[index].isOpen else { return }
    var pieces = ranges.lazy.flatMap { [plainFormat] in plainFormat.pieces(of: $0) }.makeIterator()
    let perDatagram = (configuration.datagramLimit - WireFormat.channelSize) / plainFormat.haveSize
    var next = pieces.next()
    while next != nil {
      send(index) { [plainFormat] bytes in
        for _ in 0..<perDatagram {
          guard let piece = next else { break }
          append(plainFormat, piece, &bytes)
          next = pieces.next()
        }
      }
    }
  }

  /// Asks for one chunk, with which the peaks come: the first that the other side has, and then the last of all.
  private mutating func probe(_ index: Int) {
    var chunk = channels[index].available.lowest
    if let count = content?.tree.chunkCount, channels[index].available.contains(count - 1),
      content?.early.contains(where: { $0.chunk == count - 1 }) == false
    {
      chunk = count - 1
    }
    guard let chunk else { return }
    var probe = channels[index].content.probe ?? ContentChannel.Probe(chunk: chunk, next: now)
    if probe.chunk != chunk { probe = ContentChannel.Probe(chunk: chunk, next: now) }
    guard probe.next <= now else { return }
    probe.next = now + Self.probePatience * (1 << min(probe.tries, Self.mostProbeDoublings))
    probe.tries += 1
    channels[index].content.probe = probe
    request(index, [chunk...chunk])
  }

  mutating func choked(_ index: Int, _ isChoking: Bool) {
    guard channels[index].isChokingUs != isChoking else { return }
    channels[index].isChokingUs = isChoking
    content?.fetch?.choke(index, isChoking)
    content?.nextReview = now
  }

  // MARK: - Chunks

  mutating func readContentData(_ index: Int, _ chunk: UInt64, sent: UInt64, _ payload: RawSpan) {
    // Only who was asked may send (RFC 7574, section 12.6.11).
    guard channels[index].content.isSource else { return }
    if content?.tree.wantsPeaks == true { learnSize(channels[index].content.pending) }
    guard content?.held.contains(chunk) == false else {
      counters.duplicate += 1
      channels[index].content.pending.removeAll()
      content?.fetch?.arrived(chunk, from: index, now: now)
      oweContent(index, chunk, sent: sent)
      return
    }
    let verdict = content?.tree.verify(chunk, payload, channels[index].content.pending) ?? .hashesMissing
    // What proved the chunk is in the tree; what did not is of no use to another.
    if verdict != .hashesMissing { channels[index].content.pending.removeAll() }
    switch verdict {
    case .genuine:
      counters.verified += 1
      channels[index].lastProgress = now
      guard store(chunk, payload) else { return }
      counters.chunksIn += 1
      if counters.firstChunkMilliseconds == nil { counters.firstChunkMilliseconds = now / .milliseconds(1) }
      content?.fetch?.arrived(chunk, from: index, now: now)
      oweContent(index, chunk, sent: sent)
      noteContent()
    case .hashesMissing:
      counters.late += 1
      content?.fetch?.failed(chunk, from: index, now: now)
    case .forged:
      content?.fetch?.failed(chunk, from: index, now: now)
      // Before the size is certain, an honest chunk may contradict what a liar said of it.
      if content?.chunkCount == nil { counters.rejected += 1 } else { lied(index) }
    }
  }

  private mutating func learnSize(_ pending: PendingHashes) {
    do throws(IntegrityError) {
      _ = try content?.tree.acceptPeaks(from: pending)
    } catch {
      notices.append(.sentence("\(error)"))
    }
  }

  /// Keeps a verified chunk; false when there is no place for it yet.
  private mutating func store(_ chunk: UInt64, _ payload: RawSpan) -> Bool {
    guard let memory = content?.memory else {
      if let early = content?.early, early.count < Content.earlyLimit,
        !early.contains(where: { $0.chunk == chunk })
      {
        let bytes = unsafe payload.withUnsafeBytes { unsafe Array($0) }
        content?.early.append(Content.Early(chunk: chunk, bytes: bytes))
      }
      noteContent()
      return false
    }
    memory.write(payload, at: Int(chunk) * configuration.chunkSize)
    content?.hold(chunk)
    return true
  }

  /// Tells the driver what is known now.
  mutating func noteContent() {
    if content?.hasToldSize == false, let count = content?.chunkCount {
      content?.hasToldSize = true
      notices.append(.sized(chunks: count))
    }
    if content?.hasToldLength == false, content?.memory != nil, let length = content?.tree.contentLength {
      content?.hasToldLength = true
      notices.append(.length(length))
    }
    guard content?.fetch?.isComplete == true else { return }
    content?.hasToldEnd = true
    content?.fetch = nil
    content?.nextReview = nil
    for index in channels.indices { channels[index].isPulled = false }
    notices.append(.complete)
  }

  /// Notes that a chunk must be acknowledged with the biggest interval around it (RFC 7574, section 4.3.2).
  private mutating func oweContent(_ index: Int, _ chunk: UInt64, sent: UInt64) {
    guard let held = content?.held.range(containing: chunk) else { return }
    let range = plainFormat.widest(around: chunk, in: held)
    if let owed = channels[index].owedAck,
      owed.lowerBound < range.lowerBound || owed.upperBound > range.upperBound
    {
      sendAck(index)
    }
    channels[index].owedAck = range
    channels[index].owedDelay = wireClock &- sent
    channels[index].owedCount += 1
    if channels[index].owedCount >= Self.contentPerAck {
      sendAck(index)
    } else if channels[index].ackDeadline == nil {
      channels[index].ackDeadline = now + Self.ackDelay
    }
  }

  // MARK: - Time

  var nextContentTimeout: Duration? {
    let isProbing = content?.memory == nil && content?.chunkCount == nil
    var next = earlier(content?.nextReview, content?.fetch?.nextTimeout)
    for index in channels.indices where channels[index].isOpen {
      if isProbing { next = earlier(next, channels[index].content.probe?.next) }
      if isBehind(index) { next = earlier(next, channels[index].nextHave) }
    }
    return next
  }

  mutating func contentTimeout() {
    for index in channels.indices where channels[index].isOpen { announceContent(index) }
    guard content?.isComplete == false else { return }
    var isDue = content?.chunkCount == nil
    if let at = content?.fetch?.nextTimeout, at <= now {
      isDue = true
      for (index, chunks) in content?.fetch?.timeout(now: now) ?? [] {
        sendRanges(index, chunks) { format, range, bytes in format.appendCancel(range, to: &bytes) }
      }
    }
    if let at = content?.nextReview, at <= now {
      isDue = true
      content?.nextReview = nil
    }
    guard isDue else { return }
    for index in channels.indices where channels[index].isOpen { tend(index) }
  }
}

private func earlier(_ one: Duration?, _ other: Duration?) -> Duration? {
  guard let one, let other else { return one ?? other }
  return min(one, other)
}
