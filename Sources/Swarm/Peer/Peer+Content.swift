public import Integrity
import PluginKit
import Wire

// Serving content that does not change (RFC 7574, sections 3 and 5).
extension Peer {
  /// How many peers are served at a time; the others are choked.
  static let slots = 32
  /// How long a peer is served while others wait.
  static let slotTime: Duration = .seconds(10)
  /// The most datagrams of HAVE at one time.
  private static let haveBurst = 8

  /// How much of the content is here; nil in the swarm of a stream.
  public var progress: ContentProgress? {
    guard let content else { return nil }
    return ContentProgress(
      held: content.heldCount,
      count: content.chunkCount,
      length: content.tree.contentLength,
      prefix: content.held.range(containing: 0).map { $0.upperBound + 1 } ?? 0,
      sources: channels.count { $0.isOpen && $0.isPulled },
      isComplete: content.isComplete
    )
  }

  /// Lends the tree of hashes, to be kept for a fetch that goes on later.
  public func withTree(_ body: (MerkleTree) -> Void) {
    if let tree = content?.tree { body(tree) }
  }

  /// A peer of the swarm is there: it hears what we have, and we hear what it has.
  mutating func meet(_ index: Int) {
    directory[channels[index].peer]?.channel = index
    content?.fetch?.join(index)
    announceContent(index)
  }

  /// The channel is gone: what it was asked for is asked elsewhere.
  mutating func leaveContent(_ index: Int) {
    guard content?.fetch != nil else { return }
    content?.fetch?.leave(index)
    content?.nextReview = now
  }

  // MARK: - Messages

  mutating func readContentMessages(_ index: Int, _ reader: inout DatagramReader) throws(DecodeError) {
    let local = channels[index].local
    let format = speaksPlain ? plainFormat : extendedFormat
    var effort = 0
    while true {
      let type = reader.nextType
      guard let message = try reader.next(format) else { break }
      effort += contentEffort(of: type ?? 0, index)
      guard effort <= Self.effortLimit else {
        counters.rejected += 1
        return
      }
      guard mayRead(type, index) else { continue }
      switch message {
      case .handshake(let view):
        if view.isClosing {
          lose(index, .closed)
          return
        }
      case .data(let chunks, let timestamp, let payload):
        readContentData(index, chunks.lowerBound, sent: timestamp, payload)
      case .integrity(let chunks, let hash): channels[index].content.pending.insert(chunks, hash)
      case .ack(let chunks, let delay): readContentAck(index, chunks, delay: delay)
      case .have(let chunks): readContentHave(index, chunks)
      case .request(let chunks): readContentRequest(index, chunks)
      case .cancel(let chunks): channels[index].content.drop(chunks)
      case .choke: choked(index, true)
      case .unchoke: choked(index, false)
      case .pexRequest: readPeerRequest(index)
      case .pexResponse4(let host, let port): readPeerHint(index, Address(ipv4: host, port: port))
      case .pexResponse6(let host, let port):
        readPeerHint(
          index,
          Address(ipv6: UInt64(truncatingIfNeeded: host >> 64), UInt64(truncatingIfNeeded: host), port: port)
        )
      case .pexCertificate(let der): readCertificate(index, der)
      case .extensionMessage(let kind, let body): readExtension(index, kind, body)
      case .signedIntegrity: break
      }
      // The message may have ended the channel.
      guard index < channels.count, channels[index].local == local, channels[index].isOpen else { return }
    }
    tend(index)
  }

  /// What a message may cost, in entries of lists that are looked at; see ``effortLimit``.
  private func contentEffort(of type: UInt8, _ index: Int) -> Int {
    let wanted = channels[index].content.wanted.count
    switch type {
    case MessageType.data: return 1024 + (content?.fetch?.outstanding(index) ?? 0) / 8
    case MessageType.ack: return 64 + wanted + channels[index].flight.count
    case MessageType.have: return 128 + wanted / 8
    case MessageType.request: return 64 + wanted * 2 + (channels[index].weChoke ? 4096 : 0)
    case MessageType.cancel: return 64 + wanted
    case MessageType.choke, MessageType.unchoke: return 2048
    case Message.extensionType, MessageType.pexCertificate: return 4096
    default: return 64
    }
  }

