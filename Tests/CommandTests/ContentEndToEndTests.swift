import Glibc
import Support
import Testing

/// Files that are served and fetched as users do it, over sockets on loopback.
@Suite(.serialized) struct ContentEndToEndTests {
  private static func noise(_ count: Int) -> [UInt8] {
    var random = SplitMix64(seed: UInt64(count))
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  private func write(_ bytes: [UInt8], to path: String) throws {
    guard let file = unsafe fopen(path, "w") else { throw RunError(description: "cannot write \(path)") }
    unsafe fwrite(bytes, 1, bytes.count, file)
    unsafe fclose(file)
  }

  private func seed(_ files: [String], _ arguments: [String] = []) throws -> Program {
    try Program(built("freshet"), ["seed"] + files + ["--listen", "udp://127.0.0.1:0"] + arguments)
  }

  private func link(of program: inout Program) throws -> String {
    guard let link = try program.line() else {
      _ = try program.wait()
      throw RunError(description: "no link: \(program.complaint)")
    }
    return link
  }

  private func fetch(_ link: String, _ output: String, _ arguments: [String] = []) throws -> Program {
    try Program(built("freshet"), ["fetch", link, "--output", output, "--verbose"] + arguments)
  }

  private func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  @Test func `Two who fetch at the same time get what was served, byte by byte`() throws {
    let folder = try TemporaryDirectory()
    let bytes = Self.noise(3_000_001)
    try write(bytes, to: folder.file("in"))
    var source = try seed([folder.file("in")])
    let link = try link(of: &source)
    #expect(link.hasSuffix("?cs=1024&cam=2&cipm=1&mhf=2"), "\(link)")
    var first = try fetch(link, folder.file("1"), ["--in-order"])
    var second = try fetch(link, folder.file("2"))
    #expect(try first.wait() == 0, "\(first.complaint)")
    #expect(try second.wait() == 0, "\(second.complaint)")
    #expect(try contents(of: folder.file("1")) == bytes)
    #expect(try contents(of: folder.file("2")) == bytes)
    for name in ["1.part", "1.part.hashes", "2.part", "2.part.hashes"] { #expect(!exists(folder.file(name))) }
    source.signal(SIGINT)
    #expect(try source.wait() == 0)
  }

  @Test func `Several files have a link each on one socket, and who fetched one can serve it`() throws {
    let folder = try TemporaryDirectory()
    let files = [Self.noise(100_000), Self.noise(70_007)]
    for (index, bytes) in files.enumerated() { try write(bytes, to: folder.file("in\(index)")) }
    var source = try seed(
      [folder.file("in0"), folder.file("in1")],
      ["--hash", "sha-512", "--chunk-size", "900"]
    )
    let links = [try link(of: &source), try link(of: &source)]
    for (index, link) in links.enumerated() {
      var viewer = try fetch(link, folder.file("out\(index)"))
      #expect(try viewer.wait() == 0, "\(viewer.complaint)")
      #expect(try contents(of: folder.file("out\(index)")) == files[index])
    }
    source.signal(SIGINT)
    #expect(try source.wait() == 0)
    // The content alone makes the name.
    var again = try seed([folder.file("out0")], ["--hash", "sha-512", "--chunk-size", "900"])
    let name = try link(of: &again).split(separator: "/").last
    #expect(name == links[0].split(separator: "/").last)
  }

  @Test func `A fetch that was killed goes on with what was there`() throws {
    let folder = try TemporaryDirectory()
    let bytes = Self.noise(12_000_000)
    try write(bytes, to: folder.file("in"))
    // About six seconds.
    var source = try seed([folder.file("in")], ["--max-upload", "16M"])
    let link = try link(of: &source)
    var first = try fetch(link, folder.file("out"))
    let deadline = ContinuousClock.now + .seconds(20)
    while !exists(folder.file("out.part.hashes")), ContinuousClock.now < deadline { usleep(20_000) }
    first.signal(SIGKILL)
    #expect(try first.wait() == 137)
    #expect(!exists(folder.file("out")))
    #expect(exists(folder.file("out.part")))
    var second = try fetch(link, folder.file("out"))
    try second.waitForComplaint("going on with")
    #expect(try second.wait() == 0, "\(second.complaint)")
    #expect(try contents(of: folder.file("out")) == bytes)
    // It is there, and nothing is fetched again.
    var third = try fetch(link, folder.file("out"))
    #expect(try third.wait() == 0)
    #expect(third.complaint.contains("complete already"))
  }

  @Test func `A broadcast that was kept whole is served for good under the hash of what was signed`() throws {
    let folder = try TemporaryDirectory()
    let kept = folder.file("kept.ts")
    let broadcast = try run(
      built("freshet"),
      [
        "broadcast", EndToEndTests.clip, "--duration", "2s", "--integrity", "unified-merkle", "--keep", kept,
        "--listen", "udp://127.0.0.1:0",
      ]
    )
    #expect(broadcast.status == 0, "\(broadcast.errors)")
    let sentence = try #require(broadcast.errors.split(separator: "\n").first { $0.contains("kept whole") })
    // The broadcaster is gone; what it signed makes the name.
    var source = try seed([kept], ["--chunk-size", "1316"])
    let link = try link(of: &source)
    let root = try #require(link.split(separator: "/").last?.prefix { $0 != "?" })
    #expect(sentence.contains(root), "\(sentence), but \(link)")
    var viewer = try fetch(link, folder.file("out.ts"))
    #expect(try viewer.wait() == 0, "\(viewer.complaint)")
    #expect(try contents(of: folder.file("out.ts")) == contents(of: kept))
  }

  @Test func `A fetch whose time is over says what is missing`() throws {
    let folder = try TemporaryDirectory()
    try write(Self.noise(4_000_000), to: folder.file("in"))
    var source = try seed([folder.file("in")], ["--max-upload", "4M"])
    let link = try link(of: &source)
    var viewer = try fetch(link, folder.file("out"), ["--duration", "2s"])
    #expect(try viewer.wait() == 1)
    #expect(viewer.complaint.contains("not complete: "), "\(viewer.complaint)")
    #expect(exists(folder.file("out.part")) && exists(folder.file("out.part.hashes")))
  }

  @Test func `What does not fit is refused with one sentence`() throws {
    let folder = try TemporaryDirectory()
    try write(Self.noise(50_000), to: folder.file("in"))
    try write([1, 2, 3], to: folder.file("other"))
    try write([], to: folder.file("empty"))
    var source = try seed([folder.file("in")])
    let link = try link(of: &source)
    let program = try built("freshet")

    let taken = try run(program, ["fetch", link, "--output", folder.file("other")])
    #expect(taken.status == 1)
    #expect(taken.errors.contains("exists and is something else"), "\(taken.errors)")
    let nothing = try run(program, ["seed", folder.file("empty")])
    #expect(nothing.status == 1)
    #expect(nothing.errors.contains("is empty"), "\(nothing.errors)")
    let missing = try run(program, ["seed", folder.file("missing")])
    #expect(missing.status == 1)
    #expect(missing.errors.contains("cannot read"), "\(missing.errors)")
    let joined = try run(program, ["join", link, "--play"])
    #expect(joined.status == 64)
    #expect(joined.errors.contains("freshet fetch"), "\(joined.errors)")
    let nowhere = try run(program, ["fetch", link, "--output", folder.file("no/where")])
    #expect(nowhere.status == 1)
    #expect(nowhere.errors.contains("cannot write"), "\(nowhere.errors)")
  }

  @Test func `A link with another root gets no answer, and the fetch ends with a sentence`() throws {
    let folder = try TemporaryDirectory()
    try write(Self.noise(50_000), to: folder.file("in"))
    var source = try seed([folder.file("in")])
    let good = try link(of: &source)
    let slash = try #require(good.lastIndex(of: "/"))
    let place = good.index(slash, offsetBy: 5)
    var wrong = good
    wrong.replaceSubrange(place...place, with: good[place] == "A" ? "B" : "A")
    var viewer = try fetch(wrong, folder.file("out"))
    #expect(try viewer.wait() == 1)
    #expect(viewer.complaint.contains("nobody answers"), "\(viewer.complaint)")
    #expect(!exists(folder.file("out")) && !exists(folder.file("out.part")))
  }

  /// Needs a disk of its own, which only root can mount.
  @Test(.enabled(if: geteuid() == 0)) func `A full disk is a sentence`() throws {
    let folder = try TemporaryDirectory()
    let disk = folder.file("disk")
    unsafe mkdir(disk, 0o755)
    guard try run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]).status == 0 else { return }
    defer { _ = try? run("umount", [disk]) }
    try write(Self.noise(3_000_000), to: folder.file("in"))
    var source = try seed([folder.file("in")])
    let link = try link(of: &source)
    var viewer = try fetch(link, disk + "/out")
    #expect(try viewer.wait() == 1)
    #expect(viewer.complaint.contains("the disk has no room"), "\(viewer.complaint)")
    #expect(!exists(disk + "/out.part"))
  }
}
