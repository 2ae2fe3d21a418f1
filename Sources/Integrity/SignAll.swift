public import Wire

/// Signs every chunk by itself.
///
/// RFC 7574 section 6.1.1: the signed bytes are the chunk's specification as on the wire, the NTP timestamp
/// and the chunk. Chunk ranges of 32 and of 64 bits are supported, so the first part has 8 or 16 bytes.
public enum SignAll {
  /// Signs the chunks of one stream.
  public struct Signer: Sendable {
    public let key: StreamKey
    private let wide: Bool

    /// Signs for swarms with this chunk addressing.
    ///
    /// - Throws: `unsupportedAddressing` for others than chunk ranges.
    public init(_ key: StreamKey, addressing: ChunkAddressing) throws(IntegrityError) {
      self.key = key
      wide = try isWide(addressing)
    }

    /// The length of each signature, in bytes.
    public var signatureLength: Int { key.signatureLength }

    /// Appends the signature of one chunk.
    ///
    /// `timestamp` is the time of signing in NTP's 64-bit format. Throws `chunkOutOfRange` when the number needs
    /// wider addressing; then nothing is appended.
    public func sign(
      chunk: UInt64,
      timestamp: UInt64,
      payload: RawSpan,
      into signature: inout [UInt8]
    ) throws(IntegrityError) {
      guard wide || chunk <= UInt32.max else { throw .chunkOutOfRange(chunk) }
      let prefix = SignedPrefix(chunk: chunk, timestamp: timestamp, wide: wide)
      try key.sign(prefix: prefix.bytes, payload: payload, into: &signature)
    }
  }

  /// Checks the chunks of one stream.
  public struct Verifier: Sendable {
    public let key: StreamPublicKey
    private let wide: Bool

    /// Checks for swarms with this chunk addressing.
    ///
    /// - Throws: `unsupportedAddressing` for others than chunk ranges.
    public init(_ key: StreamPublicKey, addressing: ChunkAddressing) throws(IntegrityError) {
      self.key = key
      wide = try isWide(addressing)
    }

    /// The length of each signature, in bytes.
    public var signatureLength: Int { key.signatureLength }

    /// Whether the broadcaster signed this chunk with this number and time.
    ///
    /// `timestamp` is as in SIGNED_INTEGRITY, in NTP's 64-bit format. Signatures of a wrong length and numbers
    /// that the addressing cannot name are refused like any other that does not fit.
    public func verify(chunk: UInt64, timestamp: UInt64, signature: RawSpan, payload: RawSpan) -> Bool {
      guard wide || chunk <= UInt32.max else { return false }
      let prefix = SignedPrefix(chunk: chunk, timestamp: timestamp, wide: wide)
      return key.verify(prefix: prefix.bytes, payload: payload, signature: signature)
    }
  }
}

private func isWide(_ addressing: ChunkAddressing) throws(IntegrityError) -> Bool {
  switch addressing {
  case .chunkRanges32: false
  case .chunkRanges64: true
  case .bins32, .byteRanges64, .bins64: throw .unsupportedAddressing(addressing.rawValue)
  }
}
