import Lab
import PluginKit
import Swarm
import Testing
import Wire

@Suite struct `Chunks in a stream` {
  @Test(arguments: ChunkAddressing.allCases, [IntegrityMethod.signAll, .unifiedMerkleTree])
  func `may be named in every way that the RFC knows`(
    addressing: ChunkAddressing,
    integrity: IntegrityMethod
  ) throws {
    let scene = try Scene(
      seed: 1,
      integrity: integrity,
      path: Path(delay: .milliseconds(5), loss: 0.02)
    ) { $0.addressing = addressing }
    for _ in 0..<3 { scene.viewer { $0.addressing = addressing } }
    scene.source.end(at: .milliseconds(2500))
    scene.run(for: .seconds(5))
    for viewer in scene.viewers {
      #expect(viewer.peer.hasEnded && viewer.output.isContiguous, "\(addressing), \(integrity)")
      #expect(viewer.output.falsehoods == 0)
      #expect(viewer.statistics(now: scene.world.now).rejected == 0)
    }
  }
}
