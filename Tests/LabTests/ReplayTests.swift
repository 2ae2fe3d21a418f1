import JSON5
import PluginKit
import Support
import Testing
import Tree

@testable import Lab

@Suite struct `A recording of a swarm` {
  /// What a peer writes that is there for `seconds`, from `start` on.
  private static func recording(
    _ peer: String,
    role: String = "relay",
    upload: String = "2500000",
    from start: Int = 0,
    seconds: Int = 20,
    depth: Int = 1,
    left: Bool = false,
    links: [(peer: String, trip: Int)]
  ) -> String {
    let zero = 1_700_000_000_000 + start * 1000
    var text = """
      {"freshet_events":1,"at":\(zero),"peer":"\(peer)","role":"\(role)","upload":\(upload),"chunk":1316,\
      "window":1000,"patience_ms":2000}

      """
    for second in 1...seconds {
      let all = links.map { "[\"\($0.peer)\",\($0.trip),\(second * 1000),\(second * 20),2500000]" }
      text += """
        {"at":\(zero + second * 1000),"rate":1000000,"depth":\(depth),"parent":"source","out":\(second * 1000),\
        "links":[\(all.joined(separator: ","))]}

        """
    }
    if left { text += "{\"at\":\(zero + seconds * 1000 + 10),\"left\":true}\n" }
    return text
  }

  private static func plan(_ texts: [String]) throws -> Plan {
    try Replay.plan(
      try texts.enumerated().map { try Recording(Array($1.utf8), file: "\($0).ndjson") },
      name: "swarm"
    )
  }

  @Test func `becomes a plan with its peers, times, uploads, ways and losses`() throws {
    let plan = try Self.plan([
      Self.recording(
        "source",
        role: "source",
        upload: "4000000",
        depth: 0,
        links: [("a", 40_000), ("b", 60_000)]
      ),
      Self.recording("a", from: 2, seconds: 18, links: [("source", 44_000), ("c", 10_000)]),
      Self.recording("b", upload: "null", from: 5, seconds: 6, left: true, links: [("source", 60_000)]),
    ])
    #expect(plan.peers.map(\.role) == [.source, .relay, .relay, .relay])
    #expect(plan.peers.map(\.joins) == [.zero, .seconds(2), .seconds(3), .seconds(5)])
    #expect(plan.peers[1].goes == nil && plan.peers[2].goes == nil)
    #expect(plan.peers[3].goes == .milliseconds(11_010) && plan.peers[3].isGraceful)
    #expect(plan.peers.map(\.access.upload) == [4_000_000, 2_500_000, 2_500_000, 0])
    #expect(plan.scenario.stream.rate == 1_000_000 && plan.scenario.stream.deadline == .seconds(2))
    #expect(plan.scenario.phases.end == .seconds(20))
    #expect(plan.scenario.weather.loss == 0.02)
    // The least round trip that either side saw; between b and c, who never met, what the triangles allow.
    #expect(plan.latency(0, 1) == 20_000_000 && plan.latency(1, 0) == 20_000_000)
    #expect(plan.latency(1, 2) == 5_000_000)
    #expect(plan.latency(1, 3) == 30_000_000)
  }

  @Test func `runs under another topology, the same way each time`() throws {
    let links = [("source", 40_000)]
    let names = ["a", "b", "c", "d"]
    let source = Self.recording(
      "source",
      role: "source",
      upload: "4000000",
      seconds: 12,
      depth: 0,
      links: names.map { ($0, 40_000) }
    )
    let plan = try Self.plan([source] + names.map { Self.recording($0, from: 1, seconds: 11, links: links) })
    func run() throws -> Measurement {
      var world = try ChunkWorld(plan, Composition(name: "tree", parts: [.init("tree")])) {
        _,
        parameters throws(ParameterError) in
        try Tree(parameters: Parameters(parameters, declared: Tree.manifest.parameters))
      }
      return world.run()
    }
    let measurement = try run()
    #expect(measurement.joins == 4 && measurement.expected > 1000)
    #expect(measurement.delivered > 0.9)
    #expect(try run().trace == measurement.trace)
  }

