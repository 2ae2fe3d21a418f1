import Integrity
import Support
import Testing
import Wire

/// The tree of RFC 7574 section 5.1, straight from its words.
struct NaiveTree {
  let function: HashFunction
  let leaves: [[UInt8]]

  init(_ chunks: [[UInt8]], _ function: HashFunction = .sha256) {
    self.function = function
    leaves = chunks.map { function.hash($0) }
  }

  /// The fewest leaves that a tree of these chunks can have.
  var width: UInt64 {
    var width: UInt64 = 1
    while width < leaves.count { width *= 2 }
    return width
  }

  var root: [UInt8] { hash(0...(width - 1)) }

  func hash(_ chunks: ChunkRange) -> [UInt8] {
    let none = [UInt8](repeating: 0, count: function.length)
    if chunks.count == 1 {
      return chunks.lowerBound < leaves.count ? leaves[Int(chunks.lowerBound)] : none
    }
    let middle = chunks.lowerBound + UInt64(chunks.count / 2)
    let (left, right) = (hash(chunks.lowerBound...(middle - 1)), hash(middle...chunks.upperBound))
    return left == none && right == none ? none : function.hash(left + right)
  }
}

/// A hash as an INTEGRITY message carries it.
struct NodeHash: Hashable {
  var chunks: ChunkRange
  var hash: [UInt8]

  init(_ chunks: ChunkRange, _ hash: RawSpan) {
    self.chunks = chunks
    self.hash = unsafe hash.withUnsafeBytes { unsafe Array($0) }
  }

  init(_ chunks: ChunkRange, _ hash: [UInt8]) {
    self.chunks = chunks
    self.hash = hash
  }

  var bin: UInt64? { Bin(chunks)?.rawValue }
}

/// Content in chunks, of which the last may be short.
func content(_ count: Int, chunkSize: Int = 40, last: Int? = nil, seed: UInt64 = 1) -> [[UInt8]] {
  var generator = SplitMix64(seed: seed)
  return (0..<count).map { chunk in
    let size = chunk == count - 1 ? last ?? chunkSize : chunkSize
    return (0..<size).map { _ in .random(in: 0...255, using: &generator) }
  }
}

extension MerkleTree {
  static func made(
    of chunks: [[UInt8]],
    chunkSize: Int = 40,
    _ function: HashFunction = .sha256
  ) throws -> MerkleTree {
    var builder = try Builder(function, chunkSize: chunkSize)
    for chunk in chunks { try unsafe builder.append(chunk.span.bytes) }
    return try builder.finish()
  }

  var peakNodes: [NodeHash] {
    var nodes: [NodeHash] = []
    peaks { nodes.append(NodeHash($0, $1)) }
    return nodes
  }

  func uncleNodes(of chunk: UInt64, afterPeaks: Bool = true, held: Set<UInt64> = []) -> [NodeHash] {
    var nodes: [NodeHash] = []
    uncles(of: chunk, afterPeaks: afterPeaks, holdsAny: { $0.contains { held.contains($0) } }) {
      nodes.append(NodeHash($0, $1))
    }
    return nodes
  }

  mutating func verify(_ chunk: UInt64, _ payload: [UInt8], _ pending: PendingHashes) -> Verdict {
    unsafe verify(chunk, payload.span.bytes, pending)
  }

  func snapshot() -> [UInt8] {
    var bytes: [UInt8] = []
    snapshot { bytes += unsafe $0.withUnsafeBytes { unsafe Array($0) } }
    return bytes
  }
}

extension PendingHashes {
  init(_ hashes: [NodeHash], _ function: HashFunction = .sha256) {
    self.init(function)
    insert(hashes)
  }

  mutating func insert(_ hashes: [NodeHash]) {
    for node in hashes { unsafe insert(node.chunks, node.hash.span.bytes) }
  }
}
