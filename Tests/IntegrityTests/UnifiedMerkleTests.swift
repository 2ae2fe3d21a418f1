import CAllocations
import Integrity
import Support
import Testing
import Wire

/// Signed subtrees of a live stream (RFC 7574, section 6.1.2).
@Suite struct UnifiedMerkleTests {
  static func pair(
    _ algorithm: SignatureAlgorithm = .ed25519,
    _ addressing: ChunkAddressing = .chunkRanges32,
    width: Int = 8,
    _ function: HashFunction = .sha256
  ) throws -> (signer: UnifiedMerkle.Signer, verifier: UnifiedMerkle.Verifier) {
    let key = try StreamKey.generate(algorithm)
    return (
      try .init(key, addressing: addressing, chunkSize: 40, width: width, function: function),
      try .init(
        StreamPublicKey(key.swarmID),
        addressing: addressing,
        chunkSize: 40,
        width: width,
        function: function
      )
    )
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func `A munro is signed with its specification and time, and nothing else passes`(
    _ algorithm: SignatureAlgorithm
  ) throws {
    for addressing in ChunkAddressing.allCases {
      var (signer, verifier) = try Self.pair(algorithm, addressing, width: 4)
      let chunks = content(4)
      for chunk in 0..<4 { #expect(try signer.add(12 + UInt64(chunk), chunks[chunk]) == (chunk == 3)) }
      let subtree = try signer.finish(timestamp: 0xABCD_0000_1234_5678)
      #expect(subtree.munro == 12...15 && subtree.timestamp == 0xABCD_0000_1234_5678)
      let naive = NaiveTree(chunks)
      #expect(subtree.munroNode == NodeHash(12...15, naive.root))
      var signed: [UInt8] = []
      WireFormat(addressing: addressing, chunkSize: 40).appendChunkSpecification(12...15, to: &signed)
      signed.appendInteger(subtree.timestamp)
      #expect(
        unsafe verifier.key.verify(
          prefix: signed.span.bytes,
          payload: naive.root.span.bytes,
          signature: subtree.signature.span.bytes
        )
      )
      func isAccepted(
        _ munro: ChunkRange = 12...15,
        _ hash: [UInt8] = naive.root,
        _ timestamp: UInt64 = subtree.timestamp,
        _ signature: [UInt8] = subtree.signature
      ) -> Bool {
        unsafe verifier.verify(
          munro: munro,
          hash: hash.span.bytes,
          timestamp: timestamp,
          signature: signature.span.bytes
        ) != nil
      }
      #expect(isAccepted())
      let none = PendingHashes(.sha256)
      let early = unsafe verifier.verify(
        munro: 12...15,
        none,
        timestamp: subtree.timestamp,
        signature: subtree.signature.span.bytes
      )
      let isEarly = early == nil
      #expect(isEarly)
      #expect(!isAccepted(8...11) && !isAccepted(12...13) && !isAccepted(8...15) && !isAccepted(13...16))
      #expect(!isAccepted(12...12) && !isAccepted(0...(.max)))
      #expect(!isAccepted(12...15, naive.hash(0...1)) && !isAccepted(12...15, []))
      #expect(!isAccepted(12...15, naive.root, subtree.timestamp + 1))
      #expect(!isAccepted(12...15, naive.root, subtree.timestamp, []))
      var altered = subtree.signature
      altered[3] ^= 1
      #expect(!isAccepted(12...15, naive.root, subtree.timestamp, altered))
    }
  }

  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func `A subtree comes by uncles or by leaves, in any order`(_ seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    let width = 1 << Int.random(in: 1...5, using: &generator)
    let function = try #require(HashFunction.allCases.randomElement(using: &generator))
    let count = Bool.random(using: &generator) ? width : Int.random(in: 1...width, using: &generator)
    let chunks = content(count, seed: seed)
    let first = UInt64(width) * .random(in: 0...50, using: &generator)
    var (signer, verifier) = try Self.pair(width: width, function)
    for chunk in 0..<count { _ = try signer.add(first + UInt64(chunk), chunks[chunk]) }
    let source = try signer.finish(timestamp: 5)
    #expect(source.hasAllHashes)

    // One hears from somebody who sends uncles alone, the other from one who sends all leaves.
    var narrow = try #require(source.received(by: verifier))
    var wide = try #require(source.received(by: verifier))
    var uncles = PendingHashes(function)
    var leaves = PendingHashes(source.leafNodes.shuffled(using: &generator), function)
    #expect(!wide.hasAllHashes && !narrow.hasAllHashes)
    if Bool.random(using: &generator) {
      let learnt = [wide.learn(from: leaves), wide.learn(from: leaves)]
      #expect(learnt == [true, false] && wide.hasAllHashes)
      leaves.removeAll()
    }
    var held: Set<UInt64> = []
    for chunk in (0..<count).shuffled(using: &generator) {
      let number = first + UInt64(chunk)
      let needed = source.uncleNodes(of: number, held: held)
      if !needed.isEmpty {
        #expect(narrow.check(number, chunks[chunk], uncles) == .hashesMissing, "seed \(seed)")
      }
      uncles.insert(needed.shuffled(using: &generator))
      var altered = chunks[chunk]
      altered[7] ^= 16
      #expect(wide.check(number, altered, leaves) == .forged, "seed \(seed)")
      #expect(wide.check(number, chunks[chunk], leaves) == .genuine, "seed \(seed)")
      #expect(narrow.check(number, altered, uncles) == .forged, "seed \(seed)")
      #expect(narrow.check(number, chunks[chunk], uncles) == .genuine, "seed \(seed)")
      held.insert(number)
    }
    #expect(wide.hasAllHashes && narrow.munroNode == source.munroNode)
    for chunk in count..<width {
      #expect(wide.check(first + UInt64(chunk), [], leaves) == .forged)
    }
    if count == width { #expect(narrow.hasAllHashes && narrow.leafNodes == source.leafNodes) }
  }

  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func `Made-up hashes neither pass nor keep true ones out`(_ seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    let width = 1 << Int.random(in: 1...5, using: &generator)
    let chunks = content(width, seed: seed)
    var (signer, verifier) = try Self.pair(width: width)
    for chunk in 0..<width { _ = try signer.add(UInt64(chunk), chunks[chunk]) }
    let source = try signer.finish(timestamp: 5)
    var subtree = try #require(source.received(by: verifier))
    var liar = PendingHashes(.sha256)
    var honest = PendingHashes(.sha256)
    for chunk in (0..<width).shuffled(using: &generator) {
      for _ in 0..<5 {
        var lies = source.leafNodes + source.uncleNodes(of: UInt64(chunk)) + [source.munroNode]
        for index in lies.indices where Int.random(in: 0..<3, using: &generator) == 0 {
          lies[index].hash[.random(in: 0..<32, using: &generator)] ^= 1
        }
        liar.insert(lies.shuffled(using: &generator))
        if Bool.random(using: &generator) { _ = subtree.learn(from: liar) }
        let wrong = chunks[(chunk + 1) % width]
        #expect(subtree.check(UInt64(chunk), wrong, liar) != .genuine, "seed \(seed), chunk \(chunk)")
      }
      honest.insert(source.uncleNodes(of: UInt64(chunk)))
      #expect(subtree.check(UInt64(chunk), chunks[chunk], honest) == .genuine, "seed \(seed)")
    }
    #expect(subtree.leafNodes == source.leafNodes, "seed \(seed)")
  }

  @Test func `Chunks are signed in order and from the start of a subtree`() throws {
    var (signer, _) = try Self.pair(width: 4)
    #expect(signer.start(from: 4) == 4 && signer.start(from: 5) == 8 && signer.start(from: .max) == .max)
    #expect(throws: IntegrityError.chunkOutOfOrder(6, expected: 8)) { try signer.add(6, [1]) }
    #expect(throws: IntegrityError.chunkOutOfRange(1 << 32)) { try signer.add(1 << 32, [1]) }
    _ = try signer.add(8, [1])
    #expect(throws: IntegrityError.chunkOutOfOrder(10, expected: 9)) { try signer.add(10, [1]) }
    for chunk in 9...11 as ClosedRange<UInt64> { _ = try signer.add(chunk, [1]) }
    #expect(signer.pendingCount == 4)
    _ = try signer.finish(timestamp: 1)
    #expect(signer.pendingCount == 0)
    for width in [0, 1, 3, 6, 33, 64] {
      #expect(throws: IntegrityError.invalidWidth(width)) { try Self.pair(width: width) }
    }
  }

  @Test func `A subtree is as wide as 100 ms are long, from 2 to 32 chunks`() {
    let widths = [0.0, 19, 40, 79.9, 80, 160, 319, 320, 1e9, .infinity, .nan].map {
      UnifiedMerkle.width(chunksPerSecond: $0)
    }
    #expect(widths == [2, 2, 4, 4, 8, 16, 16, 32, 32, 32, 2])
  }

  @Test(
    .enabled(
      if: allocations_are_counted() && !_isDebugAssertConfiguration(),
      "only optimised code keeps to it"
    )
  )
  func `Checking chunks of a subtree allocates nothing`() throws {
    let chunks = content(32)
    var (signer, verifier) = try Self.pair(width: 32)
    for chunk in 0..<32 { _ = try signer.add(UInt64(chunk), chunks[chunk]) }
    let source = try signer.finish(timestamp: 5)
    var subtree = try #require(source.received(by: verifier))
    let pending = PendingHashes((0..<32).flatMap { source.uncleNodes(of: $0) })
    let before = allocations_of_this_thread()
    var genuine = 0
    for chunk in 0..<32 where subtree.check(UInt64(chunk), chunks[chunk], pending) == .genuine {
      genuine += 1
    }
    let count = allocations_of_this_thread() - before
    #expect(genuine == 32)
    #expect(count == 0)
  }

  // MARK: From live to recording

  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func `A finished broadcast has the root of its content`(_ seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    let width = 1 << Int.random(in: 1...4, using: &generator)
    let chunks = content(.random(in: 1...60, using: &generator), last: 9, seed: seed)
    let first = UInt64(width) * .random(in: 0...9, using: &generator)
    var (signer, _) = try Self.pair(width: width)
    var recording = UnifiedMerkle.Recording()
    for (index, chunk) in chunks.enumerated() {
      guard try signer.add(first + UInt64(index), chunk) || index == chunks.count - 1 else { continue }
      try recording.append(signer.finish(timestamp: 1))
    }
    #expect(recording.firstChunk == first)
    let root = try recording.root(chunkCount: UInt64(chunks.count))
    #expect(root.bytes == NaiveTree(chunks).root, "seed \(seed): \(chunks.count) chunks by \(width)")
    #expect(try MerkleTree.made(of: chunks).root == root)
    #expect(throws: IntegrityError.self) { try recording.root(chunkCount: UInt64(chunks.count + width)) }
    _ = try signer.add(first, [1])
    let again = try signer.finish(timestamp: 2)
    #expect(throws: IntegrityError.self) { try recording.append(again) }
  }
}

extension UnifiedMerkle.Signer {
  mutating func add(_ chunk: UInt64, _ payload: [UInt8]) throws(IntegrityError) -> Bool {
    try unsafe append(chunk, payload.span.bytes)
  }
}

extension UnifiedMerkle.Subtree {
  var munroNode: NodeHash {
    var nodes: [NodeHash] = []
    munroHash { nodes.append(NodeHash($0, $1)) }
    return nodes[0]
  }

  var leafNodes: [NodeHash] {
    var nodes: [NodeHash] = []
    leaves { nodes.append(NodeHash($0, $1)) }
    return nodes
  }

  func uncleNodes(of chunk: UInt64, held: Set<UInt64> = []) -> [NodeHash] {
    var nodes: [NodeHash] = []
    uncles(of: chunk, holdsAny: { $0.contains { held.contains($0) } }) { nodes.append(NodeHash($0, $1)) }
    return nodes
  }

  mutating func check(_ chunk: UInt64, _ payload: [UInt8], _ pending: PendingHashes) -> Verdict {
    unsafe verify(chunk, payload.span.bytes, pending)
  }

  /// The subtree of one who has received the signed munro and nothing else.
  func received(by verifier: UnifiedMerkle.Verifier) -> UnifiedMerkle.Subtree? {
    unsafe verifier.verify(
      munro: munro,
      PendingHashes([munroNode], function),
      timestamp: timestamp,
      signature: signature.span.bytes
    )
  }
}
