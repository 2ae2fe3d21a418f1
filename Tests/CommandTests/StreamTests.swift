import FoundationEssentials
import Glibc
import Support
import Testing

/// Whole streams between real processes over UDP on loopback.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct StreamTests {
  private let folder: Folder
  private let freshet: String
  private let clip: String

  /// The last line of a statistics file.
  private struct Counts: Decodable {
    var chunks_in: UInt64
    var chunks_out: UInt64
    var verified: UInt64
    var lost: UInt64
    var rejected: UInt64
    var children: Int
    var depth: Int?
    var parent: String?
    var id: String?
    var first_frame_ms: Double?
    var first_frame_bytes: Int?
  }

  /// A directory that lives as long as the test.
  private final class Folder: Sendable {
    let path: String

    init() throws {
      var template = Array("/tmp/freshet-stream-XXXXXX".utf8CString)
      guard let made = unsafe mkdtemp(&template) else {
        throw RunError(description: "no temporary directory")
      }
      path = unsafe String(cString: made)
    }

    deinit { _ = try? run("rm", ["-rf", path]) }
  }

  init() throws {
    folder = try Folder()
    freshet = try built("freshet")
    // This file lies in Tests/CommandTests.
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    clip = "/" + root + "/Media/clock.mp4"
  }

  private func file(_ name: String) -> String { folder.path + "/" + name }

  private func broadcast(_ arguments: [String]) throws -> Program {
    try Program(
      freshet,
      ["broadcast", clip, "--listen", "udp://127.0.0.1:0", "--stats", file("source.json")] + arguments
    )
  }

  private func join(_ link: String, _ name: String, _ arguments: [String] = []) throws -> Program {
    try Program(
      freshet,
      ["join", link, "--output", file("\(name).ts"), "--stats", file("\(name).json")] + arguments
    )
  }

  private func link(_ program: inout Program) throws -> String {
    guard let line = try program.line(), line.hasPrefix("ppspp://") else {
      throw RunError(description: "no link: \(program.complaint)")
    }
    return line
  }

  private func counts(_ name: String) throws -> Counts {
    let lines = try contents(of: file("\(name).json")).split(separator: UInt8(ascii: "\n"))
    guard let last = lines.last else { throw RunError(description: "no statistics of \(name)") }
    return try JSONDecoder().decode(Counts.self, from: Data(last))
  }

  /// Waits until a viewer's statistics say something; they come once a second.
  private func wait(for name: String, until isTrue: (Counts) -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(20)
    var nothing = pollfd(fd: -1, events: 0, revents: 0)
    while ContinuousClock.now < deadline {
      if let counts = try? counts(name), isTrue(counts) { return }
      unsafe poll(&nothing, 1, 50)
    }
    throw RunError(description: "\(name) never came so far")
  }

  /// The MD5s of the decoded video frames; nothing may go wrong in decoding.
  private func frames(_ path: String) throws -> [Substring] {
    let result = try run("ffmpeg", ["-v", "error", "-i", path, "-map", "0:v:0", "-f", "framemd5", "-"])
    #expect(result.errors == "", "\(path)")
    #expect(result.status == 0)
    return result.text.split(separator: "\n").filter { !$0.hasPrefix("#") }
      .compactMap { $0.split(separator: " ").last }
  }

  /// Whether `part` is a run of `whole` repeated.
  private func isRun(_ part: [Substring], of whole: [Substring]) -> Bool {
    whole.indices.contains { start in
      part.indices.allSatisfy { part[$0] == whole[(start + $0) % whole.count] }
    }
  }

  @Test func `A viewer whose parent is killed finds another and loses nothing`() throws {
    var source = try broadcast(["--topology", "chain", "--duration", "9s"])
    let link = try link(&source)
    let first = try join(link, "first")
    try wait(for: "first") { $0.depth == 1 }
    var second = try join(link, "second")
    try wait(for: "second") { $0.depth == 2 && $0.chunks_in > 0 }
    first.signal(SIGKILL)
    try wait(for: "second") { $0.depth == 1 }
    #expect(try second.wait() == 0, "\(second.complaint)")
    #expect(try source.wait() == 0, "\(source.complaint)")
    #expect(isRun(try frames(file("second.ts")), of: try frames(clip)))
    #expect(try counts("second").lost == 0)
  }

  @Test func `With a key file the link stays, and no two broadcasts share the key`() throws {
    let key = file("my.key")
    #expect(try run(freshet, ["key", "generate", key]).status == 0)
    var first = try broadcast(["--key", key, "--loop"])
    let id = try link(&first).split(separator: "/")[2].split(separator: "?")[0]
    let second = try run(freshet, ["broadcast", clip, "--key", key, "--listen", "udp://127.0.0.1:0"])
    #expect(second.status == 1)
    #expect(second.errors.contains("another broadcast is using the key"), "\(second.errors)")
    first.signal(SIGINT)
    #expect(try first.wait() == 0)
    var third = try broadcast(["--key", key, "--duration", "1s"])
    #expect(try link(&third).split(separator: "/")[2].hasPrefix(id + "?"))
    #expect(try third.wait() == 0)
  }

  @Test func `An unknown topology or a parameter out of range is one line and exit 64`() throws {
    for (topology, reason) in [("star", "star"), ("tree:fanout=0", "fanout"), ("tree:fanuot=2", "fanuot")] {
      let result = try run(
        freshet,
        ["broadcast", clip, "--listen", "udp://127.0.0.1:0", "--topology", topology]
      )
      #expect(result.status == 64, "\(topology)")
      #expect(result.errors.hasPrefix("freshet: ") && result.errors.contains(reason), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
    }
  }

  @Test func `A file that is no plugin is one line and exit 64`() throws {
    try write(Array("no library".utf8), to: file("libFake.so"))
    for path in [file("libFake.so"), file("nothing.so"), "/dev/null", folder.path, clip] {
      for arguments in [["plugins"], ["broadcast", clip], ["broadcast", file("none")]] {
        let result = try run(freshet, arguments + ["--plugin", path])
        #expect(result.status == 64, "\(path)")
        #expect(result.text == "")
        #expect(result.errors.hasPrefix("freshet: ") && result.errors.contains(path), "\(result.errors)")
        #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
      }
    }
    let folders = try run(freshet, ["plugins"], environment: ["FRESHET_PLUGIN_PATH": file("nowhere")])
    #expect(folders.status == 64, "\(folders.errors)")
  }

  @Test func `The plugins that come with it are listed`() throws {
    let result = try run(freshet, ["plugins"])
    #expect(result.status == 0)
    #expect(result.errors == "")
    for name in [
      "topology tree ", "topology chain ", "transport udp ", "discovery static ", "fanout=8", "1...64",
    ] {
      #expect(result.text.contains(name), "\(name)")
    }
  }

  @Test func `A statistics file that cannot be written is one line and exit 1`() throws {
    let result = try run(freshet, ["broadcast", clip, "--stats", "/nowhere/x.json"])
    #expect(result.status == 1)
    #expect(
      result.errors == "freshet: --stats: /nowhere/x.json cannot be written: No such file or directory\n"
    )
  }

  @Test func `Each second has a line of statistics, and the viewer says when it saw the first frame`() throws
  {
    var source = try broadcast(["--duration", "4s"])
    let link = try link(&source)
    var viewer = try join(link, "viewer")
    #expect(try viewer.wait() == 0, "\(viewer.complaint)")
    #expect(try source.wait() == 0, "\(source.complaint)")
    for name in ["source", "viewer"] {
      let text = String(decoding: try contents(of: file("\(name).json")), as: UTF8.self)
      #expect(text.hasSuffix("}\n"))
      #expect((4...7).contains(text.split(separator: "\n").count), "\(text)")
    }
    #expect(viewer.complaint.contains("first frame after "))
    let (sent, got) = (try counts("source"), try counts("viewer"))
    #expect(got.parent == sent.id)
    #expect(got.depth == 1)
    #expect(got.chunks_in > 50)
    #expect(got.verified >= got.chunks_in)
    #expect(got.lost == 0)
    #expect((got.first_frame_ms ?? .infinity) < 3000)
    #expect((got.first_frame_bytes ?? 0) > 1000)
  }
}
