import Support
import Testing
import Wire

/// Chunk addressing (RFC 7574, section 4).
@Suite struct AddressingTests {
  // MARK: Bins (section 4.2)

  @Test func `the bins of figure 2 are above the chunks it shows`() throws {
    let figure: [(UInt64, ChunkRange)] = [
      (7, 0...7), (3, 0...3), (11, 4...7), (1, 0...1), (5, 2...3), (9, 4...5), (13, 6...7),
    ]
    for (number, chunks) in figure {
      let bin = try #require(Bin(rawValue: number))
      #expect(bin.chunks == chunks)
      #expect(Bin(chunks) == bin)
      let children = try [#require(bin.left), #require(bin.right)]
      // binP = (binL + binR) / 2
      #expect((children[0].rawValue + children[1].rawValue) / 2 == number)
      for (child, other) in [(0, 1), (1, 0)] {
        #expect(children[child].parent == bin)
        #expect(children[child].sibling == children[other])
        #expect(children[child].height == bin.height - 1)
      }
    }
    for chunk in 0...7 as ClosedRange<UInt64> {
      #expect(Bin.leaf(chunk).rawValue == 2 * chunk)
      #expect(Bin.leaf(chunk).chunks == chunk...chunk)
      #expect(Bin.leaf(chunk).left == nil && Bin.leaf(chunk).right == nil)
    }
  }

  @Test func `all ones is no bin and all ones but the first is everything`() throws {
    #expect(Bin(rawValue: .max) == nil)
    let everything = try #require(Bin(rawValue: .max >> 1))
    #expect(everything.chunks == 0...Bin.lastChunk)
    #expect(everything.height == 63)
    #expect(everything.parent == nil && everything.sibling == nil)
    #expect(Bin(0...Bin.lastChunk) == everything)
    #expect(Bin(0...(.max)) == nil)
    for format in [WireFormat(addressing: .bins32), WireFormat(addressing: .bins64)] {
      var bytes: [UInt8] = [0, 0, 0, 1]
      format.appendHave(0...format.lastChunk, to: &bytes)
      let count = format.addressing.specificationSize
      #expect(Array(bytes.dropFirst(4)) == [3, 0x7F] + [UInt8](repeating: 0xFF, count: count - 1))
      #expect(try OwnedDatagram(reading: bytes, format).messages == [.have(0...format.lastChunk)])
    }
  }

  @Test(arguments: [ChunkAddressing.bins32, .bins64])
  func `a message about no chunks says nothing, and none may need one`(_ addressing: ChunkAddressing) throws {
    let format = WireFormat(addressing: addressing, signatureLength: 3, hashLength: 2, chunkSize: 8)
    let none = [UInt8](repeating: 0xFF, count: addressing.specificationSize)
    let nothing = [3] + none + [8] + none + [9] + none + [2] + none + [UInt8](repeating: 1, count: 8)
    let quiet = try OwnedDatagram(reading: [0, 0, 0, 1] + nothing + [10] + nothing, format)
    #expect(quiet.messages == [.choke] && quiet.error == nil)
    for (type, size) in [(UInt8(1), 9), (4, 2), (7, 11)] {
      let bytes = [0, 0, 0, 1, 10, type] + none + [UInt8](repeating: 0, count: size)
      let read = try OwnedDatagram(reading: bytes, format)
      #expect(read.messages == [.choke] && read.error == .noChunks(offset: 6))
    }
    // One that is cut short is still an error.
    let cut = try OwnedDatagram(reading: [0, 0, 0, 1, 3] + none.dropLast(), format)
    #expect(cut.error == .truncated(offset: 5, needed: none.count, available: none.count - 1))
  }

  @Test(arguments: 0..<64 as Range<UInt64>)
  func `the bins of a range are the fewest that make it up`(seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    for _ in 0..<50 {
      let limit = Bin.lastChunk >> UInt64.random(in: 0...62, using: &generator)
      let ends = (0..<2).map { _ in UInt64.random(in: 0...limit, using: &generator) }
      let range = min(ends[0], ends[1])...max(ends[0], ends[1])
      let bins: [Bin] = Array(Bins(range))
      #expect(bins.first?.chunks.lowerBound == range.lowerBound, "seed \(seed)")
      #expect(bins.last?.chunks.upperBound == range.upperBound, "seed \(seed)")
      #expect(bins.count <= 126)
      for (bin, next) in zip(bins, bins.dropFirst()) {
        #expect(bin.chunks.upperBound + 1 == next.chunks.lowerBound, "seed \(seed), \(range)")
      }
      // No two are the children of one node.
      #expect(Set(bins.compactMap(\.parent)).count == bins.count(where: { $0.parent != nil }), "seed \(seed)")
      for addressing in ChunkAddressing.allCases {
        let format = WireFormat(addressing: addressing, chunkSize: 1024)
        guard range.upperBound <= format.lastChunk else { continue }
        let pieces = Array(format.pieces(of: range))
        #expect(pieces == (addressing.usesBins ? bins.map(\.chunks) : [range]), "seed \(seed)")
      }
    }
  }

  @Test(arguments: 0..<64 as Range<UInt64>)
  func `ACK names the widest bin around its chunk`(seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    let format = WireFormat(addressing: .bins64)
    for _ in 0..<20 {
      let first = UInt64.random(in: 0...40, using: &generator)
      let held = first...(first + .random(in: 0...40, using: &generator))
      let chunk = UInt64.random(in: held, using: &generator)
      let widest = (held.lowerBound...chunk).flatMap { first in (chunk...held.upperBound).map { first...$0 } }
        .filter { Bin($0) != nil }.max { $0.chunkCount < $1.chunkCount }
      #expect(format.widest(around: chunk, in: held) == widest, "seed \(seed), \(chunk) in \(held)")
      #expect(WireFormat().widest(around: chunk, in: held) == held)
    }
    #expect(format.widest(around: 5, in: 0...Bin.lastChunk) == 0...Bin.lastChunk)
  }

  // MARK: Byte ranges (section 4.1.2)

  static let bytes = WireFormat(addressing: .byteRanges64, signatureLength: 1, hashLength: 1, chunkSize: 1000)

  func read(_ type: UInt8, _ first: UInt64, _ last: UInt64, _ more: Int = 0) throws -> OwnedDatagram {
    var bytes: [UInt8] = [0, 0, 0, 1, type]
    bytes.appendInteger(first)
    bytes.appendInteger(last)
    return try OwnedDatagram(reading: bytes + [UInt8](repeating: 0, count: more), Self.bytes)
  }

  @Test func `a byte range names the chunks that its bytes are in`() throws {
    #expect(try read(3, 0, 999).messages == [.have(0...0)])
    #expect(try read(3, 2000, 5999).messages == [.have(2...5)])
    // The last chunk of all may be short.
    #expect(try read(3, 2000, 5001).messages == [.have(2...5)])
    #expect(try read(3, 0, .max).messages == [.have(0...Self.bytes.lastChunk)])
    #expect(try read(3, 2001, 5999).error == .unalignedRange(first: 2001, chunkSize: 1000))
    #expect(try read(3, 2000, 1999).error == .reversedRange(first: 2000, last: 1999))
    var written: [UInt8] = []
    Self.bytes.appendHave(0...Self.bytes.lastChunk, to: &written)
    #expect(written == [3] + [UInt8](repeating: 0, count: 8) + [UInt8](repeating: 0xFF, count: 8))
  }

  @Test func `DATA in byte ranges says exactly its bytes`() throws {
    #expect(
      try read(1, 7000, 7004, 8 + 5).messages == [
        .data(7...7, timestamp: 0, payload: [UInt8](repeating: 0, count: 5))
      ]
    )
    #expect(try read(1, 7000, 7004, 8 + 4).error == .dataOfOtherLength(length: 4, named: 5))
    #expect(try read(1, 7000, 7004, 8 + 6).error == .dataOfOtherLength(length: 6, named: 5))
    #expect(try read(1, 7000, 8000, 8 + 1000).error == .notOneChunk(first: 7, last: 8))
    let signature: [UInt8] = [1]
    var written: [UInt8] = []
    Self.bytes.appendDataHeader(7, length: 5, timestamp: 0, to: &written)
    Self.bytes.appendDataHeader(7, timestamp: 0, to: &written)
    Self.bytes.appendSignedIntegrity(
      7...7,
      length: 5,
      timestamp: 0,
      signature: unsafe signature.span.bytes,
      to: &written
    )
    let header = Self.bytes.dataHeaderSize
    #expect(written[9..<17].elementsEqual([0, 0, 0, 0, 0, 0, 0x1B, 0x5C]))
    #expect(written[(header + 9)..<(header + 17)].elementsEqual([0, 0, 0, 0, 0, 0, 0x1F, 0x3F]))
    #expect(written[(2 * header + 9)..<(2 * header + 17)].elementsEqual([0, 0, 0, 0, 0, 0, 0x1B, 0x5C]))
  }

