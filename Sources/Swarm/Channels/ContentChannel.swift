import Integrity
import Wire

/// What a channel of a static swarm adds to ``Channel``.
struct ContentChannel {
  /// Chunks that the other side wants.
  struct Wanted {
    var chunks: ChunkRange
    /// Whether some were sent before and did not arrive, or could not be verified.
    var isRepeated: Bool
  }

  /// A first chunk that was asked for to learn the size.
  struct Probe {
    var chunk: UInt64
    var tries = 0
    var next: Duration
  }

  /// The most ranges that the other side may wait for; the rest it has to ask for again.
  static let wantedLimit = 1024
  /// The most ranges of chunks that the other side is remembered to have.
  static let availableLimit = 8192

  // What it wants.
  var wanted = Ring<Wanted>()
  /// What is under way to it and was not found lost.
  var underWay = IntervalSet(limit: availableLimit)
  var peaksSent: Duration?
  var servedSince: Duration = .zero
  /// What it was told that we have.
  var said = IntervalSet(limit: .max)

  /// How much of ours had come when it was told last.
  var saidCount: UInt64 = 0

  // What it gives.
  var pending: PendingHashes
  var probe: Probe?
  /// Whether it was ever asked for something.
  var isSource = false

  init(_ function: HashFunction) { pending = PendingHashes(function) }

  /// Takes some chunks from what it wants.
  mutating func drop(_ chunks: ChunkRange) {
    guard (0..<wanted.count).contains(where: { wanted[$0].chunks.overlaps(chunks) }) else { return }
    let before = wanted
    wanted.removeAll()
    for place in 0..<before.count {
      let entry = before[place]
      guard entry.chunks.overlaps(chunks) else {
        want(entry.chunks, entry.isRepeated)
        continue
      }
      if entry.chunks.lowerBound < chunks.lowerBound {
        want(entry.chunks.lowerBound...chunks.lowerBound - 1, entry.isRepeated)
      }
      if entry.chunks.upperBound > chunks.upperBound {
        want(chunks.upperBound + 1...entry.chunks.upperBound, entry.isRepeated)
      }
    }
  }

  /// Adds to what it wants, as far as there is room.
  mutating func want(_ chunks: ChunkRange, _ isRepeated: Bool) {
    guard wanted.count < Self.wantedLimit else { return }
    wanted.append(Wanted(chunks: chunks, isRepeated: isRepeated))
  }

  /// The next chunk that it wants and that is among `held`.
  mutating func nextWanted(_ held: IntervalSet) -> (chunk: UInt64, isRepeated: Bool)? {
    while let first = wanted.first {
      guard let chunk = held.lowest(from: first.chunks.lowerBound), chunk <= first.chunks.upperBound else {
        wanted.removeFirst()
        continue
      }
      if chunk > first.chunks.lowerBound {
        wanted[0].chunks = chunk...first.chunks.upperBound
      }
      return (chunk, first.isRepeated)
    }
    return nil
  }

  /// The chunk that ``nextWanted(_:)`` gave is sent.
  mutating func removeWanted() {
    guard let first = wanted.first else { return }
    guard first.chunks.lowerBound < first.chunks.upperBound else {
      wanted.removeFirst()
      return
    }
    wanted[0].chunks = first.chunks.lowerBound + 1...first.chunks.upperBound
  }
}
