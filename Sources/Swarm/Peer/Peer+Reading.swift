public import Integrity
import PluginKit
import Wire

// Chunks in their order, for whoever plays or records them.
extension Peer {
  /// Calls `body` for each chunk that is next in order.
  ///
  /// A chunk that does not come is waited for as long as ``PeerConfiguration/patience`` says; `skipped` is how many
  /// were given up just before this one. `timestamp` is when the source signed it.
  public mutating func read(
    now: Duration,
    _ body: (
      _ chunk: UInt64, _ payload: RawSpan, _ timestamp: NTPTimestamp, _ isEntry: Bool, _ skipped: UInt64
    ) -> Void
  ) {
    // What output waits for is asked for apart.
    if self.now != now { self.now = now }
    var skipped: UInt64 = 0
    blockedUntil = nil
    // The answer to the first ask says where to begin; chunks may overtake it, but not by much.
    if readCount == 0, let first = window.held.lowest(from: 0),
      channels.indices.contains(where: { channels[$0].isOpen && channels[$0].isAskedForData })
    {
      let limit = window.arrival(of: first) + Self.answerGrace
      guard now >= limit else {
        blockedUntil = limit
        return
      }
    }
    while let next = nextRead {
      if window.contains(next) {
        window.withPayload(of: next) { payload in
          body(
            next,
            payload,
            NTPTimestamp(rawValue: window.timestamp(of: next) ?? 0),
            window.isEntry(next),
            skipped
          )
        }
        noteRead(next)
        skipped = 0
        nextRead = next + 1
        if next == lastChunk {
          hasReadLast = true
          notices.append(.ended)
        }
        continue
      }
      guard let later = window.held.lowest(from: next) else {
        if beginAnew() { continue }
        return
      }
      let since = max(missing(next)?.since ?? .zero, proof(from: later))
      let limit = since + configuration.patience
      guard next < window.first || now >= limit else {
        blockedUntil = limit
        return
      }
      skipped += later - next
      if isJump(next, later) {
        counters.lost += announced(next...(later - 1))
        notices.append(
          .sentence("the broadcast was restarted: its chunk numbers jumped, and those between never existed")
        )
      } else {
        counters.lost += later - next
      }
      nextRead = later
    }
  }

  /// When a chunk that is still in the window came.
  public func arrival(of chunk: UInt64) -> Duration? {
    window.contains(chunk) ? window.arrival(of: chunk) : nil
  }

  /// How long chunks may lie before output begins without an answer; others may be asked who never answer.
  private static let answerGrace: Duration = .milliseconds(300)

  /// When a chunk first came that only makes sense if `chunk` exists too; somebody's word is no proof of that.
  private func proof(from later: UInt64) -> Duration {
    var first = window.arrival(of: later)
    for number in later...min(later + min(63, .max - later), window.newest ?? later)
    where window.contains(number) {
      first = min(first, window.arrival(of: number))
    }
    return first
  }

  /// Whether more numbers were passed over than the stream can have used since the last chunk was signed.
  ///
  /// So it is when a source that crashed begins anew: it does not know which numbers it has used. Four times the rate,
  /// and a second more, leave room for the bursts of a stream; what is less is loss.
  private func isJump(_ next: UInt64, _ later: UInt64) -> Bool {
    guard let last = lastReadTimestamp, let signed = window.timestamp(of: later), streamRate > 0 else {
      return false
    }
    let elapsed = Double(max(0, Int64(bitPattern: signed &- last))) / 4_294_967_296
    let perSecond = Double(streamRate) / (usualLength * 8)
    return Double(later - next) > perSecond * 4 * (elapsed + 1)
  }

  /// How many of some chunks anybody has said to have.
  private func announced(_ chunks: ChunkRange) -> UInt64 {
    var known = IntervalSet()
    for channel in channels where channel.isOpen {
      for range in channel.available.ranges where range.overlaps(chunks) {
        known.insert(range.clamped(to: chunks))
      }
    }
    return known.count
  }

  /// The root hash under which a stream that has ended can be served for good, byte for byte as it was put out.
  ///
  /// Only of a stream under a Unified Merkle Tree of which nothing was left out (RFC 7574, section 6.1.2.1), and whose
  /// chunks are of one size: a place in content is found by its chunk's number.
  public var recordingRoot: RootHash? {
    lastChunk == nil || configuration.hasVariableChunks ? nil : unified?.root
  }

  private mutating func noteRead(_ chunk: UInt64) {
    unified?.record(chunk, isLast: chunk == lastChunk)
    readCount += 1
    lastReadTimestamp = window.timestamp(of: chunk)
    if let last = lastRead {
      if let swap { self.swap?.gap = max(swap.gap, now - last) }
      counters.longestGapMilliseconds = max(
        counters.longestGapMilliseconds ?? 0,
        (now - last) / .milliseconds(1)
      )
    }
    lastRead = now
  }

  /// Whether the signed end of the stream has been read.
  public var hasEnded: Bool { hasReadLast }
}
