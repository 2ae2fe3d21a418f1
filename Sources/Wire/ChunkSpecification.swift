/// A chunk specification: the bytes on the wire, which are also the first of those that are signed.
public struct ChunkSpecification: Hashable, Sendable {
  /// The bytes, most significant first and from the most significant on.
  public let bits: UInt128
  /// How many bytes there are, at most 16.
  public let size: Int

  @inlinable
  init(_ number: UInt32) {
    bits = UInt128(number) << 96
    size = 4
  }

  @inlinable
  init(_ number: UInt64) {
    bits = UInt128(number) << 64
    size = 8
  }

  @inlinable
  init(_ first: UInt32, _ last: UInt32) {
    self.init(UInt64(first) << 32 | UInt64(last))
  }

  @inlinable
  init(_ first: UInt64, _ last: UInt64) {
    bits = UInt128(first) << 64 | UInt128(last)
    size = 16
  }
}

extension WireFormat {
  /// The specification of chunks.
  ///
  /// `length` is how many bytes the last of them has, where byte ranges have to tell: in DATA, and in what signs a
  /// single chunk. Without it, the last chunk is as long as all others.
  ///
  /// - Precondition: one specification can name `chunks`, so for bins they are those of one node; and `length` is
  ///   1 to the chunk size where chunks are named by their bytes.
  @inlinable
  public func specification(_ chunks: ChunkRange, length: Int? = nil) -> ChunkSpecification {
    switch addressing {
    case .chunkRanges32:
      precondition(chunks.upperBound <= UInt32.max, "32-bit chunk ranges cannot name this chunk")
      return ChunkSpecification(
        UInt32(truncatingIfNeeded: chunks.lowerBound),
        UInt32(truncatingIfNeeded: chunks.upperBound)
      )
    case .chunkRanges64:
      return ChunkSpecification(chunks.lowerBound, chunks.upperBound)
    case .bins32:
      guard let bin = Bin(chunks), bin.rawValue < UInt32.max else {
        preconditionFailure("no 32-bit bin is above these chunks and no others")
      }
      return ChunkSpecification(UInt32(truncatingIfNeeded: bin.rawValue))
    case .bins64:
      guard let bin = Bin(chunks) else {
        preconditionFailure("no bin is above these chunks and no others")
      }
      return ChunkSpecification(bin.rawValue)
    case .byteRanges64:
      let length = length ?? chunkSize
      precondition(chunks.upperBound <= lastChunk, "64-bit byte ranges cannot name this chunk")
      precondition(1...chunkSize ~= length, "byte ranges cannot name a chunk of this length")
      let last = chunks.upperBound * UInt64(chunkSize)
      let (end, overflow) = last.addingReportingOverflow(UInt64(length) - 1)
      return ChunkSpecification(chunks.lowerBound * UInt64(chunkSize), overflow ? .max : end)
    }
  }

  /// Appends the specification of chunks; see `specification(_:length:)`.
  @inlinable
  public func appendChunkSpecification(_ chunks: ChunkRange, length: Int? = nil, to out: inout [UInt8]) {
    let specification = specification(chunks, length: length)
    unsafe Swift.withUnsafeBytes(of: specification.bits.bigEndian) {
      unsafe out.append(contentsOf: $0.prefix(specification.size))
    }
  }

  /// Appends the specification of one chunk; see `specification(_:length:)`.
  @inlinable
  public func appendChunkSpecification(_ chunk: UInt64, length: Int? = nil, to out: inout [UInt8]) {
    appendChunkSpecification(chunk...chunk, length: length, to: &out)
  }
}

extension ByteReader {
  /// Reads one chunk specification.
  ///
  /// A byte range ends with the chunk that its last byte is in.
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
    case .byteRanges64: return try readByteRange(chunkSize: UInt64(format.chunkSize))
    case .bins32:
      let number = try read(UInt32.self)
      guard number != .max else { throw .noChunks(offset: offset - size) }
      return Bin(unchecked: UInt64(number)).chunks
    case .bins64:
      guard let bin = Bin(rawValue: try read()) else { throw .noChunks(offset: offset - size) }
      return bin.chunks
    }
    guard first <= last else { throw .reversedRange(first: first, last: last) }
    return unsafe ChunkRange(uncheckedBounds: (first, last))
  }

  @usableFromInline
  mutating func readByteRange(chunkSize: UInt64) throws(DecodeError) -> ChunkRange {
    let first = try read(UInt64.self)
    let last = try read(UInt64.self)
    guard first <= last else { throw .reversedRange(first: first, last: last) }
    guard first.isMultiple(of: chunkSize) else { throw .unalignedRange(first: first, chunkSize: chunkSize) }
    return first / chunkSize...last / chunkSize
  }
}
