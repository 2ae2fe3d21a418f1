import Integrity
import Support
import Testing
import Wire

/// A subtree as the RFC describes it, written again in the plainest way.
private struct Model {
  let leaves: [[UInt8]]

  init(_ payloads: [[UInt8]], width: Int) {
    leaves = (0..<width).map { index in
      index < payloads.count ? SHA256.hash(payloads[index]) : [UInt8](repeating: 0, count: 32)
    }
  }

  func hash(_ chunks: ClosedRange<Int>) -> [UInt8] {
    if chunks.count == 1 { return leaves[chunks.lowerBound] }
    let middle = chunks.lowerBound + chunks.count / 2
    let left = hash(chunks.lowerBound...(middle - 1))
    let right = hash(middle...chunks.upperBound)
    if (left + right).allSatisfy({ $0 == 0 }) { return left }
    return SHA256.hash(left + right)
  }

  /// Every node but the munro.
  var nodes: [ClosedRange<Int>] {
    var all: [ClosedRange<Int>] = []
    var count = leaves.count / 2
    while count >= 1 {
      for first in stride(from: 0, to: leaves.count, by: count) { all.append(first...(first + count - 1)) }
      count /= 2
    }
    return all
  }

  func uncles(of chunk: Int) -> [ClosedRange<Int>] {
    nodes.filter {
      !$0.contains(chunk)
        && (($0.lowerBound ^ $0.count)..<(($0.lowerBound ^ $0.count) + $0.count)).contains(chunk)
    }
  }
}

@Suite struct `A subtree` {
  private static let widths = [2, 4, 8, 16, 32]

  private func payloads(_ count: Int, _ random: inout SplitMix64) -> [[UInt8]] {
    (0..<count).map { _ in
      (0..<Int.random(in: 1...90, using: &random)).map { _ in .random(in: 0...255, using: &random) }
    }
  }

  private func made(_ payloads: [[UInt8]], _ width: Int) -> Subtree {
    var subtree = Subtree(width: width)
    subtree.begin(leaves: payloads.count) { index, lend in
      let payload = payloads[index]
      unsafe lend(payload.span.bytes)
    }
    return subtree
  }

  private func bytes(_ span: RawSpan) -> [UInt8] { unsafe span.withUnsafeBytes { unsafe Array($0) } }

  private func judge(_ subtree: inout Subtree, _ chunk: Int, _ payload: [UInt8]) -> Subtree.Verdict {
    unsafe subtree.judge(chunk, payload.span.bytes)
  }

  private func claim(_ subtree: inout Subtree, _ chunks: ClosedRange<Int>, _ hash: [UInt8]) {
    unsafe subtree.claim(chunks, hash.span.bytes)
  }

  /// One that knows the munro and nothing else.
  private func blank(_ munro: [UInt8], _ width: Int) -> Subtree {
    var subtree = Subtree(width: width)
    unsafe subtree.begin(munro: munro.span.bytes)
    return subtree
  }

  @Test(arguments: widths)
  func `has the munro hash that the plainest reading of the RFC gives, also when its end is empty`(width: Int)
  {
    var random = SplitMix64(seed: UInt64(width))
    for count in 0...width {
      let payloads = payloads(count, &random)
      let subtree = made(payloads, width)
      let model = Model(payloads, width: width)
      #expect(bytes(subtree.munro) == model.hash(0...(width - 1)), "\(count) chunks")
      #expect(subtree.hasAllLeaves)
    }
  }

  @Test(arguments: widths)
  func `verifies every chunk by its uncles alone, in any order, and lends exactly those`(width: Int) {
    for seed in 1...20 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      let payloads = payloads(width, &random)
      let model = Model(payloads, width: width)
      let sender = made(payloads, width)
      var receiver = blank(model.hash(0...(width - 1)), width)
      var has: Set<Int> = []
      var count = 0
      for chunk in (0..<width).shuffled(using: &random) {
        #expect(!has.isEmpty || judge(&receiver, chunk, payloads[chunk]) == .unproven)
        var lent: [ClosedRange<Int>] = []
        let isKnown = sender.withUncles(of: chunk) { range in
          has.contains(where: range.contains)
        } _: { range, hash in
          #expect(bytes(hash) == model.hash(range), "seed \(seed)")
          #expect(model.uncles(of: chunk).contains(range), "seed \(seed): \(range) is no uncle of \(chunk)")
          if let last = lent.last { #expect(last.count >= range.count, "the highest come first") }
          lent.append(range)
          claim(&receiver, range, bytes(hash))
        }
        #expect(isKnown)
        count += lent.count
        let verdict = judge(&receiver, chunk, payloads[chunk])
        #expect(verdict == .genuine, "seed \(seed): chunk \(chunk) after \(has.sorted())")
        has.insert(chunk)
      }
      // Each hash below the munro crosses at most once, and those that follow from chunks not at all.
      #expect(count == width - 1, "seed \(seed)")
      #expect(receiver.hasAllLeaves)
    }
  }

