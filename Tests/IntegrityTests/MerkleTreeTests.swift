import Integrity
import Support
import Testing
import Wire

/// Static content (RFC 7574, section 5).
@Suite struct MerkleTreeTests {
  @Test(arguments: HashFunction.allCases)
  func `A root is that of the tree as the RFC describes it`(_ function: HashFunction) throws {
    for count in Array(1...40) + [63, 64, 65, 127, 200] {
      let chunks = content(count, chunkSize: 30, last: 7)
      let tree = try MerkleTree.made(of: chunks, chunkSize: 30, function)
      let naive = NaiveTree(chunks, function)
      #expect(tree.root.bytes == naive.root, "\(count) chunks")
      #expect(tree.chunkCount == UInt64(count))
      #expect(tree.contentLength == UInt64(30 * (count - 1) + 7))
      for peak in tree.peakNodes { #expect(peak.hash == naive.hash(peak.chunks)) }
      for chunk in 0..<UInt64(count) {
        for uncle in tree.uncleNodes(of: chunk, afterPeaks: false) {
          #expect(uncle.hash == naive.hash(uncle.chunks), "\(count) chunks, \(uncle.chunks)")
        }
      }
    }
  }

  @Test func `Hashes are those of FIPS 180-4`() {
    let abc = Array("abc".utf8)
    let digests: [HashFunction: String] = [
      .sha1: "a9993e364706816aba3e25717850c26c9cd0d89d",
      .sha224: "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
      .sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      .sha384: "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
        + "8086072ba1e7cc2358baeca134c825a7",
      .sha512: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ]
    for function in HashFunction.allCases {
      #expect(digests[function].map { bytes(hex: $0) } == function.hash(abc))
      #expect(function.hash(abc).count == function.length)
      let two = unsafe function.digest(
        abc.span.bytes.extracting(first: 1),
        abc.span.bytes.extracting(last: 2)
      )
      #expect((0..<function.length).map { two[$0] } == function.hash(abc))
    }
  }

  @Test func `Table 1 is what is sent to one who knows the root alone`() throws {
    let tree = try MerkleTree.made(of: content(7))
    let table: [[UInt64]] = [[11, 5, 2], [], [6], [], [13, 10], [], [14]]
    for (chunk, bins) in table.enumerated() {
      let held = Set((0..<UInt64(chunk)))
      let sent = tree.uncleNodes(of: UInt64(chunk), afterPeaks: false, held: held)
      #expect(sent.map(\.bin) == bins, "chunk \(chunk)")
    }
    // Section 5.3: who has acknowledged C0 and C1 needs 14 and 9 for C6.
    #expect(tree.uncleNodes(of: 6, afterPeaks: false, held: [0, 1]).map(\.bin) == [9, 14])
  }

  @Test func `Figure 4 is fetched as section 5 6 2 has it`() throws {
    let chunks = content(7, chunkSize: 1024, last: 1018)
    let seed = try MerkleTree.made(of: chunks, chunkSize: 1024)
    #expect(seed.peakNodes.map(\.bin) == [3, 9, 12])
    #expect(seed.uncleNodes(of: 0).map(\.bin) == [5, 2])
    var tree = try MerkleTree(seed.root, chunkSize: 1024)
    #expect(tree.chunkCount == nil && tree.wantsPeaks)
    let pending = PendingHashes(seed.peakNodes + seed.uncleNodes(of: 0))
    #expect(tree.verify(0, chunks[0], pending) == .hashesMissing)
    #expect(try tree.acceptPeaks(from: pending))
    #expect(tree.chunkCount == 7)
    #expect(tree.verify(0, chunks[0], pending) == .genuine)
    #expect(tree.isSizeCertain && tree.contentLength == nil)
    #expect(tree.verify(6, chunks[6], pending) == .genuine)
    #expect(tree.contentLength == 7162)
  }

  @Test(arguments: 1...30 as ClosedRange<UInt64>)
  func `Content comes whole in any order, and nothing else does`(_ seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    let count = Int.random(in: 1...80, using: &generator)
    let last = Int.random(in: 1...40, using: &generator)
    let function = try #require(HashFunction.allCases.filter { $0 != .sha1 }.randomElement(using: &generator))
    let chunks = content(count, last: last, seed: seed)
    let source = try MerkleTree.made(of: chunks, function)
    var tree = try MerkleTree(source.root, chunkSize: 40)
    // The tree that is fetched into serves others as it grows.
    var third = try MerkleTree(source.root, chunkSize: 40)
    var pending = PendingHashes(source.peakNodes, function)
    var held: Set<UInt64> = []
    var thirdPending = PendingHashes(function)
    var thirdHeld: Set<UInt64> = []
    #expect(try tree.acceptPeaks(from: pending))
    for chunk in (0..<UInt64(count)).shuffled(using: &generator) {
      let payload = chunks[Int(chunk)]
      let needed = source.uncleNodes(of: chunk, held: held)
      #expect(
        needed.map { Bin($0.chunks)?.height ?? 0 } == needed.map { Bin($0.chunks)?.height ?? 0 }.sorted(by: >)
      )
      var altered = payload
      altered[.random(in: 0..<altered.count, using: &generator)] ^= 1
      pending.removeAll()
      // All hashes but one are too few.
      if let left = needed.indices.randomElement(using: &generator) {
        pending.insert(needed.enumerated().filter { $0.offset != left }.map(\.element))
        #expect(tree.verify(chunk, payload, pending) == .hashesMissing, "seed \(seed), chunk \(chunk)")
      }
      pending.insert(needed)
      #expect(tree.verify(chunk, altered, pending) == .forged, "seed \(seed), chunk \(chunk)")
      #expect(tree.verify(chunk, payload, pending) == .genuine, "seed \(seed), chunk \(chunk)")
      #expect(tree.verify(chunk, altered, pending) == .forged, "seed \(seed), chunk \(chunk)")
      held.insert(chunk)
      #expect(tree.knowsHash(of: chunk))

      if thirdHeld.isEmpty { thirdPending.insert(tree.peakNodes) }
      thirdPending.insert(tree.uncleNodes(of: chunk, held: thirdHeld))
      #expect(try third.chunkCount != nil || third.acceptPeaks(from: thirdPending))
      #expect(third.verify(chunk, payload, thirdPending) == .genuine, "seed \(seed), chunk \(chunk)")
      thirdHeld.insert(chunk)
    }
    #expect(tree.contentLength == UInt64(40 * (count - 1) + last), "seed \(seed)")
    #expect(third.contentLength == tree.contentLength, "seed \(seed)")
    #expect(tree.verify(UInt64(count), chunks[0], pending) == .forged)
    #expect(tree.verify(.max, chunks[0], pending) == .forged)
  }

