import Glibc
import Support
import Testing

@testable import freshet

/// What a researcher types.
struct LabCommandTests {
  @Test func `The scenarios that ship are listed, and printed with their comments`() throws {
    let list = try run(built("freshet"), ["lab", "scenarios"])
    #expect(list.status == 0)
    #expect(list.text.contains("churn           Mean life of 60 s"))
    let one = try run(built("freshet"), ["lab", "scenarios", "churn"])
    #expect(one.text.hasPrefix("// Peers stay for a minute"))
  }

  @Test(arguments: [
    (["lab", "scenarios", "chrun"], "there is no scenario 'chrun'; did you mean churn?"),
    (["lab", "run", "zzzzzz", "--topology", "tree"], "'freshet lab scenarios' lists them"),
    (["lab", "run", "churn"], "--topology A,B,… is missing"),
    (["lab", "run", "churn", "--topology", "trie"], "--topology: there is no topology 'trie'"),
    (["lab", "run", "churn", "--topology", "tree:fan=2"], "--topology: the topology 'tree'"),
    (["lab", "run", "churn", "--topology", "tree,,"], "'': this names no topology"),
    (["lab", "run", "churn", "--topology", "tree", "--seeds", "0"], "--seeds: '0' is no number of seeds"),
    (
      ["lab", "run", "churn", "--topology", "tree", "--seeds", "9-3"], "--seeds: '9-3' is no number of seeds"
    ),
    (["lab", "run", "churn", "--topology", "tree", "--peers", "-1"], "--peers: '-1' is no number of peers"),
    (["lab", "run", "churn", "--topology", "tree", "--fidelity", "x"], "write chunk or packet"),
    (
      ["lab", "run", "no/such.json5", "--topology", "tree"], "no/such.json5: it cannot be read: No such file"
    ),
    (["lab", "run", "swap", "--topology", "tree"], "which only whole peers can: add --fidelity packet"),
    (["lab", "rn"], "only 'lab run', "),
  ]) func `What it cannot mean is one sentence and exit 64`(arguments: [String], reason: String) throws {
    let result = try run(built("freshet"), arguments)
    #expect(result.status == 64)
    #expect(result.errors.contains(reason) && result.errors.hasPrefix("freshet: "), "\(result.errors)")
    #expect(result.errors.split(separator: "\n").count == 1)
  }

  @Test func `Runs end in a table and a folder that runs them again`() throws {
    let folder = try TemporaryDirectory()
    let scenario = """
      { summary: "tiny", stream: { rate: "100 kbit/s", deadline: "1 s" }, source: { upload: "4 r" }, peers: 3,
        groups: [{ upload: "3 r" }],
        phases: { ramp: "500 ms", settle: "1 s", measure: "2 s", drain: "1 s" } }
      """
    let mixed = "{ parts: [{ topology: 'tree', share: 0.5 }, { topology: 'chain', share: 0.5 }] }"
    try write(scenario, folder.file("tiny.json5"))
    try write(mixed, folder.file("mixed.json5"))
    let output = folder.file("out")
    let result = try run(
      built("freshet"),
      [
        "lab", "run", folder.file("tiny.json5"), "--topology",
        "tree:fanout=2,\(folder.file("mixed.json5")),chain",
        "--seeds", "2", "--fidelity", "packet", "--output", output,
      ]
    )
    #expect(result.status == 0, "\(result.errors)")
    let lines = result.text.split(separator: "\n")
    #expect(lines[0].hasPrefix("composition    seeds  delivered %"))
    #expect(lines[1].hasPrefix("tree:fanout=2  2      100.000"))
    #expect(lines[2].hasPrefix("mixed ") && lines[3].hasPrefix("chain "))
    #expect(try read(output + "/table.txt") == result.text)
    #expect(try read(output + "/tiny.json5") == scenario)
    #expect(try read(output + "/compositions/mixed.json5") == mixed)
    #expect(try read(output + "/runs.ndjson").split(separator: "\n").count == 6)
    #expect(try read(output + "/runs.csv").split(separator: "\n").count == 7)

    let again = try run(output + "/rerun", [], environment: ["FRESHET": built("freshet")])
    #expect(again.status == 0, "\(again.errors)")
    #expect(again.text.hasSuffix("all 6 runs went the same way\n"))

    let taken = try run(
      built("freshet"),
      ["lab", "run", "churn", "--topology", "tree", "--output", output]
    )
    #expect(taken.status == 1)
    #expect(taken.errors == "freshet: \(output) cannot be written: File exists\n")
  }

  @Test func `Interrupted, it keeps what is finished and says so`() throws {
    let folder = try TemporaryDirectory()
    let output = folder.file("out")
    var program = try Program(
      built("freshet"),
      [
        "lab", "run", "churn", "--topology", "tree", "--fidelity", "packet", "--peers", "1", "--output",
        output,
      ]
    )
    try program.waitForComplaint("of 20 runs")
    program.signal(SIGINT)
    #expect(try program.wait() == 1)
    #expect(program.complaint.contains("interrupted: "))
    #expect(try read(output + "/table.txt").hasPrefix("composition"))
  }

  @Test(arguments: [(900.0, "1 s"), (61_000, "1 min 1 s"), (3_661_000, "1 h 1 min")])
  func `Time left is short`(milliseconds: Double, text: String) {
    #expect(LabRun.time(milliseconds) == text)
  }

  private func write(_ text: String, _ path: String) throws { try Support.write(Array(text.utf8), to: path) }

  private func read(_ path: String) throws -> String {
    String(decoding: try contents(of: path), as: UTF8.self)
  }
}
