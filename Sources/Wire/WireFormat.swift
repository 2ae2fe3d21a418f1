/// What both ends of a channel must know to tell messages apart: no message says how long it is.
public struct WireFormat: Hashable, Sendable {
  /// The chunk size of a swarm whose chunks vary in length (RFC 7574, section 7.11).
  @inlinable public static var variableChunkSize: Int { .max }

  public let addressing: ChunkAddressing
  /// Bytes of a signature in SIGNED_INTEGRITY; 0 where the swarm has none, and then the message is refused.
  public var signatureLength: Int
  /// Bytes of a hash in INTEGRITY; 0 where the swarm has none, and then the message is refused.
  public var hashLength: Int
  /// Bytes of every chunk but the last, or `variableChunkSize`.
  public let chunkSize: Int
  /// Whether both sides have agreed on the extension message.
  public var allowsExtensions: Bool

  /// - Precondition: lengths are 0 to 65,535; the chunk size is positive and, with byte ranges, fixed: chunks of
  ///   variable size begin at no byte that others know.
  public init(
    addressing: ChunkAddressing = .chunkRanges32,
    signatureLength: Int = 0,
    hashLength: Int = 0,
    chunkSize: Int = WireFormat.variableChunkSize,
    allowsExtensions: Bool = false
  ) {
    precondition(0...0xFFFF ~= signatureLength, "a signature has 0 to 65,535 bytes")
    precondition(0...0xFFFF ~= hashLength, "a hash has 0 to 65,535 bytes")
    precondition(chunkSize > 0, "a chunk has at least one byte")
    precondition(
      addressing != .byteRanges64 || chunkSize != Self.variableChunkSize,
      "byte ranges cannot name chunks of variable size"
    )
    self.addressing = addressing
    self.signatureLength = signatureLength
    self.hashLength = hashLength
    self.chunkSize = chunkSize
    self.allowsExtensions = allowsExtensions
  }

  /// Bytes of the channel number that starts every datagram.
  @inlinable public static var channelSize: Int { 4 }

  /// Bytes of HAVE, REQUEST and CANCEL for what one specification can name.
  @inlinable
  public var haveSize: Int { 1 + addressing.specificationSize }

  /// Bytes of all HAVE, REQUEST or CANCEL that name `chunks`.
  @inlinable
  public func haveSize(_ chunks: ChunkRange) -> Int {
    addressing.usesBins ? pieces(of: chunks).reduce(0) { size, _ in size + haveSize } : haveSize
  }

  /// Bytes of ACK.
  @inlinable
  public var ackSize: Int { 1 + addressing.specificationSize + 8 }

  /// Bytes of DATA before the chunk.
  @inlinable
  public var dataHeaderSize: Int { 1 + addressing.specificationSize + 8 }

  /// Bytes of INTEGRITY.
  @inlinable
  public var integritySize: Int { 1 + addressing.specificationSize + hashLength }

  /// Bytes of SIGNED_INTEGRITY.
  @inlinable
  public var signedIntegritySize: Int { 1 + addressing.specificationSize + 8 + signatureLength }
}
