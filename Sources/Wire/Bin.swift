/// A node of the binary tree over all chunks, by its number (RFC 7574, section 4.2).
///
/// Chunk `i` is the leaf `2i`, and a node's number is the mean of its children's. So a node names the chunks below it:
/// a power of two of them, beginning at a multiple of their count. All ones is no node; it stands for no chunk at all.
public struct Bin: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt64

  /// - Returns: nil for the number that stands for no chunk.
  @inlinable
  public init?(rawValue: UInt64) {
    guard rawValue != .max else { return nil }
    self.rawValue = rawValue
  }

  /// - Precondition: the number is not all ones.
  @inlinable
  init(unchecked rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// The highest chunk that has a leaf.
  @inlinable public static var lastChunk: UInt64 { .max >> 1 }

  /// The leaf of a chunk, which is at most `lastChunk`.
  @inlinable
  public static func leaf(_ chunk: UInt64) -> Bin {
    precondition(chunk <= lastChunk, "bins end at chunk 2^63 - 1")
    return Bin(unchecked: chunk << 1)
  }

  /// The node above exactly these chunks.
  ///
  /// - Returns: nil when no node is.
  @inlinable
  public init?(_ chunks: ChunkRange) {
    let span = chunks.upperBound &- chunks.lowerBound
    guard chunks.upperBound <= Self.lastChunk, span & (span &+ 1) == 0, chunks.lowerBound & span == 0 else {
      return nil
    }
    rawValue = chunks.lowerBound &+ chunks.upperBound
  }

  /// How far the node is above the leaves.
  @inlinable
  public var height: Int { (~rawValue).trailingZeroBitCount }

  /// The chunks below the node.
  @inlinable
  public var chunks: ChunkRange {
    let reach = ~rawValue & (rawValue &+ 1) &- 1
    return unsafe ChunkRange(uncheckedBounds: ((rawValue &- reach) >> 1, (rawValue &+ reach) >> 1))
  }

  /// The node above this one, or nil for that of all chunks.
  @inlinable
  public var parent: Bin? {
    let bit = ~rawValue & (rawValue &+ 1)
    return Bin(rawValue: (rawValue | bit) & ~(bit &<< 1))
  }

  /// The other child of the parent; the node of all chunks has none.
  @inlinable
  public var sibling: Bin? {
    let bit = ~rawValue & (rawValue &+ 1)
    return bit == 1 << 63 ? nil : Bin(unchecked: rawValue ^ (bit &<< 1))
  }

  /// The child with the lower chunks, or nil for a leaf.
  @inlinable
  public var left: Bin? {
    rawValue & 1 == 0 ? nil : Bin(unchecked: rawValue &- (~rawValue & (rawValue &+ 1)) >> 1)
  }

  /// The child with the higher chunks, or nil for a leaf.
  @inlinable
  public var right: Bin? {
    rawValue & 1 == 0 ? nil : Bin(unchecked: rawValue &+ (~rawValue & (rawValue &+ 1)) >> 1)
  }
}

/// The fewest nodes that make up a range, from its lowest chunk, found one by one.
///
/// Their widths rise and then fall, so there are at most 126 of them.
public struct Bins: Sequence, IteratorProtocol, Sendable {
  /// What is left; ends where it begins when nothing is.
  @usableFromInline var start: UInt64
  @usableFromInline let end: UInt64

  /// - Precondition: the range ends at `Bin.lastChunk` or before.
  @inlinable
  public init(_ chunks: ChunkRange) {
    precondition(chunks.upperBound <= Bin.lastChunk, "bins end at chunk 2^63 - 1")
    start = chunks.lowerBound
    end = chunks.upperBound &+ 1
  }

  @inlinable
  public mutating func next() -> Bin? {
    guard start < end else { return nil }
    // The widest that fits, unless one so wide cannot begin here.
    var width: UInt64 = 1 << UInt64(63 &- (end &- start).leadingZeroBitCount)
    let alignment = start & (~start &+ 1)
    if alignment != 0, alignment < width { width = alignment }
    defer { start &+= width }
    return Bin(unchecked: start &+ start &+ width &- 1)
  }
}
