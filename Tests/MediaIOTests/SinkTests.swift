import Glibc
import MediaIO
import Support
import Testing

@Suite struct SinkTests {
  private func write(_ chunks: some Sequence<Gathered.Chunk>, to sink: OutputSink) {
    for chunk in chunks { _ = unsafe sink.write(chunk.bytes.span.bytes, isEntry: chunk.isEntry) }
  }

  @Test func `A recording holds every picture and no null packet`() throws {
    let folder = try TemporaryDirectory()
    let source = try Gathered(Clips.fractal)
    let sink = try OutputSink.open(.file(folder.file("out.ts")))
    write(source.chunks, to: sink)
    let statistics = sink.finish()
    #expect(statistics.failure == nil)
    #expect(statistics.chunksDropped == 0)
    let written = try contents(of: folder.file("out.ts"))
    #expect(statistics.bytesWritten == UInt64(written.count))
    #expect(try pictures(of: folder.file("out.ts")) == pictures(of: Clips.fractal))
    var checker = StreamChecker()
    unsafe checker.append(written.span.bytes)
    #expect(checker.findings.nullPackets == 0)
    #expect(checker.findings.discontinuities == 0)
    // The demuxer counts what the PES packet carries, without its header of at most 20 bytes.
    let picture = try #require(try probe(written).first { $0.isVideo })
    let unit = try #require(statistics.firstAccessUnit)
    #expect((picture.size + 9...picture.size + 20).contains(unit.byteCount))
  }

  @Test func `Output begins at an entry, also after a gap goes on`() throws {
    let folder = try TemporaryDirectory()
    let source = try Gathered(Clips.clock)
    let sink = try OutputSink.open(.file(folder.file("out.ts")))
    #expect(!source.chunks[3].isEntry)
    write(source.chunks[3...], to: sink)
    sink.finish()
    let written = try contents(of: folder.file("out.ts"))
    let run = try pictures(of: "-", written)
    #expect(try run == Array(pictures(of: Clips.clock).suffix(run.count)))
    #expect(beginsEntry(written))
  }

