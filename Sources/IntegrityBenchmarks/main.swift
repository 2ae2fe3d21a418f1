import CAllocations
import Integrity
import Wire

// Compare with OpenSSL alone, which neither hashes nor builds signatures for the wire:
// openssl speed ecdsap256 ecdsap384 ed25519 rsa2048

/// Prints how often a second `body` runs, the best of five rounds, and its allocations.
func measure(_ name: String, calls: Int, _ body: () throws -> Bool) rethrows {
  var best = 0.0
  var allocations: UInt64 = 0
  for _ in 0..<5 {
    let before = allocations_of_this_thread()
    let elapsed = try ContinuousClock().measure {
      for _ in 0..<calls {
        guard try body() else { preconditionFailure("\(name) was refused") }
      }
    }
    allocations = allocations_of_this_thread() - before
    best = max(best, Double(calls) / (elapsed / .seconds(1)))
  }
  print("\(name): \(Int(best)) a second, \(Double(allocations) / Double(calls)) allocations")
}

func run() throws {
  let payload = [UInt8](repeating: 0x47, count: 1316)
  let quick: Set<SignatureAlgorithm> = [.ecdsaP256SHA256, .ed25519]
  for algorithm in [
    SignatureAlgorithm.ecdsaP256SHA256, .ed25519, .ecdsaP384SHA384, .ed448, .rsaSHA256, .rsaSHA1,
  ] {
    let key = try StreamKey.generate(algorithm)
    let signer = try SignAll.Signer(key, addressing: .chunkRanges32)
    let publicKey = try StreamPublicKey(key.swarmID)
    let verifier = try SignAll.Verifier(publicKey, addressing: .chunkRanges32)
    var signature: [UInt8] = []
    signature.reserveCapacity(key.signatureLength)
    let calls = quick.contains(algorithm) ? 5_000 : 500
    try measure("sign   \(algorithm)", calls: calls) {
      signature.removeAll(keepingCapacity: true)
      try unsafe signer.sign(chunk: 7, timestamp: 1 << 63, payload: payload.span.bytes, into: &signature)
      return true
    }
    for round in 0..<2 where round == 0 || algorithm == .ecdsaP256SHA256 {
      if round == 1 {
        let elapsed = ContinuousClock().measure { publicKey.accelerate() }
        print("acceleration took \(elapsed)")
      }
      measure("verify \(algorithm)", calls: calls) {
        unsafe verifier.verify(
          chunk: 7,
          timestamp: 1 << 63,
          signature: signature.span.bytes,
          payload: payload.span.bytes
        )
      }
    }
  }
  measure("SHA-256 of 1,316 bytes", calls: 100_000) {
    unsafe HashFunction.sha256.digest(payload.span.bytes)[0] < 255
  }
  try measureUnifiedMerkle()
  var ledger = try ChunkLedger.open(for: StreamKey.generate(.ed25519), addressing: .chunkRanges64)
  try measure("number of a chunk", calls: 1_000_000) { try ledger.next() < .max }
}

do {
  try run()
} catch {
  print(error)
}
