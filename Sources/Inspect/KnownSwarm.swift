internal import Integrity
internal import Wire

/// What the members of a swarm agree on, as far as it is needed to check chunks.
struct SwarmTerms: Hashable {
  var id: [UInt8]
  var integrity: IntegrityMethod?
  var function: HashFunction = .sha256
  var addressing: ChunkAddressing?
  /// Bytes of every chunk but the last, or `WireFormat.variableChunkSize`.
  var chunkSize: Int
}

/// A swarm, and what the capture has shown by which its chunks are checked.
///
/// What is known of a tree of hashes was proved by the swarm's name, so that nobody's INTEGRITY misleads it for others.
struct KnownSwarm {
  private enum Proof {
    /// Each chunk is signed (RFC 7574, section 6.1.1).
    case signatures(SignAll.Verifier)
    /// Subtrees of chunks are signed (section 6.1.2).
    case munros(Munros)
    /// The root of a tree of hashes is the swarm's name (section 5).
    case root(ContentTree)
    /// There is nothing to check.
    case none
    /// Nothing can be checked, and why.
    case unknown(String)
  }

  static let hashesMissing = Verdict.unknown("its hashes were not in this capture before it")

  let terms: SwarmTerms
  /// Of a live stream.
  let signatureLength: Int?
  /// What checks signatures, or why nothing does.
  let key: Result<StreamPublicKey, IntegrityError>
  private var proof: Proof

  init(_ terms: SwarmTerms) {
    self.terms = terms
    let id = Result { () throws(IntegrityError) in try SwarmID(terms.id) }
    let key = id.flatMap { id in Result { () throws(IntegrityError) in try StreamPublicKey(id) } }
    signatureLength = try? id.get().signatureLength
    self.key = key
    do throws(IntegrityError) {
      proof = try Self.proof(terms, key)
    } catch {
      proof = .unknown("\(error)")
    }
  }

  private static func proof(
    _ terms: SwarmTerms,
    _ key: Result<StreamPublicKey, IntegrityError>
  ) throws(IntegrityError) -> Proof {
    guard let integrity = terms.integrity else { return .unknown("the integrity method is not known") }
    guard let addressing = terms.addressing else { return .unknown("the chunk addressing is not known") }
    switch integrity {
    case .none: return .none
    case .signAll:
      return .signatures(
        try SignAll.Verifier(key.get(), addressing: addressing, chunkSize: terms.chunkSize)
      )
    case .unifiedMerkleTree:
      let verifier = try UnifiedMerkle.Verifier(
        key.get(),
        addressing: addressing,
        chunkSize: terms.chunkSize,
        function: terms.function
      )
      return .munros(Munros(verifier))
    case .merkleTree:
      guard terms.id.count == terms.function.length else {
        let lengths = "\(terms.id.count) bytes, and its function makes \(terms.function.length)"
        return .unknown("the root hash has \(lengths)")
      }
      let root = try RootHash(terms.id, terms.function)
      return .root(ContentTree(try MerkleTree(root, chunkSize: terms.chunkSize)))
    }
  }

  /// Bytes that the hashes of content take.
  var hashBytes: Int {
    guard case .root(let content) = proof else { return 0 }
    return Int(clamping: content.tree.chunkCount ?? 0) * 2 * terms.function.length
  }

  /// Forgets what is known of the swarm and checks nothing of it any more.
  mutating func giveUp(_ reason: String) { proof = .unknown(reason) }

  /// Judges a chunk by the signature or the hashes that its receiver was sent; nil when there is nothing to judge by.
  mutating func verdict(
    _ chunk: UInt64,
    _ payload: RawSpan,
    signature: ChannelEnd.Signature?,
    hashes: PendingHashes?
  ) -> Verdict? {
    let hashes = hashes ?? PendingHashes(terms.function)
    switch proof {
    case .none: return nil
    case .unknown(let reason): return .unknown(reason)
    case .signatures(let verifier):
      guard let signature else { return .unknown("no signature came with it") }
      let isGenuine = unsafe verifier.verify(
        chunk: chunk,
        timestamp: signature.timestamp,
        signature: signature.bytes.span.bytes,
        payload: payload
      )
      return isGenuine ? .genuine : .forged
    // Here and below: a tree that is also held by `proof` would be copied as it changes.
    case .munros(var munros):
      proof = .none
      defer { proof = .munros(munros) }
      return munros.verdict(chunk, payload, hashes)
    case .root(var content):
      proof = .none
      defer { proof = .root(content) }
      return content.verdict(chunk, payload, hashes)
    }
  }

  /// Judges the signature of a subtree by the hash that its receiver was sent; nil where subtrees are not signed.
  mutating func verdict(
    munro chunks: ChunkRange,
    timestamp: UInt64,
    signature: RawSpan,
    hashes: PendingHashes?
  ) -> Verdict? {
    guard case .munros(var munros) = proof else { return nil }
    proof = .none
    defer { proof = .munros(munros) }
    guard let hashes, hashes.hash(of: chunks) != nil else { return Self.hashesMissing }
    return munros.insert(chunks, timestamp: timestamp, signature: signature, hashes)
  }

  /// Remembers the hashes of a chunk's subtree that its signature proves.
  mutating func learn(_ chunk: UInt64, from hashes: PendingHashes) {
    guard case .munros(var munros) = proof else { return }
    proof = .none
    munros.learn(chunk, from: hashes)
    proof = .munros(munros)
  }
}

/// The hashes of content that does not change.
struct ContentTree {
  private(set) var tree: MerkleTree
  /// Whether a chunk was genuine, which also shows how deep the tree is.
  private var isProven = false

  init(_ tree: MerkleTree) { self.tree = tree }

  mutating func verdict(_ chunk: UInt64, _ payload: RawSpan, _ hashes: PendingHashes) -> Verdict {
    var hasPeaks = false
    if tree.wantsPeaks {
      do throws(IntegrityError) {
        hasPeaks = try tree.acceptPeaks(from: hashes)
      } catch {
        return .unknown("\(error)")
      }
    }
    guard let count = tree.chunkCount, chunk < count || tree.isSizeCertain else {
      return KnownSwarm.hashesMissing
    }
    switch tree.verify(chunk, payload, hashes) {
    case .genuine:
      isProven = true
      return .genuine
    // Peaks that another has sent may be false, as long as no chunk has proved them.
    case .forged: return hasPeaks || isProven ? .forged : KnownSwarm.hashesMissing
    case .hashesMissing: return KnownSwarm.hashesMissing
    }
  }
}
