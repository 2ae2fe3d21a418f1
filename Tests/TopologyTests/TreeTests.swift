import PluginKit
import Support
import Testing

@Suite struct `A tree that grows` {
  @Test func `takes a thousand peers at once`() throws {
    let world = try World(seed: 1, tree("fanout=4"))
    for _ in 0..<1000 { world.join() }
    #expect(world.settle(.seconds(5)))
    print("1000 at once: attached after \(world.now), depth \(world.greatestDepth), asks \(world.asks)")
    world.watch(for: .seconds(3))
    expectHealth(world)
    #expect(world.greatestDepth <= flattest(1000, fanout: 4) + 2)
    #expect(world.longestLoop == .zero)
  }

  @Test func `takes a thousand peers one by one, and is as flat as it can be`() throws {
    let world = try World(seed: 2, tree("fanout=4"))
    for _ in 0..<1000 {
      world.join()
      world.run(for: .milliseconds(20))
    }
    #expect(world.settle(.seconds(5)))
    print("1000 one by one: depth \(world.greatestDepth), asks \(world.asks)")
    expectHealth(world)
    #expect(world.greatestDepth <= flattest(1000, fanout: 4) + 1)
    #expect(world.longestLoop == .zero)
  }

  @Test(arguments: [2, 3, 8], 1...3 as ClosedRange<UInt64>)
  func `stays flat with every fan-out`(fanout: Int, seed: UInt64) throws {
    let world = try World(seed: seed, tree("fanout=\(fanout)"))
    for _ in 0..<120 {
      world.join(upload: 20_000_000)
      world.run(for: .milliseconds(Int.random(in: 0...60, using: &world.random)))
    }
    #expect(world.settle(.seconds(5)))
    world.watch(for: .seconds(4))
    expectHealth(world)
    #expect(world.greatestDepth <= flattest(120, fanout: fanout) + 2, "seed \(seed)")
    for index in world.living {
      #expect(world.children(of: index).count <= fanout, "seed \(seed): host \(index)")
    }
    #expect(world.longestLoop == .zero, "seed \(seed)")
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `attaches a newcomer within a few round trips`(seed: UInt64) throws {
    let world = try World(seed: seed, tree("fanout=4"))
    for _ in 0..<150 { world.join() }
    #expect(world.settle(.seconds(5)))
    world.run(for: .seconds(3))
    let began = world.now
    let newcomer = world.join()
    #expect(world.settle(.seconds(2)))
    let took = world.now - began
    print("seed \(seed): a newcomer among 150 at depth \(world.depth(of: newcomer)) after \(took)")
    // Two redirects at most: nine one-way trips of 30 ms.
    #expect(took <= .milliseconds(300), "seed \(seed)")
  }

  @Test(arguments: 1...5 as ClosedRange<UInt64>)
  func `gives nobody more children than the upload carries`(seed: UInt64) throws {
    let settings = World.Settings(sourceUpload: 3_000_000)
    let world = try World(seed: seed, settings: settings, tree("fanout=6"))
    for _ in 0..<150 {
      let roll = Int.random(in: 0..<10, using: &world.random)
      let upload: UInt64 = roll < 4 ? 0 : roll < 7 ? 1_500_000 : 5_200_000
      world.join(roll == 0 ? .leaf : .relay, upload: upload)
      world.run(for: .milliseconds(Int.random(in: 0...30, using: &world.random)))
    }
    #expect(world.settle(.seconds(20)), "seed \(seed): \(world.unattached.count)")
    world.watch(for: .seconds(10))
    expectHealth(world)
    print("seed \(seed): mixed swarm of 150, depth \(world.greatestDepth)")
    #expect(world.longestLoop == .zero, "seed \(seed)")
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `puts peers that relay in the place of those that only watch`(seed: UInt64) throws {
    let world = try World(seed: seed, settings: World.Settings(sourceUpload: 2_000_000), tree("fanout=2"))
    let watchers = (0..<2).map { _ in world.join(.leaf, upload: 0) }
    #expect(world.settle(.seconds(5)))
    let relays = (0..<2).map { _ in world.join(upload: 3_000_000) }
    #expect(world.settle(.seconds(5)), "seed \(seed)")
    world.watch(for: .seconds(3))
    expectHealth(world)
    #expect(relays.allSatisfy { world.depth(of: $0) == 1 }, "seed \(seed)")
    #expect(watchers.allSatisfy { world.depth(of: $0) == 2 }, "seed \(seed)")
  }

  @Test func `moves a watcher only when its new parent feeds it`() throws {
    // The source has a slot to spare: the watcher is fed by one or the other at all times.
    let world = try World(seed: 4, settings: World.Settings(sourceUpload: 3_000_000), tree("fanout=2"))
    let watchers = (0..<2).map { _ in world.join(.leaf, upload: 0) }
    #expect(world.settle(.seconds(5)))
    world.join(upload: 3_000_000)
    world.watch(for: .seconds(3))
    expectHealth(world)
    for watcher in watchers { #expect(world.hosts[watcher].detachedFor == .zero) }
    #expect(watchers.map { world.depth(of: $0) }.sorted() == [1, 2])
  }

  @Test func `refuses whom nobody can feed, and takes them when somebody can`() throws {
    let world = try World(seed: 5, settings: World.Settings(sourceUpload: 1_000_000), tree("fanout=4"))
    let first = world.join(.leaf, upload: 0)
    #expect(world.settle(.seconds(1)))
    let second = world.join(.leaf, upload: 0)
    world.watch(for: .seconds(10))
    #expect(world.unattached == [second])
    world.join(upload: 4_000_000)
    #expect(world.settle(.seconds(6)))
    expectHealth(world)
    #expect(world.depth(of: first) == 2 && world.depth(of: second) == 2)
  }

  @Test func `takes a peer whose upload is just one copy`() throws {
    let world = try World(seed: 6, settings: World.Settings(sourceUpload: 1_000_000), tree("fanout=4"))
    for _ in 0..<12 { world.join(upload: 1_000_000) }
    #expect(world.settle(.seconds(20)))
    expectHealth(world)
    #expect(world.greatestDepth == 12)
  }
}

@Suite struct `A tree that loses peers` {
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `puts one orphan into the dead parent's slot and the others below it`(seed: UInt64) throws {
    let world = try World(seed: seed, tree("fanout=3"))
    for _ in 0..<20 { world.join() }
    #expect(world.settle(.seconds(5)))
    world.watch(for: .seconds(4))
    let victim = try #require(world.living.first { $0 != 0 && world.children(of: $0).count >= 2 })
    let above = try #require(world.hosts[victim].parent)
    let orphans = world.children(of: victim)
    let killed = world.now
    world.kill(victim)
    #expect(world.settle(.seconds(3)), "seed \(seed)")
    print("seed \(seed): \(orphans.count) orphans re-attached \(world.now - killed) after the kill")
    #expect(world.now - killed < .milliseconds(1000), "seed \(seed)")
    let heirs = orphans.filter { world.hosts[$0].parent == above }
    #expect(heirs.count == 1, "seed \(seed): \(heirs)")
    world.watch(for: .seconds(10))
    expectHealth(world)
    #expect(world.longestLoop == .zero, "seed \(seed)")
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `heals when several die at once`(seed: UInt64) throws {
    let world = try World(seed: seed, tree("fanout=\(2 + seed % 3)"))
    for _ in 0..<60 { world.join(upload: 6_000_000) }
    #expect(world.settle(.seconds(5)))
    world.watch(for: .seconds(2))
    for round in 0..<3 {
      // Parents and their children together, and anybody else.
      var victims: [Int] = []
      if let inner = world.living.filter({ $0 != 0 && !world.children(of: $0).isEmpty })
        .randomElement(using: &world.random)
      {
        victims += [inner] + world.children(of: inner).prefix(1)
      }
      victims += world.living.filter { $0 != 0 }.shuffled(using: &world.random).prefix(5)
      let killed = world.now
      for victim in victims { world.kill(victim) }
      #expect(world.settle(.seconds(12)), "seed \(seed): \(world.unattached)")
      print("seed \(seed), round \(round): healed after \(world.now - killed), loop \(world.longestLoop)")
      world.watch(for: .seconds(2))
    }
    world.watch(for: .seconds(12))
    expectHealth(world)
    #expect(world.longestLoop <= .milliseconds(500), "seed \(seed)")
    #expect(world.greatestDepth <= flattest(world.living.count, fanout: 2 + Int(seed % 3)) + 4)
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `closes up behind peers that leave`(seed: UInt64) throws {
    let world = try World(seed: seed, tree("fanout=3"))
    for _ in 0..<40 { world.join() }
    #expect(world.settle(.seconds(5)))
    for _ in 0..<25 {
      world.watch(for: .milliseconds(Int.random(in: 0...400, using: &world.random)))
      if let leaver = world.living.filter({ $0 != 0 }).randomElement(using: &world.random) {
        world.leave(leaver)
      }
    }
    let last = world.now
    #expect(world.settle(.seconds(5)), "seed \(seed)")
    print("seed \(seed): closed up \(world.now - last) after the last of 25")
    world.watch(for: .seconds(10))
    expectHealth(world)
    #expect(world.longestLoop == .zero, "seed \(seed)")
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `grows and heals where one message in five is lost`(seed: UInt64) throws {
    let world = try World(seed: seed, settings: World.Settings(loss: 0.2), tree("fanout=3"))
    for _ in 0..<50 {
      world.join(upload: Bool.random(using: &world.random) ? 4_000_000 : 8_000_000)
      world.watch(for: .milliseconds(Int.random(in: 0...100, using: &world.random)))
    }
    #expect(world.settle(.seconds(10)), "seed \(seed): \(world.unattached)")
    for _ in 0..<10 {
      world.watch(for: .milliseconds(Int.random(in: 0...1500, using: &world.random)))
      let others = world.living.filter { $0 != 0 }
      guard let one = others.randomElement(using: &world.random) else { continue }
      if Bool.random(using: &world.random) { world.kill(one) } else { world.leave(one) }
      world.join()
    }
    #expect(world.settle(.seconds(12)), "seed \(seed): \(world.unattached)")
    world.watch(for: .seconds(20))
    expectHealth(world)
    print("seed \(seed): with loss, longest loop \(world.longestLoop), depth \(world.greatestDepth)")
    #expect(world.longestLoop <= .seconds(2), "seed \(seed)")
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `keeps a spare link that is no descendant`(seed: UInt64) throws {
    let world = try World(seed: seed, tree("fanout=3"))
    for _ in 0..<30 { world.join() }
    #expect(world.settle(.seconds(5)))
    world.watch(for: .seconds(6))
    for index in world.living where index != 0 {
      let spare = try #require(world.spare(of: index), "seed \(seed): host \(index)")
      #expect(world.hosts[spare].isAlive && spare != world.hosts[index].parent, "seed \(seed)")
      var above: Int? = spare
      while let step = above {
        #expect(step != index, "seed \(seed): host \(index) has its descendant \(spare) as spare")
        above = world.hosts[step].parent
      }
      let grandparent = world.hosts[index].parent.flatMap { world.hosts[$0].parent }
      if let grandparent { #expect(spare == grandparent, "seed \(seed): host \(index)") }
    }
  }
}
