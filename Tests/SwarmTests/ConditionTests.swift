import Integrity
import Lab
import PluginKit
import Swarm
import Testing
import Wire

@Suite struct `A swarm` {
  @Test(arguments: [1, 2] as [UInt64])
  func `does not depend on what clocks show`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 600_000, path: Path(delay: .milliseconds(10), loss: 0.02))
    // Some days off, before 1970, and where the seconds of NTP begin anew.
    for (number, offset) in [-200_000, 86_400 * 30, -1_800_000_100, 285_978_494].enumerated() {
      scene.viewer(at: .milliseconds(100 * number), clockOffset: .seconds(1_800_000_000 + offset))
    }
    scene.run(for: .seconds(6))
    for viewer in scene.viewers { scene.expectWhole(viewer) }
  }

  @Test(arguments: SignatureAlgorithm.allCases)
  func `runs with every algorithm, also where a signature needs a datagram of its own`(
    algorithm: SignatureAlgorithm
  ) throws {
    let key = try StreamKey.generate(algorithm)
    let scene = try Scene(seed: 1, rate: 300_000, key: key, path: Path(delay: .milliseconds(5), loss: 0.01))
    var largest = 0
    scene.world.observer = { bytes, _, _, _ in largest = max(largest, bytes.count) }
    scene.viewers(3)
    scene.run(for: .seconds(4))
    for viewer in scene.viewers { scene.expectWhole(viewer) }
    #expect(largest <= 1472 && largest > 1316)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `keeps to a small window`(seed: UInt64) throws {
    let path = Path(delay: .milliseconds(10), loss: 0.03)
    let scene = try Scene(seed: seed, rate: 600_000, path: path) { $0.window = 128 }
    for number in 0..<5 { scene.viewer(at: .milliseconds(100 * number)) { $0.window = 128 } }
    scene.run(for: .seconds(8))
    for viewer in scene.viewers {
      scene.expectWhole(viewer)
      #expect(viewer.statistics(now: scene.world.now).windowFill == 1)
    }
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `never asks a peer for more than its upload carries`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 600_000, parameters: "fanout=6") {
      $0.capacity = Capacity(upload: 1_500_000)
    }
    for number in 0..<10 {
      let upload: UInt64 = number.isMultiple(of: 3) ? 0 : 1_500_000
      scene.viewer(at: .milliseconds(200 * number)) { $0.capacity = Capacity(upload: upload) }
    }
    scene.run(for: .seconds(7))
    for host in scene.viewers + [scene.source] {
      let most = scene.viewers.firstIndex { $0 === host }.map { $0.isMultiple(of: 3) ? 0 : 2 } ?? 2
      #expect(scene.children(of: host).count <= most, "seed \(seed): \(host.name)")
    }
    for viewer in scene.viewers {
      #expect(
        viewer.output.isContiguous && viewer.statistics(now: scene.world.now).depth != nil,
        "seed \(seed)"
      )
    }
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `lets those that only watch give way`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 600_000)
    for _ in 0..<2 { scene.viewer(.leaf) }
    scene.run(for: .seconds(2))
    #expect(scene.children(of: scene.source).count == 2)
    scene.viewers(4, every: .milliseconds(300))
    scene.run(for: .seconds(6))
    for viewer in scene.viewers {
      scene.expectWhole(viewer)
      #expect(viewer.statistics(now: scene.world.now).depth != nil)
    }
    for leaf in scene.viewers.prefix(2) { #expect(scene.children(of: leaf).isEmpty) }
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `goes on when its source was started again`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 600_000)
    scene.viewers(6)
    scene.run(for: .seconds(3))
    scene.kill(scene.source)
    scene.run(for: .milliseconds(1500))
    let again = Host("source", number: 1, seed: seed + 50, makeTopology: Scene.makeTopology)
    try again.join(scene.broadcast, .source, now: scene.world.now) { $0.topologyParameters = "fanout=2" }
    scene.world.add(again)
    scene.run(for: .seconds(9))
    for viewer in scene.viewers { scene.expectWhole(viewer) }
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `gets by without a parent that keeps silent about chunks`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 600_000)
    scene.viewers(8)
    scene.run(for: .seconds(3))
    let mute = try #require(scene.viewers.first { scene.children(of: $0).count > 1 })
    // It answers, says what it has and feels alive, but no chunk leaves it.
    mute.rewrite = { bytes, _, _ in bytes.count > 1000 ? [] : [bytes] }
    scene.run(for: .seconds(6))
    for viewer in scene.viewers where viewer !== mute { scene.expectWhole(viewer) }
    print("seed \(seed): longest gap", scene.viewers.map(\.output.longestGap.milliseconds).max() ?? 0)
  }

  @Test func `has room for viewers when strangers hold all channels that they can`() throws {
    let scene = try Scene(seed: 1, rate: 300_000)
    scene.viewers(2)
    scene.run(for: .seconds(1))
    // Six hundred strangers who complete the handshake and never say anything again.
    for number in 1...600 {
      let stranger = try PlainPeer(
        number: UInt32(number),
        scene.broadcast,
        dials: [scene.source.address],
        now: scene.world.now
      )
      scene.world.add(stranger)
      scene.run(for: .milliseconds(25))
      scene.world.remove(stranger.address)
    }
    let late = scene.viewer()
    scene.run(for: .seconds(4))
    #expect(late.output.readings.count > 60)
    for viewer in scene.viewers { scene.expectWhole(viewer) }
  }
}
