import Integrity
import Lab
import PluginKit
import Swarm
import Testing
import Wire

@Suite struct `A stream without integrity protection` {
  private func scene(_ seed: UInt64, topology: String = "chain", loss: Double = 0) throws -> Scene {
    try Scene(
      seed: seed,
      topology: topology,
      parameters: "",
      integrity: .none,
      path: Path(delay: .milliseconds(10), loss: loss)
    )
  }

  @Test(arguments: [(1, 0.0), (2, 0.05), (3, 0.05)] as [(UInt64, Double)])
  func `crosses three hops to its end, and no signature is sent`(seed: UInt64, loss: Double) throws {
    let scene = try scene(seed, loss: loss)
    var types: Set<UInt8> = []
    scene.source.rewrite = { datagram, _, _ in
      types.formUnion(Self.types(datagram, scene.broadcast.chunkSize))
      return [datagram]
    }
    scene.viewers(3, every: .milliseconds(300))
    scene.source.end(at: .seconds(5))
    scene.run(for: .seconds(8))
    let last = try #require(scene.broadcast.published.last).chunk
    #expect(types.contains(MessageType.data) && !types.contains(MessageType.signedIntegrity), "seed \(seed)")
    #expect(Set(scene.viewers.map(\.output.readings.count)).allSatisfy { $0 > 200 }, "seed \(seed)")
    for viewer in scene.viewers {
      let statistics = viewer.statistics(now: scene.world.now)
      #expect(viewer.output.isContiguous, "seed \(seed): \(viewer.name)")
      #expect(viewer.output.last?.chunk == last && viewer.peer.hasEnded, "seed \(seed): \(viewer.name)")
      #expect(statistics.verified == 0 && statistics.rejected == 0, "seed \(seed): \(viewer.name)")
      #expect(viewer.output.delay(for: 0.99, of: 250...last) ?? .seconds(9) < .milliseconds(300))
    }
  }

  /// The types of the messages of a datagram, as far as they can be read.
  private static func types(_ datagram: [UInt8], _ chunkSize: Int) -> Set<UInt8> {
    let format = WireFormat(signatureLength: 64, chunkSize: chunkSize, allowsExtensions: true)
    guard var reader = try? DatagramReader(datagram.span) else { return [] }
    var types: Set<UInt8> = []
    while let type = reader.nextType {
      types.insert(type)
      guard (try? reader.next(format)) != nil else { break }
    }
    return types
  }

  @Test func `is altered by a relay without being noticed, as its viewers are warned`() throws {
    let scene = try scene(1)
    scene.viewers(3, every: .milliseconds(300))
    scene.run(for: .seconds(2))
    let format = WireFormat(chunkSize: scene.broadcast.chunkSize, allowsExtensions: true)
    scene.viewers[0].rewrite = { datagram, _, _ in
      guard var reader = try? DatagramReader(datagram.span) else { return [datagram] }
      while let message = try? reader.next(format) {
        if case .data = message { return [datagram.dropLast() + [datagram[datagram.count - 1] ^ 1]] }
      }
      return [datagram]
    }
    scene.run(for: .seconds(2))
    #expect(scene.viewers[0].output.falsehoods == 0)
    for viewer in scene.viewers[1...] { #expect(viewer.output.falsehoods > 100) }
  }

  @Test(arguments: [IntegrityMethod.signAll, .unifiedMerkleTree, .none], [IntegrityMethod.signAll, .none])
  func `is one method of three, and who names another than the swarm's gets no answer`(
    asked: IntegrityMethod,
    used: IntegrityMethod
  ) throws {
    let scene = try Scene(seed: 1, integrity: used)
    let viewer = scene.viewer { $0.integrity = asked }
    scene.run(for: .seconds(2))
    #expect((viewer.statistics(now: scene.world.now).peers > 0) == (asked == used))
    #expect((viewer.output.readings.count > 0) == (asked == used))
  }

  @Test func `takes a window, and an algorithm only if it is that of its swarm id`() throws {
    let scene = try scene(1)
    scene.run(for: .seconds(1))
    let probe = Probe(number: 1)
    scene.world.add(probe)
    let answered = { (change: (inout HandshakeOptions) -> Void) in
      var options = `A first handshake`.options(scene.broadcast)
      options.integrity = IntegrityMethod.none
      change(&options)
      let before = probe.received.count
      probe.send(`A first handshake`.datagram(options), to: scene.source.address, in: scene.world)
      scene.run(for: .milliseconds(300))
      return probe.received.count > before
    }
    #expect(!answered { $0.discardWindow = nil })
    #expect(!answered { $0.signatureAlgorithm = 13 })
    #expect(answered { $0.signatureAlgorithm = nil })
    #expect(answered { _ in })
  }
}
