public import Wire

/// Signs the root of every subtree of a live stream: one signature for up to 32 chunks (RFC 7574, section 6.1.2).
///
/// The signed bytes are the munro's chunk specification as on the wire, the NTP timestamp, and the munro hash.
public enum UnifiedMerkle {
  /// How long a subtree may take to fill, in milliseconds.
  private static let patience: UInt64 = 100

  /// How many chunks of a stream are signed together: the greatest power of two within `Subtree.widths` that fills in time.
  ///
  /// `rate` is in bits of payload per second, and `chunkSize` in bytes.
  public static func width(rate: UInt64, chunkSize: Int) -> Int {
    let perSecond = rate / UInt64(max(chunkSize, 1) * 8)
    let limit = Int(clamping: perSecond * patience / 1000)
    var width = Subtree.widths.lowerBound
    while width < Subtree.widths.upperBound, width * 2 <= limit { width *= 2 }
    return width
  }

  /// Signs munros.
  public struct Signer: Sendable {
    public let key: StreamKey
    private let wide: Bool

    /// - Throws: `unsupportedAddressing` for others than chunk ranges.
    public init(_ key: StreamKey, addressing: ChunkAddressing) throws(IntegrityError) {
      self.key = key
      wide = try isWide(addressing)
    }

    /// Appends the signature of a munro; `timestamp` is in NTP's 64-bit format.
    public func sign(
      munro: RawSpan,
      of chunks: ChunkRange,
      timestamp: UInt64,
      into signature: inout [UInt8]
    ) throws(IntegrityError) {
      guard wide || chunks.upperBound <= UInt32.max else { throw .chunkOutOfRange(chunks.upperBound) }
      let prefix = SignedPrefix(chunks: chunks, timestamp: timestamp, wide: wide)
      try key.sign(prefix: prefix.bytes, payload: munro, into: &signature)
    }
  }

  /// Checks munros.
  public struct Verifier: Sendable {
    public let key: StreamPublicKey
    private let wide: Bool

    /// - Throws: `unsupportedAddressing` for others than chunk ranges.
    public init(_ key: StreamPublicKey, addressing: ChunkAddressing) throws(IntegrityError) {
      self.key = key
      wide = try isWide(addressing)
    }

    /// Whether the broadcaster signed this hash for these chunks, which must be a whole aligned subtree.
    public func verify(munro: RawSpan, of chunks: ChunkRange, timestamp: UInt64, signature: RawSpan) -> Bool {
      guard wide || chunks.upperBound <= UInt32.max, let width = Int(exactly: chunks.chunkCount),
        Subtree.widths.contains(width), width.nonzeroBitCount == 1,
        chunks.lowerBound.isMultiple(of: UInt64(width))
      else { return false }
      let prefix = SignedPrefix(chunks: chunks, timestamp: timestamp, wide: wide)
      return key.verify(prefix: prefix.bytes, payload: munro, signature: signature)
    }
  }
}
