public import Wire

/// Signs subtrees of the tree over a live stream instead of each chunk (RFC 7574, section 6.1.2).
///
/// The broadcaster's `Signer` makes a `Subtree` of each run of chunks and signs its top hash, the munro. A receiver's
/// `Verifier` checks the signed munro, and the `Subtree` that comes of it checks the chunks below.
public enum UnifiedMerkle {
  /// How many chunks a signature may cover: NCHUNKS_PER_SIG, of which only powers of two are used.
  public static let widths = 2...32

  /// The widest subtree that a stream fills within 100 ms, at least the narrowest.
  public static func width(chunksPerSecond rate: Double) -> Int {
    var width = widths.lowerBound
    while width < widths.upperBound, Double(2 * width) <= rate / 10 { width *= 2 }
    return width
  }

  /// Whether a signature may cover so many chunks.
  public static func isWidth(_ width: Int) -> Bool { widths ~= width && width & (width - 1) == 0 }

  /// Signs the munros of one stream.
  ///
  /// Chunks are added in the order of their numbers, each subtree from its first. After the last chunk of a subtree, or of the
  /// stream, `finish` signs it; no chunk of it may be announced before.
  public struct Signer: Sendable {
    public let key: StreamKey
    public let function: HashFunction
    /// How many chunks each signature covers.
    public let width: Int
    private let format: WireFormat
    private var tree: HashTree?
    private var count = 0

    /// - Throws: `invalidWidth`, and `variableByteRanges` for byte ranges without a chunk size.
    public init(
      _ key: StreamKey,
      addressing: ChunkAddressing,
      chunkSize: Int = WireFormat.variableChunkSize,
      width: Int,
      function: HashFunction = .sha256
    ) throws(IntegrityError) {
      guard isWidth(width) else { throw .invalidWidth(width) }
      format = try WireFormat(signing: addressing, chunkSize: chunkSize)
      self.key = key
      self.function = function
      self.width = width
    }

    /// The first number from `chunk` on with which a subtree begins.
    public func start(from chunk: UInt64) -> UInt64 {
      let (end, overflow) = chunk.addingReportingOverflow(UInt64(width - 1))
      return overflow ? .max : end & ~UInt64(width - 1)
    }

    /// How many chunks the subtree has so far.
    public var pendingCount: Int { count }

    /// Adds the next chunk.
    ///
    /// - Returns: whether the subtree is full, so that `finish` must be called.
    /// - Throws: `chunkOutOfOrder` when the number is not the one after the last, or a subtree does not begin with it, and
    ///   `chunkOutOfRange`; then nothing was added.
    public mutating func append(_ chunk: UInt64, _ payload: RawSpan) throws(IntegrityError) -> Bool {
      let expected = tree.map { $0.root.chunks.lowerBound + UInt64(count) } ?? start(from: chunk)
      precondition(count < width, "a full subtree is signed before chunks of the next are added")
      guard chunk == expected else { throw .chunkOutOfOrder(chunk, expected: expected) }
      if tree == nil {
        let last = chunk.addingReportingOverflow(UInt64(width - 1))
        guard !last.overflow, last.partialValue <= min(format.lastChunk, Bin.lastChunk) else {
          throw .chunkOutOfRange(chunk)
        }
        tree = HashTree(function, first: chunk, count: width)
      }
      tree?.write(function.digest(payload), .leaf(chunk))
      count += 1
      return count == width
    }

    /// Signs the munro of the chunks that were added; the leaves of a subtree that is not full are empty.
    ///
    /// `timestamp` is the time of signing in NTP's 64-bit format. Throws when the key cannot sign; the chunks are then
    /// still there.
    ///
    /// - Precondition: a chunk was added since the last signature.
    public mutating func finish(timestamp: UInt64) throws(IntegrityError) -> Subtree {
      guard var tree else { preconditionFailure("a subtree has at least one chunk") }
      let munro = tree.root.chunks
      for chunk in munro where chunk >= munro.lowerBound + UInt64(count) {
        tree.write([64 of UInt8](repeating: 0), .leaf(chunk))
      }
      tree.combineAll()
      let prefix = SignedPrefix(format.specification(munro), timestamp: timestamp)
      let hash = tree.hash(tree.root)
      var signature: [UInt8] = []
      signature.reserveCapacity(key.signatureLength)
      try unsafe key.sign(
        prefix: prefix.bytes,
        payload: hash.span.bytes.extracting(first: function.length),
        into: &signature
      )
      self.tree = nil
      count = 0
      return Subtree(tree, timestamp: timestamp, signature: signature)
    }
  }

  /// Checks the signed munros of one stream.
  public struct Verifier: Sendable {
    public let key: StreamPublicKey
    public let function: HashFunction
    /// How many chunks each signature covers, or nil to accept all widths.
    public let width: Int?
    private let format: WireFormat

    /// - Throws: `invalidWidth`, and `variableByteRanges` for byte ranges without a chunk size.
    public init(
      _ key: StreamPublicKey,
      addressing: ChunkAddressing,
      chunkSize: Int = WireFormat.variableChunkSize,
      width: Int? = nil,
      function: HashFunction = .sha256
    ) throws(IntegrityError) {
      if let width, !isWidth(width) { throw .invalidWidth(width) }
      format = try WireFormat(signing: addressing, chunkSize: chunkSize)
      self.key = key
      self.function = function
      self.width = width
    }

    /// The length of each signature, in bytes.
    public var signatureLength: Int { key.signatureLength }

    /// Whether these are the chunks of a subtree that could be signed in this stream.
    public func isMunro(_ chunks: ChunkRange) -> Bool {
      guard let node = Bin(chunks), 1...5 ~= node.height, chunks.upperBound <= format.lastChunk else {
        return false
      }
      return width.map { $0 == 1 << node.height } ?? true
    }

    /// The subtree whose munro the broadcaster signed with this hash and time, or nil when this was not.
    ///
    /// `timestamp` is as in SIGNED_INTEGRITY, in NTP's 64-bit format; whether it is too old is for the caller to judge.
    public func verify(
      munro: ChunkRange,
      hash: RawSpan,
      timestamp: UInt64,
      signature: RawSpan
    ) -> Subtree? {
      guard isMunro(munro), hash.byteCount == function.length else { return nil }
      let prefix = SignedPrefix(format.specification(munro), timestamp: timestamp)
      guard key.verify(prefix: prefix.bytes, payload: hash, signature: signature) else { return nil }
      var tree = HashTree(function, first: munro.lowerBound, count: Int(munro.chunkCount))
      tree.write(hash, tree.root)
      tree.know(tree.root)
      return unsafe Subtree(
        tree,
        timestamp: timestamp,
        signature: signature.withUnsafeBytes { unsafe Array($0) }
      )
    }

    /// The subtree of a SIGNED_INTEGRITY, with the munro's hash as the same peer has sent it before.
    public func verify(
      munro: ChunkRange,
      _ pending: PendingHashes,
      timestamp: UInt64,
      signature: RawSpan
    ) -> Subtree? {
      guard pending.function == function, let hash = pending.hash(of: munro) else { return nil }
      return unsafe verify(
        munro: munro,
        hash: hash.span.bytes.extracting(first: function.length),
        timestamp: timestamp,
        signature: signature
      )
    }
  }
}
