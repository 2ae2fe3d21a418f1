import Glibc
import Support
import Testing

/// Broadcasters and viewers as their users start them, over sockets on loopback.
@Suite(.serialized) struct EndToEndTests {
  static let clip =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    + "/Media/clock.mp4"

  /// A broadcast of the clip.
  private func broadcast(
    _ arguments: [String] = [],
    listen: String = "udp://127.0.0.1:0"
  ) throws -> Program {
    try Program(built("freshet"), ["broadcast", Self.clip, "--listen", listen, "--verbose"] + arguments)
  }

  /// The link that a broadcast prints first.
  private func link(of program: inout Program) throws -> String {
    guard let link = try program.line() else {
      _ = try program.wait()
      throw RunError(description: "no link: \(program.complaint)")
    }
    return link
  }

  private func join(_ link: String, _ arguments: [String]) throws -> Program {
    try Program(built("freshet"), ["join", link, "--verbose"] + arguments)
  }

  /// The MD5 of each decoded picture; decoding may not complain.
  private func pictures(_ path: String, _ bytes: [UInt8] = []) throws -> [String] {
    let result = try run(
      "ffmpeg",
      ["-v", "error", "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"],
      input: bytes
    )
    #expect(result.errors == "", "decoding \(path)")
    return result.text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
      line.split(separator: ",").last.map { $0.filter { $0 != " " } }
    }
  }

  private func expectRun(_ part: [String], of whole: [String], atLeast count: Int) {
    #expect(part.count >= count)
    #expect(whole.firstRange(of: part) != nil, "\(part.count) pictures are no contiguous run")
  }

  /// The number of a name in the last line of a statistics file.
  private func last(_ name: String, in path: String) throws -> Double? {
    let text = String(decoding: try contents(of: path), as: UTF8.self)
    return text.split(separator: "\n").last.flatMap { number(name, String($0)) }
  }

  /// The number of a name in one line of statistics.
  private func number(_ name: String, _ line: String) -> Double? {
    guard let place = line.firstRange(of: "\"\(name)\":") else { return nil }
    return Double(line[place.upperBound...].prefix { $0 != "," && $0 != "}" })
  }

  /// Waits until a viewer that writes its statistics to standard output has so many chunks.
  private func wait(for chunks: Double, at viewer: inout Program) throws {
    while let line = try viewer.line() {
      if number("chunks_in", line) ?? 0 >= chunks { return }
    }
    throw RunError(description: "it ended before \(chunks) chunks: \(viewer.complaint)")
  }

  @Test func `Recordings across three relays are a contiguous run of what was broadcast`() throws {
    let folder = try TemporaryDirectory()
    var source = try broadcast(["--topology", "tree:fanout=1"])
    let link = try link(of: &source)
    var first = try join(link, ["--output", folder.file("1.ts"), "--stats", folder.file("1.json")])
    try first.waitForComplaint("fed by")
    var second = try join(link, ["--output", folder.file("2.ts"), "--stats", folder.file("2.json")])
    try second.waitForComplaint("fed by")
    var third = try join(link, ["--output", folder.file("3.ts"), "--stats", folder.file("3.json")])
    try third.waitForComplaint("fed by")
    var fourth = try join(link, ["--output", folder.file("4.ts"), "--stats", folder.file("4.json")])
    try fourth.waitForComplaint("fed by")
    #expect(try source.wait() == 0, "\(source.complaint)")
    #expect(try first.wait() == 0, "\(first.complaint)")
    #expect(try second.wait() == 0, "\(second.complaint)")
    #expect(try third.wait() == 0, "\(third.complaint)")
    #expect(try fourth.wait() == 0, "\(fourth.complaint)")
    let whole = try pictures(Self.clip)
    for number in 1...4 {
      let part = try pictures(folder.file("\(number).ts"))
      expectRun(part, of: whole, atLeast: 100)
      #expect(part.last == whole.last, "viewer \(number) has the end")
      #expect(try last("lost", in: folder.file("\(number).json")) == 0)
      #expect(try last("rejected", in: folder.file("\(number).json")) == 0)
    }
    #expect(try last("depth", in: folder.file("4.json")) == 4)
    #expect(try last("first_frame_bytes", in: folder.file("4.json")) ?? 0 > 1000)
  }

  @Test func `A viewer that is interrupted leaves properly and its recording decodes`() throws {
    let folder = try TemporaryDirectory()
    var source = try broadcast()
    let link = try link(of: &source)
    let path = folder.file("out.ts")
    var viewer = try join(link, ["--output", path, "--stats", "/dev/stdout"])
    // Two seconds of the clip.
    try wait(for: 180, at: &viewer)
    viewer.signal(SIGINT)
    #expect(try viewer.wait(within: .seconds(5)) == 0, "\(viewer.complaint)")
    expectRun(try pictures(path), of: try pictures(Self.clip), atLeast: 25)
    source.signal(SIGTERM)
    #expect(try source.wait(within: .seconds(8)) == 0, "\(source.complaint)")
  }

  @Test func `A broadcast that is interrupted ends its viewers' streams`() throws {
    let folder = try TemporaryDirectory()
    var source = try broadcast(["--loop"])
    let link = try link(of: &source)
    var viewer = try join(link, ["--output", folder.file("out.ts")])
    try viewer.waitForComplaint("first frame after")
    source.signal(SIGTERM)
    #expect(try source.wait(within: .seconds(8)) == 0, "\(source.complaint)")
    #expect(try viewer.wait(within: .seconds(8)) == 0, "\(viewer.complaint)")
    _ = try pictures(folder.file("out.ts"))
  }

  @Test func `Standard output carries clean MPEG-TS`() throws {
    var source = try broadcast(["--duration", "4s"])
    let link = try link(of: &source)
    let result = try run(built("freshet"), ["join", link, "--output", "-", "--quiet"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.errors == "")
    #expect(result.output.count % 188 == 0)
    expectRun(try pictures("-", result.output), of: try pictures(Self.clip), atLeast: 40)
    #expect(try source.wait() == 0)
  }

  @Test func `A reader that goes away ends the viewer properly`() throws {
    var source = try broadcast(["--loop"])
    let link = try link(of: &source)
    let line = "exec \"$0\" join \"$1\" --output - | head -c 100000 > /dev/null"
    let result = try run("/bin/sh", ["-c", line, built("freshet"), link])
    #expect(result.status == 0, "\(result.errors)")
    source.signal(SIGINT)
    #expect(try source.wait(within: .seconds(8)) == 0)
  }

  @Test(arguments: ["sign-all", "unified-merkle"])
  func `Chunks that vary in length cross two relays and decode`(integrity: String) throws {
    let folder = try TemporaryDirectory()
    let options = ["--chunk-size", "variable", "--integrity", integrity, "--keep", folder.file("kept.ts")]
    var source = try broadcast(["--duration", "5s", "--topology", "chain"] + options)
    let link = try link(of: &source)
    #expect(link.contains("?cs=4294967295&cam=2&cipm="))
    var viewers: [String] = []
    var first = try join(link, ["--output", folder.file("1.ts")])
    try first.waitForComplaint("fed by")
    var second = try join(link, ["--output", folder.file("2.ts")])
    try second.waitForComplaint("fed by")
    var third = try join(link, ["--output", folder.file("3.ts"), "--stats", folder.file("3.json")])
    #expect(try first.wait(within: .seconds(12)) == 0, "\(first.complaint)")
    #expect(try second.wait(within: .seconds(12)) == 0, "\(second.complaint)")
    #expect(try third.wait(within: .seconds(12)) == 0, "\(third.complaint)")
    #expect(try source.wait(within: .seconds(12)) == 0, "\(source.complaint)")
    for number in 1...3 { viewers.append(folder.file("\(number).ts")) }
    let whole = try pictures(Self.clip)
    for viewer in viewers { expectRun(try pictures(viewer), of: whole, atLeast: 25) }
    #expect(try last("depth", in: folder.file("3.json")) == 3)
    #expect(try last("lost", in: folder.file("3.json")) == 0)
    #expect(try last("rejected", in: folder.file("3.json")) == 0)
    #expect(source.complaint.contains("was not signed under a root hash: the stream's chunks varied"))
    let kept = try contents(of: folder.file("kept.ts"))
    let fillers = stride(from: 0, to: kept.count, by: 188).count { place in
      kept[(place + 1)...].starts(with: [0x1f, 0xff])
    }
    // Only subtrees that a slow moment leaves open are filled up.
    #expect(kept.count.isMultiple(of: 188) && fillers <= (integrity == "sign-all" ? 0 : kept.count / 188 / 4))
  }

  @Test func `A stream without protection is watched, and both sides are warned`() throws {
    let folder = try TemporaryDirectory()
    var source = try broadcast(["--duration", "4s", "--integrity", "none", "--topology", "chain"])
    let link = try link(of: &source)
    #expect(link.contains("&cipm=0&ldw="))
    var first = try join(link, ["--output", folder.file("1.ts")])
    try first.waitForComplaint("fed by")
    var second = try Program(
      built("freshet"),
      ["join", link, "--quiet", "--output", folder.file("2.ts"), "--stats", folder.file("2.json")]
    )
    #expect(try first.wait(within: .seconds(12)) == 0, "\(first.complaint)")
    #expect(try second.wait(within: .seconds(12)) == 0, "\(second.complaint)")
    #expect(try source.wait(within: .seconds(12)) == 0, "\(source.complaint)")
    #expect(source.complaint.contains("freshet: nothing protects the stream: "))
    #expect(first.complaint.contains("freshet: nothing protects this stream (its link says cipm=0): "))
    #expect(second.complaint.filter { $0 == "\n" }.count == 1, "quiet, but for this: \(second.complaint)")
    let whole = try pictures(Self.clip)
    for number in 1...2 { expectRun(try pictures(folder.file("\(number).ts")), of: whole, atLeast: 25) }
    #expect(try last("depth", in: folder.file("2.json")) == 2)
    #expect(try last("verified", in: folder.file("2.json")) == 0)
  }

  @Test func `It works over IPv6 and under a Unified Merkle Tree`() throws {
    let folder = try TemporaryDirectory()
    var source = try broadcast(
      ["--duration", "3s", "--integrity", "unified-merkle", "--addressing", "bins-64"],
      listen: "udp://[::1]:0"
    )
    let link = try link(of: &source)
    #expect(link.hasPrefix("ppspp://[::1]:"))
    var viewer = try join(link, ["--output", folder.file("out.ts")])
    #expect(try viewer.wait(within: .seconds(12)) == 0, "\(viewer.complaint)")
    expectRun(try pictures(folder.file("out.ts")), of: try pictures(Self.clip), atLeast: 25)
    #expect(try source.wait() == 0)
  }

  @Test func `A viewer may come before the broadcast`() throws {
    let folder = try TemporaryDirectory()
    let key = folder.file("my.key")
    #expect(try run(built("freshet"), ["key", "generate", key]).status == 0)
    var first = try broadcast(["--key", key, "--loop"])
    let link = try link(of: &first)
    first.signal(SIGTERM)
    #expect(try first.wait(within: .seconds(8)) == 0, "\(first.complaint)")
    guard let port = link.split(separator: "/")[1].split(separator: ":").last else { return }
    var viewer = try join(link, ["--output", folder.file("out.ts"), "--stats", "/dev/stdout"])
    // The first line comes after a second, in which nobody has answered.
    let line = try viewer.line()
    #expect(line.flatMap { number("chunks_in", $0) } == 0)
    var second = try broadcast(
      ["--key", key, "--duration", "4s"],
      listen: "udp://127.0.0.1:\(port)"
    )
    #expect(try self.link(of: &second) == link)
    #expect(try second.wait() == 0, "\(second.complaint)")
    #expect(try viewer.wait() == 0, "\(viewer.complaint)")
    expectRun(try pictures(folder.file("out.ts")), of: try pictures(Self.clip), atLeast: 25)
  }

  @Test func `Nobody at the link is one sentence, and no file is left behind`() throws {
    let folder = try TemporaryDirectory()
    var source = try broadcast()
    let link = try link(of: &source)
    source.signal(SIGKILL)
    #expect(try source.wait() == 137)
    let result = try run(built("freshet"), ["join", link, "--output", folder.file("out.ts"), "--quiet"])
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("freshet: nobody answers at 127.0.0.1:"))
    #expect(result.errors.filter { $0 == "\n" }.count == 1)
    #expect(unsafe access(folder.file("out.ts"), F_OK) != 0)
  }

  /// An address where an RTMP publisher is awaited, and none comes; the process's own number keeps it apart.
  private static let awaited = "rtmp://0.0.0.0:\(20_000 + Int(getpid()) % 10_000)/live"

  @Test(.timeLimit(.minutes(1)))
  func `The time also counts while an input is awaited, and its end is no failure`() throws {
    let arguments = ["broadcast", Self.awaited, "--listen", "udp://127.0.0.1:0", "--duration", "1s"]
    let result = try run(built("freshet"), arguments)
    #expect(result.status == 0)
    #expect(result.output == [])
    #expect(result.errors == "'\(Self.awaited)' has not begun; nothing was broadcast\n")
  }

  @Test(arguments: [SIGINT, SIGTERM])
  func `Who waits for an input can be interrupted`(signal: Int32) throws {
    var source = try Program(
      built("freshet"),
      ["broadcast", Self.awaited, "--listen", "udp://127.0.0.1:0"]
    )
    try source.waitForComplaint("waiting for '\(Self.awaited)' to begin")
    source.signal(signal)
    #expect(try source.wait(within: .seconds(4)) == 0, "\(source.complaint)")
    #expect(source.complaint.hasSuffix("has not begun; nothing was broadcast\n"))
  }

  @Test func `A pipe that nobody writes to keeps no broadcast from ending`() throws {
    let folder = try TemporaryDirectory()
    try run("mkfifo", [folder.file("pipe")])
    let arguments = [
      "broadcast", folder.file("pipe"), "--listen", "udp://127.0.0.1:0", "--duration", "500ms",
    ]
    let result = try run(built("freshet"), arguments)
    #expect(result.status == 0)
    #expect(result.errors.hasSuffix("has not begun; nothing was broadcast\n"))
  }

  @Test func `An address where nobody sends says how to wait for a publisher`() throws {
    let place = Self.awaited.dropFirst("rtmp://0.0.0.0".count)
    let input = "rtmp://127.0.0.1\(place)"
    let result = try run(built("freshet"), ["broadcast", input, "--listen", "udp://127.0.0.1:0"])
    #expect(result.status == 1)
    #expect(
      result.errors == "freshet: cannot open '\(input)': Connection refused; "
        + "to wait until OBS or another program publishes there, write \(Self.awaited)\n"
    )
  }

  @Test(arguments: ["/nowhere/at-all.mp4", "/dev/null", #filePath])
  func `An input that is none is one sentence and no link`(input: String) throws {
    let result = try run(built("freshet"), ["broadcast", input, "--listen", "udp://127.0.0.1:0"])
    #expect(result.status == 1)
    #expect(result.output == [])
    #expect(result.errors.hasPrefix("freshet: "))
    #expect(result.errors.filter { $0 == "\n" }.count == 1)
  }

  @Test func `A port that is taken is one sentence`() throws {
    var source = try broadcast()
    let link = try link(of: &source)
    guard let port = link.split(separator: "/")[1].split(separator: ":").last else { return }
    let result = try run(
      built("freshet"),
      ["broadcast", Self.clip, "--listen", "udp://127.0.0.1:\(port)"]
    )
    #expect(result.status == 1)
    #expect(result.errors.contains("address already in use"))
    _ = consume source
  }

  @Test func `A relay that is killed costs its viewers nothing`() throws {
    let folder = try TemporaryDirectory()
    var source = try broadcast(["--topology", "tree:fanout=1", "--duration", "7s"])
    let link = try link(of: &source)
    var first = try join(link, ["--output", folder.file("1.ts")])
    try first.waitForComplaint("fed by")
    var second = try join(link, ["--output", folder.file("2.ts"), "--stats", folder.file("2.json")])
    try second.waitForComplaint(", 2 from the source")
    try second.waitForComplaint("first frame after")
    first.signal(SIGKILL)
    try second.waitForComplaint(", 1 from the source")
    #expect(try source.wait() == 0, "\(source.complaint)")
    #expect(try second.wait() == 0, "\(second.complaint)")
    expectRun(try pictures(folder.file("2.ts")), of: try pictures(Self.clip), atLeast: 50)
    #expect(try last("lost", in: folder.file("2.json")) == 0)
    #expect(try first.wait() == 137)
  }

  @Test func `Watching starts a player, and closing it ends the viewer`() throws {
    let folder = try TemporaryDirectory()
    let player = folder.file("ffplay")
    try write(Array("#!/bin/sh\nhead -c 188000 > \(folder.file("seen.ts"))\n".utf8), to: player)
    #expect(unsafe chmod(player, 0o755) == 0)
    var source = try broadcast(["--loop"])
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
    let result = try run(
      built("freshet"),
      ["join", link(of: &source), "--play"],
      environment: ["PATH": folder.path + ":" + path]
    )
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.errors.contains("was closed"))
    #expect(try contents(of: folder.file("seen.ts")).count == 188_000)
    source.signal(SIGINT)
    #expect(try source.wait(within: .seconds(8)) == 0)
  }

  @Test func `When each chunk was made and came can be kept, by one clock for all`() throws {
    let folder = try TemporaryDirectory()
    var source = try Program(
      built("freshet"),
      [
        "broadcast", "null:500k", "--listen", "udp://127.0.0.1:0", "--chunk-times", folder.file("made"),
        "--duration", "2s", "--quiet",
      ]
    )
    let link = try link(of: &source)
    let viewer = try run(
      built("freshet"),
      ["join", link, "--chunk-times", folder.file("here"), "--patience", "1s"]
    )
    #expect(viewer.status == 0, "\(viewer.errors)")
    #expect(try source.wait() == 0)
    func lines(_ name: String) throws -> [[Int]] {
      let lines = String(decoding: try contents(of: folder.file(name)), as: UTF8.self).split(separator: "\n")
      #expect(lines.first == "chunk,here,out,entry")
      return lines.dropFirst().map { $0.split(separator: ",").compactMap { Int($0) } }
    }
    let made = try lines("made")
    let here = try lines("here")
    #expect(made.count > 60 && here.count > 20)
    #expect(made.allSatisfy { $0.count == 4 } && here.allSatisfy { $0.count == 4 })
    let times = Dictionary(uniqueKeysWithValues: made.map { ($0[0], $0[1]) })
    for line in here {
      let time = try #require(times[line[0]])
      #expect(line[1] > time && line[2] >= line[1])
    }
    #expect(here.contains { $0[3] == 1 })
  }
}
