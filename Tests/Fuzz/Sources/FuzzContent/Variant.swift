import Integrity
import Swarm
import Wire

/// What the swarm agrees on, as the first byte of an input chooses it.
struct Variant: Hashable {
  private static let addressings: [ChunkAddressing] = [
    .chunkRanges32, .bins32, .byteRanges64, .bins64, .chunkRanges64,
  ]
  private static let functions: [HashFunction] = [.sha256, .sha1, .sha512, .sha256]
  /// Four peaks and a short last chunk; one peak that is the root; one chunk.
  private static let lengths = [
    45 * Stage.chunkSize - 30, 32 * Stage.chunkSize, 45 * Stage.chunkSize - 30, 7,
  ]

  let function: HashFunction
  let length: Int
  let addressing: ChunkAddressing
  let order: Content.Order

  init(_ byte: UInt8) {
    function = Self.functions[Int(byte & 3)]
    addressing = Self.addressings[Int(byte >> 2 & 7) % Self.addressings.count]
    order = byte & 0x20 == 0 ? .rarestFirst : .inOrder
    length = Self.lengths[Int(byte >> 6)]
  }

  var format: WireFormat {
    WireFormat(
      addressing: addressing,
      signatureLength: 0,
      hashLength: function.length,
      chunkSize: Stage.chunkSize
    )
  }
}
