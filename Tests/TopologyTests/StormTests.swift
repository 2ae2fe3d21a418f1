import PluginKit
import Support
import Testing
import Tree

@Suite struct `A tree in a storm` {
  /// How many seeds: more with `FRESHET_SEEDS=300`.
  static let seeds: ClosedRange<UInt64> = 1...(seedCount() ?? 10)

  @Test(arguments: seeds)
  func `comes to rest when the storm is over`(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let fanout = Int.random(in: 2...5, using: &random)
    let settings = World.Settings(
      delay: 2...Int.random(in: 5...150, using: &random),
      loss: [0, 0.05, 0.2].randomElement(using: &random) ?? 0,
      sourceUpload: UInt64.random(in: 2...8, using: &random) * 1_000_000
    )
    let world = try World(seed: seed, settings: settings, tree("fanout=\(fanout)"))
    for _ in 0..<Int.random(in: 5...50, using: &random) { joinAnybody(world, &random) }
    for _ in 0..<Int.random(in: 10...60, using: &random) {
      world.watch(for: .milliseconds(Int.random(in: 0...300, using: &random)))
      let others = world.living.filter { $0 != 0 }
      switch Int.random(in: 0..<6, using: &random) {
      case 0, 1: if let one = others.randomElement(using: &random) { world.kill(one) }
      case 2: if let one = others.randomElement(using: &random) { world.leave(one) }
      case 3:
        guard let one = others.randomElement(using: &random) else { continue }
        world.hosts[one].capacity.upload = UInt64.random(in: 0...8, using: &random) * 1_000_000
        world.deliver(.capacity(world.hosts[one].capacity), to: world.hosts[one])
        world.faults.removeAll()
      default: joinAnybody(world, &random)
      }
    }
    // Whatever the storm has taken, those that are left can feed each other.
    while !world.isFeasible(fanout: fanout) { world.join(upload: 8_000_000) }
    let over = world.now
    #expect(world.settle(.seconds(60)), "seed \(seed): \(world.unattached)")
    if !world.unattached.isEmpty {  //DEBUG
      print("fanout", fanout, settings)
      for i in world.living {
        print(
          i,
          world.hosts[i].role,
          world.hosts[i].capacity.upload / 1_000_000,
          world.hosts[i].capacity.isReachable,
          "parent",
          world.hosts[i].parent ?? -1,
          "depth",
          world.depth(of: i),
          "kids",
          world.children(of: i),
          world.unattached.contains(i) ? "X" : ""
        )
      }
    }
    print(
      "seed \(seed): \(world.living.count) at rest \(world.now - over) after the storm,",
      "longest loop \(world.longestLoop), depth \(world.greatestDepth)"
    )
    world.watch(for: .seconds(30))
    expectHealth(world)
    #expect(world.longestLoop <= .seconds(3), "seed \(seed): \(world.longestLoop)")
  }

  private func joinAnybody(_ world: World, _ random: inout SplitMix64) {
    let roll = Int.random(in: 0..<6, using: &random)
    world.join(
      roll == 0 ? .leaf : .relay,
      upload: roll < 2 ? 0 : UInt64.random(in: 1...8, using: &random) * 1_000_000,
      isReachable: roll != 2
    )
  }
}
