import Integrity
import Wire

/// A signed subtree of a stream: the hashes that are proven, by the chunks below them (RFC 7574, section 6.1.2).
///
/// Written for the tests; every question walks the tree anew.
struct SubtreeModel {
  let chunks: ChunkRange
  let timestamp: UInt64
  let signature: [UInt8]
  private(set) var known: [ChunkRange: [UInt8]]

  /// One of which only the munro is known.
  init(_ chunks: ChunkRange, timestamp: UInt64, signature: [UInt8], munro: [UInt8]) {
    self.chunks = chunks
    self.timestamp = timestamp
    self.signature = signature
    known = [chunks: munro]
  }

  /// One of which all chunks are known; those that are missing at the end do not exist.
  init(_ chunks: ChunkRange, timestamp: UInt64, signature: [UInt8], payloads: [[UInt8]]) {
    self.init(chunks, timestamp: timestamp, signature: signature, munro: [])
    known = [:]
    for number in chunks {
      let place = Int(number - chunks.lowerBound)
      known[number...number] =
        place < payloads.count ? Self.digest(payloads[place]) : [UInt8](repeating: 0, count: 32)
    }
    combine(chunks)
  }

  private mutating func combine(_ node: ChunkRange) {
    guard let (left, right) = Self.halves(node) else { return }
    combine(left)
    combine(right)
    known[node] = Self.parent(known[left] ?? [], known[right] ?? [])
  }

  var munro: [UInt8] { known[chunks] ?? [] }

  /// Whether each chunk can be checked by itself.
  var isWhole: Bool { chunks.allSatisfy { known[$0...$0] != nil } }

  // MARK: - Nodes

  static func digest(_ bytes: [UInt8]) -> [UInt8] {
    let digest = unsafe HashFunction.sha256.digest(bytes.span.bytes)
    return (0..<32).map { digest[$0] }
  }

  /// What has no chunks below it is zero (section 5.1).
  static func parent(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
    left.allSatisfy { $0 == 0 } && right.allSatisfy { $0 == 0 } ? left : digest(left + right)
  }

  static func halves(_ node: ChunkRange) -> (ChunkRange, ChunkRange)? {
    let half = (node.upperBound - node.lowerBound + 1) / 2
    guard half > 0 else { return nil }
    return (node.lowerBound...(node.lowerBound + half - 1), (node.lowerBound + half)...node.upperBound)
  }

  static func parent(of node: ChunkRange) -> ChunkRange {
    let size = 2 * (node.upperBound - node.lowerBound + 1)
    let first = node.lowerBound / size * size
    return first...(first + size - 1)
  }

  static func sibling(of node: ChunkRange) -> ChunkRange {
    guard let (left, right) = halves(parent(of: node)) else { return node }
    return node == left ? right : left
  }

  // MARK: - Proofs

  /// Whether a chunk is genuine by what its sender sent; nil when that is not enough to tell.
  mutating func verify(_ number: UInt64, _ payload: [UInt8], _ sent: [ChunkRange: [UInt8]]) -> Bool? {
    if let verdict = climb(number, payload, sent) { return verdict }
    return learn(sent) ? climb(number, payload, sent) : nil
  }

  /// Climbs from a chunk by the hashes beside the way to the first that is known.
  private mutating func climb(_ number: UInt64, _ payload: [UInt8], _ sent: [ChunkRange: [UInt8]]) -> Bool? {
    var node = number...number
    var way = [node: Self.digest(payload)]
    while let hash = way[node] {
      if let proven = known[node] {
        guard proven == hash else { return false }
        known.merge(way) { old, _ in old }
        return true
      }
      let sibling = Self.sibling(of: node)
      guard node != chunks, let other = known[sibling] ?? sent[sibling] else { return nil }
      way[sibling] = other
      let isLeft = node.lowerBound < sibling.lowerBound
      node = Self.parent(of: node)
      way[node] = isLeft ? Self.parent(hash, other) : Self.parent(other, hash)
    }
    return nil
  }

  /// Takes in those hashes that lead to one that is known; true when there was one.
  mutating func learn(_ sent: [ChunkRange: [UInt8]]) -> Bool {
    let before = known.count
    open(chunks, sent)
    return known.count > before
  }

  private mutating func open(_ node: ChunkRange, _ sent: [ChunkRange: [UInt8]]) {
    guard let (left, right) = Self.halves(node) else { return }
    if let hash = known[node], let first = made(left, sent), let second = made(right, sent),
      Self.parent(first, second) == hash
    {
      adopt(left, sent)
      adopt(right, sent)
    }
    open(left, sent)
    open(right, sent)
  }

  /// The hash of a node as others make it: by those below it where they reach, else as it was sent.
  private func made(_ node: ChunkRange, _ sent: [ChunkRange: [UInt8]]) -> [UInt8]? {
    if let hash = known[node] { return hash }
    if let (left, right) = Self.halves(node), let first = made(left, sent), let second = made(right, sent) {
      return Self.parent(first, second)
    }
    return sent[node]
  }

  private mutating func adopt(_ node: ChunkRange, _ sent: [ChunkRange: [UInt8]]) {
    guard known[node] == nil, let hash = made(node, sent) else { return }
    if let (left, right) = Self.halves(node), made(left, sent) != nil, made(right, sent) != nil {
      adopt(left, sent)
      adopt(right, sent)
    }
    known[node] = hash
  }

  /// What a peer lacks to check a chunk, when it has checked others before, the highest first (sections 5.3 and 5.4).
  func uncles(of number: UInt64, shown: [ChunkRange]) -> [ChunkRange] {
    var node = number...number
    var uncles: [ChunkRange] = []
    while node != chunks, !shown.contains(where: { $0.overlaps(Self.parent(of: node)) }) {
      uncles.insert(Self.sibling(of: node), at: 0)
      node = Self.parent(of: node)
    }
    return uncles
  }
}
