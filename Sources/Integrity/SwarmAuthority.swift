internal import Crypto

/// What checks membership certificates: the certificate of a closed swarm's authority (RFC 7574, section 12.2).
///
/// May be used from any thread.
public final class SwarmAuthority: Sendable {
  /// The name of the swarm that it is the authority of, as in option 2 of a HANDSHAKE.
  let swarm: [UInt8]
  /// As DER.
  public let der: [UInt8]
  private let certificate: Guarded<X509Certificate>

  /// Reads an authority's certificate; nil unless it is one for a swarm.
  public convenience init?(der: RawSpan) {
    guard let certificate = X509Certificate.read(der: der) else { return nil }
    self.init(certificate)
  }

  init?(_ certificate: consuming sending X509Certificate) {
    guard certificate.isAuthority, let swarm = SwarmURI(certificate)?.swarm else { return nil }
    self.swarm = swarm
    der = certificate.der()
    self.certificate = Guarded(certificate)
  }

  /// Whether it is the authority of a swarm.
  public func isFor(_ name: SwarmName) -> Bool { swarm == name.bytes }

  /// Reads a certificate from a stranger; nil unless the authority issued it for its swarm and it is valid now.
  ///
  /// Never traps. What costs little is looked at first; the signature takes about 100 µs. `time` is the Unix time.
  public func check(_ der: RawSpan, at time: Duration) -> MembershipCertificate? {
    guard der.byteCount <= MembershipCertificate.maximumLength, let found = X509Certificate.read(der: der),
      let member = MembershipCertificate(
        found,
        der: unsafe der.withUnsafeBytes { unsafe Array($0) },
        swarm: swarm
      ),
      member.isValid(at: time)
    else { return nil }
    return certificate.withLock { authority in found.isIssued(by: authority) } ? member : nil
  }
}
