import Integrity

/// A closed swarm's authority that has issued nothing, so whatever an input says is no certificate of its.
enum Certificates {
  static let authority: SwarmAuthority = {
    let seed = [UInt8](repeating: 1, count: 32)
    guard let key = try? StreamKey(ed25519Seed: seed.span.bytes),
      let made = try? CertificateAuthority.generate(.live(key.swarmID), now: .seconds(1_800_000_000))
    else { preconditionFailure("no authority can be made") }
    return made.authority
  }()

  static func feed(_ input: UnsafeRawBufferPointer) {
    let found = authority.check(input.bytes, at: .seconds(1_800_000_000))
    precondition(found == nil, "noise was accepted as a member")
    if let other = SwarmAuthority(der: input.bytes) {
      let der = authority.der
      precondition(other.check(der.span.bytes, at: .zero) == nil, "an authority became a member")
    }
  }
}
