public import Wire

/// The tree of hashes over content that does not change, whose root is the name of its swarm (RFC 7574, section 5).
///
/// A seed makes one of all chunks with `Builder`. Whoever fetches begins with the root alone: `acceptPeaks` learns from
/// a peer how many chunks there are, and `verify` checks each and remembers the hashes that came with it. Chunks are
/// all of one size but the last, so that the tree tells the size of the content (section 5.6).
///
/// A copy of this value that is changed copies all hashes.
public struct MerkleTree: Sendable {
  /// The most memory that the hashes of one tree take, in bytes: with SHA-256, for 12,582,848 chunks.
  ///
  /// 10 GiB in chunks of 1 KiB need 640 MiB. What is not known yet takes addresses but no memory.
  public static let memoryLimit = 768 << 20

  public let root: RootHash
  /// Bytes of each chunk but the last.
  public let chunkSize: Int
  /// Nothing until the number of chunks is known.
  var tree: HashTree?
  /// Bytes of the last chunk, once it was verified.
  var lastLength: Int?
  /// Whether a chunk of full size was verified, which no inner node can be passed off as.
  var hasProvenDepth = false

  public var function: HashFunction { root.function }

  /// Begins with the name of a swarm and nothing else.
  ///
  /// - Throws: `invalidChunkSize` for variable sizes and for twice the length of a hash, as of which an inner node can be
  ///   passed off as a chunk.
  public init(_ root: RootHash, chunkSize: Int) throws(IntegrityError) {
    try Self.check(chunkSize: chunkSize, root.function)
    self.root = root
    self.chunkSize = chunkSize
  }

  static func check(chunkSize: Int, _ function: HashFunction) throws(IntegrityError) {
    guard 1..<0xFFFF_FFFF ~= chunkSize, chunkSize != 2 * function.length else {
      throw .invalidChunkSize(chunkSize)
    }
  }

  /// Refuses more chunks than `memoryLimit` has room for.
  static func check(count: UInt64, _ function: HashFunction) throws(IntegrityError) {
    let limit = UInt64(memoryLimit / (2 * function.length)) - 64
    guard count <= limit else { throw .tooManyChunks(count, limit: limit) }
  }

  // MARK: What is known of the content

  /// How many chunks there are, as far as a peer has shown; see `isSizeCertain`.
  public var chunkCount: UInt64? { tree.map { UInt64($0.count) } }

  /// Bytes of the whole content, known once its last chunk was verified.
  public var contentLength: UInt64? {
    guard let tree, let lastLength, isSizeCertain else { return nil }
    return UInt64(tree.count - 1) * UInt64(chunkSize) + UInt64(lastLength)
  }

  /// Whether the number of chunks can no longer turn out to be another.
  ///
  /// A single peak is the root itself, which anybody may say of any number; only the last chunk shows that it is
  /// there. More peaks prove what follows them to be empty, as soon as one chunk has shown how deep the tree is.
  public var isSizeCertain: Bool {
    guard let tree, hasProvenDepth || tree.count == 1 else { return false }
    return lastLength != nil || !tree.isFilled(tree.root)
  }

  /// Whether the hash of a chunk is known, so that the chunk can be checked by itself.
  public func knowsHash(of chunk: UInt64) -> Bool {
    guard let tree, tree.chunks.contains(chunk) else { return false }
    return tree.isKnown(.leaf(chunk))
  }

  // MARK: Receiving

  /// Checks a chunk with the hashes that its sender sent, and remembers those that led to a known one.
  ///
  /// Does not allocate. A chunk that is not there, or has another length than its place demands, is forged.
  public mutating func verify(_ chunk: UInt64, _ payload: RawSpan, _ pending: PendingHashes) -> Verdict {
    guard let count = tree?.count else { return .hashesMissing }
    let isLast = chunk == UInt64(count) - 1
    let length = payload.byteCount
    guard chunk < UInt64(count), isLast ? 1...chunkSize ~= length : length == chunkSize else {
      return .forged
    }
    // An inner node is as long as two hashes, and could pass for the last chunk of a tree that is less deep.
    guard hasProvenDepth || length != 2 * function.length else { return .hashesMissing }
    let digest = function.digest(payload)
    let verdict = tree?.verify(.leaf(chunk), digest, pending) ?? .hashesMissing
    if verdict == .genuine {
      if isLast { lastLength = length }
      if length == chunkSize { hasProvenDepth = true }
    }
    return verdict
  }
}

extension MerkleTree {
  // MARK: Sending

  /// Calls `body` for each peak, the highest first: what a receiver needs who has acknowledged no chunk (section 5.6).
  ///
  /// Peaks go before all other hashes of the datagram.
  public func peaks(_ body: (ChunkRange, RawSpan) -> Void) {
    guard let tree else { return }
    for peak in Bins(tree.chunks) { tree.give(peak, body) }
  }

  /// Calls `body` for each hash that a receiver lacks to check a chunk, the highest first (sections 5.3 and 5.4).
  ///
  /// `holdsAny` says whether the receiver has acknowledged one of some chunks, by HAVE or ACK, or was sent one that it will
  /// acknowledge. With `afterPeaks` it also knows the peaks. Does not allocate.
  ///
  /// - Precondition: this tree has verified the chunk.
  public func uncles(
    of chunk: UInt64,
    afterPeaks: Bool = true,
    holdsAny: (ChunkRange) -> Bool,
    _ body: (ChunkRange, RawSpan) -> Void
  ) {
    guard let tree else { return }
    precondition(knowsHash(of: chunk), "only what was verified can be proved to others")
    tree.uncles(of: chunk, isTop: { afterPeaks && tree.isPeak($0) }, holdsAny: holdsAny, body)
  }
}
