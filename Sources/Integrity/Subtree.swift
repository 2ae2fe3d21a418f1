internal import Crypto
internal import Glibc
public import Wire

/// The hashes of one subtree of a live stream, below a munro whose signature was checked (RFC 7574, section 6.1.2).
///
/// Made once and begun anew for each subtree that takes its place; nothing is allocated in between. Hashes that
/// somebody sends are only claims until they lead to the munro, and never stand beside what is proven: a false one costs
/// its sender, and whoever comes next can put a true one in its place.
public struct Subtree: Sendable {
  /// The widths that are understood: chunks to a signature, powers of two.
  public static let widths = 2...32

  /// What is known of a chunk.
  public enum Verdict: Hashable, Sendable {
    /// Its bytes lead to the munro.
    case genuine
    /// Its bytes cannot be those that were signed.
    case `false`
    /// Its bytes and what was claimed do not fit together; the claims are forgotten.
    case disproven
    /// Hashes between it and the munro are missing.
    case unproven
  }

  /// Chunks of the subtree.
  public let width: Int
  public let hash: MerkleHash
  private let function: Hash
  // Node 1 is the munro, nodes 2i and 2i + 1 are the children of node i, and the leaves begin at `width`.
  // Behind the hash of every node stands, in the same order, what is claimed of it.
  private var bytes: [UInt8]
  private var proven: UInt64 = 0
  private var claimed: UInt64 = 0

  /// - Precondition: the width is a power of two within ``widths``.
  public init(width: Int, hash: MerkleHash = .sha256) {
    precondition(
      Self.widths.contains(width) && width.nonzeroBitCount == 1,
      "a subtree has 2, 4, 8, 16 or 32 chunks"
    )
    self.width = width
    self.hash = hash
    function = Hash(hash)
    bytes = [UInt8](repeating: 0, count: 4 * width * hash.length)
  }

  /// Forgets everything but a munro hash, whose signature the caller has checked.
  public mutating func begin(munro: RawSpan) {
    proven = 0
    claimed = 0
    guard munro.byteCount == hash.length else { return }
    write(munro, to: place(1))
    proven = 2
  }

  /// Forgets everything and takes in the chunks of the subtree in order; fewer than ``width`` leave empty leaves.
  ///
  /// Then ``munro`` is what is to be signed.
  public mutating func begin(leaves count: Int, _ payload: (Int, (RawSpan) -> Void) -> Void) {
    claimed = 0
    for index in 0..<width {
      guard index < count else {
        clear(width + index)
        continue
      }
      payload(index) { bytes in
        let digest = function.digest(bytes, RawSpan())
        unsafe write(digest.span.bytes, to: place(width + index))
      }
    }
    for node in stride(from: width - 1, to: 0, by: -1) {
      if isEmpty(2 * node), isEmpty(2 * node + 1) { clear(node) } else { combine(node) }
    }
    proven = leaves | ((1 << UInt64(width)) - 2)
  }

  /// The munro hash; no bytes as long as there is none.
  public var munro: RawSpan {
    @_lifetime(borrow self)
    get { unsafe bytes.span.bytes.extracting(isProven(1) ? place(1) : 0..<0) }
  }

  /// Whether the hashes of all chunks are proven.
  public var hasAllLeaves: Bool { proven & leaves == leaves }

  private var leaves: UInt64 { ((1 << UInt64(width)) - 1) << UInt64(width) }

  /// Takes in a hash that somebody says the chunks `first...last` of the subtree have, counted from its beginning.
  ///
  /// Ranges that are no node are ignored.
  public mutating func claim(_ chunks: ClosedRange<Int>, _ hash: RawSpan) {
    guard let node = node(chunks), node > 1, hash.byteCount == self.hash.length, !isProven(node) else {
      return
    }
    write(hash, to: claim(node))
    claimed |= 1 << UInt64(node)
    settle(from: node)
  }