  // MARK: Snapshots

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `A fetch goes on where it stopped`(_ seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    let chunks = content(.random(in: 2...50, using: &generator), seed: seed)
    let source = try MerkleTree.made(of: chunks)
    var tree = try MerkleTree(source.root, chunkSize: 40)
    var pending = PendingHashes(source.peakNodes)
    #expect(try tree.acceptPeaks(from: pending))
    let fetched = chunks.indices.filter { _ in Bool.random(using: &generator) }
    for chunk in fetched {
      pending.insert(source.uncleNodes(of: UInt64(chunk)))
      #expect(tree.verify(UInt64(chunk), chunks[chunk], pending) == .genuine)
    }
    let snapshot = tree.snapshot()
    var again = try unsafe MerkleTree(source.root, chunkSize: 40, snapshot: snapshot.span.bytes)
    #expect(again.snapshot() == snapshot)
    #expect(!again.isSizeCertain && again.chunkCount == UInt64(chunks.count))
    pending.removeAll()
    for chunk in fetched {
      #expect(
        again.verify(UInt64(chunk), chunks[chunk], pending) == .genuine,
        "seed \(seed), chunk \(chunk)"
      )
    }

    // Whatever is altered in a snapshot is refused or left out.
    for _ in 0..<60 {
      var damaged = snapshot
      damaged[.random(in: 0..<damaged.count, using: &generator)] ^=
        1 << UInt8.random(in: 0..<8, using: &generator)
      if Bool.random(using: &generator) {
        damaged.removeLast(.random(in: 0..<damaged.count, using: &generator))
      }
      guard var tree = try? unsafe MerkleTree(source.root, chunkSize: 40, snapshot: damaged.span.bytes) else {
        continue
      }
      #expect(tree.chunkCount == UInt64(chunks.count), "seed \(seed)")
      for chunk in chunks.indices {
        let empty = PendingHashes(.sha256)
        let verdict = tree.verify(UInt64(chunk), chunks[chunk], empty)
        #expect(verdict != .forged, "seed \(seed), chunk \(chunk)")
        if verdict == .genuine { #expect(again.knowsHash(of: UInt64(chunk))) }
      }
    }
  }

  @Test func `A snapshot of other content is refused`() throws {
    let tree = try MerkleTree.made(of: content(9))
    let other = try MerkleTree.made(of: content(9, seed: 2))
    let snapshot = tree.snapshot()
    #expect(throws: IntegrityError.invalidSnapshot) {
      try unsafe MerkleTree(other.root, chunkSize: 40, snapshot: snapshot.span.bytes)
    }
    #expect(throws: IntegrityError.invalidSnapshot) {
      try unsafe MerkleTree(tree.root, chunkSize: 41, snapshot: snapshot.span.bytes)
    }
    for length in 0..<snapshot.count {
      let cut = Array(snapshot.prefix(length))
      #expect(throws: IntegrityError.invalidSnapshot) {
        try unsafe MerkleTree(tree.root, chunkSize: 40, snapshot: cut.span.bytes)
      }
    }
    #expect(try MerkleTree(tree.root, chunkSize: 40).snapshot().isEmpty)
  }
}
