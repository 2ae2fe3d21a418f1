import Integrity
import PluginKit
import Wire

// What the messages of an open channel do (RFC 7574, section 3).
extension Peer {
  private struct Signature {
    var chunk: UInt64
    var timestamp: UInt64
    /// Where it lies in the datagram.
    var range: Range<Int>
  }

  mutating func readMessages(
    _ index: Int,
    _ reader: inout DatagramReader,
    _ datagram: Span<UInt8>
  ) throws(DecodeError) {
    let local = channels[index].local
    let format = speaksPlain(index) ? plainFormat : extendedFormat
    var signature: Signature?
    var note: UInt64 = 0
    var hashed: UInt64?
    var effort = 0
    while true {
      let type = reader.nextType
      guard let message = try reader.next(format) else { break }
      effort += self.effort(of: type ?? 0, index)
      guard effort <= Self.effortLimit else {
        counters.rejected += 1
        return
      }
      guard mayRead(type, index) else { continue }
      switch message {
      case .handshake(let view):
        if view.isClosing {
          lose(index, .closed, redirect: channels[index].farewell)
          return
        }
      case .signedIntegrity(let chunks, let timestamp, let bytes):
        if unified != nil {
          readMunro(index, chunks, timestamp: timestamp, signature: bytes)
          break
        }
        guard chunks.lowerBound == chunks.upperBound else { return }
        signature = Signature(
          chunk: chunks.lowerBound,
          timestamp: timestamp,
          range: (reader.offset - bytes.byteCount)..<reader.offset
        )
      case .data(let chunks, let timestamp, let payload):
        let chunk = chunks.lowerBound
        if configuration.integrity == .none {
          readUnprovenData(index, chunk, sent: timestamp, payload: payload, note: note)
          note = 0
        } else if unified != nil {
          readProvenData(index, chunk, sent: timestamp, payload: payload, note: note)
          note = 0
        } else if let found = signature, found.chunk == chunk {
          let bytes = unsafe datagram.extracting(found.range).bytes
          readData(
            index,
            chunk,
            sent: timestamp,
            payload: payload,
            timestamp: found.timestamp,
            signature: bytes,
            note: note
          )
          signature = nil
          note = 0
        } else {
          readLateData(index, chunk, sent: timestamp, payload: payload, note: note)
          note = 0
        }
      case .ack(let chunks, let delay): readAck(index, chunks, delay: delay)
      case .have(let chunks): readHave(index, chunks)
      case .request(let chunks): readRequest(index, chunks)
      case .cancel(let chunks): drop(index, chunks)
      case .choke:
        channels[index].isChokingUs = true
        reassign(from: index, .choked)
        tellLinked(index, .choked(channels[index].peer))
      case .unchoke:
        guard channels[index].isChokingUs else { break }
        channels[index].isChokingUs = false
        nextRepair = now
        tellLinked(index, .unchoked(channels[index].peer))
      case .extensionMessage(let kind, let body):
        if kind == Extension.Kind.note.rawValue {
          var fields = ByteReader(body)
          note = (try? fields.read(UInt64.self)) ?? 0
        } else {
          readExtension(index, kind, body)
        }
      case .integrity(let chunks, let hash):
        readHash(index, chunks, hash)
        hashed = chunks.lowerBound
      case .pexRequest: readPeerRequest(index)
      case .pexResponse4(let host, let port):
        readPeerHint(index, Address(ipv4: host, port: port))
      case .pexResponse6(let host, let port):
        readPeerHint(
          index,
          Address(ipv6: UInt64(truncatingIfNeeded: host >> 64), UInt64(truncatingIfNeeded: host), port: port)
        )
      case .pexCertificate(let der): readCertificate(index, der)
      }
      // The message may have ended the channel.
      guard index < channels.count, channels[index].local == local, channels[index].isOpen else { return }
    }
    if let hashed { learn(index, from: hashed) }
    // A signature without its chunk comes ahead of it, where both do not fit into one datagram.
    if let signature { remember(index, signature, datagram) }
  }

  /// How much work one datagram may make, in entries of lists that are looked at; what lies behind is not read.
  static let effortLimit = 1 << 16

  /// What a message may cost: many short ones fit into a datagram, and some look through all that is queued.
  private func effort(of type: UInt8, _ index: Int) -> Int {
    let queued = channels[index].urgent.count + channels[index].queue.count
    switch type {
    case MessageType.data, MessageType.signedIntegrity: return 1024
    case MessageType.ack: return 64 + queued + channels[index].flight.count
    case MessageType.have: return 64 + queued + channels.count
    case MessageType.request:
      return 64 + queued + channels[index].flight.count + (channels[index].weChoke ? 4096 : 0)
    case MessageType.cancel: return 64 + queued
    case MessageType.choke, MessageType.unchoke: return 64 + missing.count
    case Message.extensionType, MessageType.pexCertificate: return 4096
    default: return 64
    }
  }