  /// Forgets what was claimed and not proven.
  public mutating func forgetClaims() { claimed = 0 }

  /// Judges a chunk, counted from the subtree's beginning; what its bytes prove of the tree is kept.
  public mutating func judge(_ chunk: Int, _ payload: RawSpan) -> Verdict {
    guard 0..<width ~= chunk, proven & 2 != 0 else { return .unproven }
    var digest = function.digest(payload, RawSpan())
    var node = width + chunk
    if isProven(node) { return unsafe equals(node, digest.span.bytes) ? .genuine : .false }
    // From the leaf up to the first hash that is proven.
    var isByClaims = false
    var trail = [64 of UInt8](repeating: 0)
    var path = [5 of [64 of UInt8]](repeating: trail)
    var height = 0
    while !isProven(node) {
      let sibling = node ^ 1
      guard isProven(sibling) || isClaimed(sibling) else { return .unproven }
      if !isProven(sibling) { isByClaims = true }
      path[height] = digest
      height += 1
      trail = digest
      digest = combined(trail, node, with: sibling)
      node /= 2
    }
    guard unsafe equals(node, digest.span.bytes) else {
      guard isByClaims else { return .false }
      claimed = 0
      return .disproven
    }
    // All that was used is true.
    node = width + chunk
    for step in 0..<height {
      let digest = path[step]
      unsafe write(digest.span.bytes, to: place(node))
      proven |= 1 << UInt64(node)
      prove(node ^ 1)
      node /= 2
    }
    return .genuine
  }

  /// Lends the hash of each chunk in order, which needs ``hasAllLeaves``.
  public func withLeaf(_ chunk: Int, _ body: (RawSpan) -> Void) {
    unsafe body(bytes.span.bytes.extracting(place(width + chunk)))
  }

  /// Lends the hashes that prove a chunk to somebody who has some of the others, the highest first (section 5.4).
  ///
  /// Who has a chunk below a node knows both children of that node: it needed the one to check the other.
  ///
  /// - Returns: false when not all of them are known here; then none is lent.
  public func withUncles(
    of chunk: Int,
    where hasAny: (_ chunks: ClosedRange<Int>) -> Bool,
    _ body: (_ chunks: ClosedRange<Int>, _ hash: RawSpan) -> Void
  ) -> Bool {
    var node = width + chunk
    var lowest = node
    var count = 0
    while node > 1, !hasAny(chunks(node / 2)) {
      guard isProven(node ^ 1) else { return false }
      node /= 2
      count += 1
    }
    for step in stride(from: count - 1, through: 0, by: -1) {
      lowest = (width + chunk) >> step ^ 1
      unsafe body(chunks(lowest), bytes.span.bytes.extracting(place(lowest)))
    }
    return true
  }

  // MARK: - Nodes

  private func isProven(_ node: Int) -> Bool { proven & 1 << UInt64(node) != 0 }
  private func isClaimed(_ node: Int) -> Bool { claimed & 1 << UInt64(node) != 0 }
  private func place(_ node: Int) -> Range<Int> { node * hash.length..<(node + 1) * hash.length }
  private func claim(_ node: Int) -> Range<Int> { place(2 * width + node) }

  /// The node of a range of chunks, if there is one.
  private func node(_ chunks: ClosedRange<Int>) -> Int? {
    let count = chunks.count
    guard count.nonzeroBitCount == 1, count <= width, chunks.lowerBound >= 0, chunks.upperBound < width,
      chunks.lowerBound.isMultiple(of: count)
    else { return nil }
    return (width + chunks.lowerBound) / count
  }

  /// The chunks below a node.
  private func chunks(_ node: Int) -> ClosedRange<Int> {
    let depth = Int.bitWidth - 1 - node.leadingZeroBitCount
    let count = width >> depth
    let first = (node - 1 << depth) * count
    return first...(first + count - 1)
  }

