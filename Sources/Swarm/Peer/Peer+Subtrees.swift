import Integrity
import PluginKit
import Wire

// Streams whose chunks are proven by a tree of hashes, of which one signature covers up to 32 (RFC 7574, section 6.1.2).
extension Peer {
  // MARK: - Receiving

  /// Keeps a hash for the chunks that it may prove.
  mutating func readHash(_ index: Int, _ chunks: ChunkRange, _ hash: RawSpan) {
    channels[index].hashes?.insert(chunks, hash)
  }

  /// A signed munro, whose hash came just before it.
  mutating func readMunro(_ index: Int, _ chunks: ChunkRange, timestamp: UInt64, signature: RawSpan) {
    // Nothing of the state is held here while it changes: a second reference would copy all subtrees.
    // A source signs by itself: an old munro of another width would leave no place for its own.
    guard unified?.signer == nil, let verifier = unified?.verifier, verifier.isMunro(chunks),
      unified?.subtrees.accepts(chunks) == true, unified?.subtrees.contains(chunks.lowerBound) == false,
      mayTeach(index), let hashes = channels[index].hashes, hashes.hash(of: chunks) != nil
    else { return }
    let found = verifier.verify(munro: chunks, hashes, timestamp: timestamp, signature: signature)
    guard let found else {
      lied(index)
      return
    }
    guard isConsistent(timestamp, around: chunks) else {
      // The broadcaster contradicts itself, or it is an old one (section 6.1.2.4).
      counters.rejected += 1
      return
    }
    unified?.subtrees.insert(found)
  }

  /// Whether signatures from a channel are looked at: from whom we get the stream or may, and from all until there is one.
  private func mayTeach(_ index: Int) -> Bool {
    let channel = channels[index]
    return channel.isParent || channel.isSpare || channel.isClaimed || channel.isAsked
      || unified?.subtrees.newest == nil
  }

  /// A datagram with hashes was read: chunks that waited for them have their turn.
  mutating func learn(_ index: Int, from chunk: UInt64) {
    guard let (munro, isWhole) = unified?.subtrees.learn(chunk, from: channels[index].hashes) else { return }
    let isLie = !isWhole && channels[index].hashes?.holdsEach(of: munro) == true
    if isWhole || isLie { channels[index].hashes?.removeAll() }
    // All were sent, and they do not lead to the munro.
    if isLie { lied(index) } else { unpark(munro) }
  }

  /// DATA of a stream without a signature for each chunk.
  mutating func readProvenData(_ index: Int, _ chunk: UInt64, sent: UInt64, payload: RawSpan, note: UInt64) {
    guard mayTake(index, chunk, payload, sent: sent, note: note), let hashes = channels[index].hashes else {
      return
    }
    switch unified?.subtrees.verify(chunk, payload, hashes) {
    case .genuine:
      guard let timestamp = unified?.subtrees[chunk]?.timestamp else { return }
      admit(
        index,
        chunk,
        sent: sent,
        payload: payload,
        timestamp: timestamp,
        signature: RawSpan(),
        note: note
      )
    case .forged: lied(index)
    case .hashesMissing, nil:
      park(index, chunk, sent: sent, payload: payload, note: note)
    }
  }

  /// Keeps a chunk until its hashes come, and sees to it that they are asked for.
  private mutating func park(_ index: Int, _ chunk: UInt64, sent: UInt64, payload: RawSpan, note: UInt64) {
    guard unified?.parked.contains(where: { $0.chunk == chunk }) == false else { return }
    if let count = unified?.parked.count, count >= UnifiedMerkleState.parkedLimit,
      let oldest = unified?.parked.removeFirst()
    {
      seek(oldest.chunk)
    }
    unified?.parked.append(
      UnifiedMerkleState.Parked(
        channel: channels[index].local,
        chunk: chunk,
        sent: sent,
        note: note,
        payload: unsafe payload.withUnsafeBytes { unsafe Array($0) },
        since: now
      )
    )
    look(upTo: chunk, at: now + overtakingTime)
  }

  private mutating func unpark(_ chunks: ChunkRange) {
    guard let parked = unified?.parked, parked.contains(where: { chunks.contains($0.chunk) }) else { return }
    unified?.parked.removeAll { chunks.contains($0.chunk) }
    for entry in parked where chunks.contains(entry.chunk) {
      guard let index = byLocal[entry.channel], channels[index].isOpen else {
        seek(entry.chunk)
        continue
      }
      // How long it waited here was no delay of the way (RFC 6817, section 2.3).
      let waited = UInt64(bitPattern: (now - entry.since).microseconds)
      unsafe readProvenData(
        index,
        entry.chunk,
        sent: entry.sent &+ waited,
        payload: entry.payload.span.bytes,
        note: entry.note
      )
    }
  }

  /// Forgets chunks whose hashes did not come while they were of use.
  mutating func forgetParked() {
    let limit = now - configuration.patience
    unified?.parked.removeAll { $0.since < limit }
  }

  /// A channel ends: what it sent without hashes that fit is asked for elsewhere.
  mutating func abandonParked(of local: UInt32) {
    guard let parked = unified?.parked, parked.contains(where: { $0.channel == local }) else { return }
    unified?.parked.removeAll { $0.channel == local }
    for entry in parked where entry.channel == local { seek(entry.chunk) }
  }

