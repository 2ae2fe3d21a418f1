import Node
import PluginKit
import Testing

@Suite struct ManifestTests {
  func topology(_ parameters: [Parameter], claims: [Claim] = []) -> String? {
    Manifest(name: "star", version: "1.0.0", summary: "Shines", parameters: parameters, claims: claims)
      .problem(kind: "topology")
  }

  @Test func `a manifest that makes sense has no problem`() {
    #expect(
      topology(
        [
          Parameter("rays", .integer(1...9, default: 9), "How many"),
          Parameter("share", .number(0...1, default: 0.5), "How much"),
          Parameter("warm", .boolean(default: true), "Whether"),
          Parameter("wait", .duration(.zero ... .seconds(1), default: .zero), "How long"),
          Parameter("colour", .choice(["red", "blue"], default: "blue"), "Which"),
          Parameter("label", .text(limit: 5, default: ""), "Anything"),
        ],
        claims: [.fanOut(parameter: "rays"), .noLoops]
      ) == nil
    )
  }

  @Test(arguments: ["", "my star", "Star", "stern\u{301}", "a_b", "a\nb", String(repeating: "a", count: 33)])
  func `a name that no command line takes is refused`(name: String) throws {
    let manifest = Manifest(name: name, version: "1", summary: "Shines")
    let problem = try #require(manifest.problem(kind: "topology"))
    #expect(problem.hasPrefix("the name '") && !problem.contains("\n"))
  }

  @Test func `version and summary are one word and one line`() {
    for version in ["", "1 0", "1\n"] {
      #expect(
        Manifest(name: "a", version: version, summary: "b").problem(kind: "topology")?
          .hasPrefix("the version '") == true
      )
    }
    for summary in ["", "a\nb", String(repeating: "x", count: 201)] {
      #expect(
        Manifest(name: "a", version: "1", summary: summary).problem(kind: "topology")
          == "the summary is not one line of at most 200 bytes"
      )
    }
  }

  @Test(arguments: [
    Parameter.Kind.integer(1...9, default: 10),
    .number(0...1, default: 1.5), .number(0 ... .infinity, default: 1),
    .duration(.zero ... .seconds(1), default: .seconds(2)),
    .duration(.seconds(-1) ... .seconds(1), default: .zero),
    .choice(["red"], default: "blue"), .choice([], default: ""), .choice(["a,b"], default: "a,b"),
    .text(limit: 2, default: "abc"), .text(limit: -1, default: ""), .text(limit: 9, default: "a,b"),
  ])
  func `a default outside its range is refused`(kind: Parameter.Kind) {
    let problem = topology([Parameter("rays", kind, "How many")])
    #expect(problem?.hasPrefix("the default '") == true)
  }

  @Test func `parameters have names of their own`() {
    let rays = Parameter("rays", .integer(1...9, default: 1), "How many")
    #expect(topology([rays, rays]) == "the parameter 'rays' is declared twice")
    for name in ["", "a=b", "a,b", "a b"] {
      #expect(topology([Parameter(name, .boolean(default: true), "x")])?.contains("parameter name") == true)
    }
    #expect(
      topology([Parameter("a", .boolean(default: true), "")])
        == "the summary of the parameter 'a' is not one line of at most 200 bytes"
    )
    let many = (0..<65).map { Parameter("p\($0)", .boolean(default: true), "x") }
    #expect(topology(many) == "it has 65 parameters, and 64 is the most")
    #expect(topology([rays], claims: [.fanOut(parameter: "beams")])?.contains("'beams'") == true)
    #expect(topology([rays], claims: [.children(atMost: 0)])?.contains("more than 0 children") == true)
    #expect(topology([rays], claims: [.repair(within: .zero)])?.contains("within no time") == true)
    #expect(topology([rays], claims: [.children(atMost: 1), .repair(within: .seconds(1))]) == nil)
  }

  @Test func `a transport has traits and nothing else has`() {
    func problem(_ kind: String, _ mtu: Int?) -> String? {
      let traits = mtu.map {
        TransportTraits(carrier: .datagrams, mtu: $0, encrypts: false, controlsCongestion: false)
      }
      return Manifest(name: "a", version: "1", summary: "b", traits: traits).problem(kind: kind)
    }
    #expect(problem("transport", nil) == "a transport must say its traits, and it has none")
    #expect(problem("topology", 1452) == "only a transport has traits")
    #expect(problem("transport", 1452) == nil)
    for mtu in [0, -1, 1231, 65508, Int.max, Int.min] { #expect(problem("transport", mtu) != nil) }
  }
}
