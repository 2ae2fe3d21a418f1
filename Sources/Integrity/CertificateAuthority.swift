internal import Crypto

/// The private side of a closed swarm's authority, which makes its members.
///
/// May be used from any thread.
public final class CertificateAuthority: Sendable {
  /// How long an authority lasts.
  public static let lifetime: Duration = .seconds(10 * 365 * 86_400)
  /// The longest name of a member, in bytes.
  public static let nameLimit = 48

  private struct Signer: ~Copyable {
    var key: SigningKey
    var certificate: X509Certificate
  }

  public let authority: SwarmAuthority
  private let signer: Guarded<Signer>

  /// Makes the authority of a swarm, with an ECDSA P-256 key of its own.
  ///
  /// - Throws: `certificateTooLong` when the swarm's key is too long for members' certificates.
  public static func generate(_ swarm: SwarmName, now: Duration) throws(IntegrityError)
    -> CertificateAuthority
  {
    let made = try IntegrityError.converting { () throws(CryptoError) in
      let key = try SigningKey.generate(.ecdsaP256SHA256)
      let contents = X509Certificate.Contents(
        name: "Freshet swarm authority",
        uri: SwarmURI(place: SwarmURI.noPlace, swarm.bytes).text,
        notBefore: now.components.seconds,
        notAfter: (now + lifetime).components.seconds,
        isAuthority: true
      )
      let certificate = try X509Certificate.makeAuthority(contents, key)
      return Signer(key: key, certificate: certificate)
    }
    return try CertificateAuthority(made)
  }

  /// An authority of its key in PEM and its certificate in DER; nil when they do not belong together.
  convenience init?(pem: RawSpan, der: RawSpan) {
    guard let key = try? SigningKey.read(pem: pem, sha1: false),
      let certificate = X509Certificate.read(der: der), certificate.belongs(to: key)
    else { return nil }
    do throws(IntegrityError) {
      try self.init(Signer(key: key, certificate: certificate))
    } catch { return nil }
  }

  private init(_ signer: consuming sending Signer) throws(IntegrityError) {
    let der = signer.certificate.der()
    guard let authority = unsafe SwarmAuthority(der: der.span.bytes) else { throw .notAnAuthority }
    self.authority = authority
    self.signer = Guarded(signer)
  }

  /// Makes a certificate for a member.
  ///
  /// `publicKey` is the 32 bytes of the member's Ed25519 key; `place` is `HOST:PORT` with an IP address, nil for a
  /// member that may come from anywhere; `notAfter` is the Unix time at which it ends, at the latest with the authority.
  public func issue(
    name: String,
    publicKey: [UInt8],
    place: String? = nil,
    now: Duration,
    notAfter: Duration
  ) throws(IntegrityError) -> MembershipCertificate {
    guard 1...Self.nameLimit ~= name.utf8.count, name.utf8.allSatisfy({ 0x20...0x7E ~= $0 }) else {
      throw .invalidMemberName(name)
    }
    let uri = SwarmURI(place: place ?? SwarmURI.noPlace, authority.swarm).text
    let der = try IntegrityError.converting { () throws(CryptoError) in
      try signer.withLock { signer throws(CryptoError) in
        let end = signer.certificate.validity?.upperBound ?? 0
        let contents = X509Certificate.Contents(
          name: name,
          uri: uri,
          notBefore: now.components.seconds,
          notAfter: min(notAfter.components.seconds, end),
          isAuthority: false
        )
        return try X509Certificate.make(
          contents,
          ed25519: publicKey,
          issuer: signer.certificate,
          signer.key
        ).der()
      }
    }
    guard der.count <= MembershipCertificate.maximumLength else {
      throw .certificateTooLong(bytes: der.count)
    }
    guard let member = unsafe authority.check(der.span.bytes, at: now) else { throw .certificateExpired }
    return member
  }

  /// The private key as PKCS #8 in PEM.
  func pem() throws(IntegrityError) -> [UInt8] {
    try IntegrityError.converting { () throws(CryptoError) in
      try signer.withLock { signer throws(CryptoError) in try signer.key.pem() }
    }
  }
}