  /// Two claims below a proven hash, or one beside it, prove each other; so do all below what becomes proven.
  private mutating func settle(from node: Int) {
    var node = node
    // Claims make claims: the hash of two that are claimed is as good as claimed itself.
    while node > 1 {
      let (left, right) = (node & ~1, node | 1)
      guard isProven(left) || isClaimed(left), isProven(right) || isClaimed(right) else { return }
      let parent = node / 2
      let digest = combined(left, right)
      if isProven(parent) {
        if unsafe equals(parent, digest.span.bytes) {
          proveBelow(parent)
        } else {
          claimed = 0
        }
        return
      }
      unsafe write(digest.span.bytes, to: claim(parent))
      claimed |= 1 << UInt64(parent)
      node = parent
    }
  }

  /// Proves the children of a node by what is claimed of them, and of theirs where it fits.
  private mutating func proveBelow(_ node: Int) {
    guard node < width else { return }
    let (left, right) = (2 * node, 2 * node + 1)
    guard isProven(left) || isClaimed(left), isProven(right) || isClaimed(right) else { return }
    let digest = combined(left, right)
    guard unsafe equals(node, digest.span.bytes) else { return }
    prove(left)
    prove(right)
    proveBelow(left)
    proveBelow(right)
  }

  private mutating func prove(_ node: Int) {
    guard !isProven(node) else { return }
    let (target, source) = (place(node).lowerBound, claim(node).lowerBound)
    unsafe bytes.withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      unsafe memcpy(base + target, base + source, hash.length)
    }
    proven |= 1 << UInt64(node)
  }

  /// The hash of a node as far as it is known: proven, or else claimed.
  private func known(_ node: Int) -> Range<Int> { isProven(node) ? place(node) : claim(node) }

  private func combined(_ left: Int, _ right: Int) -> [64 of UInt8] {
    unsafe function.digest(
      bytes.span.bytes.extracting(known(left)),
      bytes.span.bytes.extracting(known(right))
    )
  }

  private func combined(_ digest: borrowing [64 of UInt8], _ node: Int, with sibling: Int) -> [64 of UInt8] {
    let other = unsafe bytes.span.bytes.extracting(known(sibling))
    let own = unsafe digest.span.bytes.extracting(first: hash.length)
    return node < sibling ? function.digest(own, other) : function.digest(other, own)
  }

  private mutating func combine(_ node: Int) {
    let digest = unsafe function.digest(
      bytes.span.bytes.extracting(place(2 * node)),
      bytes.span.bytes.extracting(place(2 * node + 1))
    )
    unsafe write(digest.span.bytes, to: place(node))
  }

  private mutating func clear(_ node: Int) {
    for index in place(node) { bytes[index] = 0 }
  }

  private func isEmpty(_ node: Int) -> Bool { place(node).allSatisfy { bytes[$0] == 0 } }

  private func equals(_ node: Int, _ digest: RawSpan) -> Bool {
    let start = place(node).lowerBound
    return unsafe bytes.withUnsafeBytes { bytes in
      unsafe digest.withUnsafeBytes { digest in
        guard let own = bytes.baseAddress, let other = digest.baseAddress else { return false }
        return unsafe memcmp(own + start, other, hash.length) == 0
      }
    }
  }

  /// Writes a hash, which may stand in front of zeros.
  private mutating func write(_ digest: RawSpan, to range: Range<Int>) {
    unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe digest.withUnsafeBytes { digest in
        guard let own = bytes.baseAddress, let other = digest.baseAddress else { return }
        unsafe memcpy(own + range.lowerBound, other, range.count)
      }
    }
  }
}

extension Hash {
  init(_ hash: MerkleHash) {
    switch hash {
    case .sha1: self = .sha1
    case .sha224: self = .sha224
    case .sha256: self = .sha256
    case .sha384: self = .sha384
    case .sha512: self = .sha512
    }
  }
}
