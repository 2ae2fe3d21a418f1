internal import Crypto
import Wire

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

  init?(_ certificate: borrowing X509Certificate, der: [UInt8], swarm: [UInt8]) {
    guard let name = SwarmURI(certificate), name.swarm == swarm, let key = certificate.ed25519Key,
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
  /// The swarm's name, as in option 2 of a HANDSHAKE.
  var swarm: [UInt8]

  init(place: String, _ swarm: [UInt8]) {
    self.place = place
    self.swarm = swarm
  }

  /// Nil when it names no stream's key and no root hash.
  init?(_ certificate: borrowing X509Certificate) {
    guard let bytes = certificate.uri(limit: Self.limit), bytes.starts(with: Self.scheme.utf8) else {
      return nil
    }
    let rest = bytes.dropFirst(Self.scheme.utf8.count)
    guard let slash = rest.firstIndex(of: UInt8(ascii: "/")), rest.allSatisfy({ 0x21...0x7E ~= $0 }),
      let swarm = Self.bytes(rest[slash...].dropFirst()),
      (try? SwarmID(swarm)) != nil || HashFunction.allCases.contains(where: { $0.length == swarm.count })
    else {
      return nil
    }
    place = String(decoding: rest[..<slash], as: UTF8.self)
    self.swarm = swarm
  }

  var text: String { Self.scheme + place + "/" + String(decoding: Self.hexadecimal(swarm), as: UTF8.self) }

  /// What hexadecimal digits of either case mean.
  private static func bytes(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
    guard digits.count % 2 == 0 else { return nil }
    var values: [UInt8] = []
    for digit in digits {
      switch digit {
      case 0x30...0x39: values.append(digit - 0x30)
      case 0x41...0x46: values.append(digit - 0x37)
      case 0x61...0x66: values.append(digit - 0x57)
      default: return nil
      }
    }
    return stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  }
}
