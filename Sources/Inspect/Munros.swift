internal import Integrity
internal import Wire

/// The subtrees of a stream whose signatures a capture has shown (RFC 7574, section 6.1.2).
struct Munros {
  /// The most subtrees that are remembered, each with at most 64 hashes; the oldest is forgotten first.
  static let limit = 128

  private let verifier: UnifiedMerkle.Verifier
  private var subtrees: [UnifiedMerkle.Subtree] = []
  private var oldest = 0

  init(_ verifier: UnifiedMerkle.Verifier) { self.verifier = verifier }

  private func place(of chunk: UInt64) -> Int? { subtrees.lastIndex { $0.munro.contains(chunk) } }

  /// Checks a signature, and remembers the subtree with what is known of its hashes.
  mutating func insert(
    _ chunks: ChunkRange,
    timestamp: UInt64,
    signature: RawSpan,
    _ hashes: PendingHashes
  ) -> Verdict {
    guard verifier.isMunro(chunks) else { return .unknown("such ranges are not signed in this swarm") }
    let found = verifier.verify(munro: chunks, hashes, timestamp: timestamp, signature: signature)
    guard var found else { return .forged }
    _ = found.learn(from: hashes)
    if let place = place(of: chunks.lowerBound), subtrees[place].munro == chunks {
      // Whoever is sent it again tells nothing new.
      if subtrees[place].signature != found.signature { subtrees[place] = found }
    } else if subtrees.count < Self.limit {
      subtrees.append(found)
    } else {
      subtrees[oldest] = found
      oldest = (oldest + 1) % Self.limit
    }
    return .genuine
  }

  mutating func learn(_ chunk: UInt64, from hashes: PendingHashes) {
    guard let place = place(of: chunk), !subtrees[place].hasAllHashes else { return }
    _ = subtrees[place].learn(from: hashes)
  }

  mutating func verdict(_ chunk: UInt64, _ payload: RawSpan, _ hashes: PendingHashes) -> Verdict {
    guard let place = place(of: chunk) else {
      return .unknown("the signature of its subtree was not in this capture before it")
    }
    switch subtrees[place].verify(chunk, payload, hashes) {
    case .genuine: return .genuine
    case .forged: return .forged
    case .hashesMissing: return KnownSwarm.hashesMissing
    }
  }
}
