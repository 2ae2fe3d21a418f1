public import Wire

/// Signs every chunk by itself.
///
/// RFC 7574 section 6.1.1: the signed bytes are the chunk's specification as on the wire, the NTP timestamp
/// and the chunk. With byte ranges the specification says how long the chunk is, so that chunks have at least one byte.
public enum SignAll {
  /// Signs the chunks of one stream.
  public struct Signer: Sendable {
    public let key: StreamKey
    private let format: WireFormat

    /// Signs for swarms with this chunk addressing.
    ///
    /// - Throws: `variableByteRanges` for byte ranges without a chunk size.
    public init(
      _ key: StreamKey,
      addressing: ChunkAddressing,
      chunkSize: Int = WireFormat.variableChunkSize
    ) throws(IntegrityError) {
      self.key = key
      format = try WireFormat(signing: addressing, chunkSize: chunkSize)
    }

    /// The length of each signature, in bytes.
    public var signatureLength: Int { key.signatureLength }

    /// Appends the signature of one chunk.
    ///
    /// `timestamp` is the time of signing in NTP's 64-bit format. Throws `chunkOutOfRange` when the number needs
    /// wider addressing, and `chunkLength` when byte ranges cannot name the chunk; then nothing is appended.
    public func sign(
      chunk: UInt64,
      timestamp: UInt64,
      payload: RawSpan,
      into signature: inout [UInt8]
    ) throws(IntegrityError) {
      guard chunk <= format.lastChunk else { throw .chunkOutOfRange(chunk) }
      guard let prefix = SignedPrefix(chunk: chunk, payload, timestamp: timestamp, format) else {
        throw .chunkLength(payload.byteCount)
      }
      try key.sign(prefix: prefix.bytes, payload: payload, into: &signature)
    }
  }

  /// Checks the chunks of one stream.
  public struct Verifier: Sendable {
    public let key: StreamPublicKey
    private let format: WireFormat

    /// Checks for swarms with this chunk addressing.
    ///
    /// - Throws: `variableByteRanges` for byte ranges without a chunk size.
    public init(
      _ key: StreamPublicKey,
      addressing: ChunkAddressing,
      chunkSize: Int = WireFormat.variableChunkSize
    ) throws(IntegrityError) {
      self.key = key
      format = try WireFormat(signing: addressing, chunkSize: chunkSize)
    }

    /// The length of each signature, in bytes.
    public var signatureLength: Int { key.signatureLength }

    /// Whether the broadcaster signed this chunk with this number and time.
    ///
    /// `timestamp` is as in SIGNED_INTEGRITY, in NTP's 64-bit format. Signatures of a wrong length, and numbers and
    /// lengths that the addressing cannot name, are refused like any other that does not fit.
    public func verify(chunk: UInt64, timestamp: UInt64, signature: RawSpan, payload: RawSpan) -> Bool {
      guard chunk <= format.lastChunk,
        let prefix = SignedPrefix(chunk: chunk, payload, timestamp: timestamp, format)
      else { return false }
      return key.verify(prefix: prefix.bytes, payload: payload, signature: signature)
    }
  }
}

extension SignedPrefix {
  /// What is signed before a chunk, or nil for one whose length its byte range cannot say, and for the one 64-bit bin
  /// that statements begin with.
  ///
  /// - Precondition: the addressing can name the chunk.
  fileprivate init?(chunk: UInt64, _ payload: RawSpan, timestamp: UInt64, _ format: WireFormat) {
    guard format.addressing != .byteRanges64 || 1...format.chunkSize ~= payload.byteCount else { return nil }
    let specification = format.specification(chunk...chunk, length: payload.byteCount)
    guard specification.size != 8 || specification.bits >> 64 != 0xFFFF_FFFF_0000_0000 else { return nil }
    self.init(specification, timestamp: timestamp)
  }
}

extension WireFormat {
  /// The format of what is signed.
  init(signing addressing: ChunkAddressing, chunkSize: Int) throws(IntegrityError) {
    guard addressing != .byteRanges64 || chunkSize != Self.variableChunkSize else {
      throw .variableByteRanges
    }
    self.init(addressing: addressing, chunkSize: chunkSize)
  }
}
