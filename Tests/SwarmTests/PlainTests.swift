import Lab
import PluginKit
import Swarm
import Testing
import Wire

@Suite struct `A plain RFC 7574 peer` {
  @Test(arguments: [(1, 0.0), (2, 0.0), (3, 0.03)] as [(UInt64, Double)])
  func `is served as a leaf`(seed: UInt64, loss: Double) throws {
    let path = Path(delay: .milliseconds(5), loss: loss)
    let scene = try Scene(seed: seed, rate: 600_000, parameters: "fanout=3", path: path)
    scene.viewers(2)
    scene.run(for: .seconds(2))
    let plain = try PlainPeer(number: 1, scene.broadcast, dials: [scene.source.address], now: scene.world.now)
    scene.world.add(plain)
    scene.run(for: .seconds(5))
    let first = plain.arrivals.map(\.chunk).min() ?? 0
    let missing = (first...scene.newest(before: .seconds(1))).filter { plain.chunks[$0] == nil }
    #expect(missing.isEmpty && plain.chunks.count > 150, "seed \(seed): \(missing)")
    #expect(plain.falsehoods == 0)
    #expect(plain.strange == 0, "it was sent what it does not understand")
    for viewer in scene.viewers { scene.expectWhole(viewer) }
    #expect(scene.source.statistics(now: scene.world.now).children <= 3)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `feeds us`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 600_000, path: Path(delay: .milliseconds(5), loss: 0.01))
    let plain = try PlainPeer(number: 1, scene.broadcast, dials: [scene.source.address], now: .zero)
    scene.world.add(plain)
    scene.run(for: .seconds(2))
    // This one knows nobody but the plain peer.
    let viewer = scene.viewer(bootstrap: [plain.address])
    scene.run(for: .seconds(6))
    let output = viewer.output
    let got = Set(output.readings.map(\.chunk))
    let missing = ((output.first?.chunk ?? 0)...(output.last?.chunk ?? 0)).filter { !got.contains($0) }
    #expect(
      output.isContiguous && output.readings.count > 200,
      "seed \(seed): \(output.readings.count) chunks, missing \(missing), which the plain peer \(missing.map { plain.chunks[$0] != nil })"
    )
    #expect((output.last?.chunk ?? 0) >= scene.newest(before: .seconds(1)))
    #expect(plain.requestsServed >= output.readings.count)
    #expect(plain.strange == 0)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `injects a stream that we join`(seed: UInt64) throws {
    let broadcast = try Broadcast(seed: seed, rate: 600_000)
    let world = World(seed: seed) { _, _ in Path(delay: .milliseconds(5), loss: 0.01) }
    let plain = try PlainPeer(number: 1, broadcast, injects: true, now: .zero)
    world.add(plain)
    world.run(until: .milliseconds(1500))
    var viewers: [Host] = []
    for number in 0..<2 {
      let viewer = Host("viewer", number: UInt32(2 + number), seed: seed, makeTopology: Scene.makeTopology)
      try viewer.join(broadcast, bootstrap: [plain.address], now: world.now)
      world.add(viewer)
      viewers.append(viewer)
    }
    world.run(until: .seconds(7))
    for viewer in viewers {
      let output = viewer.output
      #expect(
        output.isContiguous && output.readings.count > 200,
        "seed \(seed): \(output.readings.count) chunks, missing \(output.missing)"
      )
      let newest = broadcast.published.last { $0.time < world.now - .seconds(1) }?.chunk ?? 0
      #expect((output.last?.chunk ?? 0) >= newest)
    }
    #expect(plain.strange == 0)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `that injects may be started again`(seed: UInt64) throws {
    let broadcast = try Broadcast(seed: seed, rate: 600_000)
    let world = World(seed: seed) { _, _ in Path(delay: .milliseconds(5)) }
    let plain = try PlainPeer(number: 1, broadcast, injects: true, now: .zero)
    world.add(plain)
    let viewer = Host("viewer", number: 2, seed: seed, makeTopology: Scene.makeTopology)
    try viewer.join(broadcast, bootstrap: [plain.address], now: .zero)
    world.add(viewer)
    world.run(until: .seconds(3))
    world.remove(plain.address)
    world.run(until: .seconds(5))
    let again = try PlainPeer(number: 1, broadcast, injects: true, now: world.now)
    world.add(again)
    world.run(until: .seconds(25))
    let output = viewer.output
    let newest = broadcast.published.last { $0.time < world.now - .seconds(1) }?.chunk ?? 0
    #expect((output.last?.chunk ?? 0) >= newest, "seed \(seed): \(output.last?.chunk ?? 0) of \(newest)")
    #expect(output.falsehoods == 0 && output.disorder == 0)
  }

  @Test func `is choked when there is no room`() throws {
    let scene = try Scene(seed: 1, rate: 600_000) { $0.capacity = Capacity(upload: 1_400_000) }
    // Room for two copies of the stream.
    scene.viewers(2)
    scene.run(for: .seconds(2))
    let plain = try (1...4).map { number in
      try PlainPeer(
        number: UInt32(number),
        scene.broadcast,
        dials: [scene.source.address],
        now: scene.world.now
      )
    }
    for peer in plain { scene.world.add(peer) }
    scene.run(for: .seconds(4))
    let served = plain.count { $0.chunks.count > 20 }
    print("choked \(plain.map(\.chokes)), chunks \(plain.map(\.chunks.count))")
    #expect(served <= 2)
    #expect(plain.allSatisfy { $0.chunks.count > 20 || $0.chokes > 0 }, "who gets nothing is told so")
    for viewer in scene.viewers { scene.expectWhole(viewer) }
  }

  @Test func `loses its slot to one that waits when it asks for nothing`() throws {
    // Room for one copy of the stream.
    let scene = try Scene(seed: 1, rate: 600_000) { $0.capacity = Capacity(upload: 800_000) }
    let idle = try PlainPeer(number: 1, scene.broadcast, dials: [scene.source.address], now: .zero)
    idle.asks = false
    scene.world.add(idle)
    scene.run(for: .seconds(2))
    #expect(idle.chokes == 0)
    let eager = try PlainPeer(number: 2, scene.broadcast, dials: [scene.source.address], now: scene.world.now)
    scene.world.add(eager)
    scene.run(for: .seconds(2))
    #expect(eager.chokes > 0 && eager.chunks.isEmpty)
    scene.run(for: .seconds(12))
    #expect(idle.chokes > 0)
    #expect(eager.chunks.count > 50)
  }

  @Test func `may leave and come back`() throws {
    let scene = try Scene(seed: 1, rate: 600_000)
    let plain = try PlainPeer(number: 1, scene.broadcast, dials: [scene.source.address], now: .zero)
    scene.world.add(plain)
    scene.run(for: .seconds(2))
    #expect(scene.source.statistics(now: scene.world.now).peers == 1)
    plain.close()
    scene.world.poke(plain.address)
    scene.run(for: .milliseconds(100))
    #expect(scene.source.statistics(now: scene.world.now).peers == 0)
    let again = try PlainPeer(number: 1, scene.broadcast, dials: [scene.source.address], now: scene.world.now)
    scene.world.add(again)
    scene.run(for: .seconds(2))
    #expect((again.run?.count ?? 0) > 50)
    scene.leave(scene.source)
    scene.run(for: .seconds(4))
    #expect(scene.source.hasLeft)
    #expect(again.closings >= 1, "the source says goodbye")
  }
}