  private mutating func readContentAck(_ index: Int, _ chunks: ChunkRange, delay: UInt64) {
    guard takeAck(index, chunks, delay: delay), let chunks = inside(chunks) else { return }
    channels[index].available.insert(chunks)
    channels[index].content.underWay.remove(chunks)
    channels[index].content.drop(chunks)
    content?.fetch?.offers(index, chunks, channels[index].available)
    pump(index)
  }

  private mutating func readContentHave(_ index: Int, _ chunks: ChunkRange) {
    guard let chunks = inside(chunks) else { return }
    channels[index].available.insert(chunks)
    // Who has it does not want it any more (RFC 7574, section 3.8).
    channels[index].content.drop(chunks)
    content?.fetch?.offers(index, chunks, channels[index].available)
  }

  /// Some chunks as far as they can be; nil when none can.
  private func inside(_ chunks: ChunkRange) -> ChunkRange? {
    let last = content?.chunkCount.map { $0 - 1 } ?? plainFormat.lastChunk
    return chunks.lowerBound <= last ? chunks.lowerBound...min(chunks.upperBound, last) : nil
  }

  private mutating func readContentRequest(_ index: Int, _ chunks: ChunkRange) {
    guard !channels[index].weChoke else {
      send(index) { bytes in WireFormat.appendChoke(to: &bytes) }
      return
    }
    guard capacity.upload > 0, let chunks = inside(chunks) else { return }
    channels[index].lastAsked = now
    if !channels[index].isServed {
      guard channels.count(where: { $0.isServed && !$0.isFree }) < Self.slots else {
        chokeContent(index)
        return
      }
      channels[index].isServed = true
      channels[index].content.servedSince = now
    }
    // What was asked for before and is asked for again is wanted once, and now.
    channels[index].content.drop(chunks)
    guard channels[index].content.underWay.overlaps(chunks) else {
      channels[index].content.want(chunks, false)
      pump(index)
      return
    }
    wantAgain(index, chunks)
    pump(index)
  }

  /// Chunks that were sent before: all but those that may still be on their way are sent again.
  private mutating func wantAgain(_ index: Int, _ chunks: ChunkRange) {
    let since = now - (channels[index].congestion.roundTrip ?? .milliseconds(20)) * 9 / 10
    let chunks =
      chunks.lowerBound...min(chunks.upperBound, chunks.lowerBound + UInt64(FetchSource.highestLimit) - 1)
    let isUnderWay = channels[index].underWay(chunks, since: since)
    var first: UInt64?
    for (offset, chunk) in chunks.enumerated() {
      if !isUnderWay[offset] {
        first = first ?? chunk
        channels[index].content.underWay.remove(chunk...chunk)
      } else if let start = first {
        channels[index].content.want(start...chunk - 1, true)
        first = nil
      }
    }
    if let first { channels[index].content.want(first...chunks.upperBound, true) }
  }

  // MARK: - Slots

  private mutating func chokeContent(_ index: Int) {
    channels[index].weChoke = true
    channels[index].isServed = false
    channels[index].content.wanted.removeAll()
    guard channels[index].understands(MessageType.choke) else { return }
    send(index) { bytes in WireFormat.appendChoke(to: &bytes) }
  }

