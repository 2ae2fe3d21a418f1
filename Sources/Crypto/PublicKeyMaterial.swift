/// The numbers of a public key.
package enum PublicKeyMaterial: Sendable, Equatable {
  /// Both without leading zeros.
  case rsa(exponent: [UInt8], modulus: [UInt8])
  /// x ‖ y, each as long as the curve's coordinates.
  case point([UInt8])
  /// The bytes of RFC 8032: 32 of Ed25519, 57 of Ed448.
  case edwards([UInt8])
}
