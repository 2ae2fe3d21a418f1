import PluginKit
import Support
import Testing

@testable import Tree

private func tree(_ text: String = "") throws -> () -> any Topology {
  let parameters = try Parameters(text, declared: Tree.manifest.parameters)
  let made = try Tree(parameters: parameters)
  return { made }
}

@Suite struct `A tree that grows` {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func `takes a thousand peers one by one, and is as flat as it can be`(seed: UInt64) throws {
    let world = try World(seed: seed, tree("fanout=4"))
    for _ in 0..<1000 {
      world.join()
      world.run(for: .milliseconds(300))
    }
    #expect(world.settle(.seconds(5)), "seed \(seed): \(world.unattached)")
    world.watch(for: .seconds(10))
    print("seed \(seed): depth \(world.greatestDepth), asks \(world.asks), messages \(world.messages)")
    #expect(world.unattached.isEmpty && world.faults.isEmpty, "seed \(seed): \(world.faults.prefix(3))")
    #expect(world.greatestDepth <= 6, "seed \(seed)")
    #expect(world.longestLoop == .zero)
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `takes a thousand peers at once`(seed: UInt64) throws {
    let world = try World(seed: seed, tree("fanout=4"))
    for _ in 0..<1000 { world.join() }
    let isSettled = world.settle(.seconds(30))
    print(
      "seed \(seed): all attached after \(world.now), depth \(world.greatestDepth), asks \(world.asks),",
      "messages \(world.messages)"
    )
    #expect(isSettled, "seed \(seed): \(world.unattached.count)")
    #expect(world.faults.isEmpty, "seed \(seed): \(world.faults.prefix(3))")
    world.watch(for: .seconds(10))
    print("  later: depth \(world.greatestDepth)")
    #expect(world.greatestDepth <= 7, "seed \(seed)")
    #expect(world.longestLoop == .zero)
  }
}
