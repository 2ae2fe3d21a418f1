import Lab
import PluginKit
import Swarm
import Testing

@Suite struct `A striped swarm of twenty peers` {
  private func grown(_ seed: UInt64, _ topology: String, _ parameters: String) throws -> Scene {
    let scene = try Scene(
      seed: seed,
      rate: 400_000,
      topology: topology,
      parameters: parameters,
      path: Path(delay: .milliseconds(10))
    )
    scene.viewers(20)
    scene.run(for: .seconds(5))
    return scene
  }

  private func expectAll(_ scene: Scene, of viewers: [Host], _ seed: UInt64) {
    let last = scene.newest(before: .seconds(1))
    for viewer in viewers {
      let part = viewer.output.part(of: last - 80...last, within: .seconds(1))
      #expect(part == 1, "seed \(seed): \(viewer.name) has \(part)")
      #expect(viewer.output.falsehoods == 0 && viewer.output.disorder == 0, "seed \(seed)")
    }
  }

  @Test(
    arguments: [("striped", "stripes=4"), ("striped", "stripes=1"), ("superpeer", "trial=1s")],
    [1, 2] as [UInt64]
  )
  func `is fed, and goes on when several die`(_ what: (String, String), seed: UInt64) throws {
    let scene = try grown(seed, what.0, what.1)
    expectAll(scene, of: scene.viewers, seed)
    for victim in scene.viewers.prefix(3) { scene.kill(victim) }
    scene.run(for: .seconds(5))
    let rest = Array(scene.viewers.dropFirst(3))
    expectAll(scene, of: rest, seed)
    for viewer in rest {
      #expect(viewer.statistics(now: scene.world.now).lost == 0, "seed \(seed): \(viewer.name)")
    }
  }
}