  private mutating func remember(_ index: Int, _ signature: Signature, _ datagram: Span<UInt8>) {
    guard isSolicited(index, signature.chunk), !window.contains(signature.chunk) else { return }
    let bytes = unsafe datagram.extracting(signature.range).withUnsafeBufferPointer { unsafe Array($0) }
    if channels[index].early.count >= Channel.earlySignatureLimit { channels[index].early.removeFirst() }
    channels[index].early.append(
      Channel.EarlySignature(chunk: signature.chunk, timestamp: signature.timestamp, signature: bytes)
    )
  }

  private mutating func readLateData(
    _ index: Int,
    _ chunk: UInt64,
    sent: UInt64,
    payload: RawSpan,
    note: UInt64
  ) {
    guard let place = channels[index].early.lastIndex(where: { $0.chunk == chunk }) else { return }
    let early = channels[index].early.remove(at: place)
    let bytes = early.signature
    unsafe readData(
      index,
      chunk,
      sent: sent,
      payload: payload,
      timestamp: early.timestamp,
      signature: bytes.span.bytes,
      note: note
    )
  }

  /// Whether we asked this peer for a chunk, by a stripe or by name, or take whatever those push that we are linked to.
  private func isSolicited(_ index: Int, _ chunk: UInt64) -> Bool {
    if channels[index].isPulled { return true }
    let course = course(of: chunk)
    if channels[index].roles[course].parentStripes.contains(stripe: stripe(of: chunk)) { return true }
    if channels[index].roles[course].pendingAsk?.ask.purpose == .data { return true }
    // Whoever was asked may be slower than we had patience for. It sends what is lacking still, and would take the way
    // for cut if it never heard that anything arrives.
    if let entry = missing(chunk),
      entry.source == index || entry.tries > 0 && channels[index].answersRequests
    {
      return true
    }
    return wants(.chunks, of: chunk) && channels[index].roles[course].isLink
  }

  /// The greatest number that a chunk can have; the one after it is left free for the end of ranges.
  var lastNumber: UInt64 { plainFormat.lastChunk - 1 }

  /// The stripe of a chunk in the course that carries it.
  func stripe(of chunk: UInt64) -> Int {
    courses.isEmpty ? 0 : Int(chunk % courses[course(of: chunk)].stripes)
  }

  /// Whether the topology that carries a chunk wants to hear of such events.
  func wants(_ event: WantedEvents, of chunk: UInt64) -> Bool {
    !courses.isEmpty && courses[course(of: chunk)].wants.contains(event)
  }

  private mutating func readData(
    _ index: Int,
    _ chunk: UInt64,
    sent: UInt64,
    payload: RawSpan,
    timestamp: UInt64,
    signature: RawSpan,
    note: UInt64
  ) {
    guard mayTake(index, chunk, payload, sent: sent, note: note) else { return }
    guard verifier?.verify(chunk: chunk, timestamp: timestamp, signature: signature, payload: payload) == true
    else {
      lied(index)
      return
    }
    guard isConsistent(timestamp, around: chunk...chunk) else {
      // The broadcaster contradicts itself; who relayed it may have seen the other half only.
      counters.rejected += 1
      return
    }
    admit(
      index,
      chunk,
      sent: sent,
      payload: payload,
      timestamp: timestamp,
      signature: signature,
      note: note
    )
  }

  /// DATA of a stream without integrity protection (RFC 7574, section 5): whoever was asked for it is believed.
  ///
  /// As nobody vouches for the time at which a chunk was made, that of its arrival here stands in its place.
  private mutating func readUnprovenData(
    _ index: Int,
    _ chunk: UInt64,
    sent: UInt64,
    payload: RawSpan,
    note: UInt64
  ) {
    guard mayTake(index, chunk, payload, sent: sent, note: note) else { return }
    admit(
      index,
      chunk,
      sent: sent,
      payload: payload,
      timestamp: NTPTimestamp(sinceUnixEpoch: configuration.clockOffset + now).rawValue,
      signature: RawSpan(),
      note: note
    )
  }

  /// Whether chunks may have been signed at a time, by the signed times of those that are held beside them.
  func isConsistent(_ timestamp: UInt64, around chunks: ChunkRange) -> Bool {
    TimestampOrder.isConsistent(
      timestamp,
      below: window.held.highest(below: chunks.lowerBound).flatMap { window.timestamp(of: $0) },
      above: window.held.lowest(from: chunks.upperBound).flatMap { window.timestamp(of: $0) }
    )
  }

