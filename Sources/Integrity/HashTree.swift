internal import Wire

/// A binary tree of hashes over a run of chunks, in which some are known and the others have to be proved by those.
///
/// RFC 7574 section 5.1. The run begins at a multiple of the tree's width; past its end leaves are empty. A node is
/// stored under its number counted from the run's first leaf; those that reach past the end, of which each height has
/// at most one that is not empty, come after all others.
struct HashTree: Sendable {
  let function: HashFunction
  /// The node of the whole tree.
  let root: Bin
  /// How many leaves are not empty, which is more than half of them.
  let count: Int
  private(set) var hashes: [UInt8]
  private var known: [UInt64]
  /// The number of the first leaf.
  private let origin: UInt64

  /// A tree of which nothing is known yet; its memory is taken as hashes are written.
  ///
  /// - Precondition: `first` is a multiple of the tree's width, which is the least power of two that is `count` or more.
  init(_ function: HashFunction, first: UInt64 = 0, count: Int) {
    let size = Self.slots(count) * function.length
    // What a slot holds before it is known is never looked at.
    let hashes = unsafe [UInt8](unsafeUninitializedCapacity: size) { _, initialized in initialized = size }
    self.init(function, first: first, count: count, hashes: hashes)
  }

  /// A tree of the hashes that are stored as this type does.
  init(_ function: HashFunction, first: UInt64, count: Int, hashes: [UInt8]) {
    let width = Self.width(count)
    guard let root = Bin(first...(first + UInt64(width) - 1)) else {
      preconditionFailure("a tree begins at a multiple of its width")
    }
    self.function = function
    self.root = root
    self.count = count
    self.hashes = hashes
    origin = first << 1
    known = [UInt64](repeating: 0, count: (Self.slots(count) + 63) / 64)
  }

  static func width(_ count: Int) -> Int {
    precondition(count > 0, "a tree has leaves")
    return 1 << (Int.bitWidth - (count - 1).leadingZeroBitCount)
  }

  /// How many hashes are stored for a tree of `count` leaves.
  static func slots(_ count: Int) -> Int { 2 * count + width(count).trailingZeroBitCount }

  // MARK: Nodes

  /// The leaves that are not empty.
  var chunks: ChunkRange { origin >> 1...origin >> 1 + UInt64(count) - 1 }

  func contains(_ node: Bin) -> Bool {
    root.chunks.lowerBound <= node.chunks.lowerBound && node.chunks.upperBound <= root.chunks.upperBound
  }

  /// Whether no leaf below the node is empty.
  func isFilled(_ node: Bin) -> Bool { node.chunks.upperBound <= chunks.upperBound }

  /// Whether all leaves below the node are empty.
  func isEmpty(_ node: Bin) -> Bool { node.chunks.lowerBound > chunks.upperBound }

  /// Whether the node is filled, and its parent is not (section 5.6.1).
  func isPeak(_ node: Bin) -> Bool {
    guard isFilled(node) else { return false }
    guard node != root, let parent = node.parent else { return true }
    return !isFilled(parent)
  }

  private func slot(_ node: Bin) -> Int {
    isFilled(node) ? Int(node.rawValue - origin) : 2 * count - 1 + node.height
  }

  // MARK: Hashes

  /// Whether the hash of a node inside the tree is known.
  func isKnown(_ node: Bin) -> Bool {
    if isEmpty(node) { return true }
    let slot = slot(node)
    return known[slot / 64] >> UInt64(slot % 64) & 1 == 1
  }

  mutating func know(_ node: Bin) {
    let slot = slot(node)
    known[slot / 64] |= 1 << UInt64(slot % 64)
  }

  /// Writes a hash, which this does not make known.
  mutating func write(_ hash: RawSpan, _ node: Bin) {
    hashes.replace(at: slot(node) * function.length, with: hash)
  }

  /// Computes all hashes of a full tree whose leaves were written.
  mutating func combineAll() {
    precondition(isFilled(root), "only a full tree is computed from its leaves")
    for height in 1..<(root.height + 1) {
      let half: UInt64 = 1 << UInt64(height - 1)
      for number in stride(from: 2 * half - 1, to: UInt64(2 * count - 1), by: Int(4 * half)) {
        if let node = Bin(rawValue: origin + number) { write(combined(node), node) }
      }
    }
    knowAll()
  }

