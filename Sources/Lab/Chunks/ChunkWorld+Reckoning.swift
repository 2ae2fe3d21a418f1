/// A chunk whose ways to all peers are taken apart.
struct Sample {
  var chunk: UInt32
  /// For each peer, how the chunk came there.
  var splits: [PathSplit]
}

/// Why chunks did not come, two bits for each chunk and peer, until they are reckoned with.
struct Marks {
  private let words: Int
  private let span: UInt32
  private var low: [UInt64]
  private var high: [UInt64]

  init(count: Int, span: Int) {
    words = (span + 63) / 64
    self.span = UInt32(words * 64)
    low = [UInt64](repeating: 0, count: words * count)
    high = [UInt64](repeating: 0, count: words * count)
  }

  /// The mark of a chunk at a peer; 0 for none.
  subscript(peer: Int, chunk: UInt32) -> UInt8 {
    get {
      let place = chunk % span
      let word = peer * words + Int(place >> 6)
      let shift = UInt64(place & 63)
      return UInt8(low[word] >> shift & 1) | UInt8(high[word] >> shift & 1) << 1
    }
    set {
      let place = chunk % span
      let word = peer * words + Int(place >> 6)
      let bit: UInt64 = 1 << UInt64(place & 63)
      low[word] = newValue & 1 == 0 ? low[word] & ~bit : low[word] | bit
      high[word] = newValue & 2 == 0 ? high[word] & ~bit : high[word] | bit
    }
  }
}

// What a run shows.
extension ChunkWorld {
  private static let blames: [Measurement.Blame] = [.way, .queue, .repair, .liar]
  /// How many peers are asked, one above the other, why a chunk did not come.
  private static let blameDepth = 64

  // MARK: Chunks that came

  /// A chunk has come to a peer for the first time.
  mutating func reached(_ index: Int, _ chunk: UInt32, _ extra: UInt32) {
    let time = published[Int(chunk)]
    noteStart(index)
    let isExpected = isExpected(index, time)
    if isExpected {
      measurement.delays.add(now - time)
      if now - time <= deadline {
        measurement.inTime += 1
        peers[index].inTimeCount += 1
        measurement.timeline[Int((time - measured.lowerBound) / 1_000_000_000)].inTime += 1
      } else {
        measurement.late += 1
      }
    }
    guard extra != 0, extras[Int(extra)].isSampled, let place = sample(of: chunk) else { return }
    var split = extras[Int(extra)].split
    // What the download took.
    split.queue += now - split.arrived
    split.arrived = now
    samples[place].splits[index] = split
    guard isExpected else { return }
    measurement.split.deliveries += 1
    measurement.split.serialisation += split.serialisation
    measurement.split.propagation += split.propagation
    measurement.split.queue += split.queue
    measurement.split.request += split.request
    measurement.split.repair += split.repair
    measurement.split.hops += UInt64(split.hops)
  }

  /// Whether a chunk of that time counts at a peer.
  private func isExpected(_ index: Int, _ time: Int64) -> Bool {
    measured.contains(time) && time + deadline <= end && peers[index].joins <= time
      && (peers[index].goes == ChunkPeer.never || peers[index].goes > time + deadline)
  }

  private mutating func noteStart(_ index: Int) {
    guard !peers[index].hasStarted else { return }
    let entry = view.newestEntry(index)
    guard entry > 0 else { return }
    var chunk = entry
    let newest = view.newest(index)
    while chunk <= newest {
      guard view.has(index, chunk) else { return }
      chunk += 1
    }
    peers[index].hasStarted = true
    measurement.starts.add(now - peers[index].joins)
  }

  // MARK: Chunks that did not

  mutating func mark(_ index: Int, _ chunk: UInt32, _ blame: Measurement.Blame) {
    guard measured.contains(published[Int(chunk)]), !view.isHere(index, chunk) else { return }
    marks[index, chunk] = UInt8(Self.blames.firstIndex(of: blame) ?? 0)
  }

