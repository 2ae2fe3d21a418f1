import Lab
import PluginKit
import Swarm
import Testing

@Suite struct `A tree of twenty peers` {
  private func grown(_ seed: UInt64, path: Path = Path(delay: .milliseconds(10))) throws -> Scene {
    let scene = try Scene(seed: seed, rate: 400_000, path: path)
    scene.viewers(20)
    scene.run(for: .seconds(4))
    let depths = scene.viewers.map { $0.statistics(now: scene.world.now).depth ?? -1 }
    #expect(depths.allSatisfy { $0 >= 1 }, "seed \(seed): everybody is attached: \(depths)")
    #expect((depths.max() ?? 0) <= 6, "seed \(seed): \(depths)")
    for host in scene.viewers + [scene.source] {
      #expect(scene.children(of: host).count <= 2, "seed \(seed): \(host.name)")
    }
    let waits = scene.viewers.compactMap { host in
      host.output.first.map { ($0.time - host.seats[0].joined).milliseconds }
    }
    print("seed \(seed): first chunk after", waits.sorted())
    return scene
  }

  /// The viewer that most others hang under.
  private func busiest(_ scene: Scene, except: [Host] = []) throws -> Host {
    let candidates = scene.viewers.filter { host in !except.contains { $0 === host } }
    func family(_ host: Host) -> Int { scene.children(of: host).reduce(1) { $0 + family($1) } }
    return try #require(candidates.max { family($0) < family($1) })
  }

  private func expectRecovery(_ scene: Scene, _ seed: UInt64, gone: [Host], what: String) {
    let survivors = scene.viewers.filter { host in !gone.contains { $0 === host } }
    var longest = Duration.zero
    for viewer in survivors {
      scene.expectWhole(viewer)
      longest = max(longest, viewer.output.longestGap)
      let statistics = viewer.statistics(now: scene.world.now)
      #expect(
        statistics.depth != nil && statistics.parent != nil,
        "seed \(seed): \(viewer.name) has no parent"
      )
      #expect(statistics.lost == 0, "seed \(seed): \(viewer.name)")
      let parent = scene.parent(of: viewer)
      #expect(!gone.contains { $0 === parent }, "seed \(seed): \(viewer.name) hangs under a dead parent")
    }
    print("seed \(seed): \(what): longest gap \(longest.milliseconds) ms")
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `loses nothing when a parent is killed`(seed: UInt64) throws {
    let scene = try grown(seed)
    let victim = try busiest(scene)
    let orphans = scene.children(of: victim).count
    scene.kill(victim)
    scene.run(for: .seconds(5))
    expectRecovery(scene, seed, gone: [victim], what: "a parent of \(orphans) killed")
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `loses nothing when several are killed at once on lossy links`(seed: UInt64) throws {
    let scene = try grown(seed, path: Path(delay: .milliseconds(10), loss: 0.02))
    var victims: [Host] = []
    for _ in 0..<3 { victims.append(try busiest(scene, except: victims)) }
    for victim in victims { scene.kill(victim) }
    scene.run(for: .seconds(6))
    expectRecovery(scene, seed, gone: victims, what: "three killed at once")
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `loses nothing and hardly waits when a parent says goodbye`(seed: UInt64) throws {
    let scene = try grown(seed)
    let leaver = try busiest(scene)
    scene.leave(leaver)
    let left = scene.world.run(until: scene.world.now + .seconds(5)) { leaver.hasLeft }
    #expect(left)
    scene.kill(leaver)
    scene.run(for: .seconds(4))
    expectRecovery(scene, seed, gone: [leaver], what: "a parent left")
  }

  @Test(arguments: [1] as [UInt64])
  func `comes together again after a partition`(seed: UInt64) throws {
    let scene = try grown(seed)
    let cut = try busiest(scene)
    let others = (scene.viewers + [scene.source]).filter { $0 !== cut }.map(\.address)
    scene.world.partition([[cut.address], others])
    scene.run(for: .seconds(3))
    scene.world.partition([])
    scene.run(for: .seconds(8))
    expectRecovery(scene, seed, gone: [cut], what: "one cut off for three seconds")
    let statistics = cut.statistics(now: scene.world.now)
    #expect(statistics.depth != nil && cut.output.falsehoods == 0 && cut.output.disorder == 0)
    #expect((cut.output.last?.chunk ?? 0) >= scene.newest(before: .milliseconds(2500)), "it is back")
  }
}
