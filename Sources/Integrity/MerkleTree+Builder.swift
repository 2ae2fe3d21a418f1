public import Wire

extension MerkleTree {
  /// Makes the tree of content, chunk by chunk from the first.
  public struct Builder: Sendable {
    public let function: HashFunction
    /// Bytes of each chunk but the last.
    public let chunkSize: Int
    private var leaves: HashTree.Builder
    private var lastLength = 0

    /// - Throws: `invalidChunkSize`; see `MerkleTree.init`.
    public init(_ function: HashFunction = .sha256, chunkSize: Int) throws(IntegrityError) {
      try MerkleTree.check(chunkSize: chunkSize, function)
      self.function = function
      self.chunkSize = chunkSize
      leaves = HashTree.Builder(function)
    }

    /// How many chunks there are so far.
    public var chunkCount: Int { leaves.count }

    /// Adds the next chunk; only the last may be shorter than `chunkSize`.
    ///
    /// - Throws: `tooManyChunks`.
    /// - Precondition: the chunk has a byte, no more than `chunkSize`, and follows one of full size.
    public mutating func append(_ chunk: RawSpan) throws(IntegrityError) {
      precondition(1...chunkSize ~= chunk.byteCount, "a chunk has one byte to the chunk size")
      precondition(leaves.count == 0 || lastLength == chunkSize, "only the last chunk is short")
      try MerkleTree.check(count: UInt64(leaves.count) + 1, function)
      leaves.append(function.digest(chunk))
      lastLength = chunk.byteCount
    }

    /// The tree of what was added.
    ///
    /// - Throws: `noContent` when nothing was, and `ambiguousContent` for a single chunk as long as two hashes: it could as
    ///   well be an inner node, and whoever fetches it refuses it.
    public consuming func finish() throws(IntegrityError) -> MerkleTree {
      guard leaves.count > 0 else { throw .noContent }
      guard leaves.count > 1 || lastLength != 2 * function.length else {
        throw .ambiguousContent(bytes: lastLength)
      }
      let hashes = leaves.finish()
      var tree = try MerkleTree(RootHash(hashes.hash(hashes.root), function), chunkSize: chunkSize)
      tree.tree = hashes
      tree.lastLength = lastLength
      tree.hasProvenDepth = true
      return tree
    }
  }
}

extension HashTree {
  /// Makes a tree leaf by leaf; each inner node is computed as soon as its leaves are there.
  struct Builder: Sendable {
    let function: HashFunction
    private(set) var count = 0
    /// As in a tree, without the nodes that reach past the end.
    private var hashes: [UInt8] = []

    init(_ function: HashFunction) {
      self.function = function
    }

    mutating func append(_ leaf: [64 of UInt8]) {
      let length = function.length
      // A leaf has an even number, and between it and the one before is a node that is computed here or later.
      if count > 0 { hashes.append(contentsOf: repeatElement(0, count: length)) }
      unsafe hashes.append(bytes: leaf.span.bytes.extracting(first: length))
      var node = Bin.leaf(UInt64(count))
      var hash = leaf
      count += 1
      while let parent = node.parent, parent.rawValue < node.rawValue, let left = parent.left {
        hash = function.parent(hashes.digest(at: Int(left.rawValue) * length, length), hash)
        unsafe hashes.replace(
          at: Int(parent.rawValue) * length,
          with: hash.span.bytes.extracting(first: length)
        )
        node = parent
      }
    }

    /// - Precondition: there is a leaf.
    consuming func finish() -> HashTree {
      let length = function.length
      let missing = HashTree.slots(count) * length - hashes.count
      hashes.append(contentsOf: repeatElement(0, count: missing))
      var tree = HashTree(function, first: 0, count: count, hashes: hashes)
      tree.knowAll()
      tree.knowSpine()
      return tree
    }
  }
}
