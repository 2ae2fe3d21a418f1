import Lab
import PluginKit
import Testing

/// Sets a timer for the time that it is.
private struct Impatient: Topology {
  static let manifest = Manifest(name: "impatient", version: "1", summary: "Cannot wait")
  init(parameters: Parameters) {}

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    guard case .start = event else {
      if case .timer = event { context.emit(.setTimer(1, at: context.now)) }
      return
    }
    // Less than a nanosecond ahead.
    context.emit(.setTimer(1, at: context.now + .nanoseconds(1) / 2))
  }
}

/// Asks somebody to whom it has no link for a chunk, and asks again when that fails.
private struct Stubborn: Topology {
  static let manifest = Manifest(name: "stubborn", version: "1", summary: "Takes no no")
  init(parameters: Parameters) {}

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start(.relay): context.emit(.request(1...2, from: PeerRef(99)))
    case .requestFailed(let peer, let chunks, _): context.emit(.request(chunks, from: peer))
    default: break
    }
  }
}

@Suite struct `A topology that never rests` {
  static func world(_ topology: any Topology.Type) throws -> ChunkWorld {
    let plan = Plan.uniform(count: 1, upload: 4_000_000, source: 4_000_000)
    let composition = Composition(name: "it", parts: [Composition.Part("it")])
    return try ChunkWorld(plan, composition) { _, _ throws(ParameterError) in
      try topology.init(parameters: Parameters(declared: []))
    }
  }

  @Test func `lets time pass with a timer that is due at once`() throws {
    var world = try Self.world(Impatient.self)
    world.run(until: .milliseconds(200))
    #expect(world.spinning == nil && world.now == 200_000_000)
    // Both ask for as many timers as there are steps of 10 µs, not more.
    #expect(world.measurement.calls < 40_000)
  }

  @Test func `ends the world with a request that fails at once`() throws {
    var world = try Self.world(Stubborn.self)
    let result = world.run()
    #expect(world.spinning == 1)
    #expect(result.calls < 10_000)
    let sentence = Spinning(peer: 1, time: world.now).description
    #expect(sentence.hasPrefix("at 0.") && sentence.contains("the topology of peer 1 does the same for ever"))
  }
}
