import PluginKit
import Wire

// Streams under a Unified Merkle Tree (RFC 7574, section 6.1.2).
extension PeerModel {
  /// The hash of a subtree, as the stream's key signs it.
  struct Munro: Hashable {
    var chunks: ChunkRange
    var timestamp: UInt64
    var hash: [UInt8]
    var signature: [UInt8]
  }

  /// A chunk whose hashes have not come.
  struct Parked {
    var local: UInt32
    var number: UInt64
    var sent: UInt64
    var payload: [UInt8]
    var since: Duration
  }

  // MARK: - Subtrees

  /// There is room for the subtrees of one window and two more; the newer takes the place of the older.
  private func place(of number: UInt64) -> UInt64 {
    number / rules.width % (rules.window / rules.width + 2)
  }

  func subtree(of number: UInt64) -> SubtreeModel? {
    guard let subtree = subtrees[place(of: number)], subtree.chunks.contains(number) else { return nil }
    return subtree
  }

  private mutating func insert(_ subtree: SubtreeModel) {
    let first = subtree.chunks.lowerBound
    newestSubtree = max(newestSubtree ?? 0, first)
    if let old = subtrees[place(of: first)] { displaced[old.chunks.lowerBound] = old }
    subtrees[place(of: first)] = subtree
  }

  /// Whether a chunk is held, and others can check it: what they cannot check is not sent.
  func mayGo(_ number: UInt64) -> Bool {
    held[number] != nil && (rules.width == 0 || subtree(of: number) != nil)
  }

  mutating func tellMunro(_ first: UInt64, _ local: UInt32) {
    let before = lines[local]?.munro ?? 0
    lines[local]?.munro = max(before, first)
  }

  /// The source's chunks are there when their subtree is signed.
  mutating func publish(_ subtree: SubtreeModel, _ payloads: [[UInt8]]) {
    insert(subtree)
    for (offset, payload) in payloads.enumerated() {
      publish(
        Chunk(
          number: subtree.chunks.lowerBound + UInt64(offset),
          timestamp: subtree.timestamp,
          payload: payload,
          signature: []
        )
      )
    }
  }

  // MARK: - Hashes that come

  mutating func keepHash(_ node: ChunkRange, _ hash: [UInt8], _ local: UInt32) {
    if let place = lines[local]?.hashes.firstIndex(where: { $0.node == node }) {
      lines[local]?.hashes[place].hash = hash
    } else {
      if lines[local]?.hashes.count == 128 { lines[local]?.hashes.removeFirst() }
      lines[local]?.hashes.append((node, hash))
    }
  }

  private func sent(_ local: UInt32) -> [ChunkRange: [UInt8]] {
    Dictionary(uniqueKeysWithValues: lines[local]?.hashes.map { ($0.node, $0.hash) } ?? [])
  }

  /// A munro counts when its hash came before it, and nothing that is held speaks against its time (section 6.1.2.4).
  mutating func readMunro(_ chunks: ChunkRange, _ timestamp: UInt64, _ signature: [UInt8], _ local: UInt32) {
    // A source signs by itself.
    guard !rules.isSource, subtree(of: chunks.lowerBound) == nil, let hash = sent(local)[chunks],
      newestSubtree.map({ $0 <= chunks.lowerBound + rules.window }) ?? true
    else { return }
    guard isSigned(Munro(chunks: chunks, timestamp: timestamp, hash: hash, signature: signature)) else {
      return lied(local)
    }
    guard isConsistent(timestamp, chunks) else { return }
    insert(SubtreeModel(chunks, timestamp: timestamp, signature: signature, munro: hash))
  }

  /// A datagram with hashes was read: what they prove is kept, and chunks that waited for them have their turn.
  mutating func learn(from number: UInt64, _ local: UInt32) {
    guard var subtree = subtree(of: number) else { return }
    let sent = sent(local)
    _ = subtree.learn(sent)
    subtrees[place(of: number)] = subtree
    let isLie = !subtree.isWhole && subtree.chunks.allSatisfy { sent[$0...$0] != nil }
    if subtree.isWhole || isLie { lines[local]?.hashes = [] }
    if isLie { return lied(local) }
    let waiting = parked.filter { subtree.chunks.contains($0.number) }
    parked.removeAll { subtree.chunks.contains($0.number) }
    for chunk in waiting where lines[chunk.local]?.isOpen == true {
      let waited = UInt64((now - chunk.since) / .microseconds(1))
      takeProven(chunk.number, sent: chunk.sent &+ waited, chunk.payload, chunk.local)
    }
  }