  // MARK: - Sending

  /// Whether others can check a chunk that is held here: the subtrees of chunks far ahead take the place of old ones.
  func isProvable(_ chunk: UInt64) -> Bool { unified?.subtrees.contains(chunk) ?? true }

  /// Appends what a peer lacks to check a chunk to the datagram under way, and ends it where more does not fit.
  ///
  /// Freshet peers get the hashes of all chunks of a subtree at once; they are sent again until one of its chunks is
  /// acknowledged. Everybody else gets the munro and the uncles of each chunk (sections 5.3 and 6.1.2.3).
  mutating func appendHashes(_ index: Int, of chunk: UInt64, isAsked: Bool, lane: Lane) {
    guard let subtree = unified?.subtrees[chunk] else { return }
    let munro = subtree.munro
    let holdsSome = channels[index].available.overlaps(munro)
    let isWhole = channels[index].speech == .proven && subtree.hasAllHashes
    if isWhole {
      guard isAsked || !holdsSome else { return }
      let trip = channels[index].congestion.roundTrip ?? .milliseconds(20)
      let pause = isAsked ? trip * 9 / 10 : channels[index].congestion.timeout
      if !holdsSome {
        if let last = channels[index].hashesSent.time(of: munro.lowerBound), now - last < pause { return }
        channels[index].hashesSent.note(munro.lowerBound, now: now)
      }
    }
    if !holdsSome { appendSignedMunro(subtree) }
    if isWhole, !holdsSome {
      subtree.leaves { appendHash(index, $0, $1, lane) }
    } else if subtree.knowsHash(of: chunk) {
      let available = channels[index].available
      subtree.uncles(of: chunk, holdsAny: { available.overlaps($0) }) { appendHash(index, $0, $1, lane) }
    }
  }

  private mutating func appendHash(_ index: Int, _ chunks: ChunkRange, _ hash: RawSpan, _ lane: Lane) {
    if outbox.pending + plainFormat.integritySize > configuration.datagramLimit {
      split(to: channels[index].address, channels[index].remote, lane: lane)
    }
    plainFormat.appendIntegrity(chunks, hash: hash, to: &outbox.heads)
  }

  /// Ends the datagram under way, and begins another to the same channel.
  mutating func split(to address: Address, _ remote: UInt32, lane: Lane) {
    counters.bytesOut &+= UInt64(outbox.pending)
    upload.take(outbox.pending, now: now)
    outbox.end(to: address, lane: lane)
    outbox.begin()
    WireFormat.appendChannel(remote, to: &outbox.heads)
  }

  /// INTEGRITY with the munro's hash and SIGNED_INTEGRITY with its signature, which stay together.
  private mutating func appendSignedMunro(_ subtree: UnifiedMerkle.Subtree) {
    subtree.munroHash { plainFormat.appendIntegrity($0, hash: $1, to: &outbox.heads) }
    unsafe plainFormat.appendSignedIntegrity(
      subtree.munro,
      timestamp: subtree.timestamp,
      signature: subtree.signature.span.bytes,
      to: &outbox.heads
    )
  }

  /// Sends the rightmost signed munro to who has shown nothing of it or of what follows (section 6.1.2.4).
  mutating func sendRightmostMunro(_ index: Int) {
    guard let state = unified, let newest = state.subtrees.newest, channels[index].isOpen,
      channels[index].available.highest.map({ $0 < newest.lowerBound }) ?? true,
      let subtree = state.subtrees[newest.lowerBound]
    else { return }
    outbox.begin()
    WireFormat.appendChannel(channels[index].remote, to: &outbox.heads)
    appendSignedMunro(subtree)
    counters.bytesOut &+= UInt64(outbox.pending)
    channels[index].lastSent = now
    outbox.end(to: channels[index].address)
  }

  // MARK: - The source

  /// Signs a subtree when its last chunk is here, and only then lets its chunks go.
  mutating func publishInTree(
    _ chunk: UInt64,
    _ payload: RawSpan,
    isEntry: Bool,
    isLast: Bool
  ) throws(IntegrityError) {
    guard unified?.signer != nil else { return }
    let isFull = try unified?.signer?.append(chunk, payload) ?? false
    unified?.unsigned.append(
      UnifiedMerkleState.Unsigned(
        chunk: chunk,
        payload: unsafe payload.withUnsafeBytes { unsafe Array($0) },
        isEntry: isEntry
      )
    )
    guard isFull || isLast else { return }
    let timestamp = nextTimestamp().rawValue
    guard let subtree = try unified?.signer?.finish(timestamp: timestamp) else { return }
    let chunks = unified?.unsigned ?? []
    unified?.unsigned.removeAll(keepingCapacity: true)
    unified?.subtrees.insert(subtree)
    for entry in chunks {
      unified?.record(entry.chunk, isLast: entry.chunk == lastChunk)
      unsafe keep(
        entry.chunk,
        timestamp: timestamp,
        signature: RawSpan(),
        payload: entry.payload.span.bytes,
        isEntry: entry.isEntry,
        from: nil
      )
    }
  }
}
