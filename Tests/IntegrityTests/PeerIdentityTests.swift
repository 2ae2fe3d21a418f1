import Integrity
import Support
import Testing
import Wire

@Suite struct PeerIdentityTests {
  @Test func `A seed gives the same peer each time`() throws {
    // RFC 8032 section 7.1, test 2.
    let seed = bytes(hex: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    let peer = try unsafe PeerIdentity(seed: seed.span.bytes)
    #expect(peer.publicKey == bytes(hex: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))
    #expect(peer.id == HashFunction.sha256.hash(peer.publicKey))
    #expect(PeerIdentity.id(of: peer.publicKey) == peer.id)
    #expect(
      try unsafe peer.sign([UInt8]([0x72]).span.bytes)
        == bytes(
          hex: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        )
    )
    for length in [0, 31, 33] {
      #expect(throws: IntegrityError.invalidSeed(bytes: length)) {
        try unsafe PeerIdentity(seed: [UInt8](repeating: 0, count: length).span.bytes)
      }
    }
  }

  @Test func `Only the peer's own signature of these bytes is accepted`() throws {
    let peer = try PeerIdentity.generate()
    let other = try PeerIdentity.generate()
    #expect(peer.id != other.id)
    #expect(peer.id.count == 32)
    for seed in UInt64(1)...40 {
      var random = SplitMix64(seed: seed)
      var message = (0..<Int.random(in: 1...64, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      var signature = try unsafe peer.sign(message.span.bytes)
      #expect(signature.count == PeerIdentity.signatureLength)
      #expect(verify(peer.publicKey, signature, message), "seed \(seed)")
      #expect(!verify(other.publicKey, signature, message), "seed \(seed)")
      let bit = UInt8(1) << UInt8.random(in: 0...7, using: &random)
      let place = Int.random(in: 0..<64, using: &random)
      signature[place] ^= bit
      #expect(!verify(peer.publicKey, signature, message), "seed \(seed), byte \(place) of the signature")
      signature[place] ^= bit
      message[0] ^= bit
      #expect(!verify(peer.publicKey, signature, message), "seed \(seed)")
      message[0] ^= bit
      #expect(!verify(peer.publicKey, signature + [0], message))
      #expect(!verify(peer.publicKey, signature.dropLast(), message))
      #expect(!verify(peer.publicKey + [0], signature, message))
      #expect(!verify([], [], message))
      let noise = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
      #expect(!verify(noise, signature, message), "seed \(seed)")
    }
  }

  @Test func `The hash is SHA-256`() {
    #expect(
      HashFunction.sha256.hash(Array("abc".utf8))
        == bytes(hex: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    )
    #expect(
      HashFunction.sha256.hash([])
        == bytes(hex: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    )
    let digest = unsafe HashFunction.sha256.digest(Array("abc".utf8).span.bytes)
    #expect(digest[0] == 0xBA && digest[31] == 0xAD)
  }

  private func verify(_ key: some Sequence<UInt8>, _ signature: some Sequence<UInt8>, _ message: [UInt8])
    -> Bool
  {
    unsafe PeerIdentity.verify(
      publicKey: Array(key).span.bytes,
      signature: Array(signature).span.bytes,
      of: message.span.bytes
    )
  }
}
