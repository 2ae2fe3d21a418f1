internal import Wire

extension HashTree {
  /// Checks all at once what `pending` holds of a full tree of at most 32 leaves, as when all its leaves have come.
  ///
  /// `verify` climbs from one leaf by siblings that were sent; here siblings are computed from what is below them. It
  /// takes at most as many hashes as the tree has inner nodes for each known node that is open below.
  ///
  /// - Returns: whether something became known.
  mutating func resolve(_ pending: PendingHashes) -> Bool {
    precondition(
      root.height <= 5 && isFilled(root),
      "only a full tree of at most 32 leaves is checked at once"
    )
    let first = root.chunks.lowerBound << 1
    let sent = pending.bits(inside: root.chunks)
    // Nodes as bits, counted from the first leaf.
    var computable: UInt64 = 0
    for height in 1..<(root.height + 1) {
      let half: UInt64 = 1 << UInt64(height - 1)
      for node in stride(from: 2 * half - 1, to: UInt64(2 * count - 1), by: Int(4 * half)) {
        if isThere(node - half, sent | computable), isThere(node + half, sent | computable) {
          computable |= 1 << node
        }
      }
    }
    var hasLearnt = false
    for height in (1..<(root.height + 1)).reversed() {
      let half: UInt64 = 1 << UInt64(height - 1)
      for number in stride(from: 2 * half - 1, to: UInt64(2 * count - 1), by: Int(4 * half)) {
        guard computable >> number & 1 == 1, let node = Bin(rawValue: first + number), isKnown(node),
          let left = node.left, let right = node.right, !isKnown(left) || !isKnown(right)
        else { continue }
        let hash = function.parent(fill(left, computable, pending), fill(right, computable, pending))
        guard matches(node, hash) else { continue }
        know(below: node, computable)
        hasLearnt = true
      }
    }
    return hasLearnt
  }

  private func isThere(_ number: UInt64, _ bits: UInt64) -> Bool {
    if bits >> number & 1 == 1 { return true }
    return Bin(rawValue: root.chunks.lowerBound << 1 + number).map(isKnown) == true
  }

  /// Writes the hashes of a node that is not known and of all that it is computed from.
  private mutating func fill(_ node: Bin, _ computable: UInt64, _ pending: PendingHashes) -> [64 of UInt8] {
    if isKnown(node) { return hash(node) }
    let number = node.rawValue - root.chunks.lowerBound << 1
    var hash = [64 of UInt8](repeating: 0)
    if computable >> number & 1 == 1, let left = node.left, let right = node.right {
      hash = function.parent(fill(left, computable, pending), fill(right, computable, pending))
    } else if let sent = pending[node] {
      hash = sent
    }
    write(hash, node)
    return hash
  }

  /// Makes known what a node was computed from.
  private mutating func know(below node: Bin, _ computable: UInt64) {
    let number = node.rawValue - root.chunks.lowerBound << 1
    guard computable >> number & 1 == 1, let left = node.left, let right = node.right else { return }
    for child in [left, right] where !isKnown(child) {
      know(child)
      know(below: child, computable)
    }
  }
}
