import Integrity
import Lab
import PluginKit
import Swarm
import Testing
import Wire

@Suite struct `Chunks that vary in length` {
  private func scene(
    _ seed: UInt64,
    _ integrity: IntegrityMethod,
    loss: Double = 0,
    configure: (inout PeerConfiguration) -> Void = { _ in }
  ) throws -> Scene {
    try Scene(
      seed: seed,
      rate: 2_000_000,
      topology: "chain",
      parameters: "",
      chunkSize: WireFormat.variableChunkSize,
      integrity: integrity,
      path: Path(delay: .milliseconds(10), loss: loss),
      configure: configure
    )
  }

  @Test(arguments: [IntegrityMethod.signAll, .unifiedMerkleTree, .none], [(1, 0.0), (2, 0.05)])
  func `cross three hops to the empty one at the end (RFC 7574, 7.11)`(
    integrity: IntegrityMethod,
    seed: (number: UInt64, loss: Double)
  ) throws {
    let scene = try scene(seed.number, integrity, loss: seed.loss)
    scene.viewers(3, every: .milliseconds(300))
    scene.source.end(at: .seconds(5))
    scene.run(for: .seconds(8))
    let published = scene.broadcast.published
    let last = try #require(published.last)
    let lengths = published.map(\.payload.count)
    let longest = PeerConfiguration.longestVariableChunk
    #expect(last.payload.isEmpty && !lengths.dropLast().contains(0))
    #expect((lengths.dropLast().min() ?? 99) < 5 && (lengths.max() ?? 0) > longest - 5)
    for viewer in scene.viewers {
      let statistics = viewer.statistics(now: scene.world.now)
      #expect(viewer.output.readings.count > 800, "seed \(seed): \(viewer.name)")
      #expect(viewer.output.isContiguous, "seed \(seed): \(viewer.name)")
      #expect(viewer.output.last?.chunk == last.chunk && viewer.peer.hasEnded, "seed \(seed): \(viewer.name)")
      #expect(statistics.rejected == 0, "seed \(seed): \(viewer.name)")
    }
    #expect(scene.viewers.map { $0.statistics(now: scene.world.now).depth } == [1, 2, 3])
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `are as long on the wire as they are, and their mean says what a copy takes`(seed: UInt64) throws {
    let scene = try scene(seed, .signAll)
    // As nothing is known at first, chunks are taken for half as long as they may be.
    let supposed = scene.source.peer.copyRate
    scene.viewers(1)
    scene.run(for: .seconds(2))
    let before = scene.source.statistics(now: scene.world.now)
    scene.run(for: .seconds(8))
    let after = scene.source.statistics(now: scene.world.now)
    let onWire = Double(after.bytesOut - before.bytesOut)
    // 102 bytes beside each chunk, and now and then something else.
    let told = Double(scene.source.peer.copyRate)
    #expect(abs(told / (onWire / 8 * 8) - 1) < 0.1, "seed \(seed): \(told) for \(onWire)")
    #expect(abs(told / Double(supposed) - 1) < 0.1, "seed \(seed): \(told), at first \(supposed)")
    #expect(told > 1.1 * 2_000_000)
  }

  @Test func `are known by their size to who opens a channel`() throws {
    let scene = try scene(1, .signAll)
    scene.run(for: .seconds(1))
    let probe = Probe(number: 1)
    scene.world.add(probe)
    for (size, isRight) in [(WireFormat.variableChunkSize, true), (1316, false), (0xFFFF_FFFE, false)] {
      var options = `A first handshake`.options(scene.broadcast)
      options.chunkSize = size
      let before = probe.received.count
      probe.send(`A first handshake`.datagram(options), to: scene.source.address, in: scene.world)
      scene.run(for: .milliseconds(300))
      #expect((probe.received.count > before) == isRight, "\(size)")
    }
    let viewer = scene.viewer { $0.chunkSize = 1316 }
    scene.run(for: .seconds(1))
    #expect(viewer.statistics(now: scene.world.now).peers == 0, "a fixed size is another swarm's")
  }

  @Test func `cannot be named by their bytes`() throws {
    #expect(throws: SwarmError.self) { try scene(1, .signAll) { $0.addressing = .byteRanges64 } }
    #expect(throws: SwarmError.self) { try scene(1, .none) { $0.addressing = .byteRanges64 } }
  }

  @Test func `are not taken where they are longer than any may be`() throws {
    let scene = try scene(1, .none)
    let viewer = scene.viewer()
    scene.run(for: .seconds(1))
    let format = WireFormat(allowsExtensions: true)
    let longest = PeerConfiguration.longestVariableChunk
    var lengthened: Set<UInt64> = []
    scene.source.rewrite = { datagram, _, _ in
      guard var reader = try? DatagramReader(datagram.span) else { return [datagram] }
      while let message = try? reader.next(format) {
        guard case .data(let chunks, _, let payload) = message else { continue }
        // To the bound and beyond it, in turn.
        let length = longest + (chunks.lowerBound.isMultiple(of: 2) ? 1 : 0)
        if length > longest { lengthened.insert(chunks.lowerBound) }
        return [datagram + [UInt8](repeating: 0, count: length - payload.byteCount)]
      }
      return [datagram]
    }
    let first = scene.newest(before: .zero) + 2
    scene.run(for: .seconds(3))
    let taken = Set(viewer.output.readings.map(\.chunk).filter { $0 >= first })
    #expect(lengthened.count > 100 && taken.isDisjoint(with: lengthened))
    #expect(taken.count > 30)
    #expect(viewer.statistics(now: scene.world.now).rejected >= 100)
  }

  @Test func `are published up to their bound, and the stream ends with an empty one only`() throws {
    var source = try Foe.victim(.source) { $0.chunkSize = WireFormat.variableChunkSize }
    let longest = PeerConfiguration.longestVariableChunk
    var chunk: UInt64 = 0
    func publish(_ length: Int, isLast: Bool = false) -> String? {
      do throws(SwarmError) {
        let payload = [UInt8](repeating: 1, count: length)
        try unsafe source.publish(
          chunk: chunk,
          payload: payload.span.bytes,
          isEntry: true,
          isLast: isLast,
          now: .zero
        )
        chunk += 1
        return nil
      } catch { return error.description }
    }
    #expect(publish(1) == nil && publish(longest) == nil)
    #expect(publish(longest + 1)?.contains("at most 1316") == true)
    #expect(publish(188, isLast: true)?.contains("ends with an empty one") == true)
    #expect(publish(0, isLast: true) == nil)
    #expect(publish(188)?.contains("has ended") == true)
  }
}
