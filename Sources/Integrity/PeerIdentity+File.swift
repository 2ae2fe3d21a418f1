internal import Crypto

/// Identity files: PKCS #8 in PEM, readable by their owner only.
extension PeerIdentity {
  /// The identity in a PEM text; nil when there is none.
  convenience init?(pem: RawSpan) {
    guard let key = try? SigningKey.read(pem: pem, sha1: false), key.scheme == .ed25519 else { return nil }
    self.init(key)
  }

  /// Makes an identity and its file, which must not exist.
  public static func create(at path: String) throws(IntegrityError) -> PeerIdentity {
    try IntegrityError.checkPath(path)
    let made = try generate()
    let text = Array("Freshet identity: who has this key is this peer. Keep it to yourself.\n".utf8)
    try PrivateFile.create(path, text + made.pem())
    return made
  }

  /// Reads an identity from its file.
  public static func load(from path: String) throws(IntegrityError) -> PeerIdentity {
    let text = try PrivateFile.load(path, missing: "make it with: freshet ca request \(path)")
    guard let identity = unsafe PeerIdentity(pem: text.span.bytes) else {
      throw .invalidCertificateFile(path: path, reason: "it holds no identity")
    }
    return identity
  }

  /// The public key as text: base64url without padding.
  public var publicKeyText: String { Base64URL.encode(publicKey) }

  /// A public key from its text; nil when it is none.
  public static func publicKey(_ text: String) -> [UInt8]? {
    guard let key = Base64URL.decode(text, maximumLength: 32), key.count == 32 else { return nil }
    return key
  }

  func pem() throws(IntegrityError) -> [UInt8] {
    try IntegrityError.converting { () throws(CryptoError) in
      try key.withLock { key throws(CryptoError) in try key.pem() }
    }
  }
}
