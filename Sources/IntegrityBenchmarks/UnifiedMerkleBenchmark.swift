import CAllocations
import COpenSSL
import Integrity
import Wire

/// How much of what OpenSSL's hashes and signatures alone allow is left when a subtree is checked with them.
struct UnifiedMerkleBenchmark {
  static let chunkSize = 1024
  let chunks: [[UInt8]]
  let source: UnifiedMerkle.Subtree
  let verifier: UnifiedMerkle.Verifier
  let prefix: [UInt8]
  let munroHash: [UInt8]
  /// As many bytes as an inner node hashes.
  let pair: [UInt8]
  /// The hashes that come with each chunk from a peer that sends uncles, and those from one that sends all leaves.
  let uncles: [[(ChunkRange, [UInt8])]]
  let leaves: [[(ChunkRange, [UInt8])]]

  init(width: Int, _ key: StreamPublicKey, _ streamKey: StreamKey) throws(IntegrityError) {
    var signer = try UnifiedMerkle.Signer(streamKey, addressing: .chunkRanges32, width: width)
    chunks = (0..<width).map { chunk in
      (0..<Self.chunkSize).map { UInt8(truncatingIfNeeded: $0 &* (chunk + 3)) }
    }
    for (number, chunk) in chunks.enumerated() {
      _ = try unsafe signer.append(UInt64(number), chunk.span.bytes)
    }
    source = try signer.finish(timestamp: 1 << 63)
    verifier = try UnifiedMerkle.Verifier(key, addressing: .chunkRanges32, width: width)
    var prefix: [UInt8] = []
    WireFormat().appendChunkSpecification(source.munro, to: &prefix)
    prefix.appendInteger(source.timestamp)
    self.prefix = prefix
    var munroHash: [UInt8] = []
    source.munroHash { munroHash.append(bytes: $1) }
    self.munroHash = munroHash
    pair = munroHash + munroHash
    var uncles = [[(ChunkRange, [UInt8])]](repeating: [], count: width)
    for chunk in 0..<UInt64(width) {
      source.uncles(of: chunk, holdsAny: { $0.lowerBound < chunk }) { node, hash in
        var bytes: [UInt8] = []
        bytes.append(bytes: hash)
        uncles[Int(chunk)].append((node, bytes))
      }
    }
    self.uncles = uncles
    var leaves = [[(ChunkRange, [UInt8])]](repeating: [], count: width)
    source.leaves { node, hash in
      var bytes: [UInt8] = []
      bytes.append(bytes: hash)
      leaves[0].append((node, bytes))
    }
    self.leaves = leaves
  }

  /// The hashes and the signature of one subtree, and nothing else.
  func bare() -> Bool {
    var sum: UInt8 = 0
    for chunk in chunks { sum &+= sha256(chunk) }
    for _ in 1..<chunks.count { sum &+= sha256(pair) }
    unsafe blackHole = sum
    return unsafe verifier.key.verify(
      prefix: prefix.span.bytes,
      payload: munroHash.span.bytes,
      signature: source.signature.span.bytes
    )
  }

  /// One subtree as a receiver checks it, with its hashes as they come.
  func check(_ hashes: [[(ChunkRange, [UInt8])]], _ pending: inout PendingHashes) -> Bool {
    let subtree = unsafe verifier.verify(
      munro: source.munro,
      hash: munroHash.span.bytes,
      timestamp: source.timestamp,
      signature: source.signature.span.bytes
    )
    guard var subtree else { return false }
    for (number, chunk) in chunks.enumerated() {
      for (node, hash) in hashes[number] { unsafe pending.insert(node, hash.span.bytes) }
      guard unsafe subtree.verify(UInt64(number), chunk.span.bytes, pending) == .genuine else {
        return false
      }
    }
    return true
  }
}

/// Where sums go so that nothing is left out; only the one thread of this program writes it.
nonisolated(unsafe) var blackHole: UInt8 = 0

@inline(never)
func sha256(_ bytes: [UInt8]) -> UInt8 {
  var digest = [32 of UInt8](repeating: 0)
  var output = digest.mutableSpan
  unsafe output.withUnsafeMutableBufferPointer { output in
    unsafe bytes.withUnsafeBytes { bytes in
      var context = SHA256_CTX()
      unsafe SHA256_Init(&context)
      unsafe SHA256_Update(&context, bytes.baseAddress, bytes.count)
      unsafe SHA256_Final(output.baseAddress, &context)
    }
  }
  return digest[0]
}

/// Prints the rates of both ways to check a subtree beside what OpenSSL alone does in the same run.
func measureUnifiedMerkle() throws {
  let key = try StreamKey.generate()
  let publicKey = try StreamPublicKey(key.swarmID)
  for width in [16, 32] {
    let benchmark = try UnifiedMerkleBenchmark(width: width, publicKey, key)
    var pending = PendingHashes(.sha256)
    // The best of rounds that take turns, so that a busy machine is as unkind to each.
    var best = [Double](repeating: .infinity, count: 3)
    var allocations = [UInt64](repeating: 0, count: 3)
    for _ in 0..<9 {
      for way in 0..<3 {
        let before = allocations_of_this_thread()
        let elapsed = ContinuousClock().measure {
          for _ in 0..<300 {
            let isRight =
              switch way {
              case 0: benchmark.bare()
              case 1: benchmark.check(benchmark.uncles, &pending)
              default: benchmark.check(benchmark.leaves, &pending)
              }
            precondition(isRight, "a subtree was refused")
          }
        }
        allocations[way] = (allocations_of_this_thread() - before) / 300
        best[way] = min(best[way], elapsed / .seconds(1) / 300)
      }
    }
    for (way, name) in ["OpenSSL alone", "by uncles", "by leaves"].enumerated() {
      let gigabits = Double(width * UnifiedMerkleBenchmark.chunkSize * 8) / best[way] / 1e9
      print(
        "Unified Merkle, \(width) chunks a signature, \(name): \(Double(Int(gigabits * 100)) / 100) Gbit/s, "
          + "\(Int(100 * best[0] / best[way])) %, \(allocations[way]) allocations a subtree"
      )
    }
  }
}
