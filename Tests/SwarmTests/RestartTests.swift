import Integrity
import Lab
import PluginKit
import Swarm
import Testing

@Suite struct `A viewer who stayed` {
  private func lost(_ scene: Scene, _ viewer: Host) -> UInt64 {
    viewer.statistics(now: scene.world.now).lost
  }

  /// The source is killed, and the same key begins again later with a number further up.
  private func restart(_ scene: Scene, seed: UInt64, at chunk: UInt64) throws {
    let again = try Broadcast(seed: seed, rate: 400_000, firstChunk: chunk)
    let source = Host("source again", number: 1, seed: seed, makeTopology: Scene.makeTopology)
    try source.join(again, .source, now: scene.world.now) { $0.topologyParameters = "fanout=2" }
    scene.world.add(source)
  }

  @Test(arguments: [1, 2] as [UInt64], [10_000, 65_536] as [UInt64])
  func `does not count numbers as lost that a restarted broadcast skipped`(seed: UInt64, first: UInt64) throws
  {
    let scene = try Scene(seed: seed, rate: 400_000) { $0.window = 12_000 }
    scene.viewers(2)
    scene.run(for: .seconds(3))
    scene.kill(scene.source)
    scene.run(for: .seconds(3))
    try restart(scene, seed: seed, at: first)
    scene.run(for: .seconds(8))
    for viewer in scene.viewers {
      #expect((viewer.output.last?.chunk ?? 0) >= first + 50, "seed \(seed), \(viewer.name): it goes on")
      #expect(lost(scene, viewer) == 0, "seed \(seed), \(viewer.name)")
      let sentences = viewer.seats[0].notices.filter {
        if case .sentence(let text) = $0.notice { text.contains("jumped") } else { false }
      }
      #expect(sentences.count == 1, "seed \(seed), \(viewer.name)")
    }
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `counts as lost what was sent while it was cut off for longer than a window`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 400_000) { $0.window = 64 }
    let viewer = scene.viewer { $0.window = 64 }
    scene.run(for: .seconds(3))
    scene.world.partition([[viewer.address], [scene.source.address]])
    scene.run(for: .seconds(8))
    scene.world.partition([])
    scene.run(for: .seconds(8))
    #expect((viewer.output.last?.chunk ?? 0) >= scene.newest(before: .seconds(3)), "seed \(seed): it is back")
    #expect(viewer.output.missing > 100, "seed \(seed)")
    #expect(lost(scene, viewer) == viewer.output.missing, "seed \(seed)")
  }
}
