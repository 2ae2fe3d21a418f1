import Integrity
import Support
import Testing

@Suite struct SwarmIDTests {
  @Test(arguments: SignatureAlgorithm.allCases)
  func `An id survives its two forms`(_ algorithm: SignatureAlgorithm) throws {
    let id = try StreamKey.generate(algorithm).swarmID
    #expect(id.bytes.first == algorithm.rawValue)
    #expect(try SwarmID(id.bytes) == id)
    #expect(try unsafe SwarmID(id.bytes.span.bytes) == id)
    #expect(try SwarmID(base64URL: id.base64URL) == id)
    #expect(!id.base64URL.contains { "=+/".contains($0) })
    let lengths: [SignatureAlgorithm: Int] = [
      .rsaSHA1: 261, .rsaSHA256: 261, .ecdsaP256SHA256: 65, .ecdsaP384SHA384: 97, .ed25519: 33, .ed448: 58,
    ]
    #expect(id.bytes.count == lengths[algorithm])
    let signatures: [SignatureAlgorithm: Int] = [
      .rsaSHA1: 256, .rsaSHA256: 256, .ecdsaP256SHA256: 64, .ecdsaP384SHA384: 96, .ed25519: 64, .ed448: 114,
    ]
    #expect(id.signatureLength == signatures[algorithm])
  }

  @Test func `The standard algorithm is that of the RFC`() {
    #expect(SignatureAlgorithm.standard.rawValue == 13)
  }

  @Test func `An exponent's length is read in both forms`() throws {
    let modulus = [UInt8](repeating: 0xF1, count: 256)
    for prefix in [[3], [0, 0, 3]] as [[UInt8]] {
      let id = try SwarmID([8] + prefix + [1, 0, 1] + modulus)
      #expect(id.signatureLength == 256)
      _ = try StreamPublicKey(id)
    }
    let long = try SwarmID([8, 0, 1, 0] + [UInt8](repeating: 0xE1, count: 256) + modulus)
    #expect(long.signatureLength == 256)
    _ = try StreamPublicKey(long)
    _ = try SwarmID([8, 3, 1, 0, 1] + [UInt8](repeating: 0xF1, count: 512))
  }

  @Test func `A RSA key that cannot be used is refused`() throws {
    let modulus = [UInt8](repeating: 0xF1, count: 256)
    let wrong: [[UInt8]] = [
      [], [0], [0, 0], [0, 0, 0], [1], [255], [0, 255, 255], [3, 1, 0, 1],  // nothing left for the modulus
      [0, 0, 0] + modulus,  // no exponent
      [1, 1] + modulus, [1, 2] + modulus, [1, 0] + modulus,  // exponents 1, 2 and 0
      [2, 0, 3] + modulus,  // a leading zero
      [3, 1, 0, 1, 0] + modulus,  // the same in the modulus
      [3, 1, 0, 1] + modulus.dropLast() + [0xF0],  // even
      [3, 1, 0, 1] + [UInt8](repeating: 0xF1, count: 127),  // short
      [3, 1, 0, 1] + [0x7F] + [UInt8](repeating: 0xF1, count: 127),  // 1,023 bits
      [3, 1, 0, 1, 1] + [UInt8](repeating: 0xF1, count: 512),  // 4,097 bits
      [0, 1, 0] + modulus + modulus,  // an exponent that is the modulus
      [9] + [UInt8](repeating: 0xE1, count: 9) + [UInt8](repeating: 0xF1, count: 512),
    ]
    for key in wrong {
      #expect(throws: IntegrityError.self, "\(key.count) bytes, \(key.prefix(4))") { try SwarmID([8] + key) }
      #expect(throws: IntegrityError.self) { try SwarmID([5] + key) }
    }
  }

  @Test func `A point that is not on its curve is refused`() throws {
    for (number, length) in [(UInt8(13), 64), (14, 96)] {
      for fill in [UInt8(0), 1, 255] {
        let id = try SwarmID([number] + [UInt8](repeating: fill, count: length))
        let error = #expect(throws: IntegrityError.self) { try StreamPublicKey(id) }
        #expect(error?.description.contains("no valid ECDSA") == true)
      }
    }
  }