  /// A chunk's deadline has passed: who should have it, and why those do not who have it not.
  mutating func reckon(_ chunk: UInt32) {
    let time = published[Int(chunk)]
    var expected: UInt64 = 0
    var missing: [Int] = []
    for index in 1..<max(1, peers.count) {
      guard peers[index].joins <= time, peers[index].state == .running || peers[index].state == .opening
      else {
        continue
      }
      expected += 1
      peers[index].expectedCount += 1
      if !view.isHere(index, chunk) { missing.append(index) }
    }
    for index in missing { measurement.blame[blame(index, chunk), default: 0] += 1 }
    for index in missing { marks[index, chunk] = 0 }
    measurement.expected += expected
    measurement.timeline[Int((time - measured.lowerBound) / 1_000_000_000)].expected += expected
    samples.removeAll { $0.chunk == chunk }
  }

  /// Looks upwards for the first who was let down.
  private func blame(_ index: Int, _ chunk: UInt32) -> Measurement.Blame {
    var at = index
    let stripe = UInt16(stripe(of: chunk))
    for _ in 0..<Self.blameDepth {
      let mark = marks[at, chunk]
      if mark > 0 { return Self.blames[Int(mark)] }
      guard peers[at].state == .running else { return .detached }
      guard let parent = peers[at].parents.first(where: { $0.stripe == stripe })?.peer else {
        return peers[at].declaresParents || peers[at].links.allSatisfy(\.isFree) ? .detached : .way
      }
      if view.isHere(Int(parent), chunk) {
        return peers[Int(parent)].uploadFree > now + interval ? .queue : .way
      }
      at = Int(parent)
      if at == 0 { return .way }
    }
    return .detached
  }

  // MARK: Delays taken apart

  func sample(of chunk: UInt32) -> Int? {
    guard !samples.isEmpty else { return nil }
    return samples.firstIndex { $0.chunk == chunk }
  }

  /// One chunk of each second is followed everywhere.
  mutating func beginSample(_ chunk: UInt32) {
    let distance = UInt32(max(1, 1_000_000_000 / interval))
    guard chunk % distance == distance / 2, measured.contains(now), now + deadline <= end else { return }
    var splits = [PathSplit](repeating: PathSplit(), count: peers.count)
    splits[0].arrived = now
    samples.append(Sample(chunk: chunk, splits: splits))
  }

  /// A sampled chunk leaves: what it waited for here, and what is to come.
  mutating func takeApart(_ index: Int, _ entry: WaitingChunk, serialisation: Int64, arrival: Int64) {
    let extra = extras[Int(entry.extra)]
    guard extra.isSampled, let place = sample(of: entry.chunk) else { return }
    var split = samples[place].splits[index]
    let held = max(0, entry.since - split.arrived)
    switch extra.cause {
    case .repaired: split.repair += held
    case .requested, .later: split.request += held
    case .fresh: split.queue += held
    }
    split.queue += now - entry.since
    split.serialisation += serialisation
    split.propagation += arrival - now - serialisation
    split.hops += 1
    split.arrived = arrival
    extras[Int(entry.extra)].split = split
  }

  // MARK: The end

  /// The measurement has ended: where everybody stands.
  mutating func noteDepths() {
    for index in peers.indices where peers[index].state == .running {
      guard let depth = depthOf(index), depth <= Int(UInt16.max) else { continue }
      while measurement.depths.count <= depth { measurement.depths.append(0) }
      measurement.depths[depth] += 1
    }
  }

  mutating func conclude() {
    for index in peers.indices {
      for link in peers[index].links where !link.isFree {
        measurement.controlBytes += UInt64((now - link.opened) / 1_000_000) * UInt64(WireCost.pings) / 2000
      }
    }
    measurement.neverStarted = measurement.joins - min(measurement.joins, measurement.starts.count)
    measurement.peerParts = peers.indices.dropFirst().compactMap { index in
      let expected = peers[index].expectedCount
      return expected == 0 ? nil : Float(peers[index].inTimeCount) / Float(expected)
    }.sorted()
    measurement.trace = trace
  }

  /// A hash over all that has happened so far.
  var trace: UInt64 {
    peers.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ $1.trace) &* 0x100_0000_01B3 }
  }
}
