/// Chunk numbers, both ends inclusive as on the wire.
///
/// A range from outside may span all 64-bit numbers: do not walk it, and take `chunkCount` instead of `count`,
/// which traps on it.
public typealias ChunkRange = ClosedRange<UInt64>

extension ChunkRange {
  /// How many chunks the range has, at most `UInt64.max`.
  @inlinable
  public var chunkCount: UInt64 {
    let (count, overflow) = (upperBound &- lowerBound).addingReportingOverflow(1)
    return overflow ? .max : count
  }
}

/// How a swarm names chunks on the wire (RFC 7574, sections 4 and 7.8).
///
/// Inside, chunks have numbers and ranges of numbers, whatever the method.
public enum ChunkAddressing: UInt8, Hashable, Sendable, CaseIterable {
  case bins32 = 0
  case byteRanges64 = 1
  case chunkRanges32 = 2
  case bins64 = 3
  case chunkRanges64 = 4

  /// The bytes of one chunk specification.
  @inlinable
  public var specificationSize: Int {
    switch self {
    case .bins32: 4
    case .chunkRanges32, .bins64: 8
    case .byteRanges64, .chunkRanges64: 16
    }
  }

  /// The bytes of a live discard window (section 7.9), as wide as one number of a specification.
  @inlinable
  public var windowSize: Int {
    switch self {
    case .bins32, .chunkRanges32: 4
    case .byteRanges64, .bins64, .chunkRanges64: 8
    }
  }

  /// Whether a specification names a node of the tree over all chunks, so that most ranges take several.
  @inlinable
  public var usesBins: Bool { self == .bins32 || self == .bins64 }

  /// The highest chunk number that a specification can name; of byte ranges, with the largest chunks there are.
  @inlinable
  public var lastChunk: UInt64 {
    switch self {
    case .bins32: UInt64(UInt32.max >> 1)
    case .byteRanges64, .chunkRanges32: UInt64(UInt32.max)
    case .bins64: Bin.lastChunk
    case .chunkRanges64: .max
    }
  }
}

extension WireFormat {
  /// The highest chunk number that a specification can name.
  @inlinable
  public var lastChunk: UInt64 {
    addressing == .byteRanges64 ? .max / UInt64(chunkSize) : addressing.lastChunk
  }

  /// The ranges that make up `chunks` and that one specification each can name.
  @inlinable
  public func pieces(of chunks: ChunkRange) -> ChunkPieces {
    ChunkPieces(chunks, usesBins: addressing.usesBins)
  }

  /// The widest range around `chunk` and inside `held` that one specification can name.
  ///
  /// What ACK has to say when `held` are the chunks that are there and verified (RFC 7574, section 4.3.2).
  ///
  /// - Precondition: `held` contains the chunk.
  @inlinable
  public func widest(around chunk: UInt64, in held: ChunkRange) -> ChunkRange {
    precondition(held.contains(chunk), "a chunk outside of what is held")
    guard addressing.usesBins else { return held }
    var widest = Bin.leaf(chunk)
    while let parent = widest.parent, parent.chunks.lowerBound >= held.lowerBound,
      parent.chunks.upperBound <= held.upperBound
    {
      widest = parent
    }
    return widest.chunks
  }

  /// A live discard window in the unit of option 7, which byte ranges count in bytes (section 7.9).
  ///
  /// All ones, which means that nothing is discarded, stays as it is.
  public func discardWindow(chunks: UInt64) -> UInt64 {
    guard addressing == .byteRanges64 else { return chunks }
    let (bytes, overflow) = chunks.multipliedReportingOverflow(by: UInt64(chunkSize))
    return overflow ? .max : bytes
  }

  /// How many whole chunks a live discard window of option 7 holds.
  public func chunks(inDiscardWindow window: UInt64) -> UInt64 {
    addressing == .byteRanges64 && window != .max ? window / UInt64(chunkSize) : window
  }
}

/// The pieces of a range of chunks, from its lowest, found one by one: the range itself, or its bins.
public struct ChunkPieces: Sequence, IteratorProtocol, Sendable {
  /// What is left; all of it at once, unless there are bins.
  @usableFromInline var whole: ChunkRange?
  @usableFromInline var bins: Bins?

  @inlinable
  init(_ chunks: ChunkRange, usesBins: Bool) {
    if usesBins { bins = Bins(chunks) } else { whole = chunks }
  }

  @inlinable
  public mutating func next() -> ChunkRange? {
    let piece = bins?.next()?.chunks ?? whole
    whole = nil
    return piece
  }
}