  mutating func knowAll() {
    for word in known.indices { known[word] = .max }
  }

  /// The hash of a node, if it is known or was written.
  func hash(_ node: Bin) -> [64 of UInt8] {
    if isEmpty(node) { return [64 of UInt8](repeating: 0) }
    return hashes.digest(at: slot(node) * function.length, function.length)
  }

  /// Writes a hash, which this does not make known.
  mutating func write(_ hash: [64 of UInt8], _ node: Bin) {
    let offset = slot(node) * function.length
    unsafe hashes.replace(at: offset, with: hash.span.bytes.extracting(first: function.length))
  }

  func matches(_ node: Bin, _ hash: [64 of UInt8]) -> Bool {
    let own = self.hash(node)
    // Both are zero past their length.
    for index in 0..<64 where own[index] != hash[index] { return false }
    return true
  }

  /// The hash of a node by its children's, which are known or were written.
  func combined(_ node: Bin) -> [64 of UInt8] {
    guard let left = node.left, let right = node.right else { return hash(node) }
    return function.parent(hash(left), hash(right))
  }

  // MARK: Proofs

  /// Checks the hash of a node by climbing from it to the first known one, and remembers what that proves.
  ///
  /// Hashes that are not known on the way are taken from `pending`. Until the known node is reached, all that is written
  /// is under nodes that are not known.
  mutating func verify(_ start: Bin, _ hash: [64 of UInt8], _ pending: PendingHashes) -> Verdict {
    if isKnown(start) { return matches(start, hash) ? .genuine : .forged }
    write(hash, start)
    var node = start
    while node != root, let sibling = node.sibling, let parent = node.parent {
      if !isKnown(sibling) {
        guard let uncle = pending[sibling] else { return .hashesMissing }
        write(uncle, sibling)
      }
      let hash = combined(parent)
      if isKnown(parent) {
        guard matches(parent, hash) else { return .forged }
        know(from: start, below: parent)
        return .genuine
      }
      write(hash, parent)
      node = parent
    }
    return .hashesMissing
  }

  /// Makes known what led from a node to one above it.
  private mutating func know(from start: Bin, below top: Bin) {
    var node = start
    while node != top, let sibling = node.sibling, let parent = node.parent {
      know(node)
      if !isEmpty(sibling) { know(sibling) }
      node = parent
    }
  }

  /// Calls `body` for each hash that a receiver lacks to check a chunk, the highest first (sections 5.3 and 5.4).
  ///
  /// The receiver knows the hashes of the nodes for which `isTop` holds, and all that it has needed to check a chunk that
  /// it has: `holdsAny` says whether there is one among some chunks.
  func uncles(
    of chunk: UInt64,
    isTop: (Bin) -> Bool,
    holdsAny: (ChunkRange) -> Bool,
    _ body: (ChunkRange, RawSpan) -> Void
  ) {
    var node = Bin.leaf(chunk)
    var height = 0
    while node != root, !isTop(node), let parent = node.parent, !holdsAny(parent.chunks) {
      node = parent
      height += 1
    }
    while height > 0 {
      height -= 1
      // The node around the chunk at this height.
      let span: UInt64 = (1 << UInt64(height)) - 1
      guard let sibling = Bin(chunk & ~span...chunk | span)?.sibling else { return }
      give(sibling, body)
    }
  }

  func give(_ node: Bin, _ body: (ChunkRange, RawSpan) -> Void) {
    let hash = hash(node)
    unsafe body(node.chunks, hash.span.bytes.extracting(first: function.length))
  }
}

extension HashFunction {
  /// The hash of a node by its children's (section 5.1).
  func parent(_ left: [64 of UInt8], _ right: [64 of UInt8]) -> [64 of UInt8] {
    if right[0] == 0, isZero(left), isZero(right) { return right }
    return unsafe digest(
      left.span.bytes.extracting(first: length),
      right.span.bytes.extracting(first: length)
    )
  }

  private func isZero(_ hash: [64 of UInt8]) -> Bool {
    for index in 0..<length where hash[index] != 0 { return false }
    return true
  }
}
