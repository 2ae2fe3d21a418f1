import Meshwork
import PluginKit
import Support
import Testing

@Suite struct `What a mesh keeps and tells` {
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `A set of chunks remembers what a set remembers, as far back as it reaches`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var set = ChunkSet()
    var reference: Set<UInt64> = []
    var newest: UInt64 = 0
    for _ in 0..<2000 {
      newest += random.next() % 5 == 0 ? random.next() % 300 : random.next() % 4
      let chunk = newest - min(newest, random.next() % 2500)
      let kept = ChunkSet.wordLimit
      if chunk >> 6 >= set.bottom {
        if random.next() % 8 == 0 {
          set.remove(chunk)
          reference.remove(chunk)
        } else if random.next() % 8 == 0 {
          set.insert(chunk...chunk + 70)
          reference.formUnion(chunk...chunk + 70)
        } else {
          set.insert(chunk)
          reference.insert(chunk)
        }
      }
      reference = reference.filter { $0 >> 6 + kept > set.top }
      let probe = newest - min(newest, random.next() % 2500)
      #expect(set.contains(probe) == reference.contains(probe), "seed \(seed), chunk \(probe)")
      #expect(set.last == reference.max(), "seed \(seed)")
    }
  }

  @Test func `A range without an end fills no more than can be remembered`() {
    var set = ChunkSet()
    set.insert(0...UInt64.max / 4)
    #expect(set.last == UInt64.max / 4)
    #expect(!set.contains(0))
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `Notes come back as they were, and bytes of any kind give one within bounds or none`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let peer = Acquaintance(
      contact: Contact(
        id: PeerID(InlineWords(random.next(), 1, 2, 3)),
        address: Address(ipv4: UInt32(truncatingIfNeeded: random.next()), port: 7574)
      ),
      tenths: 22
    )
    let notes: [Note] = [
      .offer(word: random.next() >> 8, bits: [random.next(), random.next()]),
      .holding(word: 0, bits: [random.next()]), .forwardJoin(peer, hops: 4), .shuffle([peer, peer]),
      .shuffled([]), .own(3, random.next()),
    ]
    for note in notes {
      let bytes = note.bytes
      #expect(bytes.count <= TopologyContext.messageLimit)
      #expect(Note(bytes) == note, "seed \(seed)")
      for _ in 0..<200 {
        var broken = bytes
        broken[Int(random.next() % UInt64(broken.count))] = UInt8(truncatingIfNeeded: random.next())
        if random.next() % 3 == 0 { broken.removeLast(Int(random.next() % UInt64(broken.count))) }
        // What can be read at all is what would be written.
        if let read = Note(broken) { #expect(read.bytes == broken, "seed \(seed)") }
      }
    }
  }
}
