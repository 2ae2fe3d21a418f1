public import Integrity
import Wire

/// Content that does not change, as one peer has it and wants it (RFC 7574, section 5).
///
/// Whoever seeds begins with all of it; whoever fetches begins with the root hash, learns from the peak hashes how many
/// chunks there are, and asks for memory with ``Notice/sized(chunks:)``.
public struct Content {
  /// In which order chunks are asked for.
  public enum Order: Hashable, Sendable {
    /// What the fewest sources have comes first, so that they can all be of use to each other.
    case rarestFirst
    /// From the beginning, for those who look at it at once.
    case inOrder
  }

  /// A chunk that was verified before there was memory for it.
  struct Early {
    var chunk: UInt64
    var bytes: [UInt8]
  }

  /// The most chunks that are kept before there is memory: the first, the last, and what two more sources began with.
  static let earlyLimit = 4

  var tree: MerkleTree
  var memory: ContentMemory?
  private(set) var held = IntervalSet(limit: .max)
  /// How many chunks of it there are.
  private(set) var heldCount: UInt64 = 0
  /// What is still to come, once the number of chunks is certain; a seed has none.
  var fetch: Fetch?
  let order: Order
  var early: [Early] = []
  var hasToldSize = false
  var hasToldLength = false
  var hasToldEnd = false
  /// The next look at who could take over from whom.
  var nextReview: Duration?

  /// All of some content, to be served.
  ///
  /// - Precondition: the tree was made of what lies in the memory.
  public init(_ tree: MerkleTree, _ memory: ContentMemory) {
    self.tree = tree
    self.memory = memory
    order = .rarestFirst
    if let count = tree.chunkCount {
      held.insert(0...count - 1)
      heldCount = count
    }
    hasToldSize = true
    hasToldLength = true
    hasToldEnd = true
  }

  /// Content of which nothing is here yet.
  public init(fetching root: RootHash, chunkSize: Int, order: Order) throws(IntegrityError) {
    tree = try MerkleTree(root, chunkSize: chunkSize)
    self.order = order
  }

  /// Content of which some chunks are here and verified.
  ///
  /// - Precondition: the tree has verified all chunks of `held` in the memory, and its size is certain.
  public init(resuming tree: MerkleTree, _ memory: ContentMemory, held: IntervalSet, order: Order) {
    precondition(tree.isSizeCertain, "a fetch goes on when the number of chunks is certain")
    self.tree = tree
    self.memory = memory
    self.order = order
    for range in held.ranges { self.held.insert(range) }
    heldCount = held.count
    hasToldSize = true
    beginFetch(now: .zero)
  }

  var chunkSize: Int { tree.chunkSize }
  var chunkCount: UInt64? { tree.isSizeCertain ? tree.chunkCount : nil }
  var isComplete: Bool { fetch == nil && hasToldEnd }

  /// Bytes of a chunk that is here.
  func length(of chunk: UInt64) -> Int {
    guard let count = tree.chunkCount, chunk == count - 1, let length = tree.contentLength else {
      return chunkSize
    }
    return Int(length - chunk * UInt64(chunkSize))
  }

  /// A verified chunk is in the memory.
  mutating func hold(_ chunk: UInt64) {
    held.insert(chunk...chunk)
    heldCount += 1
  }

  mutating func beginFetch(now: Duration) {
    guard let count = chunkCount, memory != nil else { return }
    var fetch = Fetch(chunkCount: count, order: order)
    for range in held.ranges {
      for chunk in range { fetch.arrived(chunk, from: nil, now: now) }
    }
    self.fetch = fetch
  }
}

/// How much of some content is here.
public struct ContentProgress: Hashable, Sendable {
  /// Chunks that are here and verified, and all that there are, once that is certain.
  public var held: UInt64
  public var count: UInt64?
  /// Bytes of the whole, once the last chunk has come.
  public var length: UInt64?
  /// Chunks that are here from the first on without a gap.
  public var prefix: UInt64
  /// Peers that are asked for chunks at this moment.
  public var sources: Int
  public var isComplete: Bool
}