  @Test func `without the source's own is told by those right below it, or refused`() throws {
    let plan = try Self.plan([Self.recording("a", links: [("source", 40_000)])])
    #expect(plan.peers.map(\.role) == [.source, .relay])
    let sentences = [
      ([Self.recording("a", depth: 2, links: [])], "0.ndjson: nobody was right below the source"),
      (
        [Self.recording("a", links: []), Self.recording("a", links: [])],
        "two of these recordings are of the same peer"
      ),
      (
        [Self.recording("x", role: "source", links: []), Self.recording("y", role: "source", links: [])],
        "two sources, x and y"
      ),
      ([Self.recording("a", seconds: 1, links: [])], "the recording is 1.0 s long"),
    ]
    for (texts, sentence) in sentences {
      let error = #expect(throws: FileError.self) { try Self.plan(texts) }
      #expect(error?.description.contains(sentence) == true, "\(error?.description ?? "")")
    }
  }

  @Test(arguments: [
    ("", "x:1:1: this is no recording: it has no whole line"),
    ("{\"a\":1}\n", "x:1:1: this is no recording"),
    ("hello\n", "x:1:1: "),
    ("{\"freshet_events\":2}\n", "x:1:1: a recording of version 2"),
    ("\(head)nonsense\n", "x:2:1: "),
    ("\(head){\"at\":1}\n", "x:2:1: its time is before"),
    ("\(head){\"at\":1700000001000}\n", "x:2:1: a second needs the key 'rate'"),
    ("\(head)\(second)\(second.replacing("[]", with: "[[1]]"))", "x:3:71: links takes links with a peer"),
    ("\(head)\(second.replacing("\"rate\":1", with: "\"rate\":-1"))", "x:2:28: rate takes a whole number"),
    ("\(head){\"at\":1700000001000,\"left\":true}\n\(second)", "x:3:1: the peer has left already"),
  ])
  func `that is none is one sentence with its line`(text: String, sentence: String) {
    let error = #expect(throws: FileError.self) { try Recording(Array(text.utf8), file: "x") }
    #expect(error?.description.hasPrefix(sentence) == true, "\(error?.description ?? "")")
  }

  private static let head = """
    {"freshet_events":1,"at":1700000000000,"peer":"a","role":"relay","upload":null,"chunk":1316,"window":9,\
    "patience_ms":2000}

    """
  private static let second = """
    {"at":1700000001000,"rate":1,"depth":1,"parent":null,"out":5,"links":[]}

    """

  @Test func `that is cut off anywhere is read to its last whole line`() throws {
    let text = Array(Self.recording("a", seconds: 4, left: true, links: [("source", 40_000)]).utf8)
    let lines = text.indices.filter { text[$0] == 0x0A }
    for end in stride(from: 0, through: text.count, by: 7) {
      let whole = lines.count { $0 < end }
      let recording = try? Recording(Array(text[..<end]), file: "x")
      #expect((recording == nil) == (whole == 0), "\(end) bytes")
      #expect(recording.map { $0.moments.count + ($0.left == nil ? 0 : 1) } ?? 0 == max(0, whole - 1))
    }
  }

  @Test(arguments: 0..<200 as Range<UInt64>)
  func `with garbage in it is a sentence or a plan, never a trap`(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var bytes = Array(Self.recording("a", seconds: 5, links: [("source", 40_000), ("b", 1)]).utf8)
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      // Digits make numbers that are too great sooner than other bytes do.
      bytes[Int.random(in: bytes.indices, using: &random)] =
        Bool.random(using: &random)
        ? UInt8.random(in: 0x30...0x39, using: &random) : UInt8.random(in: 0...255, using: &random)
    }
    guard let recording = try? Recording(bytes, file: "x") else { return }
    if let plan = try? Replay.plan([recording], name: "x") {
      #expect(plan.peers.allSatisfy { $0.joins <= plan.scenario.phases.end }, "seed \(seed)")
    }
  }
}
