internal import Crypto
internal import Synchronization

/// The private key of a stream, which signs what a broadcaster sends.
///
/// May be used from any thread; signatures are made one after the other.
public final class StreamKey: Sendable {
  public let swarmID: SwarmID
  public var algorithm: SignatureAlgorithm { swarmID.algorithm }
  /// The length of each signature, in bytes.
  public var signatureLength: Int { swarmID.signatureLength }
  /// Whether the key was read from a file that was written together with a ledger.
  let hasLedger: Bool
  /// Where the key was read from, without symbolic links, or nil when it was made in memory.
  public let path: String?
  private let key: Guarded<SigningKey>
  private let numbersClaimed = Atomic(false)

  /// Makes a new key from the system's randomness.
  ///
  /// RSA keys get a modulus of 2,048 bits.
  public static func generate(_ algorithm: SignatureAlgorithm = .standard) throws(IntegrityError) -> StreamKey
  {
    let key = try IntegrityError.converting { () throws(CryptoError) in
      try SigningKey.generate(algorithm.scheme)
    }
    return try StreamKey(key, path: nil, hasLedger: false)
  }

  /// Makes the Ed25519 key of a 32-byte seed (RFC 8032).
  public convenience init(ed25519Seed seed: RawSpan) throws(IntegrityError) {
    guard seed.byteCount == 32 else { throw .invalidSeed(bytes: seed.byteCount) }
    let key = try IntegrityError.converting { () throws(CryptoError) in try SigningKey.ed25519(seed: seed) }
    try self.init(key, path: nil, hasLedger: false)
  }

  init(_ key: consuming sending SigningKey, path: String?, hasLedger: Bool) throws(IntegrityError) {
    swarmID = try SwarmID(SignatureAlgorithm(key.scheme), key.publicMaterial)
    self.path = path
    self.hasLedger = hasLedger
    self.key = Guarded(key)
  }

  /// Whether the caller is the first to number chunks for a key without a file.
  func claimNumbers() -> Bool {
    numbersClaimed.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged
  }

  /// The private key as PKCS #8 in PEM.
  func pem() throws(IntegrityError) -> [UInt8] {
    try IntegrityError.converting { () throws(CryptoError) in
      try key.withLock { key throws(CryptoError) in try key.pem() }
    }
  }

  /// Appends the signature of `prefix` ‖ `payload`, which has `signatureLength` bytes.
  ///
  /// Chunks are signed by `SignAll`; a caller of this sees to it that its bytes cannot be taken for a chunk.
  func sign(prefix: RawSpan, payload: RawSpan, into signature: inout [UInt8]) throws(IntegrityError) {
    try IntegrityError.converting { () throws(CryptoError) in
      try key.withLock { key throws(CryptoError) in
        try key.sign(prefix: prefix, payload: payload, into: &signature)
      }
    }
  }

  /// Appends the signature of a statement that is no chunk, such as a description of the swarm.
  public func sign(statement: RawSpan, into signature: inout [UInt8]) throws(IntegrityError) {
    let prefix = statementPrefix
    try unsafe sign(prefix: prefix.span.bytes, payload: statement, into: &signature)
  }
}
