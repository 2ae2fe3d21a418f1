import Lab
import PluginKit
import Support
import Swarm
import Testing

@Suite struct `Noise` {
  /// Datagrams between all hosts of a small world, with who sent them to whom.
  private func traffic(_ seed: UInt64) throws -> (Scene, [(bytes: [UInt8], from: Address, to: Address)]) {
    let scene = try Scene(seed: seed, rate: 400_000, path: Path(delay: .milliseconds(5), loss: 0.05))
    var seen: [(bytes: [UInt8], from: Address, to: Address)] = []
    scene.world.observer = { bytes, from, to, _ in seen.append((bytes, from, to)) }
    scene.viewers(4)
    let plain = try PlainPeer(number: 1, scene.broadcast, dials: [scene.source.address], now: .zero)
    scene.world.add(plain)
    scene.run(for: .seconds(2))
    scene.world.observer = nil
    return (scene, seen)
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `and altered datagrams never stop a peer or get past it`(seed: UInt64) throws {
    let (scene, seen) = try traffic(seed)
    var random = SplitMix64(seed: seed)
    for host in [scene.source] + scene.viewers {
      var peer = host.peer
      var now = scene.world.now
      let mine = seen.filter { $0.to == host.address }
      for _ in 0..<3000 {
        guard let sample = mine.randomElement(using: &random) else { break }
        var bytes = sample.bytes
        switch Int.random(in: 0..<8, using: &random) {
        case 0:
          bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in
            UInt8.random(in: 0...255, using: &random)
          }
        case 1: bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
        case 2: bytes += sample.bytes.dropFirst(4)
        case 3:
          // The right channel, and then anything.
          bytes =
            bytes.prefix(4)
            + (0..<Int.random(in: 0...90, using: &random)).map { _ in UInt8.random(in: 0...24, using: &random)
            }
        default:
          for _ in 0..<Int.random(in: 1...6, using: &random) where bytes.count > 4 {
            let place = Int.random(in: 4..<min(bytes.count, 120), using: &random)
            bytes[place] =
              [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &random)].randomElement(
                using: &random
              ) ?? 0
          }
        }
        peer.receive(bytes.span, from: sample.from, now: now)
        if Int.random(in: 0..<10, using: &random) == 0 {
          now += .milliseconds(Int.random(in: 0...50, using: &random))
          if let time = peer.nextTimeout, time <= now { peer.timeout(now: now) }
        }
        peer.flush { _, _, _, _ in }
        peer.read(now: now) { chunk, payload, _, _, _ in
          let isTrue = scene.broadcast.isTrue(chunk, payload)
          #expect(isTrue, "seed \(seed): chunk \(chunk)")
        }
        _ = peer.takeNotices()
      }
      _ = peer.statistics(now: now)
      peer.leave(now: now)
      peer.timeout(now: now + .seconds(10))
    }
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `on the network does not disturb a stream`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 600_000)
    scene.viewers(4)
    scene.run(for: .seconds(1))
    let probe = Probe(number: 1)
    scene.world.add(probe)
    var random = SplitMix64(seed: seed)
    let hosts = [scene.source] + scene.viewers
    for _ in 0..<1500 {
      let bytes = (0..<Int.random(in: 0...100, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      probe.send(bytes, to: hosts.randomElement(using: &random)?.address ?? probe.address, in: scene.world)
      if Bool.random(using: &random) { scene.run(for: .milliseconds(3)) }
    }
    scene.run(for: .seconds(1))
    for viewer in scene.viewers { scene.expectWhole(viewer) }
    #expect(probe.received.isEmpty)
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `of first handshakes fills no peer's memory and shuts nobody out`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 600_000)
    scene.viewers(3)
    scene.run(for: .seconds(1))
    let probe = Probe(number: 1)
    scene.world.add(probe)
    let options = `A first handshake`.options(scene.broadcast)
    for number in 1...2000 {
      let bytes = `A first handshake`.datagram(from: UInt32(number), options)
      probe.send(bytes, to: scene.source.address, in: scene.world)
      if number.isMultiple(of: 20) { scene.run(for: .milliseconds(1)) }
    }
    let late = scene.viewer()
    scene.run(for: .seconds(3))
    for viewer in scene.viewers { scene.expectWhole(viewer) }
    #expect(late.output.readings.count > 50)
    scene.run(for: .seconds(6))
    #expect(scene.source.statistics(now: scene.world.now).peers < 10)
  }
}
