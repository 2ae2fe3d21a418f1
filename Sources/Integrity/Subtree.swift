public import Wire

extension UnifiedMerkle {
  /// The chunks below one signed munro, and what is known of their hashes.
  ///
  /// Only proved hashes are kept; those that a peer sends wait in the `PendingHashes` of its channel, so nobody can
  /// spoil a subtree for others. What is signed stays as it was signed, to be sent on.
  public struct Subtree: Sendable {
    /// The time of signing, as in SIGNED_INTEGRITY.
    public let timestamp: UInt64
    /// The signature of the munro.
    public let signature: [UInt8]
    var tree: HashTree

    init(_ tree: HashTree, timestamp: UInt64, signature: [UInt8]) {
      self.tree = tree
      self.timestamp = timestamp
      self.signature = signature
    }

    /// The chunks of the subtree, of which the last of a stream may not exist.
    public var munro: ChunkRange { tree.root.chunks }

    public var function: HashFunction { tree.function }

    /// Whether the hash of every chunk is known, so that each can be checked by itself.
    public var hasAllHashes: Bool { munro.allSatisfy { tree.isKnown(.leaf($0)) } }

    /// Whether the hash of a chunk of the subtree is known.
    public func knowsHash(of chunk: UInt64) -> Bool { munro.contains(chunk) && tree.isKnown(.leaf(chunk)) }

    // MARK: Receiving

    /// Checks a chunk with the hashes that its sender sent, and remembers those that led to the munro.
    ///
    /// Does not allocate, if no copy of the subtree is kept elsewhere.
    ///
    /// - Precondition: the chunk is one of the subtree's.
    public mutating func verify(
      _ chunk: UInt64,
      _ payload: RawSpan,
      _ pending: PendingHashes
    ) -> Verdict {
      precondition(munro.contains(chunk), "a chunk of another subtree")
      let leaf = Bin.leaf(chunk)
      let digest = function.digest(payload)
      let verdict = tree.verify(leaf, digest, pending)
      guard verdict == .hashesMissing, tree.resolve(pending) else { return verdict }
      return tree.verify(leaf, digest, pending)
    }

    /// Remembers those of a peer's hashes that lead to the munro, as when it has sent them all at once.
    ///
    /// - Returns: whether something became known.
    public mutating func learn(from pending: PendingHashes) -> Bool { tree.resolve(pending) }

    // MARK: Sending

    /// Calls `body` with the munro's hash, for the INTEGRITY before its SIGNED_INTEGRITY (section 6.1.2.3).
    public func munroHash(_ body: (ChunkRange, RawSpan) -> Void) { tree.give(tree.root, body) }

    /// Calls `body` for each hash that a receiver lacks to check a chunk, the highest first.
    ///
    /// `holdsAny` says whether the receiver has acknowledged one of some chunks, or was sent one that it will. Does not allocate.
    ///
    /// - Precondition: the hash of the chunk is known.
    public func uncles(
      of chunk: UInt64,
      holdsAny: (ChunkRange) -> Bool,
      _ body: (ChunkRange, RawSpan) -> Void
    ) {
      precondition(knowsHash(of: chunk), "only what was verified can be proved to others")
      tree.uncles(of: chunk, isTop: { _ in false }, holdsAny: holdsAny, body)
    }

    /// Calls `body` for the hash of each chunk in order, from which a receiver computes all others.
    ///
    /// - Precondition: all are known.
    public func leaves(_ body: (ChunkRange, RawSpan) -> Void) {
      precondition(hasAllHashes, "only what was verified can be proved to others")
      for chunk in munro { tree.give(.leaf(chunk), body) }
    }
  }

  /// Makes the root hash of a broadcast that is over, under which it is served as static content.
  ///
  /// Munros do not depend on chunk numbers, so chunk `firstChunk + i` of the stream becomes chunk `i` of the content.
  public struct Recording: Sendable {
    /// The number of the first chunk, once there is a subtree.
    public private(set) var firstChunk: UInt64?
    /// The chunks of all subtrees so far, and how many of them each has.
    private var munros: HashTree.Builder
    private var first: Subtree?
    private var next: UInt64 = 0

    public init(_ function: HashFunction = .sha256) {
      munros = HashTree.Builder(function)
    }

    /// Adds the next subtree.
    ///
    /// - Throws: `chunkOutOfOrder` when it does not follow the one before, or has another width or hash function, and
    ///   `tooManyChunks`.
    public mutating func append(_ subtree: Subtree) throws(IntegrityError) {
      let start = subtree.munro.lowerBound
      if let first {
        guard start == next, first.munro.chunkCount == subtree.munro.chunkCount else {
          throw .chunkOutOfOrder(start, expected: next)
        }
      }
      guard subtree.function == munros.function else {
        throw .wrongHashLength(subtree.function.length, expected: munros.function.length)
      }
      try MerkleTree.check(count: UInt64(munros.count) + 1, munros.function)
      if first == nil {
        first = subtree
        firstChunk = start
      }
      munros.append(subtree.tree.hash(subtree.tree.root))
      next = subtree.munro.upperBound + 1
    }

    /// The root hash of the first `chunkCount` chunks.
    ///
    /// - Throws: `chunkOutOfRange` when they do not end in the last subtree, and `noContent` when there is none. For
    ///   content inside a single subtree, `hashesUnknown` unless a chunk of it was verified or signed here.
    public func root(chunkCount: UInt64) throws(IntegrityError) -> RootHash {
      guard let first, chunkCount > 0 else { throw .noContent }
      let width = first.munro.chunkCount
      guard (chunkCount - 1) / width == UInt64(munros.count) - 1 else { throw .chunkOutOfRange(chunkCount) }
      if munros.count > 1 {
        let tree = munros.finish()
        return RootHash(tree.hash(tree.root), munros.function)
      }
      // A subtree may be wider than the tree of its chunks, which is then its left part.
      let start = first.munro.lowerBound
      let end = start + UInt64(HashTree.width(Int(chunkCount))) - 1
      guard let node = Bin(start...end), first.tree.isKnown(node) else { throw .hashesUnknown }
      return RootHash(first.tree.hash(node), munros.function)
    }
  }
}
