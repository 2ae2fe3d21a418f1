import Integrity
import Lab
import PluginKit
import Support
import Testing
import Wire

@testable import Swarm

@Suite("Content that does not change")
struct ContentTests {
  @Test("what is fetched is what was seeded, whatever the number of chunks and the length of the last")
  func whole() throws {
    for (seed, count) in [1, 5, 1023, 1024, 1025, 2048, 4096, 7162, 8192, 65_536, 300_000].enumerated() {
      let scene = try ContentScene(seed: UInt64(seed), bytes: count)
      let fetcher = try scene.fetcher(from: [try scene.seeder()])
      #expect(scene.finish([fetcher], within: .seconds(20)), "\(count) bytes")
      scene.expectWhole(fetcher)
    }
  }

  @Test("it is fetched with every addressing and every hash function", arguments: ChunkAddressing.allCases)
  func methods(addressing: ChunkAddressing) throws {
    for (seed, function) in HashFunction.allCases.enumerated() {
      let scene = try ContentScene(
        seed: UInt64(seed),
        bytes: 90_001,
        function: function,
        addressing: addressing
      )
      let fetcher = try scene.fetcher(from: [try scene.seeder()])
      #expect(scene.finish([fetcher], within: .seconds(20)), "\(function)")
      scene.expectWhole(fetcher)
    }
  }

  @Test("it is fetched through loss, reordering and duplicates")
  func rough() throws {
    for seed in 0..<12 as Range<UInt64> {
      let path = Path(
        delay: .milliseconds(10),
        jitter: .milliseconds(5),
        loss: 0.02 * Double(seed % 4),
        reordering: 0.02,
        duplication: 0.02,
        rate: 50_000_000
      )
      let scene = try ContentScene(seed: seed, bytes: 500_000, path: path)
      let fetcher = try scene.fetcher(from: [try scene.seeder()], seed % 2 == 0 ? .inOrder : .rarestFirst)
      #expect(
        scene.finish([fetcher], within: .seconds(60)),
        "seed \(seed): \(String(describing: fetcher.progress))"
      )
      scene.expectWhole(fetcher)
    }
  }

  @Test("fetchers feed each other: a seeder sends little more than once what all of them get")
  func swarm() throws {
    // The seeder's way out is narrow; those of the others are wide.
    let scene = try ContentScene(seed: 3, bytes: 1_000_000, path: Path(delay: .milliseconds(10)))
    let seeder = try scene.seeder { $0.capacity = Capacity(upload: 4_000_000) }
    var all: [ContentHost] = []
    for _ in 0..<4 { all.append(try scene.fetcher(from: [seeder] + all)) }
    #expect(scene.finish(all, within: .seconds(60)))
    for fetcher in all { scene.expectWhole(fetcher) }
    let sent = seeder.peer.statistics(now: scene.world.now).chunksOut
    #expect(sent < scene.chunkCount * 2, "\(sent) of \(scene.chunkCount)")
  }

  @Test("what several have in parts makes up the whole")
  func parts() throws {
    for seed in 0..<6 as Range<UInt64> {
      let scene = try ContentScene(seed: seed, bytes: 400_000)
      let count = scene.chunkCount
      let third = count / 3
      let holders = [
        try scene.holder(of: [0...third]), try scene.holder(of: [third - 5...2 * third]),
        try scene.holder(of: [2 * third - 9...count - 1]),
      ]
      let fetcher = try scene.fetcher(from: holders)
      #expect(scene.finish([fetcher], within: .seconds(20)), "seed \(seed)")
      scene.expectWhole(fetcher)
      for holder in holders {
        #expect(holder.peer.statistics(now: scene.world.now).chunksOut > 50, "seed \(seed)")
      }
    }
  }

  @Test("sources that vanish and others that come do not stop a fetch")
  func churn() throws {
    for seed in 0..<6 as Range<UInt64> {
      let scene = try ContentScene(
        seed: seed,
        bytes: 2_000_000,
        path: Path(delay: .milliseconds(10), loss: 0.01, rate: 8_000_000)
      )
      let first = try scene.seeder()
      let second = try scene.seeder()
      let late = try scene.seeder(at: .milliseconds(1500))
      let fetcher = try scene.fetcher(from: [first, second, late])
      scene.run(for: .milliseconds(500))
      scene.world.remove(first.address)
      scene.run(for: .milliseconds(700))
      second.leave(now: scene.world.now)
      scene.world.poke(second.address)
      #expect(
        scene.finish([fetcher], within: .seconds(30)),
        "seed \(seed): \(String(describing: fetcher.progress))"
      )
      scene.expectWhole(fetcher)
    }
  }

  @Test("a source that lies is left at its third lie, and the others give the whole")
  func liar() throws {
    for seed in 0..<6 as Range<UInt64> {
      let scene = try ContentScene(seed: seed, bytes: 400_000)
      let liar = try scene.seeder()
      var lies = 0
      liar.rewrite = { bytes, _, _ in
        // A chunk is a datagram's last kilobyte.
        guard bytes.count > 1000, lies < 10_000 else { return [bytes] }
        lies += 1
        var bytes = bytes
        bytes[bytes.count - 7] ^= 0xFF
        return [bytes]
      }
      let fetcher = try scene.fetcher(from: [liar, try scene.seeder()])
      #expect(scene.finish([fetcher], within: .seconds(20)), "seed \(seed)")
      scene.expectWhole(fetcher)
      #expect(lies > 2, "seed \(seed)")
      #expect(fetcher.peer.channels.count { $0.isOpen } == 1, "seed \(seed)")
    }
  }

  @Test("a fetch goes on with what is there")
  func resume() throws {
    let scene = try ContentScene(seed: 5, bytes: 400_000)
    let seeder = try scene.seeder()
    let half = scene.chunkCount / 2
    let fetcher = try scene.holder(of: [0...half, half + 10...half + 20], from: [seeder])
    #expect(scene.finish([fetcher], within: .seconds(20)))
    scene.expectWhole(fetcher)
    let sent = seeder.peer.statistics(now: scene.world.now).chunksOut
    #expect(sent == scene.chunkCount - half - 1 - 11)
  }

  @Test("a fetch that was stopped when all had come is complete at once")
  func resumeWhole() throws {
    let scene = try ContentScene(seed: 6, bytes: 50_000)
    let fetcher = try scene.holder(of: [0...scene.chunkCount - 1])
    #expect(scene.finish([fetcher], within: .seconds(1)))
    scene.expectWhole(fetcher)
  }

  @Test("on a clean way every chunk is sent once, with no more hashes than the tree has")
  func economy() throws {
    for order in [Content.Order.inOrder, .rarestFirst] {
      let scene = try ContentScene(seed: 7, bytes: 1_000_000)
      let seeder = try scene.seeder()
      let fetcher = try scene.fetcher(from: [seeder], order)
      var hashes = 0
      scene.world.observer = { bytes, from, _, _ in
        guard from == seeder.address else { return }
        var offset = 4
        while offset + 41 <= bytes.count, bytes[offset] == MessageType.integrity {
          hashes += 1
          offset += 41
        }
      }
      #expect(scene.finish([fetcher], within: .seconds(20)))
      let statistics = fetcher.peer.statistics(now: scene.world.now)
      #expect(statistics.duplicate == 0)
      #expect(statistics.rejected == 0)
      let sent = seeder.peer.statistics(now: scene.world.now).chunksOut
      #expect(sent <= scene.chunkCount + 1, "\(order): \(sent)")
      #expect(
        UInt64(hashes) <= scene.chunkCount + 40,
        "\(order): \(hashes) hashes for \(scene.chunkCount) chunks"
      )
    }
  }

  @Test("who is choked asks for nothing, and everybody has a turn")
  func slots() throws {
    let scene = try ContentScene(seed: 9, bytes: 60_000)
    let seeder = try scene.seeder { $0.capacity = Capacity(upload: 4_000_000) }
    var fetchers: [ContentHost] = []
    for _ in 0..<Peer.slots + 8 { fetchers.append(try scene.fetcher(from: [seeder])) }
    #expect(scene.finish(fetchers, within: .seconds(120)))
    for fetcher in fetchers { scene.expectWhole(fetcher) }
  }
}

