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

  /// Whether messages with this addressing can be read and written.
  ///
  /// Every method can be named in a handshake. Reading a chunk specification of one that is not supported throws
  /// `DecodeError.unsupportedAddressing`; writing one is a programming error.
  @inlinable
  public var isSupported: Bool {
    switch self {
    case .chunkRanges32, .chunkRanges64: true
    case .bins32, .byteRanges64, .bins64: false
    }
  }

  /// The highest chunk number that a specification can name.
  @inlinable
  public var lastChunk: UInt64 {
    switch self {
    case .bins32: UInt64(UInt32.max >> 1) - 1
    case .chunkRanges32: UInt64(UInt32.max)
    case .bins64: (UInt64.max >> 1) - 1
    case .byteRanges64, .chunkRanges64: .max
    }
  }
}

extension ByteReader {
  /// Reads one chunk specification.
  @inlinable @inline(__always)
  public mutating func readChunks(_ format: WireFormat) throws(DecodeError) -> ChunkRange {
    let size = format.addressing.specificationSize
    guard remaining >= size else {
      throw .truncated(offset: offset, needed: size, available: remaining)
    }
    let first: UInt64
    let last: UInt64
    switch format.addressing {
    case .chunkRanges32:
      first = UInt64(try read(UInt32.self))
      last = UInt64(try read(UInt32.self))
    case .chunkRanges64:
      first = try read(UInt64.self)
      last = try read(UInt64.self)
    case .bins32, .byteRanges64, .bins64:
      throw .unsupportedAddressing(format.addressing)
    }
    guard first <= last else { throw .reversedRange(first: first, last: last) }
    return unsafe ChunkRange(uncheckedBounds: (first, last))
  }
}

extension WireFormat {
  /// Appends a chunk specification: the bytes on the wire, which are also the first of those that are signed.
  ///
  /// - Precondition: the addressing is supported and can name `chunks`.
  @inlinable
  public func appendChunkSpecification(_ chunks: ChunkRange, to out: inout [UInt8]) {
    switch addressing {
    case .chunkRanges32:
      precondition(chunks.upperBound <= UInt32.max, "32-bit chunk ranges cannot name this chunk")
      out.appendInteger(UInt32(truncatingIfNeeded: chunks.lowerBound))
      out.appendInteger(UInt32(truncatingIfNeeded: chunks.upperBound))
    case .chunkRanges64:
      out.appendInteger(chunks.lowerBound)
      out.appendInteger(chunks.upperBound)
    case .bins32, .byteRanges64, .bins64:
      preconditionFailure("this chunk addressing method cannot be written yet")
    }
  }

  /// Appends the specification of one chunk.
  @inlinable
  public func appendChunkSpecification(_ chunk: UInt64, to out: inout [UInt8]) {
    appendChunkSpecification(chunk...chunk, to: &out)
  }
}
