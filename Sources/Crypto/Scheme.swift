/// A signature scheme: a kind of key and the hash signed with it.
package enum Scheme: Sendable, Equatable, CaseIterable, CustomStringConvertible {
  case rsaSHA1
  case rsaSHA256
  case ecdsaP256SHA256
  case ecdsaP384SHA384
  case ed25519
  case ed448

  package var description: String {
    switch self {
    case .rsaSHA1: "RSA/SHA-1"
    case .rsaSHA256: "RSA/SHA-256"
    case .ecdsaP256SHA256: "ECDSA P-256"
    case .ecdsaP384SHA384: "ECDSA P-384"
    case .ed25519: "Ed25519"
    case .ed448: "Ed448"
    }
  }

  /// The hash of the message that is signed; Ed25519 and Ed448 sign the message itself.
  var hash: Hash? {
    switch self {
    case .rsaSHA1: .sha1
    case .rsaSHA256, .ecdsaP256SHA256: .sha256
    case .ecdsaP384SHA384: .sha384
    case .ed25519, .ed448: nil
    }
  }

  /// The bytes of one coordinate, or nil for keys that are no point of a Weierstrass curve.
  var coordinateLength: Int? {
    switch self {
    case .ecdsaP256SHA256: 32
    case .ecdsaP384SHA384: 48
    case .rsaSHA1, .rsaSHA256, .ed25519, .ed448: nil
    }
  }

  /// The bytes of a public key of RFC 8032, half of those of a signature, or nil for other kinds.
  var edwardsLength: Int? {
    switch self {
    case .ed25519: 32
    case .ed448: 57
    case .rsaSHA1, .rsaSHA256, .ecdsaP256SHA256, .ecdsaP384SHA384: nil
    }
  }

  var isRSA: Bool { self == .rsaSHA1 || self == .rsaSHA256 }
}
