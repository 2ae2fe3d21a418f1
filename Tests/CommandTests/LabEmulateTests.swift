import Emulator
import Glibc
import Support
import Testing

@testable import freshet

/// Real peers in namespaces, recorded and replayed.
@Suite(.serialized) struct LabEmulateTests {
  private static let scenario = """
    { summary: "tiny", stream: { rate: "200 kbit/s", chunk: 1316, deadline: "1 s" }, source: { upload: "4 r" }, peers: 2,
      groups: [{ upload: "3 r" }], latency: { least: "5 ms", greatest: "10 ms" }, weather: { loss: "1 %" },
      phases: { ramp: "500 ms", settle: "500 ms", measure: "1500 ms", drain: "1 s" } }
    """

  /// Whether this user may make namespaces on this machine.
  private static let isAllowed = Testbed.obstacle == nil

  private static func spaces() throws -> [String] {
    try run("ip", ["netns", "list"]).text.split(separator: "\n").filter { $0.hasPrefix("freshet-lab-") }
      .map { String($0.prefix { $0 != " " }) }
  }

  @Test(.enabled(if: isAllowed, "this needs root, network namespaces, /dev/net/tun, ip, tc and nft"))
  func `Real peers are measured beside simulated ones, and leave nothing behind`() throws {
    let folder = try TemporaryDirectory()
    let file = folder.file("tiny.json5")
    try Support.write(Array(Self.scenario.utf8), to: file)
    // What one that was killed left; no process has so great a number.
    let stale = "freshet-lab-2000000000-0"
    _ = try run("ip", ["netns", "add", stale])
    let output = folder.file("out")
    let result = try run(
      built("freshet"),
      ["lab", "emulate", file, "--topology", "tree", "--output", output]
    )
    #expect(result.status == 0, "\(result.errors)")
    #expect(
      result.text.contains("tree simulated  1      ") && result.text.contains("tree emulated   1      ")
    )
    let delivered = result.text.split(separator: "\n").first { $0.contains("  delivered  ") }
    #expect(delivered?.contains("± 0.5 points") == true, "\(result.text)")
    let runs = String(decoding: try contents(of: output + "/runs.ndjson"), as: UTF8.self).split(
      separator: "\n"
    )
    try #require(runs.count == 2, "\(result.errors)")
    #expect(runs[1].contains("\"fidelity\":\"emulated\""))
    // All that was expected came, unless this machine had no time at all for its peers.
    #expect(!runs[1].contains("\"in_time\":0,"), "\(runs[1])")
    #expect(
      String(decoding: try contents(of: output + "/report.html"), as: UTF8.self).contains(
        "Simulated and real"
      )
    )
    let left = try Self.spaces()
    #expect(!left.contains(stale))
    #expect(left.allSatisfy { name in isAlive(name) }, "\(left)")
  }

  @Test(.enabled(if: isAllowed, "this needs root, network namespaces, /dev/net/tun, ip, tc and nft"))
  func `Interrupted, it takes everything away`() throws {
    let folder = try TemporaryDirectory()
    let file = folder.file("tiny.json5")
    try Support.write(Array(Self.scenario.replacing("1500 ms", with: "60 s").utf8), to: file)
    var program = try Program(
      built("freshet"),
      ["lab", "emulate", file, "--topology", "tree", "--output", folder.file("out")]
    )
    try program.waitForComplaint("run 1 of 1")
    program.signal(SIGINT)
    #expect(try program.wait() == 1)
    #expect(program.complaint.contains("interrupted: 1 of 2 runs are in"))
    #expect(try Self.spaces().allSatisfy { name in isAlive(name) })
  }

  /// Whether the process that made a namespace is still there.
  private func isAlive(_ name: String) -> Bool {
    guard let process = pid_t(name.split(separator: "-")[2]) else { return false }
    return kill(process, 0) == 0
  }

  @Test(arguments: [
    (["lab", "emulate", "liars", "--topology", "tree"], "real peers do not lie"),
    (["lab", "emulate", "steady", "--topology", "tree"], "1000 peers come in all, and at most 255"),
    (["lab", "emulate", "steady", "--topology", "trie"], "there is no topology 'trie'"),
    (["lab", "replay", "/nowhere/x", "--topology", "tree"], "/nowhere/x: it cannot be read: No such file"),
    (
      ["lab", "replay", "/dev/null", "--topology", "tree"],
      "null:1:1: this is no recording: it has no whole line"
    ),
  ]) func `What it cannot mean is one sentence and exit 64`(arguments: [String], reason: String) throws {
    let result = try run(built("freshet"), arguments)
    #expect(result.status == 64)
    #expect(result.errors.contains(reason) && result.errors.hasPrefix("freshet: "), "\(result.errors)")
    #expect(result.errors.split(separator: "\n").count == 1)
  }

  @Test func `What happened to real peers is replayed under another topology`() throws {
    let folder = try TemporaryDirectory()
    let recordings = folder.file("swarm")
    #expect(unsafe mkdir(recordings, 0o777) == 0)
    var source = try Program(
      built("freshet"),
      [
        "broadcast", "null:500k", "--listen", "udp://127.0.0.1:0", "--record-events",
        recordings + "/a.ndjson",
        "--max-upload", "3M", "--duration", "5s", "--quiet",
      ]
    )
    let link = try #require(try source.line())
    var viewer = try Program(
      built("freshet"),
      ["join", link, "--listen", "udp://127.0.0.1:0", "--record-events", recordings + "/b.ndjson", "--quiet"]
    )
    #expect(try source.wait() == 0)
    #expect(try viewer.wait() == 0)
    let output = folder.file("out")
    let result = try run(
      built("freshet"),
      ["lab", "replay", recordings, "--topology", "tree,chain", "--seeds", "2", "--output", output]
    )
    #expect(result.status == 0, "\(result.errors)")
    let lines = result.text.split(separator: "\n")
    #expect(
      lines[1].hasPrefix("tree         2      100.000") && lines[2].hasPrefix("chain        2      100.000")
    )
    let again = try run(output + "/rerun", [], environment: ["FRESHET": built("freshet")])
    #expect(again.text.hasSuffix("all 4 runs went the same way\n"), "\(again.errors)")
  }
}
