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
      #expect(beginsEntry(chunk.bytes) == chunk.isEntry, "chunk \(index)")
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
      #expect(beginsEntry(chunk.bytes) == chunk.isEntry)
    }
    try expectDecodes(run.bytes)
  }
}

/// The wall clock is what is tested here, so these run alone.
@Suite(.serialized) struct PacingTests {
  @Test func `A file is sent at its own speed, and chunks wait no longer than 20 ms`() throws {
    let folder = try TemporaryDirectory()
    let short = folder.file("short.mp4")
    try run("ffmpeg", ["-v", "error", "-i", Clips.clock, "-t", "2", "-c", "copy", short])
    let source = MediaSource(short)
    try source.open()
    let rate = try #require(source.declaredBitrate)
    var arrivals: [(time: Duration, bytes: [UInt8])] = []
    let start = ContinuousClock.now
    let end = source.run { chunk, _, _ in
      arrivals.append((ContinuousClock.now - start, Array(copying: chunk)))
      return true
    }
    #expect(end == .finished)
    let taken = try #require(arrivals.last).time
    #expect(taken > .seconds(1.9) && taken < .seconds(2.6))
    let bytes = arrivals.flatMap(\.bytes)
    #expect(try pictures(of: "-", bytes) == pictures(of: short))
    // The estimate makes the window: it must be about right.
    let measured = Double(bytes.count * 8) / 2
    #expect(
      Double(rate) / measured > 0.6 && Double(rate) / measured < 1.6,
      "declared \(rate), measured \(measured)"
    )
    // A packet of each 40 ms: no chunk of the first second comes in the second.
    let early = arrivals.filter { $0.time < .seconds(1) }.reduce(0) { $0 + $1.bytes.count }
    #expect(Double(early) / Double(bytes.count) > 0.35 && Double(early) / Double(bytes.count) < 0.65)
  }

  @Test func `Chunks that vary in length go without filling, and no more of them than was said`() throws {
    let folder = try TemporaryDirectory()
    let short = folder.file("short.mp4")
    try run("ffmpeg", ["-v", "error", "-i", Clips.clock, "-t", "2", "-c", "copy", short])
    let source = MediaSource(short, options: .init(isVariable: true))
    try source.open()
    let rate = try #require(source.declaredBitrate)
    var chunks: [[UInt8]] = []
    var last = false
    let end = source.run { chunk, isEntry, isLast in
      chunks.append(Array(copying: chunk))
      #expect(beginsEntry(chunks[chunks.count - 1]) == isEntry)
      last = isLast
      return true
    }
    #expect(end == .finished && last)
    #expect(chunks.last == [] && !chunks.dropLast().contains([]))
    #expect(chunks.allSatisfy { $0.count <= 1316 && $0.count.isMultiple(of: 188) })
    #expect(Set(chunks.map(\.count)).count > 3, "they do vary")
    let packets = chunks.flatMap { chunk in stride(from: 0, to: chunk.count, by: 188).map { chunk[$0...] } }
    #expect(!packets.contains { $0.dropFirst().starts(with: [0x1f, 0xff]) })
    #expect(try pictures(of: "-", chunks.flatMap(\.self)) == pictures(of: short))
    let measured = Double(chunks.reduce(0) { $0 + $1.count } * 8) / 2
    #expect(Double(rate) / measured > 0.6 && Double(rate) / measured < 1.6, "\(rate), measured \(measured)")
    // The window is that many chunks for each second.
    let promised = source.chunkRate(bitRate: UInt64(max(measured, Double(rate)))) * 2
    print("\(chunks.count) chunks of a stream that may have \(promised)")
    #expect(Double(chunks.count) <= promised && Double(chunks.count) > promised / 4)
  }

  @Test func `Groups of a slow stream are filled up in time, and it decodes all the same`() throws {
    let folder = try TemporaryDirectory()
    let short = folder.file("sound.m4a")
    try run("ffmpeg", ["-v", "error", "-i", Clips.clock, "-t", "2", "-vn", "-c", "copy", short])
    let source = MediaSource(short)
    try source.open()
    var arrivals: [(time: Duration, bytes: [UInt8])] = []
    let start = ContinuousClock.now
    let end = source.run(groupSize: 8) { chunk, _, _ in
      arrivals.append((ContinuousClock.now - start, Array(copying: chunk)))
      return true
    }
    #expect(end == .finished)
    let fillers = arrivals.count { arrival in
      stride(from: 0, to: arrival.bytes.count, by: 188).allSatisfy {
        arrival.bytes.dropFirst($0 + 1).starts(with: [0x1f, 0xff])
      }
    }
    #expect(fillers > 0)
    try expectDecodes(arrivals.flatMap(\.bytes))
    // Not many times 100 ms in any group, whatever the machine does meanwhile.
    for group in stride(from: 0, to: arrivals.count - 8, by: 8) {
      #expect(arrivals[group + 7].time - arrivals[group].time < .seconds(1))
    }
  }

  @Test func `A run is stopped at once while it waits`() throws {
    let source = MediaSource(Clips.clock)
    try source.open()
    let start = ContinuousClock.now
    var last = false
    let end = source.run { _, _, isLast in
      source.stop()
      last = isLast
      return true
    }
    #expect(end == .stopped)
    #expect(last)
    #expect(ContinuousClock.now - start < .seconds(1))
  }

  @Test func `A chunk that is refused ends the run`() throws {
    let source = MediaSource(Clips.clock, options: .init(pacing: .none))
    try source.open()
    var count = 0
    let end = source.run { _, _, _ in
      count += 1
      return count < 5
    }
    #expect(end == .stopped)
    #expect(count == 5)
  }
}
