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

  private func fetch(
    _ link: String,
    _ output: String,
    _ arguments: [String] = [],
    environment: [String: String] = [:]
  ) throws -> Program {
    try Program(
      built("freshet"),
      ["fetch", link, "--output", output, "--verbose"] + arguments,
      environment: environment
    )
  }

  /// Puts a player of this name in front of all others: what it does with its arguments, as a shell command.
  private func player(_ folder: borrowing TemporaryDirectory, _ command: String) throws -> [String: String] {
    unsafe mkdir(folder.file("bin"), 0o755)
    let script = folder.file("bin/ffplay")
    try write(Array("#!/bin/sh\nfor last; do :; done\n\(command)\n".utf8), to: script)
    try #require(unsafe chmod(script, 0o755) == 0)
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
    return ["PATH": folder.file("bin") + ":" + path]
  }

  /// The checksums of all pictures of a file, as ffmpeg decodes it.
  private static let decode = "ffmpeg -v error -i \"$last\" -map 0:v:0 -f framemd5 -"

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

  @Test func `A file is played while it comes, whatever container it is in`() throws {
    let folder = try TemporaryDirectory()
    let bytes = try contents(of: EndToEndTests.clip)
    // Some three seconds.
    var source = try seed([EndToEndTests.clip], ["--max-upload", "3M"])
    let link = try link(of: &source)
    let seen = folder.file("seen")
    let environment = try player(folder, "\(Self.decode) > '\(seen)'")
    var viewer = try fetch(link, folder.file("out"), ["--play"], environment: environment)
    #expect(try viewer.wait() == 0, "\(viewer.complaint)")
    let lines = viewer.complaint.split(separator: "\n")
    let playing = try #require(lines.firstIndex(of: "playing what has come"), "\(viewer.complaint)")
    let complete = try #require(lines.firstIndex { $0.hasSuffix("is complete and verified") })
    #expect(playing < complete)
    #expect(try contents(of: folder.file("out")) == bytes)
    let whole = try run("/bin/sh", ["-c", "last='\(EndToEndTests.clip)'; \(Self.decode)"])
    #expect(try contents(of: seen) == whole.output)
    #expect(whole.output.count > 5000)
    // What is here already is given to the player as it is, which can seek in it.
    var again = try fetch(link, folder.file("out"), ["--play"], environment: environment)
    #expect(try again.wait() == 0, "\(again.complaint)")
    #expect(try contents(of: seen) == whole.output)
  }

  @Test func `A file whose index is at its end is played when it is complete`() throws {
    let folder = try TemporaryDirectory()
    let made = try run(
      "ffmpeg",
      ["-v", "error", "-i", EndToEndTests.clip, "-c", "copy", folder.file("in.mp4")]
    )
    #expect(made.status == 0, "\(made.errors)")
    var source = try seed([folder.file("in.mp4")])
    let link = try link(of: &source)
    let seen = folder.file("seen")
    let environment = try player(folder, "\(Self.decode) > '\(seen)'")
    var viewer = try fetch(link, folder.file("out.mp4"), ["--play"], environment: environment)
    #expect(try viewer.wait() == 0, "\(viewer.complaint)")
    #expect(viewer.complaint.contains("its index is behind the pictures"), "\(viewer.complaint)")
    #expect(!viewer.complaint.contains("playing what has come"))
    let whole = try run("/bin/sh", ["-c", "last='\(EndToEndTests.clip)'; \(Self.decode)"])
    #expect(try contents(of: seen) == whole.output)
  }

  @Test func `A player that is closed or fails does not end the fetch`() throws {
    let folder = try TemporaryDirectory()
    let bytes = Self.noise(1_500_000)
    try write(bytes, to: folder.file("in"))
    var source = try seed([folder.file("in")], ["--max-upload", "6M"])
    let link = try link(of: &source)
    let environment = try player(folder, "head -c 1000 > /dev/null; echo 'no picture in it' >&2; exit 1")
    var viewer = try fetch(link, folder.file("out"), ["--play"], environment: environment)
    #expect(try viewer.wait() == 0, "\(viewer.complaint)")
    #expect(
      viewer.complaint.contains("failed with status 1: no picture in it; fetching goes on"),
      "\(viewer.complaint)"
    )
    #expect(try contents(of: folder.file("out")) == bytes)
  }

  @Test func `A player that is still at it is left with the fetch`() throws {
    let folder = try TemporaryDirectory()
    try write(Self.noise(100_000), to: folder.file("in"))
    var source = try seed([folder.file("in")])
    let link = try link(of: &source)
    let environment = try player(folder, "cat > /dev/null; exec sleep 1000")
    var viewer = try fetch(link, folder.file("out"), ["--play"], environment: environment)
    try viewer.waitForComplaint("is complete and verified")
    viewer.signal(SIGINT)
    #expect(try viewer.wait(within: .seconds(10)) == 0, "\(viewer.complaint)")
    #expect(exists(folder.file("out")))
  }

  @Test func `A file for members only is fetched and passed on by members, and strangers hear nothing`()
    throws
  {
    let folder = try TemporaryDirectory()
    let (club, bytes) = (folder.file("club"), Self.noise(200_000))
    let program = try built("freshet")
    try write(bytes, to: folder.file("in"))
    try write(Self.noise(1000), to: folder.file("other"))
    let created = try run(program, ["ca", "create", club, "--file", folder.file("in"), "--hash", "sha-1"])
    #expect(created.status == 0, "\(created.errors)")
    #expect(created.text.contains("freshet seed \(folder.file("in")) --ca \(club)"))
    for name in ["alice", "bob"] {
      #expect(try run(program, ["ca", "issue", club, "--name", name]).status == 0)
    }
    let wrong = try run(program, ["seed", folder.file("in"), "--ca", club])
    #expect(wrong.status == 1 && wrong.errors.contains("is not the authority of"), "\(wrong.errors)")

    var source = try seed([folder.file("in")], ["--hash", "sha-1", "--ca", club])
    let link = try link(of: &source)
    let stranger = try run(program, ["fetch", link, "--output", folder.file("1"), "--duration", "2s"])
    #expect(stranger.status == 1)
    #expect(stranger.errors.contains("closed to all but members"), "\(stranger.errors)")
    var alice = try fetch(link, folder.file("2"), ["--certificate", "\(club)/alice.pem", "--seed"])
    try alice.waitForComplaint("is complete and verified")
    #expect(try contents(of: folder.file("2")) == bytes)
    // The seed is gone; a member gives it to the next one.
    source.signal(SIGINT)
    #expect(try source.wait() == 0)
    alice.signal(SIGINT)
    #expect(try alice.wait() == 0)
    let port = 20_000 + Int(getpid()) % 20_000
    var again = try fetch(
      link,
      folder.file("2"),
      ["--certificate", "\(club)/alice.pem", "--seed", "--listen", "udp://127.0.0.1:\(port)"]
    )
    let passed = try #require(try again.line())
    var bob = try fetch(passed, folder.file("3"), ["--certificate", "\(club)/bob.pem"])
    #expect(try bob.wait() == 0, "\(bob.complaint)")
    #expect(try contents(of: folder.file("3")) == bytes)

    // What cannot work is said at once.
    let foreign = folder.file("foreign")
    _ = try run(program, ["ca", "create", foreign, "--file", folder.file("other")])
    _ = try run(program, ["ca", "issue", foreign, "--name", "eve"])
    let eve = try run(program, ["fetch", link, "--certificate", "\(foreign)/eve.pem"])
    #expect(eve.status == 1 && eve.errors.contains("the membership of another file"), "\(eve.errors)")
    let two = try run(program, ["seed", folder.file("in"), folder.file("other"), "--ca", club])
    #expect(two.status == 64 && two.errors.contains("--ca is for one file"), "\(two.errors)")
    let none = try run(program, ["ca", "create", folder.file("x")])
    #expect(none.status == 64 && none.errors.contains("needs --key FILE or --file FILE"), "\(none.errors)")
  }

  @Test func `A link says how chunks are named, and a fetch does as it says`() throws {
    let folder = try TemporaryDirectory()
    let bytes = Self.noise(100_001)
    try write(bytes, to: folder.file("in"))
    for (number, name) in ["bins-32", "byte-ranges-64", "chunk-ranges-32", "bins-64", "chunk-ranges-64"]
      .enumerated()
    {
      var source = try seed([folder.file("in")], ["--addressing", name])
      let link = try link(of: &source)
      #expect(link.contains("&cam=\(number)&"), "\(name): \(link)")
      var viewer = try fetch(link, folder.file(name))
      #expect(try viewer.wait() == 0, "\(name): \(viewer.complaint)")
      #expect(try contents(of: folder.file(name)) == bytes, "\(name)")
    }
  }

  @Test func `A viewer who came late is told that it kept a part`() throws {
    let folder = try TemporaryDirectory()
    var source = try Program(
      built("freshet"),
      [
        "broadcast", EndToEndTests.clip, "--loop", "--integrity", "unified-merkle", "--window", "1s",
        "--listen", "udp://127.0.0.1:0", "--verbose", "--duration", "8s",
      ]
    )
    let link = try link(of: &source)
    var first = try Program(built("freshet"), ["join", link, "--output", "/dev/null", "--duration", "3s"])
    #expect(try first.wait() == 0, "\(first.complaint)")
    let kept = folder.file("kept.ts")
    let late = try run(built("freshet"), ["join", link, "--keep", kept])
    #expect(late.status == 0, "\(late.errors)")
    #expect(late.errors.contains("'\(kept)' holds only the part of the stream"), "\(late.errors)")
    #expect(try source.wait() == 0)
  }

  @Test func `What is piped comes in order and whole, and nothing stays behind`() throws {
    let folder = try TemporaryDirectory()
    let bytes = Self.noise(2_000_003)
    try write(bytes, to: folder.file("in"))
    unsafe mkdir(folder.file("tmp"), 0o755)
    var source = try seed([folder.file("in")])
    let link = try link(of: &source)
    let piped = try run(
      built("freshet"),
      ["fetch", link, "--output", "-"],
      environment: ["TMPDIR": folder.file("tmp")]
    )
    #expect(piped.status == 0, "\(piped.errors)")
    #expect(piped.output == bytes)
    // A folder that is empty can be removed.
    #expect(unsafe rmdir(folder.file("tmp")) == 0)
    // Who has read enough ends it, without a complaint about what is missing.
    let cut = "\"$0\" fetch \"$1\" --output - | head -c 1000 | wc -c"
    let first = try run("/bin/sh", ["-c", cut, built("freshet"), link])
    #expect(first.text.split(separator: "\n").first == "1000")
    #expect(!first.errors.contains("not complete"), "\(first.errors)")
    // A disk that is full is a failure.
    let full = try run(
      "/bin/sh",
      ["-c", "\"$0\" fetch \"$1\" --output - > /dev/full", built("freshet"), link]
    )
    #expect(full.status == 1)
    #expect(full.errors.contains("cannot write to standard output: No space left"), "\(full.errors)")
    let nowhere = try run(
      built("freshet"),
      ["fetch", link, "--output", "-"],
      environment: ["TMPDIR": folder.file("none")]
    )
    #expect(nowhere.status == 1)
    #expect(nowhere.errors.contains("TMPDIR names another folder"), "\(nowhere.errors)")
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