  // MARK: - Chunks that come

  mutating func takeProven(_ number: UInt64, sent time: UInt64, _ payload: [UInt8], _ local: UInt32) {
    guard mayTake(number, sent: time, local) else { return }
    var subtree = subtree(of: number)
    let verdict = subtree?.verify(number, payload, sent(local))
    if let subtree { subtrees[place(of: number)] = subtree }
    guard let subtree, let isGenuine = verdict else {
      guard !parked.contains(where: { $0.number == number }) else { return }
      if parked.count == 256 { parked.removeFirst() }
      return parked.append(
        Parked(local: local, number: number, sent: time, payload: payload, since: now)
      )
    }
    guard isGenuine else { return lied(local) }
    let chunk = Chunk(number: number, timestamp: subtree.timestamp, payload: payload, signature: [])
    admit(chunk, sent: time, local)
  }

  // MARK: - What is sent

  private func munro(_ subtree: SubtreeModel) -> [Word] {
    [
      .hash(subtree.chunks, subtree.munro),
      .signature(subtree.chunks, timestamp: subtree.timestamp, subtree.signature),
    ]
  }

  /// Who comes is sent the rightmost signed munro (section 6.1.2.4).
  mutating func expectMunro(_ local: UInt32) {
    guard let newestSubtree, let subtree = subtree(of: newestSubtree) else { return }
    for word in munro(subtree) { say(local, word) }
  }

  /// The rightmost munro goes to who has shown nothing of it, or of what follows.
  mutating func judgeMunro(_ word: Word, _ local: UInt32) {
    guard let newestSubtree, let subtree = subtree(of: newestSubtree), munro(subtree).contains(word),
      let line = lines[local] ?? ended[local]
    else { return complain("says \(word) to \(local)", "that is not the rightmost munro") }
    guard line.shown.allSatisfy({ $0.upperBound < newestSubtree }) else {
      return complain("says \(word) to \(local)", "that one has shown to have \(Self.text(line.shown))")
    }
    tellMunro(newestSubtree, local)
  }

  /// Who was told of the newest chunk was sent its munro as well.
  mutating func reviewMunro(_ local: UInt32) {
    guard let line = lines[local], let newest, let newestSubtree, line.wantsHaves, line.told == newest,
      line.toldAt.map({ now - $0 > .milliseconds(100) }) ?? false,
      subtree(of: newest)?.chunks.lowerBound == newestSubtree, line.munro != newestSubtree,
      line.possible.allSatisfy({ $0.upperBound < newestSubtree })
    else { return }
    complain(
      "does not send \(local) the munro at \(newestSubtree)",
      "it was told of \(newest), and has nothing near"
    )
  }

  /// DATA goes with what its receiver lacks to check it, and no more (sections 5.3 and 6.1.2.3).
  mutating func judgeProven(
    _ number: UInt64,
    _ sent: UInt64,
    _ payload: [UInt8],
    _ proof: [Word],
    _ local: UInt32?
  ) {
    let first = number / rules.width * rules.width
    guard let local, let line = lines[local] ?? ended[local],
      let subtree = subtree(of: number) ?? displaced[first]
    else {
      return complain("sends chunk \(number)", "nobody is there who could check it")
    }
    // What is known of the receiver lies between what it had said for certain, and what it may have said by now.
    let most = subtree.uncles(of: number, shown: line.shown)
    let least = subtree.uncles(of: number, shown: line.possible)
    let isFirst = !line.shown.contains { $0.overlaps(subtree.chunks) }
    let isKnown = line.possible.contains { $0.overlaps(subtree.chunks) }
    let isRight = (least.count...most.count).contains { count in
      let uncles = most.suffix(count).map { Word.hash($0, subtree.known[$0] ?? []) }
      return isFirst && count == most.count && proof == munro(subtree) + uncles || isKnown && proof == uncles
    }
    guard isRight else {
      return complain(
        "sends chunk \(number) to \(local) with \(proof)",
        "it needs the hashes of \(Self.text(most))\(isFirst ? " under the munro" : ""), or the last \(least.count)"
      )
    }
    if proof.count > most.count { tellMunro(subtree.chunks.lowerBound, local) }
    judgeChunk(
      Chunk(number: number, timestamp: subtree.timestamp, payload: payload, signature: []),
      sent,
      local
    )
  }
}
