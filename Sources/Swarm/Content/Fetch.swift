import Wire

/// Decides which chunks of content to ask which source for (RFC 7574, section 9.1).
///
/// A value without clock, channels or bytes. Each chunk is asked for from one source at a time. Chunks are dealt with in
/// pieces, at most ``pieceLimit`` of them: a piece that was begun comes first, then the one that the fewest sources
/// have; or all of them come in their order.
struct Fetch {
  static let pieceLimit: UInt64 = 4096
  static let smallestPiece: UInt64 = 64
  /// What is asked for is taken away from a source that takes this much longer than a round trip for it, once another
  /// has nothing to do.
  static let takeOverAfter: Duration = .milliseconds(50)

  let chunkCount: UInt64
  let order: Content.Order
  /// Chunks of a piece, a multiple of 64.
  let pieceSize: UInt64
  private(set) var heldCount: UInt64 = 0
  /// Chunks that are neither here nor asked for.
  private(set) var openCount: UInt64
  /// One bit for each chunk: whether it is here, and whether it is here or asked for.
  private(set) var held: [UInt64]
  private(set) var taken: [UInt64]
  /// Of each piece: how many chunks are open, how many sources have all of it, and how many are asked from it.
  private var open: [UInt32]
  private var availability: [UInt32]
  private var workers: [UInt16]
  /// By channel.
  private(set) var sources: [FetchSource?] = []

  init(chunkCount: UInt64, order: Content.Order) {
    self.chunkCount = chunkCount
    self.order = order
    let even = (chunkCount + Self.pieceLimit - 1) / Self.pieceLimit
    pieceSize = max(Self.smallestPiece, (even + 63) / 64 * 64)
    openCount = chunkCount
    let words = Int((chunkCount + 63) / 64)
    held = [UInt64](repeating: 0, count: words)
    taken = [UInt64](repeating: 0, count: words)
    let pieces = Int((chunkCount + pieceSize - 1) / pieceSize)
    open = [UInt32](repeating: UInt32(pieceSize), count: pieces)
    open[pieces - 1] = UInt32(chunkCount - UInt64(pieces - 1) * pieceSize)
    availability = [UInt32](repeating: 0, count: pieces)
    workers = [UInt16](repeating: 0, count: pieces)
  }

  var isComplete: Bool { heldCount == chunkCount }
  var pieceCount: Int { open.count }

  func has(_ chunk: UInt64) -> Bool { Self.isSet(held, chunk) }

  /// How many chunks a source was asked for and has not sent.
  func outstanding(_ source: Int) -> Int { source < sources.count ? sources[source]?.outstanding ?? 0 : 0 }

  // MARK: - Sources

  mutating func join(_ source: Int) {
    while sources.count <= source { sources.append(nil) }
    sources[source] = FetchSource(pieces: pieceCount)
  }

  /// A source is gone: what it was asked for is asked from others.
  mutating func leave(_ source: Int) {
    guard source < sources.count, sources[source] != nil else { return }
    giveBackAll(source)
    work(source, on: nil)
    if let counted = sources[source]?.counted {
      for piece in 0..<pieceCount where Self.isSet(counted, UInt64(piece)) { availability[piece] -= 1 }
    }
    sources[source] = nil
  }

  /// A source has said that it has some chunks, `available` among others.
  mutating func offers(_ source: Int, _ chunks: ChunkRange, _ available: IntervalSet) {
    guard source < sources.count, sources[source] != nil, chunks.lowerBound < chunkCount else { return }
    let last = min(chunks.upperBound, chunkCount - 1)
    var piece = Int(chunks.lowerBound / pieceSize)
    while piece <= Int(last / pieceSize), let word = sources[source]?.counted[piece / 64] {
      // Who repeats itself costs little.
      guard word != .max else {
        piece = (piece / 64 + 1) * 64
        continue
      }
      let bit: UInt64 = 1 << UInt64(piece % 64)
      if word & bit == 0, available.covers(self.chunks(of: piece)) {
        sources[source]?.counted[piece / 64] = word | bit
        availability[piece] += 1
      }
      piece += 1
    }
  }

  /// A source answers no requests for now, or does again; what it was asked for will not come (RFC 7574, section 3.9).
  mutating func choke(_ source: Int, _ isChoking: Bool) {
    guard source < sources.count, sources[source] != nil else { return }
    sources[source]?.isChoking = isChoking
    if isChoking { giveBackAll(source) }
  }

  // MARK: - Chunks

