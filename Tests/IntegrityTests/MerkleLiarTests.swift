import Integrity
import Support
import Testing
import Wire

/// What a peer can make up about static content.
@Suite struct MerkleLiarTests {
  @Test(arguments: 1...30 as ClosedRange<UInt64>)
  func `Made-up hashes prove nothing and hinder nobody else`(_ seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    let count = Int.random(in: 2...60, using: &generator)
    let chunks = content(count, seed: seed)
    let source = try MerkleTree.made(of: chunks)
    var tree = try MerkleTree(source.root, chunkSize: 40)
    var liar = PendingHashes(.sha256)
    var honest = PendingHashes(source.peakNodes)
    for chunk in (0..<UInt64(count)).shuffled(using: &generator) {
      for _ in 0..<6 {
        var lies = source.peakNodes + source.uncleNodes(of: chunk, afterPeaks: Bool.random(using: &generator))
        for index in lies.indices where Bool.random(using: &generator) {
          switch Int.random(in: 0..<3, using: &generator) {
          case 0: lies[index].hash[.random(in: 0..<32, using: &generator)] ^= 0x40
          case 1: lies[index].hash = [UInt8](repeating: 0, count: 32)
          default:
            let other = UInt64.random(in: 0...200, using: &generator)
            if let bin = Bin(rawValue: other) { lies[index].chunks = bin.chunks }
          }
        }
        liar.insert(lies)
        _ = try tree.acceptPeaks(from: liar)
        let forged = chunks[.random(in: 0..<count, using: &generator)]
        if forged != chunks[Int(chunk)] {
          #expect(tree.verify(chunk, forged, liar) != .genuine, "seed \(seed), chunk \(chunk)")
        }
      }
      honest.insert(source.uncleNodes(of: chunk))
      #expect(try !tree.wantsPeaks || tree.acceptPeaks(from: honest), "seed \(seed)")
      #expect(tree.verify(chunk, chunks[Int(chunk)], honest) == .genuine, "seed \(seed), chunk \(chunk)")
    }
    #expect(tree.contentLength == UInt64(40 * count), "seed \(seed)")
  }

  @Test func `The root as its own peak may say any number until chunks are there`() throws {
    let chunks = content(5)
    let source = try MerkleTree.made(of: chunks)
    for claimed in [UInt64(1), 2, 8, 16, 1 << 20] {
      var tree = try MerkleTree(source.root, chunkSize: 40)
      let lie = PendingHashes([NodeHash(0...(claimed - 1), source.root.bytes)])
      #expect(try tree.acceptPeaks(from: lie))
      #expect(tree.chunkCount == claimed && !tree.isSizeCertain && tree.contentLength == nil)
      // The first honest datagram puts it right.
      let honest = PendingHashes(source.peakNodes + source.uncleNodes(of: 1))
      #expect(try tree.acceptPeaks(from: honest))
      #expect(tree.verify(1, chunks[1], honest) == .genuine)
      #expect(tree.chunkCount == 5 && tree.isSizeCertain)
      #expect(try !tree.acceptPeaks(from: lie))
      #expect(tree.chunkCount == 5)
    }
    // A chunk that fits the depth is kept when the number is put right.
    var tree = try MerkleTree(source.root, chunkSize: 40)
    let lie = PendingHashes(
      [NodeHash(0...7, source.root.bytes)] + source.uncleNodes(of: 1, afterPeaks: false)
    )
    #expect(try tree.acceptPeaks(from: lie))
    #expect(tree.verify(1, chunks[1], lie) == .genuine)
    #expect(tree.chunkCount == 8 && !tree.isSizeCertain)
    #expect(try !tree.acceptPeaks(from: PendingHashes([NodeHash(0...15, source.root.bytes)])))
    #expect(try tree.acceptPeaks(from: PendingHashes(source.peakNodes)))
    #expect(tree.chunkCount == 5 && tree.isSizeCertain && tree.knowsHash(of: 1))
    let none = PendingHashes(.sha256)
    #expect(tree.verify(0, chunks[0], none) == .genuine)
    #expect(tree.verify(4, chunks[4], none) == .genuine)
    #expect(tree.contentLength == 200)
  }

