/// What OpenSSL refused.
package enum CryptoError: Error, Equatable, CustomStringConvertible {
  case invalidPublicKey(Scheme)
  case invalidSeed(length: Int)
  case notAPrivateKey
  case encrypted
  case unknownKind(String)
  case unusableKey(String)
  case generationFailed
  case signingFailed
  case outOfMemory

  package var description: String {
    switch self {
    case .invalidPublicKey(let scheme): "the bytes are no \(scheme) public key"
    case .invalidSeed(let length): "an Ed25519 seed has 32 bytes, not \(length)"
    case .notAPrivateKey: "there is no private key in PEM form in it"
    case .encrypted: "it is protected by a password; write it without one: openssl pkey -in FILE -out NEWFILE"
    case .unknownKind(let kind): "a key of the kind \(kind) cannot sign a stream"
    case .unusableKey(let reason): reason
    case .generationFailed: "OpenSSL could not generate a key"
    case .signingFailed: "OpenSSL could not sign with this key"
    case .outOfMemory: "OpenSSL has no memory left"
    }
  }
}