  /// Whether a chunk is one that we want; the same once more, too late, beyond the end or too long is counted.
  mutating func mayTake(
    _ index: Int,
    _ chunk: UInt64,
    _ payload: RawSpan,
    sent: UInt64,
    note: UInt64
  ) -> Bool {
    if window.contains(chunk) {
      counters.duplicate += 1
      channels[index].lastProgress = now
      notePush(index, chunk)
      if wants(.duplicates, of: chunk) {
        let arrival = ChunkArrival(chunk: chunk, from: channels[index].peer, note: note)
        courses[course(of: chunk)].duplicates.append(arrival)
      }
      owe(index, chunk, sent: sent)
      return false
    }
    guard isSolicited(index, chunk) else { return false }
    guard chunk >= window.first else {
      counters.late += 1
      return false
    }
    guard chunk <= lastChunk ?? lastNumber, payload.byteCount <= configuration.chunkLimit else {
      // Whoever passes it on need not have seen the end.
      counters.rejected += 1
      return false
    }
    return true
  }

  /// A chunk that was found genuine, or that is believed: into the window, to the children, and acknowledged.
  mutating func admit(
    _ index: Int,
    _ chunk: UInt64,
    sent: UInt64,
    payload: RawSpan,
    timestamp: UInt64,
    signature: RawSpan,
    note: UInt64
  ) {
    if configuration.endsStream(payload.byteCount) {
      // Only the last chunk is such: a source that signs on behind it contradicts itself.
      guard chunk >= window.newest ?? 0 else {
        counters.rejected += 1
        return
      }
      lastChunk = chunk
    }
    if expected == nil { begin(at: chunk) }
    if configuration.integrity.isSigned { counters.verified += 1 }
    channels[index].lastProgress = now
    channels[index].chunksFrom += 1
    notePush(index, chunk)
    tellArrival(of: chunk, from: channels[index].peer, note: note)
    keep(
      chunk,
      timestamp: timestamp,
      signature: signature,
      payload: payload,
      isEntry: configuration.beginsEntry(payload),
      from: index
    )
    owe(index, chunk, sent: sent)
  }

  mutating func lied(_ index: Int) {
    counters.rejected += 1
    channels[index].falseChunks += 1
    if channels[index].falseChunks >= Channel.falseChunkLimit { punish(index) }
  }

  /// A verified chunk: into the window, and on to the next hop at once.
  mutating func keep(
    _ chunk: UInt64,
    timestamp: UInt64,
    signature: RawSpan,
    payload: RawSpan,
    isEntry: Bool,
    from index: Int?
  ) {
    if let occupant = window.occupant(of: chunk), outbox.withdraw(occupant) > 0 { counters.late += 1 }
    guard
      window.store(
        chunk,
        timestamp: timestamp,
        signature: signature,
        payload: payload,
        isEntry: isEntry,
        arrival: now
      )
    else { return }
    noteTurn(chunk)
    forward(chunk, from: index)
    noteGrowth(chunk)
    if let index {
      noteFed(by: index)
      counters.chunksIn += 1
      if counters.firstChunkMilliseconds == nil { counters.firstChunkMilliseconds = now / .milliseconds(1) }
    } else {
      tellArrival(of: chunk, from: directory.peer(for: me), note: 0)
    }
    if let read = nextRead, chunk < read { counters.late += 1 }
    bytesThisSecond += UInt64(payload.byteCount)
    if configuration.hasVariableChunks { usualLength += (Double(payload.byteCount) - usualLength) / 64 }
    if let last = lastArrival {
      chunkInterval = (chunkInterval * 7 + min(now - last, .seconds(1))) / 8
    }
    lastArrival = now
    found(chunk, from: index)
  }

  private mutating func tellArrival(of chunk: UInt64, from peer: PeerRef, note: UInt64) {
    guard wants(.chunks, of: chunk) else { return }
    courses[course(of: chunk)].arrivals.append(ChunkArrival(chunk: chunk, from: peer, note: note))
  }

  /// Notes that a chunk must be acknowledged with the biggest interval around it (RFC 7574, section 4.3.2).
  private mutating func owe(_ index: Int, _ chunk: UInt64, sent: UInt64) {
    guard channels[index].understands(MessageType.ack) else { return }
    guard let range = window.held.range(containing: chunk) else { return }
    // The biggest interval that one specification can name: all of it, or the biggest bin.
    let named = plainFormat.widest(around: chunk, in: range)
    if let owed = channels[index].owedAck, !named.contains(owed.lowerBound) { sendAck(index) }
    channels[index].owedAck = named
    channels[index].owedDelay = wireClock &- sent
    channels[index].owedCount += 1
    if channels[index].owedCount >= Self.chunksPerAck {
      sendAck(index)
    } else if channels[index].ackDeadline == nil {
      channels[index].ackDeadline = now + Self.ackDelay
    }
  }

  /// How many chunks, and how long, an acknowledgement may wait for.
  static let chunksPerAck = 8
  static let ackDelay: Duration = .milliseconds(10)

