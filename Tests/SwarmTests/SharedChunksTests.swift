import Lab
import Swarm
import Testing

@Suite struct `Chunks that the peers of a world share` {
  private static func trace(_ seed: UInt64, isShared: Bool) throws -> (
    trace: UInt64, falsehoods: Int, read: Int
  ) {
    let path = Path(delay: .milliseconds(10), jitter: .milliseconds(2), loss: 0.03, duplication: 0.01)
    let chunks = SharedChunks(count: 400, chunkSize: 1316, signatureLength: 64)
    let configure: (inout PeerConfiguration) -> Void = { configuration in
      // Shorter than the stream, so that slots are used again.
      configuration.window = 50
      if isShared { configuration.sharedChunks = chunks }
    }
    let scene = try Scene(seed: seed, rate: 400_000, path: path, configure: configure)
    for index in 0..<6 { scene.viewer(at: .milliseconds(50) * index, configure: configure) }
    // Whoever lies is found out by those who share as well.
    let liar = try Liar(.alterPayload, against: scene.broadcast, begins: .seconds(1), every: 7)
    scene.viewers[0].rewrite = { liar.rewrite($0, to: $1, now: $2) }
    scene.run(for: .seconds(4))
    let outputs = scene.viewers.map(\.output)
    return (
      scene.world.trace, outputs.reduce(0) { $0 + $1.falsehoods },
      outputs.reduce(0) { $0 + $1.readings.count }
    )
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `are what they would be at each of them`(seed: UInt64) throws {
    let apart = try Self.trace(seed, isShared: false)
    let shared = try Self.trace(seed, isShared: true)
    #expect(shared == apart, "seed \(seed)")
    #expect(shared.falsehoods == 0 && shared.read > 500, "seed \(seed): \(shared.read) chunks were read")
  }
}
