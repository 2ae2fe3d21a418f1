internal import Crypto
internal import Wire

/// Who a peer is: an Ed25519 key of its own, and the hash of it as its name.
///
/// May be used from any thread.
public final class PeerIdentity: Sendable {
  /// The length of each signature, in bytes.
  public static let signatureLength = 64

  /// The 32 bytes of the key that others check signatures with (RFC 8032).
  public let publicKey: [UInt8]
  /// The peer's name: SHA-256 of its public key, 32 bytes.
  public let id: [UInt8]
  let key: Guarded<SigningKey>

  /// Makes a new identity from the system's randomness.
  public static func generate() throws(IntegrityError) -> PeerIdentity {
    PeerIdentity(
      try IntegrityError.converting { () throws(CryptoError) in try SigningKey.generate(.ed25519) }
    )
  }

  /// Makes the identity of a 32-byte seed, the same each time.
  public convenience init(seed: RawSpan) throws(IntegrityError) {
    guard seed.byteCount == 32 else { throw .invalidSeed(bytes: seed.byteCount) }
    self.init(
      try IntegrityError.converting { () throws(CryptoError) in try SigningKey.ed25519(seed: seed) }
    )
  }

  /// - Precondition: it is an Ed25519 key.
  init(_ key: consuming sending SigningKey) {
    publicKey =
      switch key.publicMaterial {
      case .edwards(let bytes): bytes
      case .point, .rsa: preconditionFailure("a peer's key is made as Ed25519 and has that form")
      }
    id = Self.id(of: publicKey)
    self.key = Guarded(key)
  }

  /// The name of the peer with a public key: SHA-256 of it.
  public static func id(of publicKey: [UInt8]) -> [UInt8] {
    HashFunction.sha256.hash(publicKey)
  }

  /// The 64-byte signature of bytes.
  ///
  /// What is signed begins with words that say what it is for, so that it means nothing elsewhere.
  public func sign(_ bytes: RawSpan) throws(IntegrityError) -> [UInt8] {
    var signature: [UInt8] = []
    signature.reserveCapacity(Self.signatureLength)
    try IntegrityError.converting { () throws(CryptoError) in
      try key.withLock { key throws(CryptoError) in
        try key.sign(prefix: RawSpan(), payload: bytes, into: &signature)
      }
    }
    return signature
  }

  /// Whether a signature is that of the peer with a public key.
  ///
  /// Keys and signatures of any length are allowed; those of a wrong one are refused.
  public static func verify(publicKey: RawSpan, signature: RawSpan, of bytes: RawSpan) -> Bool {
    guard publicKey.byteCount == 32, signature.byteCount == signatureLength else { return false }
    let key = unsafe publicKey.withUnsafeBytes { unsafe [UInt8]($0) }
    guard var verifier = try? VerifyingKey.make(.ed25519, .edwards(key)) else { return false }
    return verifier.verify(prefix: RawSpan(), payload: bytes, signature: signature)
  }
}
