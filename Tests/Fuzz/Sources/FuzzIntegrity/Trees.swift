import Integrity
import Wire

/// A subtree and a static tree whose content is known, to be fed with what an input says.
///
/// A byte each chooses what comes next: true hashes, altered ones, made-up ones, chunks that are right or wrong.
/// Whatever comes, nothing may be taken for genuine that is not of the tree.
struct Trees: Sendable {
  static let chunkSize = 24
  static let signerKey =
    (try? StreamKey.generate(.ed25519)) ?? { preconditionFailure("no key can be made") }()
  static let source = (try? Trees()) ?? { preconditionFailure("the trees cannot be made") }()

  let chunks: [[UInt8]]
  let tree: MerkleTree
  let subtree: UnifiedMerkle.Subtree
  let verifier: UnifiedMerkle.Verifier
  let munroHash: [UInt8]

  init() throws(IntegrityError) {
    chunks = (0..<21).map { chunk in (0..<Self.chunkSize).map { UInt8(truncatingIfNeeded: chunk * 31 + $0) } }
    var builder = try MerkleTree.Builder(chunkSize: Self.chunkSize)
    var signer = try UnifiedMerkle.Signer(Self.signerKey, addressing: .bins32, width: 16)
    for (number, chunk) in chunks.enumerated() {
      try builder.append(chunk.span.bytes)
      if number < 16 { _ = try signer.append(UInt64(number), chunk.span.bytes) }
    }
    tree = try builder.finish()
    subtree = try signer.finish(timestamp: 9)
    verifier = try UnifiedMerkle.Verifier(StreamPublicKey(Self.signerKey.swarmID), addressing: .bins32)
    var munroHash: [UInt8] = []
    subtree.munroHash { munroHash.append(bytes: $1) }
    self.munroHash = munroHash
  }

  /// Feeds one receiver of each kind.
  func feed(_ script: UnsafeRawBufferPointer) {
    guard
      var live = verifier.verify(
        munro: subtree.munro,
        hash: munroHash.span.bytes,
        timestamp: subtree.timestamp,
        signature: subtree.signature.span.bytes
      ), var content = try? MerkleTree(tree.root, chunkSize: Self.chunkSize)
    else { preconditionFailure("what is right was refused") }
    var pending = PendingHashes(.sha256)
    var rest = script[...]
    while let kind = rest.popFirst(), let place = rest.popFirst() {
      let chunk = Int(place) % chunks.count
      switch kind % 8 {
      case 0:
        tree.uncles(of: UInt64(chunk), afterPeaks: kind & 8 == 0, holdsAny: { _ in false }) {
          pending.insert($0, $1)
        }
      case 1: tree.peaks { pending.insert($0, $1) }
      case 2:
        // Any node, with bytes of the input as its hash.
        let hash = (0..<32).map { UInt8(truncatingIfNeeded: Int(rest.dropFirst($0 % 4).first ?? 0) &+ $0) }
        if let bin = Bin(rawValue: UInt64(place)) { pending.insert(bin.chunks, hash.span.bytes) }
      case 3:
        // A true hash in a place that the input chooses.
        let target = rest.popFirst() ?? 0
        tree.uncles(of: UInt64(chunk), afterPeaks: false, holdsAny: { _ in false }) {
          if let bin = Bin(rawValue: UInt64(target)) { pending.insert(bin.chunks, $1) }
        }
      case 4:
        if kind & 8 == 0 { subtree.leaves { pending.insert($0, $1) } }
        _ = live.learn(from: pending)
      case 5: _ = try? content.acceptPeaks(from: pending)
      case 6: check(chunk, chunks[Int(rest.popFirst() ?? 0) % chunks.count], &live, &content, pending)
      default: check(chunk, Array(rest.prefix(Int(place) % 80)), &live, &content, pending)
      }
    }
    if let size = content.contentLength {
      precondition(size == tree.contentLength, "content of another size")
    }
    resume(content, script)
    // Nothing that came has spoilt the trees for a sender of true hashes.
    var honest = PendingHashes(.sha256)
    tree.peaks { honest.insert($0, $1) }
    for (number, chunk) in chunks.enumerated() {
      tree.uncles(of: UInt64(number), holdsAny: { _ in false }) { honest.insert($0, $1) }
      if content.wantsPeaks { _ = try? content.acceptPeaks(from: honest) }
      precondition(
        content.verify(UInt64(number), chunk.span.bytes, honest) == .genuine,
        "what is right is kept out"
      )
    }
    precondition(content.contentLength == tree.contentLength, "content of another size")
    var leaves = PendingHashes(.sha256)
    subtree.leaves { leaves.insert($0, $1) }
    for number in 0..<16 {
      let chunk = chunks[number]
      precondition(
        live.verify(UInt64(number), chunk.span.bytes, leaves) == .genuine,
        "what is right is kept out"
      )
    }
  }

  private func check(
    _ chunk: Int,
    _ payload: [UInt8],
    _ live: inout UnifiedMerkle.Subtree,
    _ content: inout MerkleTree,
    _ pending: PendingHashes
  ) {
    let isRight = payload == chunks[chunk]
    let verdict = content.verify(UInt64(chunk), payload.span.bytes, pending)
    precondition(isRight || verdict != .genuine, "a wrong chunk was accepted")
    guard chunk < 16 else { return }
    precondition(
      isRight || live.verify(UInt64(chunk), payload.span.bytes, pending) != .genuine,
      "a wrong chunk was accepted"
    )
  }

  /// Reads a snapshot that the input has damaged.
  private func resume(_ content: MerkleTree, _ script: UnsafeRawBufferPointer) {
    var bytes: [UInt8] = []
    content.snapshot { bytes.append(bytes: $0) }
    if !bytes.isEmpty, script.count > 2 {
      bytes[(Int(script[0]) << 8 | Int(script[1])) % bytes.count] ^= script[2]
    }
    guard let again = try? MerkleTree(tree.root, chunkSize: Self.chunkSize, snapshot: bytes.span.bytes) else {
      return
    }
    for (number, chunk) in chunks.enumerated() where again.knowsHash(of: UInt64(number)) {
      var copy = again
      let none = PendingHashes(.sha256)
      let verdict = copy.verify(UInt64(number), chunk.span.bytes, none)
      // A tree of another number of chunks may know an inner node by the place of a chunk.
      precondition(
        verdict == .genuine || again.chunkCount != tree.chunkCount,
        "a snapshot proved a false hash"
      )
    }
  }
}
