import Crypto
import Integrity
import Support
import Testing
import Wire

@Suite struct AccelerationTests {
  /// A check of a signature whose answer is known, as hex.
  struct Case: CustomTestStringConvertible {
    let testDescription: String
    let key: String
    let hash: String
    let signature: String
    let isValid: Bool
  }

  /// Where the general formulas have exceptions; made by SEC 1 section 4.1.4 with whole numbers.
  static let cases: [Case] = [
    Case(
      testDescription: "both products are one point",
      key: "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
        + "07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1",
      hash: "f9e4f6311a069efd14a47006096a35878112d3c4efe4366b4c1691f88ecd32f0",
      signature: "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
        + "f9e4f6311a069efd14a47006096a35878112d3c4efe4366b4c1691f88ecd32f0",
      isValid: true
    ),
    Case(
      testDescription: "the products cancel out",
      key: "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
        + "07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1",
      hash: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632547",
      signature: "0000000000000000000000000000000000000000000000000000000000000005"
        + "0000000000000000000000000000000000000000000000000000000000000007",
      isValid: false
    ),
    Case(
      testDescription: "a hash of zero",
      key: "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
        + "07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1",
      hash: "0000000000000000000000000000000000000000000000000000000000000000",
      signature: "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
        + "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978",
      isValid: true
    ),
    Case(
      testDescription: "a hash of the order",
      key: "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
        + "07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1",
      hash: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
      signature: "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
        + "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978",
      isValid: true
    ),
    Case(
      testDescription: "a hash of ones is above the order",
      key: "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
        + "07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1",
      hash: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      signature: "0000000000000000000000000000000000000000000000000000000000000000"
        + "0000000000000000000000000000000000000000000000000000000000000000",
      isValid: false
    ),
    Case(
      testDescription: "a hash above the order",
      key: "d360332fad9bc83afaff4a740de8a516bf1b8fb3fde360ff1d03979c1f943ee2"
        + "e8a66007fd276b0271265c6db092c4a0c5eb8c45fdc436502c8a095f5d5745f2",
      hash: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      signature: "26efcebd0ee9e34a669187e18b3a9122b2f733945b649cc9f9f921e9f9dad812"
        + "69a886ba97534548c22557f46a00258ad79a8a49722256e646dc26fcc4acbf01",
      isValid: true
    ),
    Case(
      testDescription: "the other s of the same signature",
      key: "d360332fad9bc83afaff4a740de8a516bf1b8fb3fde360ff1d03979c1f943ee2"
        + "e8a66007fd276b0271265c6db092c4a0c5eb8c45fdc436502c8a095f5d5745f2",
      hash: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      signature: "26efcebd0ee9e34a669187e18b3a9122b2f733945b649cc9f9f921e9f9dad812"
        + "9657794468acbab83ddaa80b95ffda74e54c706434f5479eacdda3c637b66650",
      isValid: true
    ),
    Case(
      testDescription: "r of zero",
      key: "d360332fad9bc83afaff4a740de8a516bf1b8fb3fde360ff1d03979c1f943ee2"
        + "e8a66007fd276b0271265c6db092c4a0c5eb8c45fdc436502c8a095f5d5745f2",
      hash: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      signature: "0000000000000000000000000000000000000000000000000000000000000000"
        + "69a886ba97534548c22557f46a00258ad79a8a49722256e646dc26fcc4acbf01",
      isValid: false
    ),
    Case(
      testDescription: "s of zero",
      key: "d360332fad9bc83afaff4a740de8a516bf1b8fb3fde360ff1d03979c1f943ee2"
        + "e8a66007fd276b0271265c6db092c4a0c5eb8c45fdc436502c8a095f5d5745f2",
      hash: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      signature: "26efcebd0ee9e34a669187e18b3a9122b2f733945b649cc9f9f921e9f9dad812"
        + "0000000000000000000000000000000000000000000000000000000000000000",
      isValid: false
    ),
    Case(
      testDescription: "s of the order",
      key: "d360332fad9bc83afaff4a740de8a516bf1b8fb3fde360ff1d03979c1f943ee2"
        + "e8a66007fd276b0271265c6db092c4a0c5eb8c45fdc436502c8a095f5d5745f2",
      hash: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      signature: "26efcebd0ee9e34a669187e18b3a9122b2f733945b649cc9f9f921e9f9dad812"
        + "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
      isValid: false
    ),
    Case(
      testDescription: "r of the order",
      key: "d360332fad9bc83afaff4a740de8a516bf1b8fb3fde360ff1d03979c1f943ee2"
        + "e8a66007fd276b0271265c6db092c4a0c5eb8c45fdc436502c8a095f5d5745f2",
      hash: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      signature: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
        + "69a886ba97534548c22557f46a00258ad79a8a49722256e646dc26fcc4acbf01",
      isValid: false
    ),
    Case(
      testDescription: "ones",
      key: "d360332fad9bc83afaff4a740de8a516bf1b8fb3fde360ff1d03979c1f943ee2"
        + "e8a66007fd276b0271265c6db092c4a0c5eb8c45fdc436502c8a095f5d5745f2",
      hash: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      signature: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        + "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      isValid: false
    ),
    Case(
      testDescription: "s of the order less one",
      key: "d360332fad9bc83afaff4a740de8a516bf1b8fb3fde360ff1d03979c1f943ee2"
        + "e8a66007fd276b0271265c6db092c4a0c5eb8c45fdc436502c8a095f5d5745f2",
      hash: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      signature: "26efcebd0ee9e34a669187e18b3a9122b2f733945b649cc9f9f921e9f9dad812"
        + "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550",
      isValid: false
    ),
    Case(
      testDescription: "the key is the generator",
      key: "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        + "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
      hash: "0000000000000000000000000000000000000000000000000000000000000063",
      signature: "26efcebd0ee9e34a669187e18b3a9122b2f733945b649cc9f9f921e9f9dad812"
        + "f4c8cbe13d379d7fff7819beeca48dcfb4492fe0dd7da7e7c2c8cac6623d73d9",
      isValid: true
    ),
    Case(
      testDescription: "another hash under the generator",
      key: "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        + "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
      hash: "0000000000000000000000000000000000000000000000000000000000000062",
      signature: "26efcebd0ee9e34a669187e18b3a9122b2f733945b649cc9f9f921e9f9dad812"
        + "f4c8cbe13d379d7fff7819beeca48dcfb4492fe0dd7da7e7c2c8cac6623d73d9",
      isValid: false
    ),
    Case(
      testDescription: "the key is the generator turned over",
      key: "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        + "b01cbd1c01e58065711814b583f061e9d431cca994cea1313449bf97c840ae0a",
      hash: "0000000000000000000000000000000000000000000000000000000000000063",
      signature: "26efcebd0ee9e34a669187e18b3a9122b2f733945b649cc9f9f921e9f9dad812"
        + "7736f468fcf34f87f4c5dcac73d8dd40c84a13751b0ac3596ab8a15c9c1b6306",
      isValid: true
    ),
    Case(
      testDescription: "x of the sum is above the order",
      key: "c3cd3e6d2e70b5e988bb5dc464d42c06097d773dae3dd1b5cf98335f921348e7"
        + "a50d966db7e8b7e20e906a3d9edb47ee37b4e51167af000548864dd80c58bdb6",
      hash: "5fffffffa00000005fffffffffffffffe6d69e011ea8db71db65ac091ea52e01",
      signature: "0000000000000000000000000000000000000000000000000000000000000003"
        + "906eb3e3c298375a82983759f22983757947815267c9005a93e2c48edfb1049f",
      isValid: true
    ),
    Case(
      testDescription: "r above the order",
      key: "c3cd3e6d2e70b5e988bb5dc464d42c06097d773dae3dd1b5cf98335f921348e7"
        + "a50d966db7e8b7e20e906a3d9edb47ee37b4e51167af000548864dd80c58bdb6",
      hash: "5fffffffa00000005fffffffffffffffe6d69e011ea8db71db65ac091ea52e01",
      signature: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632554"
        + "906eb3e3c298375a82983759f22983757947815267c9005a93e2c48edfb1049f",
      isValid: false
    ),
  ]

