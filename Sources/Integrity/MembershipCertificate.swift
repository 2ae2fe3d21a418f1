internal import Crypto

/// What a membership certificate says: who is a member of which swarm, from when until when.
///
/// RFC 7574, sections 8.13 and 12.2. An X.509v3 certificate whose critical subject alternative name is the URI
/// `file://HOST:PORT/SWARM-ID-IN-HEX`. It is about the key of the peer's identity, so that its holder can prove that it
/// is its own; the RFC leaves the key open. A member without a fixed address has `0.0.0.0:0` in it.
public struct MembershipCertificate: Hashable, Sendable {
  /// The longest certificate, in bytes of DER: it must fit into the first datagram, behind the handshake.
  public static let maximumLength = 1024
  /// How far ahead of ours an issuer's clock may be.
  public static let clockTolerance: Duration = .seconds(300)

  public let der: [UInt8]
  /// `HOST:PORT` as the certificate says it.
  public let place: String
  /// The 32 bytes of the member's Ed25519 key.
  public let publicKey: [UInt8]
  /// Unix times.
  public let notBefore: Duration
  public let notAfter: Duration

  /// The member's name as a peer.
  public var id: [UInt8] { PeerIdentity.id(of: publicKey) }

  /// Whether it holds good at a Unix time.
  public func isValid(at time: Duration) -> Bool {
    notBefore - Self.clockTolerance <= time && time < notAfter
  }

  init?(_ certificate: borrowing X509Certificate, der: [UInt8], swarmID: SwarmID) {
    guard let name = SwarmURI(certificate), name.names(swarmID), let key = certificate.ed25519Key,
      let validity = certificate.validity, !certificate.isAuthority
    else { return nil }
    self.der = der
    place = name.place
    publicKey = key
    notBefore = .seconds(validity.lowerBound)
    notAfter = .seconds(validity.upperBound)
  }
}

/// The URI that names a swarm and where a member of it is.
struct SwarmURI {
  /// A member without a fixed address, and an authority.
  static let noPlace = "0.0.0.0:0"
  private static let scheme = "file://"
  private static let limit = 64 + 2 * SwarmID.maximumLength

  var place: String
  /// In hexadecimal.
  private var swarm: [UInt8]

  init(place: String, _ swarmID: SwarmID) {
    self.place = place
    swarm = Self.hexadecimal(swarmID.bytes)
  }

  init?(_ certificate: borrowing X509Certificate) {
    guard let bytes = certificate.uri(limit: Self.limit), bytes.starts(with: Self.scheme.utf8) else {
      return nil
    }
    let rest = bytes.dropFirst(Self.scheme.utf8.count)
    guard let slash = rest.firstIndex(of: UInt8(ascii: "/")), rest.allSatisfy({ 0x21...0x7E ~= $0 }) else {
      return nil
    }
    place = String(decoding: rest[..<slash], as: UTF8.self)
    swarm = Array(rest[slash...].dropFirst())
  }

  var text: String { Self.scheme + place + "/" + String(decoding: swarm, as: UTF8.self) }

  func names(_ swarmID: SwarmID) -> Bool { lowercased == Self.hexadecimal(swarmID.bytes) }

  /// The swarm, if it is one.
  var swarmID: SwarmID? {
    let digits = lowercased.map { UInt8($0 & 0x40 == 0 ? $0 &- 0x30 : $0 &- 0x57) }
    guard digits.count % 2 == 0, digits.allSatisfy({ $0 < 16 }) else { return nil }
    let bytes = stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    guard Self.hexadecimal(bytes) == lowercased else { return nil }
    return try? SwarmID(bytes)
  }

  private var lowercased: [UInt8] { swarm.map { 0x41...0x46 ~= $0 ? $0 + 0x20 : $0 } }

  private static func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  }
}