  @Test(arguments: widths)
  func `is proven as a whole by the hashes of all its chunks`(width: Int) {
    var random = SplitMix64(seed: 7)
    let payloads = payloads(width, &random)
    let model = Model(payloads, width: width)
    var receiver = blank(model.hash(0...(width - 1)), width)
    for chunk in (0..<width).shuffled(using: &random) {
      #expect(!receiver.hasAllLeaves)
      claim(&receiver, chunk...chunk, model.leaves[chunk])
    }
    #expect(receiver.hasAllLeaves)
    for chunk in 0..<width {
      #expect(judge(&receiver, chunk, payloads[chunk]) == .genuine)
      #expect(judge(&receiver, chunk, [9, 9, 9]) == .false)
      receiver.withLeaf(chunk) { #expect(bytes($0) == model.leaves[chunk]) }
    }
  }

  @Test func `believes no claim that does not lead to the munro, and true ones come in after false ones`() {
    for seed in 1...300 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      let width = Self.widths.randomElement(using: &random) ?? 2
      let payloads = payloads(width, &random)
      let model = Model(payloads, width: width)
      var receiver = blank(model.hash(0...(width - 1)), width)
      for _ in 0..<40 {
        let range = model.nodes.randomElement(using: &random) ?? 0...0
        var hash = model.hash(range)
        if Bool.random(using: &random) { hash[0] ^= 1 }
        claim(&receiver, range, hash)
        let chunk = Int.random(in: 0..<width, using: &random)
        let isTrue = Bool.random(using: &random)
        let payload = isTrue ? payloads[chunk] : [1, 2, 3]
        let verdict = judge(&receiver, chunk, payload)
        #expect(isTrue || verdict != .genuine, "seed \(seed)")
        #expect(!isTrue || verdict != .false, "seed \(seed): true bytes are never false")
      }
      for chunk in 0..<width { claim(&receiver, chunk...chunk, model.leaves[chunk]) }
      // What was claimed falsely before may have cost the true claims; said once more they stand.
      for chunk in 0..<width { claim(&receiver, chunk...chunk, model.leaves[chunk]) }
      for chunk in 0..<width {
        #expect(judge(&receiver, chunk, payloads[chunk]) == .genuine, "seed \(seed)")
      }
    }
  }

  @Test func `ignores ranges that are no node of it, and hashes of another length`() {
    var receiver = blank([UInt8](repeating: 3, count: 32), 8)
    let hash = [UInt8](repeating: 1, count: 32)
    for range in [1...2, 0...2, 4...11, -2...(-1), 8...8, 0...7] as [ClosedRange<Int>] {
      claim(&receiver, range, hash)
    }
    claim(&receiver, 0...0, Array(hash.prefix(20)))
    #expect(judge(&receiver, 0, hash) == .unproven)
    #expect(judge(&receiver, -1, hash) == .unproven)
    #expect(judge(&receiver, 8, hash) == .unproven)
  }

  @Test(
    arguments: [(100_000, 2), (1_000_000, 8), (3_800_000, 32), (50_000_000, 32), (0, 2)] as [(UInt64, Int)]
  )
  func `is as wide as the stream fills in 100 ms`(rate: UInt64, width: Int) {
    #expect(UnifiedMerkle.width(rate: rate, chunkSize: 1316) == width)
  }
}

@Suite struct `A signed munro` {
  @Test(arguments: SignatureAlgorithm.allCases)
  func `is the injector's, for these chunks, this time and this hash only`(algorithm: SignatureAlgorithm)
    throws
  {
    let key = try StreamKey.generate(algorithm)
    for addressing in [ChunkAddressing.chunkRanges32, .chunkRanges64] {
      let signer = try UnifiedMerkle.Signer(key, addressing: addressing)
      let verifier = try UnifiedMerkle.Verifier(StreamPublicKey(key.swarmID), addressing: addressing)
      let munro = [UInt8](repeating: 5, count: 32)
      var signature: [UInt8] = []
      try unsafe signer.sign(munro: munro.span.bytes, of: 32...63, timestamp: 77, into: &signature)
      func holds(_ munro: [UInt8], _ chunks: ChunkRange, _ time: UInt64, _ signature: [UInt8]) -> Bool {
        unsafe verifier.verify(
          munro: munro.span.bytes,
          of: chunks,
          timestamp: time,
          signature: signature.span.bytes
        )
      }
      #expect(holds(munro, 32...63, 77, signature))
      #expect(!holds(munro, 0...31, 77, signature))
      #expect(!holds(munro, 32...47, 77, signature))
      #expect(!holds(munro, 33...64, 77, signature), "no aligned subtree")
      #expect(!holds(munro, 32...63, 78, signature))
      var other = munro
      other[31] ^= 1
      #expect(!holds(other, 32...63, 77, signature))
      #expect(!holds(munro, 32...63, 77, Array(signature.dropLast())))
    }
  }
}