  @Test(arguments: cases)
  func `Exceptions of the arithmetic are answered rightly`(_ test: Case) throws {
    var table = try P256Table.make(bytes(hex: test.key))
    let hash = bytes(hex: test.hash)
    let signature = bytes(hex: test.signature)
    for _ in 0..<2 {
      #expect(unsafe table.verify(hash: hash.span.bytes, signature: signature.span.bytes) == test.isValid)
    }
  }

  @Test func `Answers are the same with and without`() throws {
    let edges: [[UInt8]] = [
      [UInt8](repeating: 0, count: 32),
      [UInt8](repeating: 0, count: 31) + [1],
      bytes(hex: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550"),
      bytes(hex: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
      bytes(hex: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552"),
      bytes(hex: "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
      [UInt8](repeating: 255, count: 32),
    ]
    for seed in UInt64(1)...6 {
      var random = SplitMix64(seed: seed)
      let key = try StreamKey.generate()
      let signer = try SignAll.Signer(key, addressing: .chunkRanges32)
      let plain = try SignAll.Verifier(StreamPublicKey(key.swarmID), addressing: .chunkRanges32)
      let quick = try SignAll.Verifier(StreamPublicKey(key.swarmID), addressing: .chunkRanges32)
      quick.key.accelerate()
      var accepted = 0
      for round in 0..<60 {
        var vector = SignAllVector(
          algorithm: .ecdsaP256SHA256,
          swarmID: [],
          addressing: .chunkRanges32,
          chunk: random.next() >> 32,
          payload: (0..<Int.random(in: 0...300, using: &random)).map { _ in
            UInt8.random(in: 0...255, using: &random)
          },
          timestamp: random.next()
        )
        try vector.sign(signer)
        switch round % 6 {
        case 0, 1: break
        case 2:
          vector.signature[Int.random(in: 0..<64, using: &random)] ^=
            1 << UInt8.random(in: 0...7, using: &random)
        case 3: vector.signature.replaceSubrange(0..<32, with: edges[Int.random(in: 0..<7, using: &random)])
        case 4: vector.signature.replaceSubrange(32..<64, with: edges[Int.random(in: 0..<7, using: &random)])
        default: vector.signature = edges.shuffled(using: &random).prefix(2).flatMap { $0 }
        }
        let answer = vector.verified(by: plain)
        #expect(vector.verified(by: quick) == answer, "seed \(seed), round \(round)")
        if answer { accepted += 1 }
        vector.signature.removeLast()
        #expect(!vector.verified(by: quick))
      }
      #expect(accepted == 20, "seed \(seed)")
    }
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func `Every key may be asked`(_ algorithm: SignatureAlgorithm) throws {
    let key = try StreamKey.generate(algorithm)
    let publicKey = try StreamPublicKey(key.swarmID)
    publicKey.accelerate()
    publicKey.accelerate()
    let statement: [UInt8] = [1]
    var signature: [UInt8] = []
    try unsafe key.sign(statement: statement.span.bytes, into: &signature)
    #expect(unsafe publicKey.verify(statement: statement.span.bytes, signature: signature.span.bytes))
    signature[3] ^= 1
    #expect(unsafe !publicKey.verify(statement: statement.span.bytes, signature: signature.span.bytes))
  }

  @Test func `A point that is not on the curve has no table`() throws {
    for point in [[UInt8](repeating: 1, count: 64), [UInt8](repeating: 0, count: 64), [1, 2, 3], []] {
      #expect(throws: CryptoError.self) { _ = try P256Table.make(point) }
    }
  }
}
