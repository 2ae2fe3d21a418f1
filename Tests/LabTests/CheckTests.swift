import Lab
import PluginKit
import Testing

/// How many worlds each test tries: few where nothing is optimised.
private let seeds: ClosedRange<UInt64> = {
  #if DEBUG
    1...12
  #else
    1...300
  #endif
}()

private func examine(_ type: any Topology.Type, _ plan: Plan) throws -> Examination {
  try Examination(plan, Composition.Part(type.manifest.name)) { _, text throws(ParameterError) in
    try type.init(parameters: Parameters(text, declared: type.manifest.parameters))
  }
}

private struct Counterexample {
  var plan: Plan
  var violation: Violation
  var story: String
}

@Suite struct `A check of a topology` {
  /// The first world in which something is wrong, made simpler.
  private static func counterexample(
    _ type: any Topology.Type,
    in seeds: ClosedRange<UInt64> = 1...60
  ) throws -> Counterexample? {
    for seed in seeds {
      let whole = Plan.trial(seed: seed)
      guard let rule = try examine(type, whole).violation?.rule else { continue }
      let reductions = try whole.shrunk { reductions in
        try examine(type, whole.simplified(by: reductions)).violation?.rule == rule
      }
      let plan = whole.simplified(by: reductions)
      let last = try examine(type, plan)
      guard let violation = last.violation else { return nil }
      let story = "seed \(seed): " + Story(plan, last.scenes, violation).text
      return Counterexample(plan: plan, violation: violation, story: story)
    }
    return nil
  }

  @Test func `finds nothing wrong with a plain tree`() throws {
    let found = try Self.counterexample(Planted<Sound>.self, in: seeds)
    #expect(found?.story == nil)
  }

  @Test(
    arguments: [
      (Planted<Looping>.self, .loops, "there are no loops, and peer"),
      (Planted<Crowded>.self, .children, "nobody feeds more than fanout=2, and"),
      (Planted<Waiting>.self, .repair, "claims to repair within 12 s, and"),
    ] as [(any Topology.Type, Violation.Rule, String)]
  )
  func `finds what is planted, and tells of five peers at most`(
    type: any Topology.Type,
    rule: Violation.Rule,
    words: String
  ) throws {
    let found = try #require(try Self.counterexample(type))
    print(found.story)
    #expect(found.violation.rule == rule)
    #expect(found.violation.sentence.contains(words))
    #expect(found.plan.peers.count - 1 <= 5)
    #expect(found.story.contains("WRONG: \(type.manifest.name) claims"))
  }
}
