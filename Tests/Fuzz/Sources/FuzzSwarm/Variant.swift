import Integrity
import Wire

/// What a swarm agrees on, as the first byte of an input chooses it.
struct Variant: Hashable {
  static let addressings: [ChunkAddressing] = [
    .chunkRanges32, .bins32, .byteRanges64, .bins64, .chunkRanges64,
  ]

  let integrity: IntegrityMethod
  let addressing: ChunkAddressing
  /// Whether only those with a certificate are answered.
  let isClosed: Bool
  /// Bytes of a chunk, or that they vary.
  let chunkSize: Int

  init(_ byte: UInt8) {
    integrity = byte & 0x40 != 0 ? .none : byte & 2 == 0 ? .signAll : .unifiedMerkleTree
    addressing = Self.addressings[Int(byte >> 2 & 7) % Self.addressings.count]
    isClosed = byte & 0x20 != 0
    let isVariable = byte & 0x80 != 0 && addressing != .byteRanges64
    chunkSize = isVariable ? WireFormat.variableChunkSize : Stage.chunkSize
  }

  var format: WireFormat {
    WireFormat(
      addressing: addressing,
      signatureLength: integrity == .none ? 0 : 64,
      hashLength: integrity == .unifiedMerkleTree ? MerkleHash.sha256.length : 0,
      chunkSize: chunkSize,
      allowsExtensions: true
    )
  }
}
