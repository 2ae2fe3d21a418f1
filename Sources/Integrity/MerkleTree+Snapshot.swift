internal import Wire

/// The hashes of a tree as bytes, so that a fetch can go on after a stop.
///
/// Words that say what this is, the function, the chunk size, the number of chunks; a bit for each node that is
/// filled; and the hashes of those whose bit is set.
extension MerkleTree {
  private static func header(_ root: RootHash, chunkSize: Int, count: UInt64) -> [UInt8] {
    var header = Array("freshet hashes 1\n".utf8)
    header.append(root.function.rawValue)
    header.appendInteger(UInt32(chunkSize))
    header.appendInteger(count)
    return header
  }

  /// Calls `body` for one piece after the other of all hashes that are known; not at all before any are.
  public func snapshot(_ body: (RawSpan) -> Void) {
    guard let tree else { return }
    unsafe body(Self.header(root, chunkSize: chunkSize, count: UInt64(tree.count)).span.bytes)
    let nodes = (0..<UInt64(2 * tree.count - 1)).lazy.compactMap { Bin(rawValue: $0) }
    var bits = [UInt8](repeating: 0, count: (2 * tree.count + 6) / 8)
    for node in nodes where tree.isKnown(node) {
      bits[Int(node.rawValue / 8)] |= 0x80 >> UInt8(node.rawValue % 8)
    }
    unsafe body(bits.span.bytes)
    for node in nodes where tree.isKnown(node) {
      let hash = tree.hash(node)
      unsafe body(hash.span.bytes.extracting(first: function.length))
    }
  }

  /// Goes on with the hashes of a snapshot, as far as they lead to the root: nothing else in it is believed.
  ///
  /// Chunks that are on disk have to be verified again, the last one too, so that the size becomes certain.
  ///
  /// - Throws: `invalidSnapshot` when it is damaged or of another root or chunk size; what `init(_:chunkSize:)` throws.
  public init(_ root: RootHash, chunkSize: Int, snapshot: RawSpan) throws(IntegrityError) {
    try self.init(root, chunkSize: chunkSize)
    let length = root.function.length
    var header = Self.header(root, chunkSize: chunkSize, count: 0)
    guard snapshot.byteCount >= header.count else { throw .invalidSnapshot }
    let offset = header.count - 8
    let count = UInt64(
      bigEndian: unsafe snapshot.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
    )
    header = Self.header(root, chunkSize: chunkSize, count: count)
    guard count > 0, header.elementsEqual(snapshot.array(0..<header.count)) else { throw .invalidSnapshot }
    try Self.check(count: count, root.function)

    let nodes = 2 * Int(count) - 1
    let start = header.count + (nodes + 7) / 8
    guard snapshot.byteCount >= start else { throw .invalidSnapshot }
    let bits = snapshot.array(header.count..<start)
    let kept = bits.reduce(0) { $0 + $1.nonzeroBitCount }
    guard snapshot.byteCount == start + kept * length else { throw .invalidSnapshot }
    var tree = HashTree(root.function, count: Int(count))
    var next = start
    for number in 0..<UInt64(nodes) where Self.isSet(bits, number) {
      guard let node = Bin(rawValue: number) else { continue }
      tree.write(snapshot.array(next..<(next + length)).digest(at: 0, length), node)
      next += length
    }
    try tree.prove(root, bits)
    self.tree = tree
  }

  static func isSet(_ bits: [UInt8], _ number: UInt64) -> Bool {
    let byte = Int(number / 8)
    return byte < bits.count && bits[byte] << UInt8(number % 8) & 0x80 != 0
  }
}

extension HashTree {
  /// Makes known what leads to the root, of the hashes that were written and have a bit.
  fileprivate mutating func prove(_ top: RootHash, _ bits: [UInt8]) throws(IntegrityError) {
    var open = Array(Bins(chunks))
    for peak in open {
      guard MerkleTree.isSet(bits, peak.rawValue) else { throw .invalidSnapshot }
      know(peak)
    }
    knowSpine()
    guard matches(root, top.digest) else { throw .invalidSnapshot }
    while let node = open.popLast() {
      guard let left = node.left, let right = node.right, MerkleTree.isSet(bits, left.rawValue),
        MerkleTree.isSet(bits, right.rawValue), matches(node, combined(node))
      else { continue }
      know(left)
      know(right)
      open += [left, right]
    }
  }
}

extension RawSpan {
  /// A copy of some bytes.
  fileprivate func array(_ range: Range<Int>) -> [UInt8] {
    unsafe extracting(range).withUnsafeBytes { unsafe Array($0) }
  }
}