  /// A chunk is here and verified, from a source or from before.
  mutating func arrived(_ chunk: UInt64, from source: Int?, now: Duration) {
    if let source, source < sources.count { sources[source]?.arrived(chunk, isGood: true, now: now) }
    guard chunk < chunkCount, !Self.isSet(held, chunk) else { return }
    Self.set(&held, chunk)
    heldCount += 1
    take(chunk)
  }

  /// A chunk has come and is of no use: it is asked for again.
  mutating func failed(_ chunk: UInt64, from source: Int, now: Duration) {
    guard source < sources.count else { return }
    sources[source]?.arrived(chunk, isGood: false, now: now)
    giveBack(chunk)
  }

  private mutating func take(_ chunk: UInt64) {
    guard !Self.isSet(taken, chunk) else { return }
    Self.set(&taken, chunk)
    open[Int(chunk / pieceSize)] -= 1
    openCount -= 1
  }

  private mutating func giveBack(_ chunk: UInt64) {
    guard chunk < chunkCount, !Self.isSet(held, chunk), Self.isSet(taken, chunk) else { return }
    taken[Int(chunk / 64)] &= ~(1 << (chunk % 64))
    open[Int(chunk / pieceSize)] += 1
    openCount += 1
  }

  private mutating func giveBackAll(_ source: Int) {
    while let chunk = sources[source]?.takeAny() { giveBack(chunk) }
  }

  // MARK: - Asking

  /// Chooses what to ask a source for, and takes it as asked.
  mutating func ask(
    _ source: Int,
    having available: IntervalSet,
    roundTrip: Duration,
    now: Duration,
    using random: inout some RandomNumberGenerator,
    _ ranges: inout [ChunkRange]
  ) {
    guard source < sources.count, var room = sources[source]?.room, room > 0, openCount > 0 else { return }
    sources[source]?.roundTrip = roundTrip
    // The last chunk tells the exact size (RFC 7574, section 5.6.2).
    if !Self.isSet(taken, chunkCount - 1), available.contains(chunkCount - 1) {
      take(chunkCount - 1)
      sources[source]?.ask(chunkCount - 1, now: now)
      ranges.append(joining: chunkCount - 1...chunkCount - 1)
      room -= 1
    }
    while room > 0, let piece = piece(for: source, available, using: &random) {
      work(source, on: piece)
      let chunks = chunks(of: piece)
      var next = chunks.lowerBound
      while room > 0, let run = run(from: next, to: chunks.upperBound, room, available) {
        for chunk in run {
          take(chunk)
          sources[source]?.ask(chunk, now: now)
        }
        room -= run.count
        ranges.append(joining: run)
        next = run.upperBound + 1
      }
    }
  }

  /// The piece that a source is asked from next; it has an open chunk that the source has.
  private func piece(
    for source: Int,
    _ available: IntervalSet,
    using random: inout some RandomNumberGenerator
  ) -> Int? {
    if order == .inOrder {
      return open.indices.first { isUseful($0, available) }
    }
    let current = sources[source]?.piece
    if let current, isUseful(current, available) { return current }
    let start = Int(random.next() % UInt64(pieceCount))
    var best: Int?
    var least = UInt64.max
    for step in 0..<pieceCount {
      let piece = start + step < pieceCount ? start + step : start + step - pieceCount
      guard open[piece] > 0 else { continue }
      let value = value(of: piece)
      guard value < least, isUseful(piece, available) else { continue }
      best = piece
      least = value
    }
    return best
  }

  /// What is least is asked for first: what was begun and left, the rarest, and last what another source is at.
  private func value(of piece: Int) -> UInt64 {
    if workers[piece] > 0 { return 1 << 32 + UInt64(workers[piece]) }
    let chunks = chunks(of: piece)
    return open[piece] < chunks.count ? 0 : 1 + UInt64(availability[piece])
  }

  private func isUseful(_ piece: Int, _ available: IntervalSet) -> Bool {
    guard open[piece] > 0 else { return false }
    let chunks = chunks(of: piece)
    return run(from: chunks.lowerBound, to: chunks.upperBound, 1, available) != nil
  }

  private mutating func work(_ source: Int, on piece: Int?) {
    if let before = sources[source]?.piece { workers[before] -= 1 }
    if let piece { workers[piece] += 1 }
    sources[source]?.piece = piece
  }

  private func chunks(of piece: Int) -> ChunkRange {
    let first = UInt64(piece) * pieceSize
    return first...min(first + pieceSize, chunkCount) - 1
  }