  /// Once a second: slots go from those who ask for nothing, and from those who had theirs for long, to those who wait.
  mutating func reviewSlots() {
    var waiting = channels.indices.filter { channels[$0].isOpen && channels[$0].weChoke }
    for index in channels.indices where channels[index].isOpen && channels[index].isServed {
      if now - channels[index].lastAsked >= Self.plainPatience { channels[index].isServed = false }
    }
    guard !waiting.isEmpty else { return }
    waiting.sort { channels[$0].lastAsked < channels[$1].lastAsked }
    var free = Self.slots - channels.count { $0.isServed && !$0.isFree }
    if free <= 0 {
      let served = channels.indices.filter { channels[$0].isOpen && channels[$0].isServed }
      let longest = served.min { since(of: $0) < since(of: $1) }
      guard let longest, now - since(of: longest) >= Self.slotTime else { return }
      chokeContent(longest)
      free = 1
    }
    for index in waiting.prefix(free) {
      channels[index].weChoke = false
      // A place is kept for as long as the other side may take to use it.
      channels[index].isServed = true
      channels[index].lastAsked = now
      channels[index].content.servedSince = now
      send(index) { bytes in WireFormat.appendUnchoke(to: &bytes) }
    }
  }

  private func since(of index: Int) -> Duration { channels[index].content.servedSince }

  // MARK: - Sending

  /// The size of the datagram that would go out next; nil when there is none, or the channel is not to send it now.
  mutating func nextContentSize(_ index: Int) -> Int? {
    guard let held = content?.held, channels[index].isOpen,
      let next = channels[index].content.nextWanted(held), let length = content?.length(of: next.chunk)
    else { return nil }
    let size = length + plainFormat.dataHeaderSize + WireFormat.channelSize
    guard channels[index].congestion.allows(size, now: now) else {
      channels[index].nextRelease = channels[index].congestion.nextChance(size, now: now)
      return nil
    }
    return size
  }

  /// Sends the next chunk that the other side wants, with the hashes that it lacks.
  mutating func transmitContent(_ index: Int) {
    guard let held = content?.held, let tree = content?.tree,
      let (chunk, isRepeated) = channels[index].content.nextWanted(held),
      let length = content?.length(of: chunk)
    else { return }
    channels[index].content.removeWanted()
    let address = channels[index].address
    let before = counters.bytesOut
    outbox.begin()
    WireFormat.appendChannel(channels[index].remote, to: &outbox.heads)
    if needsPeaks(index, isRepeated) {
      channels[index].content.peaksSent = now
      tree.peaks { chunks, hash in appendHash(chunks, hash, index) }
    }
    // A chunk that did not arrive, or could not be verified, comes with all that is not known to be there.
    let available = channels[index].available
    let underWay = isRepeated ? IntervalSet() : channels[index].content.underWay
    tree.uncles(of: chunk, holdsAny: { available.overlaps($0) || underWay.overlaps($0) }) { chunks, hash in
      appendHash(chunks, hash, index)
    }
    if outbox.pending + plainFormat.dataHeaderSize + length > configuration.datagramLimit {
      endHashes(index)
    }
    plainFormat.appendDataHeader(chunk, length: length, timestamp: wireClock, to: &outbox.heads)
    counters.bytesOut &+= UInt64(outbox.pending + length)
    let offset = Int(chunk) * tree.chunkSize
    outbox.end(
      to: address,
      body: Slice(offset: offset % Self.region, count: length),
      chunk: chunk,
      lane: .data
    )
    let size = Int(counters.bytesOut &- before)
    counters.chunksOut += 1
    channels[index].content.underWay.insert(chunk...chunk)
    channels[index].lastSent = now
    channels[index].sentSinceHeard += 1
    channels[index].congestion.sent(size, now: now)
    channels[index].flight.append(Channel.Sent(chunk: chunk, bytes: size, at: now))
    upload.take(size, now: now)
    trimFlight(index)
  }

  /// Who has acknowledged nothing needs the peaks (RFC 7574, section 5.6.2), though not with every chunk of a round trip.
  private func needsPeaks(_ index: Int, _ isRepeated: Bool) -> Bool {
    guard channels[index].available.isEmpty else { return false }
    guard let sent = channels[index].content.peaksSent, !isRepeated else { return true }
    return now - sent >= channels[index].congestion.roundTrip ?? .milliseconds(20)
  }

