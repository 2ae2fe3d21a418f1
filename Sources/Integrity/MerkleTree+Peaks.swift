internal import Wire

extension MerkleTree {
  /// Whether peaks from a peer may still tell something new.
  public var wantsPeaks: Bool { !isSizeCertain }

  /// Learns the number of chunks from the peaks that a peer has sent, if they lead to the root (section 5.6).
  ///
  /// The peaks are those of `pending` that follow one another from chunk 0, in the order in which they came. Until a
  /// chunk of full size was verified, other peaks may say another number, and what they say is taken: with the hashes
  /// of one datagram, call this before `verify`. After it, only the one number is possible that `isSizeCertain` explains.
  ///
  /// - Returns: whether the number of chunks is now that of these peaks.
  /// - Throws: `tooManyChunks` when they are right and there is no room for so many.
  public mutating func acceptPeaks(from pending: PendingHashes) throws(IntegrityError) -> Bool {
    guard pending.function == function else { return false }
    let peaks = Self.peaks(among: pending)
    guard let last = peaks.last, leadToRoot(peaks, pending) else { return false }
    let count = last.chunks.upperBound + 1
    if let tree {
      if UInt64(tree.count) == count { return true }
      // The depth and what lies behind two peaks and more are proved, once a chunk is.
      guard !isSizeCertain else { return false }
      if hasProvenDepth {
        guard count > 1, count <= UInt64(1) << 62, HashTree.width(Int(count)) == HashTree.width(tree.count),
          peaks.count > 1
        else { return false }
      }
    }
    try Self.check(count: count, function)
    adopt(peaks.map { ($0, pending[$0] ?? [64 of UInt8](repeating: 0)) }, count: Int(count))
    return true
  }

  /// The nodes that follow one another from the first chunk on, each less high than the one before.
  private static func peaks(among pending: PendingHashes) -> [Bin] {
    var peaks: [Bin] = []
    for node in pending.arrivals {
      let start = peaks.last.map { $0.chunks.upperBound + 1 } ?? 0
      if node.chunks.lowerBound == start, node.height < peaks.last?.height ?? .max { peaks.append(node) }
    }
    return peaks
  }

  /// Whether the root is the hash of these peaks and nothing behind them.
  private func leadToRoot(_ peaks: [Bin], _ pending: PendingHashes) -> Bool {
    let none = [64 of UInt8](repeating: 0)
    guard let last = peaks.last, var hash = pending[last] else { return false }
    var height = last.height
    for peak in peaks.dropLast().reversed() {
      while height < peak.height {
        hash = function.parent(hash, none)
        height += 1
      }
      guard let left = pending[peak] else { return false }
      hash = function.parent(left, hash)
      height += 1
    }
    return RootHash(hash, function) == root
  }

  /// Begins a tree of `count` chunks with its peaks, and keeps what the one before knows of it.
  mutating func adopt(_ peaks: [(node: Bin, hash: [64 of UInt8])], count: Int) {
    var grown = HashTree(function, count: count)
    for peak in peaks {
      grown.write(peak.hash, peak.node)
      grown.know(peak.node)
    }
    grown.knowSpine()
    if hasProvenDepth, let tree {
      for peak in peaks { grown.learn(below: peak.node, from: tree) }
    }
    lastLength = nil
    tree = grown
  }
}

extension HashTree {
  /// Computes all nodes above the last peak, of which every other child is known or empty.
  mutating func knowSpine() {
    guard var node = Array(Bins(chunks)).last else { return }
    while node != root, let parent = node.parent {
      write(combined(parent), parent)
      know(parent)
      node = parent
    }
  }

  /// Takes over what another tree knows below a node that both know.
  mutating func learn(below node: Bin, from other: HashTree) {
    guard let left = node.left, let right = node.right, other.isKnown(left), other.isKnown(right) else {
      return
    }
    for child in [left, right] {
      write(other.hash(child), child)
      know(child)
      learn(below: child, from: other)
    }
  }
}
