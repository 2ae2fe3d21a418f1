internal import Crypto

/// The name of a live swarm, which is the public key of its stream.
///
/// RFC 7574 section 6.1: the DNSSEC algorithm number and the key as in a DNSKEY record (RFC 3110, 6605, 8080).
/// At most `maximumLength` bytes. Its form is checked here; whether a point is on its curve is checked by
/// `StreamPublicKey`.
public struct SwarmID: Hashable, Sendable, CustomStringConvertible {
  /// The longest id, in bytes: a RSA key with an exponent as long as its modulus of 3,072 bits.
  public static let maximumLength = 1 + 3 + 384 + 384

  /// As in option 2 of a HANDSHAKE.
  public let bytes: [UInt8]
  public let algorithm: SignatureAlgorithm
  /// The length of each signature of the stream, in bytes.
  public let signatureLength: Int

  /// Reads an id as a HANDSHAKE carries it.
  ///
  /// - Throws: one sentence on what no such key can be.
  public init(_ bytes: RawSpan) throws(IntegrityError) {
    // Longer bytes are refused by the parser; there is no need to copy them all.
    let kept = min(bytes.byteCount, Self.maximumLength + 1)
    try self.init(unsafe bytes.extracting(first: kept).withUnsafeBytes { unsafe [UInt8]($0) })
  }

  /// Reads an id as a HANDSHAKE carries it.
  ///
  /// - Throws: one sentence on what no such key can be.
  public init(_ bytes: [UInt8]) throws(IntegrityError) {
    let (algorithm, material) = try Self.parse(bytes)
    self.bytes = bytes
    self.algorithm = algorithm
    signatureLength =
      switch material {
      case .rsa(_, let modulus): modulus.count
      case .point(let coordinates): coordinates.count
      case .edwards(let key): 2 * key.count
      }
  }

  /// Reads an id as a link carries it: base64url without padding.
  ///
  /// - Throws: one sentence on what is wrong with it.
  public init(base64URL text: some StringProtocol) throws(IntegrityError) {
    guard let bytes = Base64URL.decode(text, maximumLength: Self.maximumLength) else {
      throw Base64URL.canHold(text) ? .incompleteText(letters: text.utf8.count) : .invalidText
    }
    try self.init(bytes)
  }

  init(_ algorithm: SignatureAlgorithm, _ material: PublicKeyMaterial) throws(IntegrityError) {
    var bytes = [algorithm.rawValue]
    switch material {
    case .edwards(let key): bytes += key
    case .point(let coordinates): bytes += coordinates
    case .rsa(let exponent, let modulus):
      if exponent.count <= 255 {
        bytes.append(UInt8(exponent.count))
      } else {
        bytes += [
          0, UInt8(truncatingIfNeeded: exponent.count >> 8), UInt8(truncatingIfNeeded: exponent.count),
        ]
      }
      bytes += exponent
      bytes += modulus
    }
    try self.init(bytes)
  }

  /// As in a link.
  public var base64URL: String { Base64URL.encode(bytes) }

  public var description: String { base64URL }

  /// The numbers of the key.
  var material: PublicKeyMaterial {
    get throws(IntegrityError) { try Self.parse(bytes).material }
  }

  private static func parse(
    _ bytes: [UInt8]
  ) throws(IntegrityError) -> (algorithm: SignatureAlgorithm, material: PublicKeyMaterial) {
    guard let number = bytes.first else { throw .emptySwarmID }
    guard let algorithm = SignatureAlgorithm(rawValue: number) else { throw .unknownAlgorithm(number) }
    let key = bytes.dropFirst()
    switch algorithm {
    case .ecdsaP256SHA256:
      guard key.count == 64 else { throw .wrongKeyLength(algorithm, bytes: key.count) }
      return (algorithm, .point(Array(key)))
    case .ecdsaP384SHA384:
      guard key.count == 96 else { throw .wrongKeyLength(algorithm, bytes: key.count) }
      return (algorithm, .point(Array(key)))
    case .ed25519:
      guard key.count == 32 else { throw .wrongKeyLength(algorithm, bytes: key.count) }
      return (algorithm, .edwards(Array(key)))
    case .ed448:
      guard key.count == 57 else { throw .wrongKeyLength(algorithm, bytes: key.count) }
      return (algorithm, .edwards(Array(key)))
    case .rsaSHA1, .rsaSHA256:
      guard bytes.count <= maximumLength else { throw .wrongKeyLength(algorithm, bytes: key.count) }
      return (algorithm, try parseRSA(key, algorithm))
    }
  }

  /// RFC 3110 section 2: the exponent's length in one byte, or zero and two bytes; the exponent; the modulus.
  private static func parseRSA(
    _ key: ArraySlice<UInt8>,
    _ algorithm: SignatureAlgorithm
  ) throws(IntegrityError) -> PublicKeyMaterial {
    var rest = key
    guard var length = rest.popFirst().map(Int.init) else {
      throw .wrongKeyLength(algorithm, bytes: key.count)
    }
    if length == 0 {
      guard let high = rest.popFirst(), let low = rest.popFirst() else {
        throw .wrongKeyLength(algorithm, bytes: key.count)
      }
      length = Int(high) << 8 | Int(low)
    }
    guard length < rest.count else { throw .wrongKeyLength(algorithm, bytes: key.count) }
    let exponent = Array(rest.prefix(length))
    let modulus = Array(rest.dropFirst(length))
    guard let first = modulus.first, let last = modulus.last, first != 0, last & 1 == 1 else {
      throw .invalidRSAKey("its modulus is even or begins with a zero")
    }
    let bits = modulus.count * 8 - first.leadingZeroBitCount
    guard (1024...4096).contains(bits) else {
      throw .invalidRSAKey("its modulus has \(bits) bits, and only 1024 to 4096 are accepted")
    }
    guard let first = exponent.first, let last = exponent.last, first != 0, last & 1 == 1, exponent != [1]
    else {
      throw .invalidRSAKey("its exponent is even, one, or begins with a zero")
    }
    // The same limits as in OpenSSL, which would only name them at the first signature.
    let smaller =
      exponent.count < modulus.count
      || exponent.count == modulus.count && exponent.lexicographicallyPrecedes(modulus)
    guard smaller, bits <= 3072 || exponent.count <= 8 else {
      throw .invalidRSAKey("its exponent is too long")
    }
    return .rsa(exponent: exponent, modulus: modulus)
  }
}
