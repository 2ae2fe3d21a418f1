internal import Crypto

/// What a peer needs to take part in a closed swarm: its certificate, its identity, and what checks the others'.
public struct Membership: Sendable {
  public let authority: SwarmAuthority
  public let certificate: MembershipCertificate
  public let identity: PeerIdentity

  /// - Throws: `notTheirKey` when the certificate is about another key than the identity's.
  public init(
    authority: SwarmAuthority,
    certificate: MembershipCertificate,
    identity: PeerIdentity
  ) throws(IntegrityError) {
    guard certificate.publicKey == identity.publicKey else { throw .notTheirKey }
    self.authority = authority
    self.certificate = certificate
    self.identity = identity
  }

  /// Reads a member's file: its certificate, the authority's, and the member's key unless `identity` has that.
  ///
  /// `time` is the Unix time. Throws one sentence when anything in the file is not what it must be at that time.
  public static func load(
    from path: String,
    identity: PeerIdentity? = nil,
    at time: Duration
  ) throws(IntegrityError) -> Membership {
    let text = try PrivateFile.load(path, missing: "the broadcaster makes it with: freshet ca issue")
    guard let member = unsafe X509Certificate.read(pem: text.span.bytes, number: 0),
      let root = unsafe X509Certificate.read(pem: text.span.bytes, number: 1),
      let authority = unsafe SwarmAuthority(der: root.der().span.bytes)
    else { throw .invalidCertificateFile(path: path, reason: "it holds no membership certificate") }
    let der = member.der()
    guard let certificate = MembershipCertificate(member, der: der, swarm: authority.swarm) else {
      throw .invalidCertificateFile(path: path, reason: "its certificate is for another swarm")
    }
    guard certificate.notAfter > time else {
      throw .invalidCertificateFile(path: path, reason: "it has expired; ask the broadcaster for a new one")
    }
    guard unsafe authority.check(der.span.bytes, at: time) != nil else {
      throw .invalidCertificateFile(
        path: path,
        reason: "its certificate is not the authority's, or not valid yet by this machine's clock"
      )
    }
    guard let own = unsafe identity ?? PeerIdentity(pem: text.span.bytes) else {
      throw .invalidCertificateFile(
        path: path,
        reason: "the member's key is not in it; name its file with --identity FILE"
      )
    }
    return try Membership(authority: authority, certificate: certificate, identity: own)
  }
}
