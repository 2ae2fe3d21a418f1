import Lab
import PluginKit
import Swarm
import Testing

@Suite struct `An upload that carries the payload but not the headers and signatures` {
  @Test func `feeds nobody, rather than somebody badly`() throws {
    // 930 kbit/s of payload are a little more than 1 Mbit/s on the wire.
    let tight = Capacity(upload: 1_000_000)
    let scene = try Scene(seed: 1, rate: 930_000, parameters: "fanout=1")
    #expect(scene.source.peer.copyRate > 1_000_000)
    let relay = scene.viewer { $0.capacity = tight }
    scene.run(for: .seconds(1))
    let second = scene.viewer { $0.capacity = tight }
    scene.run(for: .seconds(4))
    #expect(scene.children(of: relay).isEmpty)
    scene.expectWhole(relay)
    // Nobody has room for it.
    #expect(second.output.readings.isEmpty)
  }
}
