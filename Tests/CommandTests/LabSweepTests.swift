import Support
import Testing

@testable import freshet

/// Experiments as single commands, and one result of them.
struct LabSweepTests {
  private static let scenario = """
    { summary: "tiny", stream: { rate: "100 kbit/s", deadline: "1 s" }, source: { upload: "4 r" }, peers: 4,
      groups: [{ upload: "3 r" }],
      phases: { ramp: "500 ms", settle: "500 ms", measure: "1 s", drain: "500 ms" } }
    """
  private static let mixed =
    "{ parts: [{ topology: 'tree', share: 0.5 }, { topology: 'chain', share: 0.5 }] }"

  @Test func `Done one by one, merged runs show what one command shows`() throws {
    let folder = try TemporaryDirectory()
    let inputs = [folder.file("tiny.json5"), folder.file("mixed.json5")]
    try write(Self.scenario, inputs[0])
    try write(Self.mixed, inputs[1])
    let what = [inputs[0], "--topology", "tree:fanout=2,\(inputs[1])", "--seeds", "2-3"]
    let plan = folder.file("plan")
    let planned = try run(built("freshet"), ["lab", "plan"] + what + ["--output", plan])
    #expect(planned.status == 0, "\(planned.errors)")
    #expect(planned.text.hasPrefix("4 runs are planned in \(plan).\n"))
    let environment = ["FRESHET": try built("freshet"), "SLURM_SUBMIT_DIR": plan]

    // As Slurm does it; the last task has not run.
    for task in 1...3 {
      let done = try run(
        "\(plan)/slurm",
        [],
        environment: environment.merging(["SLURM_ARRAY_TASK_ID": String(task)]) { $1 }
      )
      #expect(done.status == 0, "\(done.errors)")
    }
    let early = try run(built("freshet"), ["lab", "merge", plan, "--output", folder.file("early")])
    #expect(early.status == 1)
    #expect(early.errors.contains("tiny: 1 of 4 runs missing: mixed 3\n"), "\(early.errors)")
    #expect(early.errors.hasSuffix("freshet: 1 run is missing; the rest is merged\n"))
    let missing = try read("\(plan)/missing-tiny")
    #expect(missing.split(separator: "\n").count == 1 && missing.contains("--seeds 3-3"))
    let madeUp = try run("/bin/sh", ["-c", "cd '\(plan)' && sh missing-tiny"], environment: environment)
    #expect(madeUp.status == 0, "\(madeUp.errors)")

    let merged = try run(built("freshet"), ["lab", "merge", plan, "--output", folder.file("all")])
    #expect(merged.status == 0, "\(merged.errors)")
    let one = try run(built("freshet"), ["lab", "run"] + what + ["--output", folder.file("one")])
    #expect(merged.text == one.text)
    for file in ["runs.csv", "traces.txt", "experiment.json", "tiny.json5", "compositions/mixed.json5"] {
      #expect(try read(folder.file("all/" + file)) == read(folder.file("one/" + file)), "\(file)")
    }

    // What is there twice is taken once, unless it went two ways.
    let twice = try run(
      built("freshet"),
      ["lab", "merge", plan, folder.file("one"), "--output", folder.file("twice")]
    )
    #expect(twice.status == 0 && twice.text == one.text)
    #expect(twice.errors.contains("mixed, seed 3, is there twice, with the same outcome"))
    let lines = folder.file("one/runs.ndjson")
    let trace = try #require(try read(lines).firstMatch(of: /"trace":"[0-9a-f]{16}"/)?.output)
    try write(try read(lines).replacing(trace, with: "\"trace\":\"0123456789abcdef\""), lines)
    let torn = try run(
      built("freshet"),
      ["lab", "merge", plan, folder.file("one"), "--output", folder.file("torn")]
    )
    #expect(torn.status == 1)
    #expect(torn.errors.contains("went two ways"), "\(torn.errors)")
  }

  @Test(arguments: [
    (["lab", "merge", "/"], 1, "/: neither 'freshet lab plan' nor 'freshet lab run' wrote this"),
    (["lab", "merge"], 64, "'lab merge' needs FOLDER"),
    (["lab", "plan", "churn"], 64, "--topology A,B,… is missing"),
    (["lab", "plan", "churn", "churn", "--topology", "tree"], 64, "two scenarios are called 'churn'"),
    (["lab", "plan", "churn", "--topology", "trie"], 64, "there is no topology 'trie'"),
    (["lab", "plan", "churn", "--topology", "tree", "--output", "/"], 1, "/ cannot be written: File exists"),
  ]) func `What cannot be is one sentence`(arguments: [String], status: Int32, reason: String) throws {
    let result = try run(built("freshet"), arguments)
    #expect(result.status == status)
    #expect(result.errors.contains(reason) && result.errors.hasPrefix("freshet: "), "\(result.errors)")
    #expect(result.errors.split(separator: "\n").count == 1)
  }

  @Test func `Commands survive names that a shell reads otherwise`() {
    #expect("it's".quotedForShell == "'it'\\''s'")
    #expect("tree:fanout=2".quotedForShell == "tree:fanout=2")
    #expect("".quotedForShell == "''")
  }

  private func write(_ text: String, _ path: String) throws { try Support.write(Array(text.utf8), to: path) }

  private func read(_ path: String) throws -> String {
    String(decoding: try contents(of: path), as: UTF8.self)
  }
}