  @Test func `byte ranges need chunks of a fixed size`() async throws {
    await #expect(processExitsWith: .failure) { _ = WireFormat(addressing: .byteRanges64) }
    await #expect(processExitsWith: .failure) {
      _ = Self.bytes.specification(1...1, length: 1001)
    }
    let options = HandshakeOptions(
      addressing: .byteRanges64,
      chunkSize: WireFormat.variableChunkSize
    )
    var bytes: [UInt8] = [0, 0, 0, 0]
    WireFormat.appendHandshake(source: 1, options, to: &bytes)
    #expect(try OwnedDatagram(reading: bytes, WireFormat()).error == .variableByteRanges)
  }

  @Test func `a discard window counts bytes where ranges do`() {
    #expect(Self.bytes.discardWindow(chunks: 12) == 12_000)
    #expect(Self.bytes.discardWindow(chunks: .max) == .max)
    #expect(Self.bytes.chunks(inDiscardWindow: 12_999) == 12)
    #expect(Self.bytes.chunks(inDiscardWindow: .max) == .max)
    #expect(WireFormat().discardWindow(chunks: 12) == 12)
    #expect(WireFormat().chunks(inDiscardWindow: 12) == 12)
  }

  @Test(arguments: ChunkAddressing.allCases)
  func `the last chunk has a name, and the one after it none`(_ addressing: ChunkAddressing) throws {
    let format = WireFormat(addressing: addressing, hashLength: 1, chunkSize: 1024)
    #expect(format.lastChunk >= addressing.lastChunk)
    var bytes: [UInt8] = [0, 0, 0, 1]
    format.appendRequest(format.lastChunk...format.lastChunk, to: &bytes)
    #expect(
      try OwnedDatagram(reading: bytes, format).messages == [.request(format.lastChunk...format.lastChunk)]
    )
    let largest = WireFormat(addressing: addressing, chunkSize: 0xFFFF_FFFE)
    #expect(largest.lastChunk >= addressing.lastChunk)
  }
}
