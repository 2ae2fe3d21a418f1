internal import Crypto

/// How a stream is signed, by its DNSSEC number.
///
/// RFC 7574 sections 6.1 and 7.7; all but Ed25519 and Ed448 (RFC 8080) are mandatory to implement there, those are
/// from the same registry.
public enum SignatureAlgorithm: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
  case rsaSHA1 = 5
  case rsaSHA256 = 8
  case ecdsaP256SHA256 = 13
  case ecdsaP384SHA384 = 14
  case ed25519 = 15
  case ed448 = 16

  /// What a stream is signed with when nobody says otherwise.
  public static let standard = SignatureAlgorithm.ecdsaP256SHA256

  public var description: String {
    switch self {
    case .rsaSHA1: "RSA/SHA-1 (5)"
    case .rsaSHA256: "RSA/SHA-256 (8)"
    case .ecdsaP256SHA256: "ECDSA P-256 (13)"
    case .ecdsaP384SHA384: "ECDSA P-384 (14)"
    case .ed25519: "Ed25519 (15)"
    case .ed448: "Ed448 (16)"
    }
  }

  var scheme: Scheme {
    switch self {
    case .rsaSHA1: .rsaSHA1
    case .rsaSHA256: .rsaSHA256
    case .ecdsaP256SHA256: .ecdsaP256SHA256
    case .ecdsaP384SHA384: .ecdsaP384SHA384
    case .ed25519: .ed25519
    case .ed448: .ed448
    }
  }

  init(_ scheme: Scheme) {
    switch scheme {
    case .rsaSHA1: self = .rsaSHA1
    case .rsaSHA256: self = .rsaSHA256
    case .ecdsaP256SHA256: self = .ecdsaP256SHA256
    case .ecdsaP384SHA384: self = .ecdsaP384SHA384
    case .ed25519: self = .ed25519
    case .ed448: self = .ed448
    }
  }
}
