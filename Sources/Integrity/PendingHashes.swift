public import Wire

/// Hashes that one peer has sent and that nothing has proved yet.
///
/// Each channel has its own, so that what one peer makes up neither mixes with nor displaces what another sends. A
/// later hash of the same node takes the place of an earlier one.
public struct PendingHashes: Sendable {
  /// The most hashes that are kept; past it the oldest is forgotten.
  ///
  /// A chunk of the largest content needs 24 peaks and 24 uncles (RFC 7574, sections 5.3 and 5.6), a subtree 32 leaves.
  public static let capacity = 128

  public let function: HashFunction
  private var nodes: [UInt64] = []
  private var hashes: [UInt8] = []
  /// The place of the oldest, once all are taken.
  private var oldest = 0

  public init(_ function: HashFunction) {
    self.function = function
  }

  public var isEmpty: Bool { nodes.isEmpty }

  /// Keeps the hash of an INTEGRITY message.
  ///
  /// - Returns: whether the chunks are those of a node, and the hash has the function's length.
  @discardableResult
  public mutating func insert(_ chunks: ChunkRange, _ hash: RawSpan) -> Bool {
    guard let node = Bin(chunks), hash.byteCount == function.length else { return false }
    if let place = nodes.firstIndex(of: node.rawValue) {
      hashes.replace(at: place * function.length, with: hash)
    } else if nodes.count < Self.capacity {
      nodes.append(node.rawValue)
      hashes.append(bytes: hash)
    } else {
      nodes[oldest] = node.rawValue
      hashes.replace(at: oldest * function.length, with: hash)
      oldest = (oldest + 1) % Self.capacity
    }
    return true
  }

  /// Forgets everything.
  public mutating func removeAll() {
    nodes.removeAll(keepingCapacity: true)
    hashes.removeAll(keepingCapacity: true)
    oldest = 0
  }

  /// The hash that was sent for exactly these chunks, in the first bytes.
  public func hash(of chunks: ChunkRange) -> [64 of UInt8]? {
    Bin(chunks).flatMap { self[$0] }
  }

  subscript(_ node: Bin) -> [64 of UInt8]? {
    nodes.firstIndex(of: node.rawValue).map { hashes.digest(at: $0 * function.length, function.length) }
  }

  /// Whether the hash of each of some chunks was sent; looks through all of them, so ask for a subtree at most.
  public func holdsEach(of chunks: ChunkRange) -> Bool {
    chunks.allSatisfy { nodes.contains(Bin.leaf($0).rawValue) }
  }

  /// The nodes, the first to come first.
  var arrivals: [Bin] {
    (nodes[oldest...] + nodes[..<oldest]).compactMap { Bin(rawValue: $0) }
  }

  /// The nodes inside a subtree of at most 64, as bits counted from its first leaf.
  func bits(inside chunks: ChunkRange) -> UInt64 {
    let first = chunks.lowerBound << 1
    var bits: UInt64 = 0
    for node in nodes {
      let offset = node &- first
      if offset <= (chunks.upperBound &- chunks.lowerBound) << 1 { bits |= 1 << offset }
    }
    return bits
  }
}

extension [UInt8] {
  /// A digest of `length` bytes, zeros after it.
  func digest(at offset: Int, _ length: Int) -> [64 of UInt8] {
    var digest = [64 of UInt8](repeating: 0)
    var output = digest.mutableSpan
    unsafe withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target in
        unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<(offset + length)]))
      }
    }
    return digest
  }

  /// Writes `bytes` over those at `offset`.
  mutating func replace(at offset: Int, with bytes: RawSpan) {
    unsafe withUnsafeMutableBytes { target in
      unsafe bytes.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset..<(offset + source.count)])
          .copyMemory(from: source)
      }
    }
  }
}
