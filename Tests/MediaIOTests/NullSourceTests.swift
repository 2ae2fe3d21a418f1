import MediaIO
import Support
import Testing

@Suite struct `A stream of null packets` {
  private struct Chunk {
    var bytes: [UInt8]
    var isEntry: Bool
    var isLast: Bool
    var time: ContinuousClock.Instant
  }

  /// What comes until so many chunks are there, and after that.
  private func gather(_ input: String, chunkSize: Int, count: Int, groupSize: Int = 1) throws -> [Chunk] {
    let source = NullSource(input, chunkSize: chunkSize)
    try source.open()
    var chunks: [Chunk] = []
    let end = source.run(groupSize: groupSize) { bytes, isEntry, isLast in
      let bytes = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
      chunks.append(Chunk(bytes: bytes, isEntry: isEntry, isLast: isLast, time: .now))
      if chunks.count == count { source.stop() }
      return true
    }
    #expect(end == .stopped)
    return chunks
  }

  @Test func `has the pace that it says, and an entry a second that viewers recognise`() throws {
    let chunks = try gather("null:16k", chunkSize: 188, count: 13)
    // 188 bytes take 94 ms at that rate, twelve of them 1128; the first may be late.
    let time = chunks[12].time - chunks[0].time
    #expect((.milliseconds(1000)...(.seconds(10))).contains(time), "\(time)")
    #expect(chunks.indices.filter { chunks[$0].isEntry } == [0, 10])
    for chunk in chunks { #expect(beginsEntry(chunk.bytes) == chunk.isEntry) }
    let long = try gather("null:10M", chunkSize: 1316, count: 3)
    #expect(long.map(\.isEntry) == [true, false, false, false])
    for chunk in long { #expect(beginsEntry(chunk.bytes) == chunk.isEntry) }
  }

  @Test(arguments: [1, 8])
  func `ends with a short chunk that fills its group`(groupSize: Int) throws {
    let chunks = try gather("null:10M", chunkSize: 1316, count: 5, groupSize: groupSize)
    #expect(chunks.count.isMultiple(of: groupSize))
    #expect(chunks.map(\.isLast) == chunks.indices.map { $0 == chunks.count - 1 })
    #expect(chunks.dropLast().allSatisfy { $0.bytes.count == 1316 })
    #expect(chunks.last?.bytes.count == 188)
  }

  @Test(arguments: [
    "null:", "null:x", "null:-1", "null:999", "null:2G", "null:99999999999999999999", "null:1.5M",
  ])
  func `without a rate that makes sense is one sentence`(input: String) {
    let source = NullSource(input, chunkSize: 1316)
    let error = #expect(throws: MediaError.self) { try source.open() }
    #expect(error?.description.hasPrefix("'\(input)' says no rate") == true)
  }
}
