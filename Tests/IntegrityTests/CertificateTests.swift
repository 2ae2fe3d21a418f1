import Crypto
import Integrity
import Support
import Testing

/// Membership certificates (RFC 7574, sections 8.13 and 12.2).
@Suite struct `A membership certificate` {
  private static let now = Duration.seconds(1_800_000_000)
  private static let day = Duration.seconds(86_400)

  private func swarm(_ number: UInt8 = 1) throws -> SwarmID {
    try unsafe StreamKey(ed25519Seed: [UInt8](repeating: number, count: 32).span.bytes).swarmID
  }

  private func identity(_ number: UInt8 = 9) throws -> PeerIdentity {
    try unsafe PeerIdentity(seed: [UInt8](repeating: number, count: 32).span.bytes)
  }

  private func check(_ der: [UInt8], _ authority: SwarmAuthority, at time: Duration = now)
    -> MembershipCertificate?
  {
    unsafe authority.check(der.span.bytes, at: time)
  }

  @Test func `says who, where and until when`() throws {
    let authority = try CertificateAuthority.generate(.live(swarm()), now: Self.now)
    let member = try authority.issue(
      name: "alice",
      publicKey: identity().publicKey,
      place: "192.0.2.0:6778",
      now: Self.now,
      notAfter: Self.now + Self.day
    )
    #expect(member.id == (try identity().id))
    #expect(member.place == "192.0.2.0:6778")
    #expect(member.notBefore == Self.now && member.notAfter == Self.now + Self.day)
    #expect(member.der.count <= MembershipCertificate.maximumLength)
    #expect(check(member.der, authority.authority) == member)
    print("\(member.der.count) bytes")
  }

  @Test func `holds from its beginning to its end, but for the clocks' difference`() throws {
    let authority = try CertificateAuthority.generate(.live(swarm()), now: Self.now)
    let member = try authority.issue(
      name: "alice",
      publicKey: identity().publicKey,
      now: Self.now,
      notAfter: Self.now + Self.day
    )
    let times: [(Duration, Bool)] = [
      (.seconds(-300), true), (.seconds(-301), false), (Self.day - .seconds(1), true),
      (Self.day, false), (.seconds(1 << 40), false),
    ]
    for (time, isValid) in times {
      #expect((check(member.der, authority.authority, at: Self.now + time) != nil) == isValid, "\(time)")
    }
  }

  @Test func `of another authority, or for another swarm, is none`() throws {
    let authority = try CertificateAuthority.generate(.live(swarm()), now: Self.now)
    let namesake = try CertificateAuthority.generate(.live(swarm()), now: Self.now)
    let other = try CertificateAuthority.generate(.live(swarm(2)), now: Self.now)
    for issuer in [namesake, other] {
      let member = try issuer.issue(
        name: "alice",
        publicKey: identity().publicKey,
        now: Self.now,
        notAfter: Self.now + Self.day
      )
      #expect(check(member.der, issuer.authority) != nil)
      #expect(check(member.der, authority.authority) == nil)
    }
    #expect(check(authority.authority.der, authority.authority) == nil, "an authority is no member")
  }

