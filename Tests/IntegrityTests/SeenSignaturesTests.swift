import Support
import Testing
import Wire

@testable import Integrity

@Suite struct `A key that remembers what it has found genuine` {
  @Test(arguments: SignatureAlgorithm.allCases)
  func `says of everything what one says that does not`(_ algorithm: SignatureAlgorithm) throws {
    let key = try StreamKey.generate(algorithm)
    let signer = try SignAll.Signer(key, addressing: .chunkRanges32)
    let plain = try SignAll.Verifier(StreamPublicKey(key.swarmID), addressing: .chunkRanges32)
    let seed = UInt64.random(in: 0...(.max))
    let remembering = try SignAll.Verifier(
      StreamPublicKey(key.swarmID, seen: SeenSignatures(key: seed)),
      addressing: .chunkRanges32
    )
    var random = SplitMix64(seed: seed)
    for round in 0..<20 {
      var chunk = UInt64.random(in: 0...1 << 20, using: &random)
      var timestamp = random.next()
      var payload = (0..<Int.random(in: 1...200, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      var signature: [UInt8] = []
      try unsafe signer.sign(
        chunk: chunk,
        timestamp: timestamp,
        payload: payload.span.bytes,
        into: &signature
      )
      func verdicts() -> [Bool] {
        [plain, remembering, remembering].map {
          unsafe $0.verify(
            chunk: chunk,
            timestamp: timestamp,
            signature: signature.span.bytes,
            payload: payload.span.bytes
          )
        }
      }
      #expect(verdicts() == [true, true, true], "seed \(seed), round \(round)")
      switch round % 6 {
      case 0: chunk += 1
      case 1: timestamp ^= 1
      case 2: payload[Int.random(in: payload.indices, using: &random)] ^= 0x10
      case 3: signature[Int.random(in: signature.indices, using: &random)] ^= 0x10
      case 4: payload.append(0)
      default: payload.removeLast()
      }
      #expect(verdicts() == [false, false, false], "seed \(seed), round \(round)")
    }
  }

  @Test func `Checksums of different bytes differ, wherever the difference and the borders lie`() {
    let seen = SeenSignatures(key: 1)
    var sums: Set<UInt64> = []
    var count = 0
    for length in 0..<80 {
      for place in -1..<length {
        var bytes = [UInt8](repeating: 0, count: length)
        if place >= 0 { bytes[place] = 1 }
        let half = length / 2
        for border in Set([0, half, length]) {
          let sum = unsafe seen.checksum(
            prefix: bytes.span.bytes.extracting(0..<border),
            payload: bytes.span.bytes.extracting(border..<length),
            signature: RawSpan()
          )
          sums.insert(sum)
          count += 1
        }
      }
    }
    #expect(sums.count == count)
  }
}
