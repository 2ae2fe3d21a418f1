import PluginKit
import Support
import Testing
import Tree

@Suite struct `A tree is repeatable` {
  static func trace(_ seed: UInt64) throws -> UInt64 {
    let world = try World(seed: seed, settings: World.Settings(loss: 0.1, isTraced: true), tree("fanout=3"))
    for _ in 0..<30 {
      world.join(upload: Bool.random(using: &world.random) ? 0 : 5_000_000)
      world.run(for: .milliseconds(30))
    }
    world.kill(3)
    world.run(for: .seconds(3))
    return world.trace
  }

  @Test func `does the same for the same seed`() throws {
    #expect(try Self.trace(1) == Self.trace(1))
    #expect(try Self.trace(1) != Self.trace(2))
  }

  @Test func `does the same in another process`() async throws {
    // Each process hashes with a seed of its own: an order taken from a dictionary or a set would show.
    func output() async throws -> [UInt8] {
      let result = try await #require(
        processExitsWith: .success,
        observing: [\.standardOutputContent]
      ) {
        print("trace \(try `A tree is repeatable`.trace(3))")
      }
      return result.standardOutputContent
    }
    let first = try await output()
    #expect(String(decoding: first, as: UTF8.self).contains("trace "))
    #expect(try await output() == first)
  }
}
