internal import Crypto

/// The folder of an authority: its key, its certificate, and the members' files, each readable by its owner only.
extension CertificateAuthority {
  private static let keyName = "ca.key"
  private static let certificateName = "ca.pem"

  /// Makes an authority and its folder; a folder that holds one already is left as it is.
  public static func create(
    at folder: String,
    _ swarm: SwarmName,
    now: Duration
  ) throws(IntegrityError) -> CertificateAuthority {
    let made = try generate(swarm, now: now)
    // Whether a member's certificate fits is known by trying.
    let trial = try PeerIdentity.generate()
    _ = try made.issue(
      name: String(repeating: "x", count: nameLimit),
      publicKey: trial.publicKey,
      place: "[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
      now: now,
      notAfter: now + .seconds(86_400)
    )
    try PrivateFile.createFolder(folder)
    try PrivateFile.create(
      "\(folder)/\(keyName)",
      Array(
        "Freshet swarm authority: who has this key decides who may watch. Keep it to yourself.\n".utf8
      ) + made.pem()
    )
    try PrivateFile.create("\(folder)/\(certificateName)", made.certificatePEM())
    return made
  }

  /// Reads an authority from its folder.
  public static func load(from folder: String) throws(IntegrityError) -> CertificateAuthority {
    let missing = "make an authority with: freshet ca create \(folder) --key FILE"
    let key = try PrivateFile.load("\(folder)/\(keyName)", missing: missing)
    let path = "\(folder)/\(certificateName)"
    let text = try PrivateFile.load(path, missing: missing)
    guard let certificate = unsafe X509Certificate.read(pem: text.span.bytes, number: 0),
      let made = unsafe CertificateAuthority(pem: key.span.bytes, der: certificate.der().span.bytes)
    else {
      throw .invalidCertificateFile(path: path, reason: "it is not the certificate of \(keyName) beside it")
    }
    return made
  }

  /// Makes a member's file, which must not exist: certificates, and the key when it was made here.
  public func write(
    _ member: MembershipCertificate,
    identity: PeerIdentity?,
    at path: String
  ) throws(IntegrityError) {
    try IntegrityError.checkPath(path)
    var text = Array(
      "Freshet membership: join with --certificate and this file. Its holder is the member.\n".utf8
    )
    if let identity { text += try identity.pem() }
    guard let certificate = unsafe X509Certificate.read(der: member.der.span.bytes) else {
      preconditionFailure("a certificate that was made can be read")
    }
    text += certificate.pem()
    text += certificatePEM()
    try PrivateFile.create(path, text)
  }

  /// What the authority needs to take part in its own swarm, until the authority ends.
  public func ownMembership(_ identity: PeerIdentity, now: Duration) throws(IntegrityError) -> Membership {
    let certificate = try issue(
      name: "broadcaster",
      publicKey: identity.publicKey,
      now: now,
      notAfter: now + Self.lifetime
    )
    return try Membership(authority: authority, certificate: certificate, identity: identity)
  }

  private func certificatePEM() -> [UInt8] {
    let der = authority.der
    return unsafe X509Certificate.read(der: der.span.bytes)?.pem() ?? []
  }
}