  @Test func `Inner nodes cannot be passed off as chunks`() throws {
    let chunks = content(2)
    let source = try MerkleTree.made(of: chunks)
    let inner = chunks.flatMap { HashFunction.sha256.hash($0) }
    #expect(HashFunction.sha256.hash(inner) == source.root.bytes)
    // A chunk of 64 bytes whose hash is the root.
    var tree = try MerkleTree(source.root, chunkSize: 100)
    var lie = PendingHashes([NodeHash(0...0, source.root.bytes)])
    #expect(try tree.acceptPeaks(from: lie))
    #expect(tree.verify(0, inner, lie) != .genuine)
    #expect(tree.contentLength == nil)
    // The same as the last of several: six chunks whose tree is passed off as that of three.
    let six = content(6, chunkSize: 100)
    let deep = try MerkleTree.made(of: six, chunkSize: 100)
    tree = try MerkleTree(deep.root, chunkSize: 100)
    lie = PendingHashes(
      deep.peakNodes.map { NodeHash($0.chunks.lowerBound / 2...$0.chunks.upperBound / 2, $0.hash) }
    )
    #expect(try tree.acceptPeaks(from: lie))
    #expect(tree.chunkCount == 3)
    #expect(tree.verify(2, six[4...].flatMap { HashFunction.sha256.hash($0) }, lie) != .genuine)
    // Where it could not be told, content is neither made nor fetched.
    #expect(throws: IntegrityError.ambiguousContent(bytes: 64)) {
      try MerkleTree.made(of: [inner], chunkSize: 100)
    }
    #expect(throws: IntegrityError.invalidChunkSize(64)) { try MerkleTree(source.root, chunkSize: 64) }
    #expect(throws: IntegrityError.invalidChunkSize(.max)) {
      try MerkleTree(source.root, chunkSize: WireFormat.variableChunkSize)
    }
  }

  @Test func `A chunk of a length that its place does not have is forged`() throws {
    let chunks = content(5, last: 11)
    var tree = try MerkleTree.made(of: chunks)
    let none = PendingHashes(.sha256)
    for length in [0, 1, 39, 41, 80] {
      let wrong = [UInt8](repeating: 1, count: length)
      #expect(tree.verify(2, wrong, none) == .forged)
      #expect(tree.verify(4, wrong, none) == .forged)
    }
    #expect(tree.verify(4, chunks[4], none) == .genuine)
  }

  @Test func `More chunks than there is memory for are refused`() throws {
    let root = try RootHash([UInt8](repeating: 7, count: 32), .sha256)
    var tree = try MerkleTree(root, chunkSize: 1024)
    let peak = PendingHashes([NodeHash(0...((1 << 24) - 1), root.bytes)])
    #expect(throws: IntegrityError.tooManyChunks(1 << 24, limit: 12_582_848)) {
      try tree.acceptPeaks(from: peak)
    }
    #expect(try !tree.acceptPeaks(from: PendingHashes([NodeHash(0...3, [UInt8](repeating: 8, count: 32))])))
    #expect(throws: IntegrityError.tooManyChunks(1 << 63, limit: 12_582_848)) {
      try tree.acceptPeaks(from: PendingHashes([NodeHash(0...Bin.lastChunk, root.bytes)]))
    }
    #expect(tree.chunkCount == nil)
    // 10 GiB in chunks of 1 KiB are within the bound.
    #expect(2 * 10 * 1024 * 1024 * 32 <= MerkleTree.memoryLimit)
    #expect(throws: IntegrityError.noContent) { try MerkleTree.made(of: []) }
  }

  @Test func `Pending hashes are bounded and the newest of a node counts`() throws {
    var pending = PendingHashes(.sha256)
    let hash = [UInt8](repeating: 1, count: 32)
    #expect(unsafe !pending.insert(1...2, hash.span.bytes))
    #expect(unsafe !pending.insert(0...(.max), hash.span.bytes))
    #expect(unsafe !pending.insert(0...0, hash.span.bytes.extracting(first: 31)))
    #expect(pending.isEmpty)
    for chunk in 0..<UInt64(PendingHashes.capacity + 5) {
      #expect(unsafe pending.insert(chunk...chunk, HashFunction.sha256.hash([UInt8(chunk)]).span.bytes))
    }
    #expect(pending.hash(of: 4...4) == nil)
    for chunk in 5..<UInt64(PendingHashes.capacity + 5) {
      #expect(pending.hash(of: chunk...chunk)?[0] == HashFunction.sha256.hash([UInt8(chunk)])[0])
    }
    #expect(unsafe pending.insert(9...9, hash.span.bytes))
    #expect(pending.hash(of: 9...9)?[0] == 1)
  }
}
