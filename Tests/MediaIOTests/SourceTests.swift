import MediaIO
import Support
import Testing

@Suite struct SourceTests {
  @Test(arguments: [Clips.clock, Clips.fractal])
  func `A clip arrives picture for picture`(clip: String) throws {
    let run = try Gathered(clip)
    #expect(run.end == .finished)
    #expect(run.notices == [])
    try expectDecodes(run.bytes)
    #expect(try pictures(of: "-", run.bytes) == pictures(of: clip))
    var checker = StreamChecker()
    for chunk in run.chunks { unsafe checker.append(chunk.bytes.span.bytes) }
    #expect(checker.findings.discontinuities == 0)
    #expect(checker.findings.malformed == 0)
    #expect(checker.findings.tables == run.chunks.count { $0.isEntry })
  }

  @Test(arguments: [Clips.clock, Clips.fractal])
  func `Every entry begins with the tables and decodes from there`(clip: String) throws {
    let run = try Gathered(clip)
    #expect(run.chunks[0].isEntry)
    let entries = run.chunks.indices.filter { run.chunks[$0].isEntry }
    #expect(entries.count >= 10)
    for (index, chunk) in run.chunks.enumerated() {
      #expect(unsafe TransportStream.beginsEntry(chunk.bytes.span.bytes) == chunk.isEntry, "chunk \(index)")
    }
    for entry in entries {
      try expectDecodes(run.chunks[entry...].flatMap(\.bytes), "from chunk \(entry)")
    }
  }

  @Test(arguments: [188, 376, 564, 752, 1316, 18_800])
  func `All chunks are of one size but the last, which is shorter`(size: Int) throws {
    let run = try Gathered(Clips.clock, .init(chunkSize: size, pacing: .none))
    #expect(run.chunks.dropLast().allSatisfy { $0.bytes.count == size && !$0.isLast })
    let last = try #require(run.chunks.last)
    #expect(last.isLast)
    #expect(last.bytes.count < size && last.bytes.count % 188 == 0)
    for chunk in run.chunks {
      #expect(unsafe TransportStream.beginsEntry(chunk.bytes.span.bytes) == chunk.isEntry)
    }
    try expectDecodes(run.bytes)
  }
}
