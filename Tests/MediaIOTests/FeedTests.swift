import Glibc
import MediaIO
import Support
import Testing
import Threads

@Suite struct `A file that is read while it comes` {
  /// A file of letters, and the feed of it to a shell command.
  private func feed(_ bytes: [UInt8], _ folder: borrowing TemporaryDirectory, _ command: String) throws
    -> FileFeed
  {
    let path = folder.file("in")
    try write(bytes, to: path)
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    try #require(descriptor >= 0)
    return try FileFeed.open(.command(["/bin/sh", "-c", command]), from: descriptor) {}
  }

  private func write(_ bytes: [UInt8], to path: String) throws {
    guard let file = unsafe fopen(path, "w") else { throw RunError(description: "cannot write \(path)") }
    unsafe fwrite(bytes, 1, bytes.count, file)
    unsafe fclose(file)
  }

  private let limit = monotonicNow() + 20_000_000_000

  @Test func `reaches its reader byte by byte, in whatever steps it comes`() throws {
    let folder = try TemporaryDirectory()
    let bytes = (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }
    let feed = try feed(bytes, folder, "cat > '\(folder.file("out"))'")
    var random = SplitMix64(seed: 3)
    var there = 0
    while there < bytes.count {
      there = min(bytes.count, there + 1 + Int(random.next() % 90_000))
      feed.extend(to: there)
      // What was said before does not come again.
      feed.extend(to: there / 2)
    }
    feed.complete()
    feed.wait(until: limit)
    #expect(feed.isDone)
    #expect(feed.failure == nil)
    #expect(feed.bytesWritten == bytes.count)
    #expect(try contents(of: folder.file("out")) == bytes)
  }

  @Test func `gives nothing that has not come`() throws {
    let folder = try TemporaryDirectory()
    let bytes = [UInt8](repeating: 65, count: 5000)
    let feed = try feed(bytes, folder, "head -c 1000 > '\(folder.file("out"))'")
    feed.extend(to: 1000)
    // The reader ends by itself while nothing more comes.
    feed.wait(until: limit)
    #expect(feed.isDone)
    #expect(feed.bytesWritten == 1000)
    #expect(feed.failure == .closed("the player (sh) was closed"))
    #expect(try contents(of: folder.file("out")) == bytes.prefix(1000).map { $0 })
  }

  @Test func `says what a player that failed had to say`() throws {
    let folder = try TemporaryDirectory()
    let feed = try feed([1, 2, 3], folder, "cat > /dev/null; echo 'no such picture' >&2; exit 3")
    feed.extend(to: 3)
    feed.complete()
    feed.wait(until: limit)
    #expect(feed.failure == .closed("the player (sh) failed with status 3: no such picture"))
  }

  @Test func `is not waited for when it was stopped, however slow its reader`() throws {
    let folder = try TemporaryDirectory()
    let bytes = [UInt8](repeating: 65, count: 1 << 20)
    let feed = try feed(bytes, folder, "exec sleep 1000")
    feed.extend(to: bytes.count)
    feed.complete()
    feed.stop()
    feed.wait(until: limit)
    #expect(feed.isDone)
    #expect(feed.failure == nil)
  }

  @Test func `is refused with a sentence when nobody can read it`() throws {
    let descriptor = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
    #expect(throws: MediaError.self) {
      _ = try FileFeed.open(.command(["/no such player"]), from: descriptor) {}
    }
  }
}

@Suite struct `What can be played from its beginning on` {
  /// What a probe says of a file when `available` bytes of it are there.
  private func look(_ bytes: [UInt8], _ available: Int, _ probe: inout IndexProbe) -> Bool? {
    probe.look(available) { Array(bytes[$0..<min($0 + 16, available)]) }
  }

  private func verdict(_ bytes: [UInt8]) -> Bool? {
    var probe = IndexProbe()
    return look(bytes, bytes.count, &probe)
  }

  private func box(_ kind: String, _ length: Int) -> [UInt8] {
    var bytes = (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) } + Array(kind.utf8)
    bytes += [UInt8](repeating: 0, count: max(length - 8, 8))
    return bytes
  }

  @Test func `is an MP4 file whose index comes first, and none whose index comes last`() throws {
    let folder = try TemporaryDirectory()
    for (flags, canBegin) in [("+faststart", true), ("0", false), ("+frag_keyframe+empty_moov", true)] {
      let path = folder.file("\(canBegin)\(flags.count).mp4")
      let made = try run(
        "ffmpeg",
        ["-v", "error", "-i", Clips.clock, "-c", "copy", "-movflags", flags, path]
      )
      #expect(made.status == 0, "\(made.errors)")
      let bytes = try contents(of: path)
      #expect(verdict(bytes) == canBegin, "\(flags)")
      // What has come decides as soon as it can, and never otherwise than the whole.
      var probe = IndexProbe()
      var early: Bool?
      for available in 0...min(bytes.count, 4096) where early == nil {
        early = look(bytes, available, &probe)
      }
      #expect(early == canBegin, "\(flags)")
    }
  }

  @Test func `is every other container`() throws {
    #expect(try verdict(contents(of: Clips.fractal)) == true)
    #expect(verdict([0x47] + [UInt8](repeating: 0, count: 187)) == true)
    #expect(verdict(Array("RIFF....WAVEfmt ".utf8)) == true)
  }

  @Test func `is told without a trap from boxes of any length`() {
    #expect(verdict(box("ftyp", 24) + box("mdat", 100)) == false)
    #expect(verdict(box("ftyp", 24)) == nil)
    // A box that goes on to the end, one that is shorter than its head, one longer than any file.
    #expect(verdict(box("free", 0)) == true)
    #expect(verdict(box("free", 7)) == true)
    #expect(verdict([0, 0, 0, 1] + Array("free".utf8) + [UInt8](repeating: 255, count: 8)) == true)
    #expect(
      verdict(
        box("ftyp", 16) + [0, 0, 0, 1] + Array("free".utf8) + [0x7F] + [UInt8](repeating: 255, count: 7)
      ) == true
    )
    // Boxes without end are not all looked at.
    #expect(verdict((0..<100).flatMap { _ in box("free", 16) }) == true)
  }
}
