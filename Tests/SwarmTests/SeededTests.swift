import Lab
import PluginKit
import Swarm
import Testing

@Suite(.serialized) struct `A swarm with a tree for each chunk` {
  /// The part of the chunks of some seconds that a viewer put out within a second.
  private static func part(_ scene: Scene, _ viewer: Host, from: Duration, to: Duration) -> Double {
    let published = scene.broadcast.published.filter { $0.time >= from && $0.time <= to }
    guard let first = published.first, let last = published.last else { return 0 }
    return viewer.output.part(of: first.chunk...last.chunk, within: .seconds(1))
  }

  @Test(arguments: Scene.isOptimised ? [1, 2, 3, 4] : [1] as [UInt64])
  func `feeds everybody though most have too little upload, chunks get lost and one is killed`(
    seed: UInt64
  ) throws {
    let rate: UInt64 = Scene.isOptimised ? 1_000_000 : 200_000
    let scene = try Scene(
      seed: seed,
      rate: rate,
      topology: "seeded",
      parameters: "",
      path: Path(delay: .milliseconds(15), jitter: .milliseconds(3), loss: 0.02),
      configure: { $0.capacity = Capacity(upload: rate * 4) }
    )
    let count = Scene.isOptimised ? 24 : 8
    for index in 0..<count {
      let capacity = Capacity(upload: index % 4 == 0 ? rate * 6 : rate * 9 / 10)
      scene.viewer(at: .milliseconds(100 * Int64(index))) { $0.capacity = capacity }
    }
    scene.run(for: .seconds(5))
    scene.kill(scene.viewers[4])
    scene.run(for: .seconds(5))
    for (index, viewer) in scene.viewers.enumerated() where index != 4 {
      let part = Self.part(scene, viewer, from: .seconds(4), to: .seconds(9))
      #expect(part >= 0.97, "seed \(seed), \(viewer.name): \(part)")
    }
    let sent = scene.source.statistics(now: scene.world.now).chunksOut
    #expect(sent < UInt64(scene.broadcast.published.count) * 4, "seed \(seed)")
  }
}