@Suite("What content looks like on the wire")
struct ContentWireTests {
  /// The messages of a datagram that are no DATA, and whether DATA follows.
  private func messages(_ datagram: [UInt8]) throws -> (kinds: [UInt8], integrity: [ChunkRange]) {
    var reader = try DatagramReader(datagram.span)
    var kinds: [UInt8] = []
    var integrity: [ChunkRange] = []
    while let type = reader.nextType,
      let message = try reader.next(WireFormat(hashLength: 32, chunkSize: 1024))
    {
      kinds.append(type)
      if case .integrity(let chunks, _) = message { integrity.append(chunks) }
    }
    return (kinds, integrity)
  }

  @Test(
    "the peaks come first, then the uncles from the top, then the chunk, as in the RFC's example of 7162 bytes"
  )
  func peaks() throws {
    let scene = try ContentScene(seed: 1, bytes: 7162)
    let seeder = try scene.seeder()
    let fetcher = try scene.fetcher(from: [seeder])
    var first: [UInt8]?
    scene.world.observer = { bytes, from, _, _ in
      if from == seeder.address, bytes.count > 1000, first == nil { first = bytes }
    }
    #expect(scene.finish([fetcher], within: .seconds(5)))
    let (kinds, integrity) = try messages(#require(first))
    // C0 lies under the peak of chunks 0 to 3.
    #expect(integrity == [0...3, 4...5, 6...6, 2...3, 1...1])
    #expect(kinds.last == MessageType.data)
    // The last chunk, and with it the exact size, comes right after.
    #expect(fetcher.notices.contains { $0.notice == .length(7162) })
  }

  @Test("who has everything is told nothing of what we have")
  func haves() throws {
    let scene = try ContentScene(seed: 2, bytes: 500_000)
    let seeder = try scene.seeder()
    let fetcher = try scene.fetcher(from: [seeder])
    var haves = 0
    scene.world.observer = { bytes, from, _, _ in
      if from == fetcher.address, bytes.count > 4, bytes[4] == MessageType.have { haves += 1 }
    }
    #expect(scene.finish([fetcher], within: .seconds(20)))
    scene.run(for: .seconds(1))
    #expect(haves == 0)
  }

  @Test("what is asked from another in the end is cancelled where it was asked before")
  func cancel() throws {
    let scene = try ContentScene(seed: 3, bytes: 600_000)
    let slow = try scene.seeder { $0.capacity = Capacity(upload: 1_000_000) }
    let fast = try scene.seeder { $0.capacity = Capacity(upload: 20_000_000) }
    let fetcher = try scene.fetcher(from: [slow, fast])
    var cancels = 0
    scene.world.observer = { bytes, _, to, _ in
      if to == slow.address, bytes.count > 4, bytes[4] == MessageType.cancel { cancels += 1 }
    }
    #expect(scene.finish([fetcher], within: .seconds(20)))
    scene.expectWhole(fetcher)
    #expect(cancels > 0)
    let duplicates = fetcher.peer.statistics(now: scene.world.now).duplicate
    #expect(duplicates < 20, "\(duplicates)")
  }
}