  /// Appends INTEGRITY, in a datagram before the chunk's where it does not fit beside others (RFC 7574, section 5.4).
  private mutating func appendHash(_ chunks: ChunkRange, _ hash: RawSpan, _ index: Int) {
    if outbox.pending + plainFormat.integritySize > configuration.datagramLimit { endHashes(index) }
    plainFormat.appendIntegrity(chunks, hash: hash, to: &outbox.heads)
  }

  private mutating func endHashes(_ index: Int) {
    counters.bytesOut &+= UInt64(outbox.pending)
    outbox.end(to: channels[index].address, lane: .data)
    outbox.begin()
    WireFormat.appendChannel(channels[index].remote, to: &outbox.heads)
  }

  // MARK: - HAVE

  /// Tells the other side what has come since it was told last; who has everything is told nothing (section 3.2).
  mutating func announceContent(_ index: Int) {
    guard isBehind(index), now >= channels[index].nextHave, let held = content?.held.ranges else { return }
    channels[index].nextHave = now + Self.haveInterval
    var datagrams = 0
    outbox.begin()
    WireFormat.appendChannel(channels[index].remote, to: &outbox.heads)
    for range in held where !channels[index].content.said.covers(range) {
      guard !channels[index].available.covers(range) else { continue }
      for piece in plainFormat.pieces(of: range) {
        if outbox.pending + plainFormat.haveSize > configuration.datagramLimit {
          endHaves(index)
          datagrams += 1
        }
        plainFormat.appendHave(piece, to: &outbox.heads)
      }
      channels[index].content.said.insert(range)
      // The rest has its turn after the interval.
      if datagrams >= Self.haveBurst { break }
    }
    if datagrams < Self.haveBurst { channels[index].content.saidCount = content?.heldCount ?? 0 }
    if outbox.pending > WireFormat.channelSize {
      endHaves(index)
    }
    outbox.abandon()
  }

  private mutating func endHaves(_ index: Int) {
    counters.bytesOut &+= UInt64(outbox.pending)
    outbox.end(to: channels[index].address)
    channels[index].lastSent = now
    channels[index].sentSinceHeard += 1
    outbox.begin()
    WireFormat.appendChannel(channels[index].remote, to: &outbox.heads)
  }

  /// Whether there is something that the other side was not told of and may want.
  func isBehind(_ index: Int) -> Bool {
    guard channels[index].isOpen, isAdmitted(index), capacity.upload > 0,
      let held = content?.heldCount, held > 0,
      channels[index].content.saidCount != held, channels[index].understands(MessageType.have),
      let count = content?.chunkCount
    else { return false }
    return !channels[index].available.covers(0...count - 1)
  }

  /// Bodies are named by their place in a region of the content, as a ``Slice`` reaches no further than 4 GiB.
  private static let region = 1 << 31

  /// Hands over the packets, whose bodies lie in the content; in several batches where they lie far apart.
  mutating func flush(
    from memory: ContentMemory,
    _ body: (
      _ packets: Span<Packet>, _ heads: RawSpan, _ bodies: RawSpan, _ arrivals: Span<Duration>
    ) -> Void
  ) {
    let chunkSize = configuration.chunkSize
    var start = 0
    while start < outbox.packets.count {
      var region: Int?
      var end = start
      while end < outbox.packets.count {
        let chunk = outbox.bodies[end]
        if chunk != .max {
          let own = Int(chunk) * chunkSize / Self.region
          guard region == nil || region == own else { break }
          region = own
        }
        end += 1
      }
      let base = (region ?? 0) * Self.region
      let bodies = memory.bytes.extracting(base..<min(memory.byteCount, base + 2 * Self.region))
      unsafe body(
        outbox.packets.span.extracting(start..<end),
        outbox.heads.span.bytes,
        bodies,
        outbox.arrivals.span.extracting(start..<end)
      )
      start = end
    }
    outbox.clear()
  }
}