  @Test func `with any byte changed is none, or says the same`() throws {
    let authority = try CertificateAuthority.generate(.live(swarm()), now: Self.now)
    let member = try authority.issue(
      name: "alice",
      publicKey: identity().publicKey,
      now: Self.now,
      notAfter: Self.now + Self.day
    )
    for place in member.der.indices {
      var changed = member.der
      changed[place] ^= 0x01
      #expect(check(changed, authority.authority) == nil, "byte \(place)")
    }
    for count in 0..<member.der.count {
      #expect(check(Array(member.der.prefix(count)), authority.authority) == nil)
    }
    #expect(check(member.der + [0], authority.authority) == nil, "nothing may follow")
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `made of noise is none`(seed: UInt64) throws {
    let authority = try CertificateAuthority.generate(.live(swarm()), now: Self.now)
    let member = try authority.issue(
      name: "alice",
      publicKey: identity().publicKey,
      now: Self.now,
      notAfter: Self.now + Self.day
    )
    var random = SplitMix64(seed: seed)
    for _ in 0..<50 {
      var bytes = member.der
      for _ in 0..<Int.random(in: 2...40, using: &random) {
        bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      guard bytes != member.der else { continue }
      #expect(check(bytes, authority.authority) == nil, "seed \(seed)")
    }
  }

  @Test func `is read by openssl as the RFC describes it`() throws {
    let folder = try TemporaryFolder()
    let authority = try CertificateAuthority.create(at: folder.path, .live(swarm()), now: Self.now)
    let member = try authority.issue(
      name: "alice",
      publicKey: identity().publicKey,
      place: "192.0.2.0:6778",
      now: Self.now,
      notAfter: Self.now + Self.day
    )
    try authority.write(member, identity: nil, at: folder.file("alice.pem"))
    let text = try run("openssl", ["x509", "-in", folder.file("alice.pem"), "-noout", "-text"]).text
    let hex = try swarm().bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(text.contains("Version: 3 (0x2)"))
    #expect(text.contains("X509v3 Subject Alternative Name: critical"))
    #expect(text.contains("URI:file://192.0.2.0:6778/\(hex)"))
    #expect(text.contains("ecdsa-with-SHA256"))
    let times = try run("openssl", ["asn1parse", "-in", folder.file("alice.pem")]).text
    #expect(times.contains("UTCTIME"))
    let verdict = try run(
      "openssl",
      ["verify", "-no_check_time", "-CAfile", folder.file("ca.pem"), folder.file("alice.pem")]
    )
    #expect(verdict.text.contains("OK"), "\(verdict.errors)")
  }

  @Test func `needs a name that can be read and a stream key that is short enough`() throws {
    let authority = try CertificateAuthority.generate(.live(swarm()), now: Self.now)
    for name in ["", String(repeating: "a", count: 49), "a\nb", "ä"] {
      #expect(throws: IntegrityError.invalidMemberName(name)) {
        try authority.issue(
          name: name,
          publicKey: identity().publicKey,
          now: Self.now,
          notAfter: Self.now + Self.day
        )
      }
    }
  }
}

@Suite struct `The files of a closed swarm` {
  private static let now = Duration.seconds(1_800_000_000)

  @Test func `belong to their owner, are not overwritten, and are read again`() throws {
    let folder = try TemporaryFolder()
    let swarm = SwarmName.live(try StreamKey.generate().swarmID)
    let made = try CertificateAuthority.create(at: folder.path, swarm, now: Self.now)
    #expect(throws: IntegrityError.keyExists(path: folder.file("ca.key"))) {
      try CertificateAuthority.create(at: folder.path, swarm, now: Self.now)
    }
    let again = try CertificateAuthority.load(from: folder.path)
    #expect(again.authority.isFor(swarm) && again.authority.der == made.authority.der)

    let identity = try PeerIdentity.generate()
    let member = try again.issue(
      name: "bob",
      publicKey: identity.publicKey,
      now: Self.now,
      notAfter: Self.now + .seconds(60)
    )
    let path = folder.file("bob.pem")
    try again.write(member, identity: identity, at: path)
    #expect(throws: IntegrityError.keyExists(path: path)) {
      try again.write(member, identity: identity, at: path)
    }
    for name in folder.names {
      #expect(try run("stat", ["-c", "%a", folder.file(name)]).text == "600\n", "\(name)")
    }
    let read = try Membership.load(from: path, at: Self.now)
    #expect(read.certificate == member && read.identity.id == identity.id)
    #expect(throws: IntegrityError.self) { try Membership.load(from: path, at: Self.now + .seconds(60)) }

    // Without the key in it.
    try again.write(member, identity: nil, at: folder.file("bare.pem"))
    #expect(throws: IntegrityError.self) { try Membership.load(from: folder.file("bare.pem"), at: Self.now) }
    let other = try PeerIdentity.create(at: folder.file("other.key"))
    #expect(try PeerIdentity.load(from: folder.file("other.key")).id == other.id)
    #expect(throws: IntegrityError.notTheirKey) {
      try Membership.load(from: folder.file("bare.pem"), identity: other, at: Self.now)
    }
    #expect(PeerIdentity.publicKey(other.publicKeyText) == other.publicKey)
    _ = try run("chmod", ["644", path])
    #expect(throws: IntegrityError.keyExposed(path: path, mode: 0o644)) {
      try Membership.load(from: path, at: Self.now)
    }
  }

  @Test func `that are garbage are refused with a sentence`() throws {
    let folder = try TemporaryFolder()
    #expect(throws: IntegrityError.self) { try CertificateAuthority.load(from: folder.path) }
    _ = try CertificateAuthority.create(at: folder.path, .live(StreamKey.generate().swarmID), now: Self.now)
    #expect(throws: IntegrityError.self) { try Membership.load(from: folder.file("ca.pem"), at: Self.now) }
    #expect(throws: IntegrityError.self) { try PeerIdentity.load(from: folder.file("ca.key")) }
  }
}
