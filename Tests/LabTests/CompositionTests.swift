import Lab
import Testing

private func list(_ text: String, files: [String: String] = [:]) throws(FileError) -> [Composition] {
  try Composition.list(text) { path throws(FileError) in
    guard let file = files[path] else { throw FileError("there is no such file", file: path) }
    return Array(file.utf8)
  }
}

private func refusal(_ text: String, files: [String: String] = [:]) -> String {
  do throws(FileError) {
    _ = try list(text, files: files)
    return "accepted"
  } catch {
    return error.description
  }
}

struct CompositionTests {
  @Test func `Commas separate compositions, but not the parameters of one`() throws {
    let compositions = try list("tree,striped:stripes=4,spare=no,pull,chain:depth=2")
    #expect(compositions.map(\.name) == ["tree", "striped:stripes=4,spare=no", "pull", "chain:depth=2"])
    #expect(compositions[1].parts == [.init("striped", parameters: "stripes=4,spare=no")])
    #expect(try list("tree,fanout=2").map(\.parts) == [[.init("tree", parameters: "fanout=2")]])
  }

  @Test func `A file gives parts with shares`() throws {
    let file =
      "{ parts: [{ topology: 'tree', parameters: 'fanout=2', share: '75 %' }, { topology: 'pull', share: 0.25 }] }"
    let compositions = try list("tree,a/half.json5", files: ["a/half.json5": file])
    #expect(compositions[1].name == "half")
    #expect(
      compositions[1].parts == [
        .init("tree", parameters: "fanout=2", share: 0.75), .init("pull", share: 0.25),
      ]
    )
  }

  @Test(arguments: [
    ("", "'': this names no topology"), ("tree,,pull", "'': this names no topology"),
    ("Tree", "'Tree': this names no topology"), ("=4", "'=4': this names no topology"),
    ("tree,tree", "'tree': this composition is named twice"), ("x.json5", "x.json5: there is no such file"),
    ("bad.json5", "bad.json5:1:19: unknown key 'topolgy' in a part; did you mean topology?"),
    ("half.json5", "half.json5:1:11: the shares of the parts add up to 50.0 %"),
    ("name.json5", "topology takes the name of a topology, not 'A B'"),
  ]) func `What cannot be meant is one sentence`(text: String, reason: String) {
    let files = [
      "bad.json5": "{ parts: [{       topolgy: 1 }] }",
      "half.json5": "{  parts: [{ topology: 'tree', share: 0.5 }] }",
      "name.json5": "{ parts: [{ topology: 'A B' }] }",
    ]
    let sentence = refusal(text, files: files)
    #expect(sentence.contains(reason), "\(sentence)")
  }

  @Test func `Not more are compared than can be looked at`() {
    let many = (0..<65).map { "t\($0)" }.joined(separator: ",")
    #expect(refusal(many).contains("at most 64 compositions"))
  }
}
