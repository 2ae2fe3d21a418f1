import Integrity
import Support
import Testing
import Wire

@Suite struct SignAllTests {
  @Test func `The signatures of the vectors verify`() throws {
    let vectors = try SignAllVector.all()
    #expect(vectors.count == 8)
    for vector in vectors {
      let key = try StreamPublicKey(SwarmID(vector.swarmID))
      let verifier = try SignAll.Verifier(key, addressing: vector.addressing)
      #expect(verifier.signatureLength == vector.signature.count)
      #expect(vector.verified(by: verifier), "\(vector.testDescription)")
    }
  }

  @Test func `Ed25519 signs the vectors byte for byte`() throws {
    let seed = bytes(hex: "3832323630333834363238303830313232363435313930323034313432323632")
    let key = try unsafe StreamKey(ed25519Seed: seed.span.bytes)
    let vectors = try SignAllVector.all().filter { $0.algorithm == .ed25519 }
    #expect(vectors.count == 4)
    for vector in vectors {
      #expect(key.swarmID.bytes == vector.swarmID)
      let signer = try SignAll.Signer(key, addressing: vector.addressing)
      var signature: [UInt8] = []
      try unsafe signer.sign(
        chunk: vector.chunk,
        timestamp: vector.timestamp,
        payload: vector.payload.span.bytes,
        into: &signature
      )
      #expect(signature == vector.signature)
    }
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func `What was signed verifies and nothing else does`(_ algorithm: SignatureAlgorithm) throws {
    let key = try StreamKey.generate(algorithm)
    let foreign = try StreamPublicKey(StreamKey.generate(algorithm).swarmID)
    #expect(key.swarmID.algorithm == algorithm)
    for addressing in [ChunkAddressing.chunkRanges32, .chunkRanges64] {
      let signer = try SignAll.Signer(key, addressing: addressing)
      let verifier = try SignAll.Verifier(StreamPublicKey(key.swarmID), addressing: addressing)
      for seed in UInt64(1)...4 {
        var random = SplitMix64(seed: seed)
        let number = addressing == .chunkRanges32 ? random.next() >> 32 : random.next()
        var vector = SignAllVector(
          algorithm: algorithm,
          swarmID: key.swarmID.bytes,
          addressing: addressing,
          chunk: number,
          payload: (0..<Int.random(in: 1...1316, using: &random)).map { _ in
            UInt8.random(in: 0...255, using: &random)
          },
          timestamp: random.next()
        )
        try vector.sign(signer)
        #expect(vector.signature.count == key.signatureLength)
        #expect(vector.verified(by: verifier), "seed \(seed)")
        #expect(try !vector.verified(by: SignAll.Verifier(foreign, addressing: addressing)), "seed \(seed)")

        for _ in 0..<8 {
          let bit = Int.random(in: 0..<64, using: &random)
          let altered = vector
          var other = altered
          other.chunk ^= 1 << UInt64(bit)
          #expect(!other.verified(by: verifier), "seed \(seed), bit \(bit) of the chunk's number")
          other = altered
          other.timestamp ^= 1 << UInt64(bit)
          #expect(!other.verified(by: verifier), "seed \(seed), bit \(bit) of the timestamp")
          other = altered
          let byte = Int.random(in: 0..<other.payload.count, using: &random)
          other.payload[byte] ^= 1 << UInt8(bit % 8)
          #expect(!other.verified(by: verifier), "seed \(seed), byte \(byte) of the payload")
          other = altered
          let place = Int.random(in: 0..<other.signature.count, using: &random)
          other.signature[place] ^= 1 << UInt8(bit % 8)
          #expect(!other.verified(by: verifier), "seed \(seed), byte \(place) of the signature")
        }
        let wrongs: [[UInt8]] = [
          [], [0], Array(vector.signature.dropLast()), vector.signature + [0], [0] + vector.signature,
          vector.signature + vector.signature, [UInt8](repeating: 0, count: vector.signature.count),
          [UInt8](repeating: 255, count: vector.signature.count),
        ]
        for wrong in wrongs {
          var other = vector
          other.signature = wrong
          #expect(!other.verified(by: verifier), "seed \(seed), a signature of \(wrong.count) bytes")
        }
        // Refusals leave nothing behind that would spoil the next check.
        #expect(vector.verified(by: verifier), "seed \(seed)")
      }
    }
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func `Random signatures are refused`(_ algorithm: SignatureAlgorithm) throws {
    let verifier = try SignAll.Verifier(
      StreamPublicKey(StreamKey.generate(algorithm).swarmID),
      addressing: .chunkRanges32
    )
    for seed in UInt64(1)...200 {
      var random = SplitMix64(seed: seed)
      // Leading zeros and ones are where the numbers of an ECDSA signature change their length.
      let leading = [UInt8](repeating: seed.isMultiple(of: 2) ? 0 : 255, count: Int(seed % 64))
      let count = seed.isMultiple(of: 5) ? Int(seed) : verifier.signatureLength
      let signature = Array(
        (leading + (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }).prefix(count)
      )
      let vector = SignAllVector(
        algorithm: algorithm,
        swarmID: [],
        addressing: .chunkRanges32,
        chunk: seed,
        payload: [1],
        timestamp: 0,
        signature: signature
      )
      #expect(!vector.verified(by: verifier), "seed \(seed)")
    }
  }

  @Test func `A chunk's signature means nothing with the other addressing`() throws {
    let key = try StreamKey.generate()
    let narrow = try SignAll.Signer(key, addressing: .chunkRanges32)
    let wide = try SignAll.Verifier(StreamPublicKey(key.swarmID), addressing: .chunkRanges64)
    var vector = SignAllVector(
      algorithm: .ecdsaP256SHA256,
      swarmID: [],
      addressing: .chunkRanges32,
      chunk: 7,
      payload: [1, 2, 3]
    )
    try vector.sign(narrow)
    #expect(!vector.verified(by: wide))
  }

  @Test func `Numbers and methods that cannot be signed are refused`() throws {
    let key = try StreamKey.generate(.ed25519)
    let signer = try SignAll.Signer(key, addressing: .chunkRanges32)
    let verifier = try SignAll.Verifier(StreamPublicKey(key.swarmID), addressing: .chunkRanges32)
    var vector = SignAllVector(
      algorithm: .ed25519,
      swarmID: [],
      addressing: .chunkRanges32,
      chunk: 1 << 32,
      payload: [1]
    )
    #expect(throws: IntegrityError.chunkOutOfRange(1 << 32)) { try vector.sign(signer) }
    #expect(vector.signature.isEmpty)
    // Chunk 2^32 must not be taken for chunk 0.
    vector.chunk = 0
    try vector.sign(signer)
    vector.chunk = 1 << 32
    #expect(!vector.verified(by: verifier))
    #expect(throws: IntegrityError.variableByteRanges) { try SignAll.Signer(key, addressing: .byteRanges64) }
    let bytes = try SignAll.Signer(key, addressing: .byteRanges64, chunkSize: 2)
    for payload in [[], [1, 2, 3]] as [[UInt8]] {
      vector = SignAllVector(
        algorithm: .ed25519,
        swarmID: [],
        addressing: .byteRanges64,
        chunk: 1,
        payload: payload
      )
      #expect(throws: IntegrityError.chunkLength(payload.count)) { try vector.sign(bytes) }
    }
  }

  @Test(arguments: ChunkAddressing.allCases)
  func `What is signed is the specification of the wire, the time and the chunk`(
    _ addressing: ChunkAddressing
  ) throws {
    let key = try StreamKey.generate(.ed25519)
    let publicKey = try StreamPublicKey(key.swarmID)
    let format = WireFormat(addressing: addressing, chunkSize: 1000)
    let signer = try SignAll.Signer(key, addressing: addressing, chunkSize: 1000)
    let verifier = try SignAll.Verifier(publicKey, addressing: addressing, chunkSize: 1000)
    for (chunk, length) in [(UInt64(0), 1000), (7, 999), (addressing.lastChunk, 1)] {
      let payload = [UInt8](repeating: 3, count: length)
      var signature: [UInt8] = []
      try unsafe signer.sign(
        chunk: chunk,
        timestamp: 0x0102_0304_0506_0708,
        payload: payload.span.bytes,
        into: &signature
      )
      var signed: [UInt8] = []
      format.appendChunkSpecification(chunk, length: length, to: &signed)
      signed.appendInteger(UInt64(0x0102_0304_0506_0708))
      let isRight = unsafe publicKey.verify(
        prefix: signed.span.bytes,
        payload: payload.span.bytes,
        signature: signature.span.bytes
      )
      #expect(isRight)
      let isVerified = unsafe verifier.verify(
        chunk: chunk,
        timestamp: 0x0102_0304_0506_0708,
        signature: signature.span.bytes,
        payload: payload.span.bytes
      )
      #expect(isVerified)
    }
  }

  @Test func `A statement is no chunk of 64-bit bins either`() throws {
    let key = try StreamKey.generate(.ed25519)
    let verifier = try SignAll.Verifier(StreamPublicKey(key.swarmID), addressing: .bins64)
    let statement = Array("epoch 1, tree".utf8)
    var signature: [UInt8] = []
    try unsafe key.sign(statement: statement.span.bytes, into: &signature)
    // The leaf and the time that the bytes before every statement read as.
    let forged = SignAllVector(
      algorithm: .ed25519,
      swarmID: [],
      addressing: .bins64,
      chunk: 0xFFFF_FFFF_0000_0000 / 2,
      payload: statement,
      timestamp: 0x4672_6573_6865_7400,
      signature: signature
    )
    #expect(!forged.verified(by: verifier))
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func `A statement is no chunk and a chunk no statement`(_ algorithm: SignatureAlgorithm) throws {
    let key = try StreamKey.generate(algorithm)
    let publicKey = try StreamPublicKey(key.swarmID)
    let statement = Array("epoch 1, tree".utf8)
    var signature: [UInt8] = []
    try unsafe key.sign(statement: statement.span.bytes, into: &signature)
    #expect(unsafe publicKey.verify(statement: statement.span.bytes, signature: signature.span.bytes))
    #expect(unsafe !publicKey.verify(statement: signature.span.bytes, signature: signature.span.bytes))
    var vector = SignAllVector(
      algorithm: algorithm,
      swarmID: [],
      addressing: .chunkRanges32,
      chunk: 0xFFFF_FFFF,
      payload: statement
    )
    vector.signature = signature
    #expect(try !vector.verified(by: SignAll.Verifier(publicKey, addressing: .chunkRanges32)))
    try vector.sign(SignAll.Signer(key, addressing: .chunkRanges32))
    #expect(unsafe !publicKey.verify(statement: statement.span.bytes, signature: vector.signature.span.bytes))
  }

  @Test func `Threads may share a key`() async throws {
    let key = try StreamKey.generate()
    let publicKey = try StreamPublicKey(key.swarmID)
    let right = try await withThrowingTaskGroup(of: Int.self) { group in
      for task in UInt64(0)..<4 {
        group.addTask {
          let signer = try SignAll.Signer(key, addressing: .chunkRanges64)
          let verifier = try SignAll.Verifier(publicKey, addressing: .chunkRanges64)
          var right = 0
          for chunk in 0..<UInt64(50) {
            var vector = SignAllVector(
              algorithm: .ecdsaP256SHA256,
              swarmID: [],
              addressing: .chunkRanges64,
              chunk: chunk,
              payload: [UInt8(task)]
            )
            try vector.sign(signer)
            if vector.verified(by: verifier) { right += 1 }
          }
          return right
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(right == 200)
  }
}

extension SignAllVector {
  func verified(by verifier: SignAll.Verifier) -> Bool {
    unsafe verifier.verify(
      chunk: chunk,
      timestamp: timestamp,
      signature: signature.span.bytes,
      payload: payload.span.bytes
    )
  }

  mutating func sign(_ signer: SignAll.Signer) throws {
    var signature: [UInt8] = []
    try unsafe signer.sign(chunk: chunk, timestamp: timestamp, payload: payload.span.bytes, into: &signature)
    self.signature = signature
  }
}