  @Test func `Ids of wrong lengths and unknown algorithms are refused`() throws {
    #expect(throws: IntegrityError.emptySwarmID) { try SwarmID([]) }
    #expect(throws: IntegrityError.emptySwarmID) { try SwarmID(base64URL: "") }
    for number in UInt8.min...UInt8.max where SignatureAlgorithm(rawValue: number) == nil {
      #expect(throws: IntegrityError.unknownAlgorithm(number)) {
        try SwarmID([number] + [UInt8](repeating: 1, count: 64))
      }
    }
    for (number, length) in [(UInt8(13), 64), (14, 96), (15, 32), (16, 57)] {
      for wrong in [0, 1, length - 1, length + 1, 60_000] {
        #expect(throws: IntegrityError.self) { try SwarmID([number] + [UInt8](repeating: 1, count: wrong)) }
      }
    }
  }

  @Test func `Text is read only in the one form that is written`() throws {
    let id = try unsafe StreamKey(ed25519Seed: [UInt8](repeating: 7, count: 32).span.bytes).swarmID
    let text = id.base64URL
    #expect(text.count == 44)
    for wrong in [
      text + "=", text + "A", " " + text, text + "\n", String(text.dropLast()), text + "é", "+" + text,
    ] {
      #expect(throws: IntegrityError.self, "\(wrong)") { try SwarmID(base64URL: wrong) }
    }
    // 65 bytes leave two bits of the last letter unused, which must be zero.
    let point = try SwarmID([13] + [UInt8](repeating: 9, count: 64)).base64URL
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    let last = alphabet.filter { (try? SwarmID(base64URL: point.dropLast() + String($0))) != nil }
    #expect(last.count == 16)
    #expect(throws: IntegrityError.incompleteText(letters: 1_000_000)) {
      try SwarmID(base64URL: String(repeating: "A", count: 1_000_000))
    }
  }

  @Test func `An id that was cut off is said to be so, wherever the cut was`() throws {
    for algorithm in [13, 15, 14] as [UInt8] {
      let length = [13: 64, 15: 32, 14: 96][algorithm] ?? 0
      let text = try SwarmID([algorithm] + [UInt8](repeating: 0xA5, count: length)).base64URL
      for kept in 2..<text.count {
        let error = #expect(throws: IntegrityError.self) { try SwarmID(base64URL: text.prefix(kept)) }
        #expect(
          error?.description.contains("cut off") == true,
          "\(kept) letters: \(error?.description ?? "")"
        )
      }
      #expect(throws: IntegrityError.invalidText) { try SwarmID(base64URL: text.dropLast() + "=") }
    }
  }

  @Test func `No bytes and no text trap`() throws {
    var accepted = 0
    for seed in UInt64(1)...4_000 {
      var random = SplitMix64(seed: seed)
      var bytes = (0..<Int.random(in: 0...800, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      // Half of them begin like ids, a quarter with a plausible RSA exponent.
      if seed.isMultiple(of: 2), !bytes.isEmpty {
        bytes[0] = SignatureAlgorithm.allCases[Int(seed / 2 % 5)].rawValue
        let lengths = [33, 65, 97, 261]
        if seed.isMultiple(of: 3) { bytes = Array(bytes.prefix(lengths[Int(seed / 6 % 4)])) }
      }
      if seed.isMultiple(of: 4), bytes.count > 5 { bytes.replaceSubrange(1..<5, with: [3, 1, 0, 1]) }
      if let last = bytes.indices.last { bytes[last] |= 1 }
      #expect((try? SwarmID(bytes)) == (try? unsafe SwarmID(bytes.span.bytes)), "seed \(seed)")
      if let id = try? SwarmID(bytes) {
        accepted += 1
        #expect(id.bytes == bytes, "seed \(seed)")
        #expect(try SwarmID(base64URL: id.base64URL) == id, "seed \(seed)")
        if let key = try? StreamPublicKey(id) {
          let signature = [UInt8](repeating: UInt8(truncatingIfNeeded: seed), count: id.signatureLength)
          #expect(
            unsafe !key.verify(statement: bytes.span.bytes, signature: signature.span.bytes),
            "seed \(seed)"
          )
        }
      }
      let text = String(decoding: bytes, as: UTF8.self)
      if let id = try? SwarmID(base64URL: text) { #expect(id.base64URL == text, "seed \(seed)") }
      let letters = String(decoding: bytes.map { $0 & 0x3F | 0x40 }, as: UTF8.self)
      if let id = try? SwarmID(base64URL: letters) { #expect(id.base64URL == letters, "seed \(seed)") }
    }
    #expect(accepted > 100)
  }
}
