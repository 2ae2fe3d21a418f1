import Glibc
import Support
import Testing

/// `freshet plugin new`, and what the README says about it.
@Suite struct PluginPackageTests {
  private func make(_ name: String, in folder: String) throws -> RunResult {
    try run("sh", ["-c", "cd \"$0\" && exec \"$1\" plugin new \"$2\"", folder, built("freshet"), name])
  }

  @Test(arguments: [
    ("garland", "'garland' is no name for a topology"), ("Gar-land", "is no name for a topology"),
    ("", "is no name for a topology"), ("../Up", "is no name for a topology"),
    ("Topology", "'Topology' is the name of something that every plugin uses"),
    ("Tree", "there is a topology called 'tree' already"),
  ]) func `a bad name is one sentence, and nothing is written`(name: String, reason: String) throws {
    let folder = try TemporaryDirectory()
    let result = try make(name, in: folder.path)
    #expect(result.status == 64)
    #expect(result.errors.contains(reason) && result.errors.split(separator: "\n").count == 1)
    #expect(try run("ls", ["-A", folder.path]).text == "")
  }

  @Test func `a folder that exists and one that cannot be written are one sentence each`() throws {
    let folder = try TemporaryDirectory()
    #expect(unsafe mkdir(folder.file("Garland"), 0o755) == 0)
    let taken = try make("Garland", in: folder.path)
    #expect(taken.status == 1 && taken.errors == "freshet: Garland cannot be written: File exists\n")
    let nowhere = try make("Garland", in: "/proc")
    #expect(nowhere.status == 1)
    #expect(nowhere.errors.hasPrefix("freshet: Garland cannot be written: "))
  }

  /// The lines of the README's page that are typed.
  private func commands() throws -> [String] {
    let lines = String(decoding: try contents(of: Workshop.root + "/README.md"), as: UTF8.self)
      .split(separator: "\n", omittingEmptySubsequences: false)
    let start = try #require(lines.firstIndex(of: "### Your topology in fifteen minutes"))
    return lines[(start + 1)...].prefix { !$0.hasPrefix("#") }
      .filter { line in ["freshet ", "swift ", "cd "].contains { line.hasPrefix("    " + $0) } }
      .map { String($0.dropFirst(4)) }
  }

  @Test func `the README is followed to the letter`() throws {
    let commands = try commands()
    #expect(commands.first == "freshet plugin new Garland" && commands.count == 8)
    // What was compiled last time is kept.
    let folder = Workshop.root + "/.build/fifteen-minutes"
    try shell("mkdir -p \"$0\" && cd \"$0\" && rm -rf kept && mv Garland/.build kept; rm -rf Garland", folder)
    var script = commands[0] + "\nif [ -d kept ]; then mv kept Garland/.build; fi\n"
    #if DEBUG
      script += commands[1..<4].joined(separator: "\n")
      let worlds = "4"
    #else
      script += commands[1..<6].joined(separator: "\n")
      let worlds = "500"
    #endif
    let result = try run(
      "sh",
      [
        "-ec", "cd \"$0\" && rm -rf Garland/lab-* && PATH=\"$1:$PATH\"\n" + script, folder, Workshop.products,
      ],
      environment: ["FRESHET_SEEDS": worlds]
    )
    #expect(result.status == 0, "\(result.text)\(result.errors)")
    #expect(result.text.contains("it claims no duplicates, no loops, no more children than fanout"))
    #expect(result.text.contains("\(worlds) worlds could not prove it wrong"))
    #if !DEBUG
      #expect(result.text.contains("\ngarland ") && result.text.contains("\ntree "))
      try broadcast(commands[6], commands[7], in: folder)
    #endif
  }

  /// Sends a clip, and records it at another peer.
  private func broadcast(_ sender: String, _ viewer: String, in folder: String) throws {
    try shell(
      "cd \"$0\" && ffmpeg -loglevel error -y -f lavfi -i testsrc2=size=320x180:rate=25 -t 8 -c:v libx264 -preset ultrafast -pix_fmt yuv420p game.mp4",
      folder
    )
    let setup = "cd \"$0/Garland\" && rm -f match.ts && PATH=\"$1:$PATH\" && exec "
    var source = try Program(
      "/bin/sh",
      ["-c", setup + sender, folder, Workshop.products],
      environment: ["FRESHET_LISTEN": "udp://127.0.0.1:0"]
    )
    let link = try #require(try source.line())
    let text = setup + viewer.replacing("LINK", with: link)
    var recorder = try Program("/bin/sh", ["-c", text, folder, Workshop.products])
    #expect(try recorder.wait(within: .seconds(60)) == 0, "\(recorder.complaint)")
    #expect(try source.wait(within: .seconds(60)) == 0, "\(source.complaint)")
    #expect(try contents(of: folder + "/Garland/match.ts").count > 100_000)
  }

  private func shell(_ script: String, _ folder: String) throws {
    let result = try run("sh", ["-c", script, folder])
    #expect(result.status == 0, "\(result.errors)")
  }
}