  @Test func `What cannot be opened is refused with a sentence`() throws {
    #expect(throws: MediaError.self) { _ = try OutputSink.open(.file("/tmp")) }
    func sentence(_ destination: OutputSink.Destination) -> String {
      do {
        try OutputSink.open(destination).finish()
        return ""
      } catch { return "\(error)" }
    }
    #expect(sentence(.file("/tmp")) == "cannot write '/tmp': it is a directory")
    #expect(
      sentence(.file("/tmp/no such place/a.ts"))
        == "cannot write '/tmp/no such place/a.ts': the directory '/tmp/no such place' does not exist"
    )
    #expect(
      sentence(.command(["/tmp/no such player"]))
        == "cannot start '/tmp/no such player': No such file or directory"
    )
  }

  @Test func `A full disk is reported once and is not the end`() throws {
    let source = try Gathered(Clips.clock)
    let sink = try OutputSink.open(.file("/dev/full"))
    write(source.chunks, to: sink)
    #expect(sink.finish().failure == "cannot write to '/dev/full': No space left on device")
    let chunk = source.chunks[0]
    let isTaken = unsafe sink.write(chunk.bytes.span.bytes, isEntry: true)
    #expect(!isTaken)
  }

  @Test(arguments: [700, 701, 702, 703, 704])
  func `A recording that is cut anywhere ends with a whole picture`(count: Int) throws {
    let folder = try TemporaryDirectory()
    let source = try Gathered(Clips.clock)
    let path = folder.file("cut.ts")
    let sink = try OutputSink.open(.file(path))
    write(Array(source.chunks.prefix(count)), to: sink)
    let statistics = sink.finish(isCut: true)
    let bytes = try contents(of: path)
    #expect(statistics.bytesWritten == UInt64(bytes.count))
    try expectDecodes(bytes)
    let some = try pictures(of: path)
    let all = try pictures(of: Clips.clock)
    #expect(some.count > 25 && some == Array(all.prefix(some.count)))
  }

  @Test func `A reader that has gone is reported and kills nobody`() throws {
    let source = try Gathered(Clips.clock)
    var ends: [Int32] = [-1, -1]
    let isMade = unsafe pipe(&ends) == 0
    #expect(isMade)
    close(ends[0])
    let sink = try OutputSink.open(.descriptor(ends[1]))
    write(source.chunks, to: sink)
    #expect(sink.finish().failure == "the reader of the output has gone")
  }

  @Test func `A reader that has stopped reading does not keep the end waiting`() throws {
    let source = try Gathered(Clips.clock)
    var ends: [Int32] = [-1, -1]
    let isMade = unsafe pipe(&ends) == 0
    #expect(isMade)
    defer { close(ends[0]) }
    let sink = try OutputSink.open(.descriptor(ends[1]))
    write(source.chunks, to: sink)
    let statistics = sink.finish(patience: .milliseconds(1))
    #expect(statistics.failure == "the output stopped reading: the end of the stream was not written")
    #expect(statistics.chunksDropped > 0)
  }

  @Test func `A player reads what a file would hold`() throws {
    let folder = try TemporaryDirectory()
    let source = try Gathered(Clips.clock)
    let sink = try OutputSink.open(.command(["sh", "-c", "cat > \(folder.file("played.ts"))"]))
    write(source.chunks, to: sink)
    let statistics = sink.finish()
    #expect(statistics.failure == nil)
    let played = try contents(of: folder.file("played.ts"))
    #expect(statistics.bytesWritten == UInt64(played.count))
    #expect(try pictures(of: "-", played) == pictures(of: Clips.clock))
  }

  @Test func `A player's complaints are kept from the user until it fails`() throws {
    let source = try Gathered(Clips.clock)
    let quiet = try OutputSink.open(.command(["sh", "-c", "echo noise >&2; head -c 1000 > /dev/null"]))
    write(source.chunks, to: quiet)
    #expect(quiet.finish().failure == "the player (sh) was closed")
    let script = "yes noise | head -n 2000 >&2; echo; printf 'no\\033display\\r\\n\\nbye\\n' >&2; exit 3"
    let failing = try OutputSink.open(.command(["sh", "-c", script]))
    write(source.chunks, to: failing)
    #expect(failing.finish().failure == "the player (sh) failed with status 3: nodisplay; bye")
    let killed = try OutputSink.open(.command(["sh", "-c", "exec 2>&-; kill -9 $$"]))
    write(source.chunks, to: killed)
    #expect(killed.finish().failure == "the player (sh) failed with signal 9")
  }

  @Test func `A slow reader loses whole runs, counted, and what it gets decodes`() throws {
    let folder = try TemporaryDirectory()
    let source = try Gathered(Clips.clock)
    try run("mkfifo", [folder.file("gate")])
    // The player does not read before the gate has been opened and closed.
    let sink = try OutputSink.open(
      .command(["sh", "-c", "cat \(folder.file("gate")); cat > \(folder.file("played.ts"))"]),
      queueLimit: 200_000
    )
    write(source.chunks, to: sink)
    #expect(sink.statistics.chunksDropped > 0)
    try run("sh", ["-c", ": > \(folder.file("gate"))"])
    let statistics = sink.finish()
    #expect(statistics.failure == nil)
    let played = try contents(of: folder.file("played.ts"))
    let decoded = try run(
      "ffmpeg",
      ["-v", "error", "-i", "-", "-fps_mode", "passthrough", "-f", "framemd5", "-"],
      input: played
    )
    #expect(decoded.errors == "")
    let all = try pictures(of: Clips.clock)
    let some = try pictures(of: "-", played)
    #expect(some.count < all.count && some.count >= 25)
    #expect(some.last == all.last)
    #expect(Set(some).isSubset(of: all))
    // Runs of one second: nothing is cut in the middle.
    #expect(some.count % 25 == 0)
  }
}