  mutating func sendAck(_ index: Int) {
    guard let range = channels[index].owedAck else { return }
    let delay = channels[index].owedDelay
    channels[index].owedAck = nil
    channels[index].owedCount = 0
    channels[index].ackDeadline = nil
    send(index) { [plainFormat] bytes in plainFormat.appendAck(range, delay: delay, to: &bytes) }
  }

  private mutating func readAck(_ index: Int, _ chunks: ChunkRange, delay: UInt64) {
    guard takeAck(index, chunks, delay: delay) else { return }
    // Nobody can have got from us what we do not have.
    if let newest = window.newest, chunks.lowerBound <= newest {
      channels[index].available.insert(chunks.lowerBound...min(chunks.upperBound, newest))
    }
    dropAsked(index, chunks)
    pump(index)
  }

  /// Notes which datagrams have arrived, and which have not; false when the acknowledgement is of none.
  mutating func takeAck(_ index: Int, _ chunks: ChunkRange, delay: UInt64) -> Bool {
    var bytes = 0
    var newest: Duration?
    for place in 0..<channels[index].flight.count {
      let sent = channels[index].flight[place]
      guard !sent.isAcknowledged, chunks.contains(sent.chunk) else { continue }
      channels[index].flight[place].isAcknowledged = true
      bytes += sent.bytes
      newest = max(newest ?? sent.at, sent.at)
    }
    guard let newest else { return false }
    channels[index].lastAsked = now
    if channels[index].speech != .proven { channels[index].congestion.measured(now - newest) }
    channels[index].congestion.acknowledged(bytes, delay: delay, now: now)
    // What was sent well before something that has arrived, and has not arrived, is lost.
    let tolerance = max((channels[index].congestion.roundTrip ?? .milliseconds(20)) / 4, .milliseconds(5))
    while let first = channels[index].flight.first {
      if !first.isAcknowledged {
        guard first.at + tolerance < newest else { break }
        channels[index].congestion.lost(first.bytes, sentAt: first.at, now: now)
        channels[index].content.underWay.remove(first.chunk...first.chunk)
      }
      channels[index].flight.removeFirst()
    }
    return true
  }

  private mutating func readHave(_ index: Int, _ chunks: ChunkRange) {
    // Nobody is believed to have what lies a whole window ahead.
    let limit = window.newest.map { min($0 &+ min(window.size, .max - $0), lastNumber) } ?? lastNumber
    guard chunks.lowerBound <= limit else { return }
    let chunks = chunks.lowerBound...min(chunks.upperBound, limit)
    channels[index].available.insert(chunks)
    for course in courses.indices where courses[course].wants.contains(.haves) {
      guard let part = part(of: chunks, for: course) else { continue }
      courses[course].haves.append(Advertisement(peer: channels[index].peer, chunks: part))
    }
    noteTurn(chunks.upperBound)
    dropAsked(index, chunks)
    if channels[index].isPulled || channels[index].isSpare || channels[index].isParent
      || channels[index].answersRequests
    {
      extendHorizon()
    }
  }

  private mutating func readRequest(_ index: Int, _ chunks: ChunkRange) {
    if channels[index].speech == .unknown, !channels[index].understands(Message.extensionType) {
      becomePlain(index)
    }
    if channels[index].weChoke {
      sayChoke(index)
      return
    }
    guard channels[index].isServed || channels[index].answersRequests else { return }
    channels[index].lastAsked = now
    let since = now - (channels[index].congestion.roundTrip ?? .milliseconds(20)) * 9 / 10
    let first = max(chunks.lowerBound, window.first)
    let end = min(chunks.upperBound, window.newest ?? 0)
    guard first <= end else { return }
    let asked = first...min(end, first + min(Self.requestLimit - 1, .max - first))
    let isUnderWay = channels[index].underWay(asked, since: since)
    for (offset, chunk) in asked.enumerated()
    where !isUnderWay[offset] && UInt64(channels[index].urgent.count) < Self.requestLimit
      && window.contains(chunk)
    {
      channels[index].urgent.append(
        Channel.Queued(chunk: chunk, deadline: now + configuration.patience, isFresh: false)
      )
    }
    pump(index)
  }

  /// The most chunks that a peer can have asked for and not got.
  static let requestLimit: UInt64 = 512

  /// A CANCEL.
  private mutating func drop(_ index: Int, _ chunks: ChunkRange) {
    dropAsked(index, chunks)
    channels[index].queue.filter { !chunks.contains($0.chunk) }
  }

  /// A HAVE or an ACK says of what was asked for the same as a CANCEL (RFC 7574, section 3.8).
  ///
  /// What is pushed is looked at when its turn has come.
  private mutating func dropAsked(_ index: Int, _ chunks: ChunkRange) {
    guard !channels[index].urgent.isEmpty else { return }
    channels[index].urgent.filter { !chunks.contains($0.chunk) }
  }
}
