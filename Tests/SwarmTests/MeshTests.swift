import Lab
import PluginKit
import Swarm
import Testing

/// A swarm that runs a topology without parents: sixteen peers, or as many as are said.
private func swarm(
  _ topology: String,
  seed: UInt64,
  count: Int = 12,
  loss: Double = 0,
  upload: (Int) -> UInt64 = { _ in 2_600_000 }
) throws -> Scene {
  let scene = try Scene(
    seed: seed,
    topology: topology,
    parameters: "",
    path: Path(delay: .milliseconds(15), jitter: .milliseconds(3), loss: loss),
    configure: { $0.capacity = Capacity(upload: 4_000_000) }
  )
  for index in 0..<count {
    let capacity = Capacity(upload: upload(index))
    scene.viewer(at: .milliseconds(100 * Int64(index))) { $0.capacity = capacity }
  }
  return scene
}

/// The part of the chunks of some seconds that a viewer put out within a second.
private func part(_ scene: Scene, _ viewer: Host, from: Duration, to: Duration) -> Double {
  let published = scene.broadcast.published.filter { $0.time >= from && $0.time <= to }
  guard let first = published.first, let last = published.last else { return 0 }
  return viewer.output.part(of: first.chunk...last.chunk, within: .seconds(1))
}

@Suite(.serialized) struct `A swarm without parents` {
  @Test(arguments: ["mesh"])
  func `delivers everything to everybody, and nothing twice once all know each other`(topology: String) throws
  {
    let scene = try swarm(topology, seed: 1)
    scene.run(for: .seconds(7))
    let before = scene.viewers.map { $0.statistics(now: scene.world.now).duplicate }
    scene.run(for: .seconds(5))
    let after = scene.viewers.map { $0.statistics(now: scene.world.now) }
    let source = scene.source.statistics(now: scene.world.now)
    for (viewer, twice) in zip(scene.viewers, zip(before, after)) {
      #expect(part(scene, viewer, from: .seconds(6), to: .seconds(11)) == 1, "\(topology), \(viewer.name)")
      #expect(twice.0 == twice.1.duplicate, "\(topology), \(viewer.name): \(twice.0), \(twice.1.duplicate)")
    }
    print(
      "\(topology): duplicates while they met \(before), source sent \(source.chunksOut) of",
      scene.broadcast.published.count
    )
    if topology == "mesh" { #expect(source.chunksOut < UInt64(scene.broadcast.published.count) * 2) }
  }

  @Test(arguments: ["mesh"])
  func `serves peers of which most have less upload than the stream takes`(topology: String) throws {
    // A copy of 1 Mbit/s takes 1.08 Mbit/s on the wire: 6 for a fifth, 0.9 for the rest.
    let scene = try swarm(topology, seed: 2, count: 15) { $0 % 5 == 0 ? 6_480_000 : 972_000 }
    scene.run(for: .seconds(12))
    for viewer in scene.viewers {
      let part = part(scene, viewer, from: .seconds(6), to: .seconds(11))
      #expect(part >= 0.995, "\(topology), \(viewer.name): \(part)")
    }
  }

  @Test(arguments: ["mesh"])
  func `loses little when a peer is killed, and nothing on lossy links`(topology: String) throws {
    let scene = try swarm(topology, seed: 3, loss: 0.02)
    scene.run(for: .seconds(7))
    scene.kill(scene.viewers[3])
    scene.run(for: .seconds(6))
    for (index, viewer) in scene.viewers.enumerated() where index != 3 {
      let part = part(scene, viewer, from: .seconds(6), to: .seconds(11))
      print("\(topology), \(viewer.name): \(part) within a second,", viewer.output.skipped, "skipped")
      #expect(part >= 0.97, "\(topology), \(viewer.name): \(part)")
    }
  }
}
