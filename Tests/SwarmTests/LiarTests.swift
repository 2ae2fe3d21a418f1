import Lab
import PluginKit
import Swarm
import Testing

@Suite struct `A relay that lies` {
  static let cases = Lie.allCases.filter { $0 != .repeatChunks }.flatMap { lie in
    (Scene.isOptimised ? [1, 2, 3] : [1]).map { (lie, $0 as UInt64) }
  }

  @Test(arguments: cases)
  func `is dropped, and what it made up reaches nobody`(lie: Lie, seed: UInt64) throws {
    // The source has one place only, so that the rest hangs under the liar at first.
    let scene = try Scene(seed: seed, rate: 500_000, parameters: "fanout=2")
    let bad = scene.viewer()
    scene.viewers(7, every: .milliseconds(100))
    scene.run(for: .seconds(3))
    let victims = scene.children(of: bad)
    #expect(!victims.isEmpty, "seed \(seed): nobody hangs under the liar")
    let liar = try Liar(lie, against: scene.broadcast)
    bad.rewrite = liar.rewrite
    scene.run(for: .seconds(5))

    for viewer in scene.viewers where viewer !== bad {
      scene.expectWhole(viewer)
      let statistics = viewer.statistics(now: scene.world.now)
      // A failed expectation would describe both hosts, with all that they hold.
      let staysUnderLiar = scene.parent(of: viewer) === bad
      #expect(!staysUnderLiar, "seed \(seed): \(viewer.name) still hangs under the liar")
      #expect(
        statistics.rejected <= 10,
        "seed \(seed): \(viewer.name) listened to \(statistics.rejected) lies"
      )
      if !victims.contains(where: { $0 === viewer }) {
        #expect(
          statistics.rejected == 0 || (liar.told[viewer.address] ?? 0) > 0,
          "seed \(seed): a lie was passed on"
        )
      }
    }
    let told = liar.told.values.reduce(0, +)
    #expect(told > 0)
    print(
      "seed \(seed), \(lie): \(told) lies told to \(liar.told.count), rejected",
      scene.viewers.map { $0.statistics(now: scene.world.now).rejected }
    )
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `may repeat what is true, which is counted and bounded`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 500_000)
    let bad = scene.viewer()
    scene.viewers(5, every: .milliseconds(100))
    let liar = try Liar(.repeatChunks, against: scene.broadcast, begins: .seconds(2))
    bad.rewrite = liar.rewrite
    scene.run(for: .seconds(6))
    for viewer in scene.viewers {
      scene.expectWhole(viewer)
      let statistics = viewer.statistics(now: scene.world.now)
      // Told five times instead of once, each hears at most four repetitions of each chunk, and passes none on.
      #expect(statistics.duplicate <= statistics.chunksIn * 4, "seed \(seed): \(viewer.name)")
      if scene.parent(of: viewer) !== bad, liar.told[viewer.address] == nil {
        #expect(statistics.duplicate == 0)
      }
      #expect(statistics.verified == statistics.chunksIn, "a repeated chunk is not checked again")
    }
  }
}