  /// The first run of open chunks that a source has, of at most `limit` chunks.
  private func run(from first: UInt64, to last: UInt64, _ limit: Int, _ available: IntervalSet) -> ChunkRange?
  {
    var next = first
    while let chunk = firstOpen(from: next, to: last) {
      guard let there = available.range(containing: chunk) else {
        guard let later = available.lowest(from: chunk) else { return nil }
        next = later
        continue
      }
      let end = min(there.upperBound, last, chunk + UInt64(limit) - 1)
      var highest = chunk
      while highest < end, !Self.isSet(taken, highest + 1) { highest += 1 }
      return chunk...highest
    }
    return nil
  }

  private func firstOpen(from first: UInt64, to last: UInt64) -> UInt64? {
    var next = first
    while next <= last {
      let word = ~taken[Int(next / 64)] >> (next % 64)
      guard word == 0 else {
        let chunk = next + UInt64(word.trailingZeroBitCount)
        return chunk <= last ? chunk : nil
      }
      next = (next / 64 + 1) * 64
    }
    return nil
  }

  // MARK: - Time

  /// The end of the fetch: takes from a slow source half of what one that has nothing to do could send instead.
  ///
  /// - Returns: whom it was taken from, who is to hear of it by CANCEL (RFC 7574, section 3.8).
  mutating func takeOver(
    _ source: Int,
    having available: IntervalSet,
    now: Duration,
    _ ranges: inout [ChunkRange]
  ) -> Int? {
    guard openCount == 0, !isComplete, source < sources.count, let idle = sources[source],
      idle.outstanding == 0, !idle.isChoking, idle.failures == 0
    else { return nil }
    var slowest: (source: Int, remaining: Duration)?
    for (other, candidate) in sources.enumerated() where other != source {
      guard let candidate, candidate.asked.count > 0 else { continue }
      let remaining = candidate.remaining ?? .seconds(3600)
      if remaining > slowest?.remaining ?? (idle.roundTrip + Self.takeOverAfter) {
        slowest = (other, remaining)
      }
    }
    guard let victim = slowest?.source, let count = sources[victim]?.asked.count else { return nil }
    var taken: [UInt64] = []
    for _ in 0..<min((count + 1) / 2, idle.limit) {
      guard let last = sources[victim]?.asked.last, available.contains(last),
        let chunk = sources[victim]?.takeLast()
      else { break }
      taken.append(chunk)
    }
    for chunk in taken.reversed() {
      sources[source]?.ask(chunk, now: now)
      ranges.append(joining: chunk...chunk)
    }
    return taken.isEmpty ? nil : victim
  }

  var nextTimeout: Duration? {
    var next: Duration?
    for source in sources {
      guard let time = source?.nextTimeout else { continue }
      next = next.map { min($0, time) } ?? time
    }
    return next
  }

  /// Gives back what was overtaken long enough ago, and all that a silent source was asked for.
  ///
  /// - Returns: the silent ones with what they are not asked for any more.
  mutating func timeout(now: Duration) -> [(source: Int, chunks: [ChunkRange])] {
    var silent: [(source: Int, chunks: [ChunkRange])] = []
    for source in sources.indices {
      while let chunk = sources[source]?.takeOverdue(now: now) { giveBack(chunk) }
      guard let deadline = sources[source]?.deadline, deadline <= now else { continue }
      var chunks: [ChunkRange] = []
      while let chunk = sources[source]?.takeAny() {
        giveBack(chunk)
        chunks.append(joining: chunk...chunk)
      }
      sources[source]?.fail()
      work(source, on: nil)
      silent.append((source, chunks))
    }
    return silent
  }

  /// Whether somebody who could send has nothing to do, though not everything is here.
  var hasIdleSource: Bool {
    guard openCount == 0, !isComplete else { return false }
    return sources.contains { source in source.map { $0.outstanding == 0 && !$0.isChoking } ?? false }
  }

  private static func isSet(_ bits: [UInt64], _ index: UInt64) -> Bool {
    bits[Int(index / 64)] >> (index % 64) & 1 == 1
  }

  private static func set(_ bits: inout [UInt64], _ index: UInt64) {
    bits[Int(index / 64)] |= 1 << (index % 64)
  }
}

extension [ChunkRange] {
  /// Appends chunks, or lengthens the last range where they follow it.
  mutating func append(joining chunks: ChunkRange) {
    if let last, last.upperBound != .max, chunks.lowerBound == last.upperBound + 1 {
      self[count - 1] = last.lowerBound...chunks.upperBound
    } else {
      append(chunks)
    }
  }
}
