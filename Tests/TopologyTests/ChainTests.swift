import Chain
import PluginKit
import Support
import Testing

private func chain(_ text: String = "") throws -> () -> any Topology {
  let made = try Chain(parameters: Parameters(text, declared: Chain.manifest.parameters))
  return { made }
}

/// The living in the order in which they feed each other.
private func order(_ world: World) -> [Int] {
  var order = [0]
  while let last = order.last, let next = world.children(of: last).first, order.count <= world.hosts.count {
    order.append(next)
  }
  return order
}

@Suite struct `A chain` {
  @Test(arguments: 1...5 as ClosedRange<UInt64>)
  func `lets the newest peer be fed by the one before`(seed: UInt64) throws {
    let world = try World(seed: seed, chain())
    for _ in 0..<40 {
      world.join(upload: 1_000_000)
      // Long enough for the report of the newest to have reached the source.
      world.run(for: .milliseconds(1500))
    }
    expectHealth(world)
    #expect(order(world) == Array(0...40), "seed \(seed)")
    // The source, a peer that has become the tail's feeder meanwhile at most, and the tail.
    print("seed \(seed): \(world.asks) asks for 40 joins and their spares")
    #expect(world.longestLoop == .zero)
  }

  @Test(arguments: 1...5 as ClosedRange<UInt64>)
  func `takes a crowd at once, one behind the other`(seed: UInt64) throws {
    let world = try World(seed: seed, chain())
    for _ in 0..<60 { world.join(upload: 1_000_000) }
    #expect(world.settle(.seconds(60)), "seed \(seed): \(world.unattached.count)")
    print("seed \(seed): a chain of 60 after \(world.now), asks \(world.asks)")
    world.watch(for: .seconds(2))
    expectHealth(world)
    #expect(order(world).count == 61, "seed \(seed)")
    #expect(world.longestLoop == .zero)
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `closes up when peers die or leave`(seed: UInt64) throws {
    let world = try World(seed: seed, chain())
    for _ in 0..<20 {
      world.join(upload: 2_000_000)
      world.run(for: .seconds(1))
    }
    #expect(world.settle(.seconds(10)))
    world.watch(for: .seconds(3))
    for round in 0..<6 {
      let inner = order(world).dropFirst().dropLast()
      guard let victim = inner.randomElement(using: &world.random) else { break }
      let expected = order(world).filter { $0 != victim }
      let began = world.now
      if round % 2 == 0 { world.kill(victim) } else { world.leave(victim) }
      #expect(world.settle(.seconds(10)), "seed \(seed): \(world.unattached)")
      print("seed \(seed): \(round % 2 == 0 ? "killed" : "left"), closed up after \(world.now - began)")
      #expect(world.now - began < .seconds(1), "seed \(seed)")
      // The neighbour re-attaches to the one before, and nobody else moves.
      #expect(order(world) == expected, "seed \(seed)")
      world.watch(for: .seconds(3))
    }
    expectHealth(world)
    #expect(world.longestLoop == .zero)
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `heals when several die at once`(seed: UInt64) throws {
    let world = try World(seed: seed, settings: World.Settings(loss: 0.1), chain())
    for _ in 0..<25 {
      world.join(upload: 2_000_000)
      world.run(for: .seconds(1))
    }
    #expect(world.settle(.seconds(20)))
    let began = world.now
    for victim in order(world).dropFirst().shuffled(using: &world.random).prefix(5) { world.kill(victim) }
    #expect(world.settle(.seconds(40)), "seed \(seed): \(world.unattached)")
    print("seed \(seed): healed \(world.now - began) after five deaths")
    world.watch(for: .seconds(15))
    expectHealth(world)
    #expect(order(world).count == 21, "seed \(seed)")
    #expect(world.longestLoop <= .seconds(2), "seed \(seed)")
  }

  @Test func `keeps one that cannot feed the next at its end`() throws {
    let world = try World(seed: 3, chain())
    world.join(upload: 2_000_000)
    world.run(for: .seconds(1))
    let watcher = world.join(.leaf, upload: 0)
    world.run(for: .seconds(1))
    for _ in 0..<3 {
      world.join(upload: 2_000_000)
      world.run(for: .seconds(2))
    }
    #expect(world.settle(.seconds(10)))
    expectHealth(world)
    #expect(order(world).last == watcher)
  }

  @Test(arguments: 1...(seedCount() ?? 5))
  func `is whole again after a storm`(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let settings = World.Settings(
      delay: 2...Int.random(in: 5...100, using: &random),
      loss: [0, 0.1].randomElement(using: &random) ?? 0
    )
    let world = try World(seed: seed, settings: settings, chain())
    for _ in 0..<Int.random(in: 3...20, using: &random) { world.join(upload: 2_000_000) }
    for _ in 0..<30 {
      world.watch(for: .milliseconds(Int.random(in: 0...600, using: &random)))
      let others = world.living.filter { $0 != 0 }
      switch Int.random(in: 0..<4, using: &random) {
      case 0: if let one = others.randomElement(using: &random) { world.kill(one) }
      case 1: if let one = others.randomElement(using: &random) { world.leave(one) }
      default: world.join(upload: UInt64.random(in: 1...3, using: &random) * 1_000_000)
      }
    }
    let over = world.now
    #expect(world.settle(.seconds(60)), "seed \(seed): \(world.unattached)")
    print("seed \(seed): a chain of \(world.living.count) whole \(world.now - over) after the storm")
    world.watch(for: .seconds(20))
    expectHealth(world)
    #expect(order(world).count == world.living.count, "seed \(seed)")
    #expect(world.longestLoop <= .seconds(3), "seed \(seed): \(world.longestLoop)")
  }
}
