import Integrity
import Lab
import PluginKit
import Support
import Swarm
import Testing
import Wire

@Suite struct `A first handshake` {
  static func options(_ broadcast: Broadcast) -> HandshakeOptions {
    HandshakeOptions(
      minimumVersion: 1,
      swarmID: broadcast.key.swarmID.bytes,
      integrity: .signAll,
      signatureAlgorithm: broadcast.key.algorithm.rawValue,
      addressing: .chunkRanges32,
      discardWindow: 12_000,
      chunkSize: broadcast.chunkSize
    )
  }

  static func datagram(
    to channel: UInt32 = 0,
    from source: UInt32 = 0xABCD,
    _ options: HandshakeOptions
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    WireFormat.appendChannel(channel, to: &bytes)
    WireFormat.appendHandshake(source: source, options, to: &bytes)
    return bytes
  }

  private func answered(_ probe: Probe, _ scene: Scene, _ bytes: [UInt8]) -> Bool {
    let before = probe.received.count
    probe.send(bytes, to: scene.source.address, in: scene.world)
    scene.run(for: .milliseconds(300))
    return probe.received.count > before
  }

  @Test func `is answered with the sender's channel and what the swarm is like`() throws {
    let scene = try Scene(seed: 1)
    scene.run(for: .seconds(1))
    let probe = Probe(number: 1)
    scene.world.add(probe)
    let options = Self.options(scene.broadcast)
    #expect(answered(probe, scene, Self.datagram(options)))
    let bytes = try #require(probe.received.first).bytes
    var reader = try DatagramReader(bytes.span)
    #expect(reader.destination == 0xABCD)
    let message = try reader.next(WireFormat())
    guard case .handshake(let view)? = message else {
      Issue.record("no handshake")
      return
    }
    #expect(view.source != 0 && view.missingOption(from: .responder) == nil)
    #expect(view.integrity == .signAll && view.addressing == .chunkRanges32 && view.chunkSize == 1316)
    #expect(view.discardWindow == 12_000)
  }

  @Test func `with anything wrong is met with silence`() throws {
    let scene = try Scene(seed: 1)
    scene.run(for: .seconds(1))
    let probe = Probe(number: 1)
    scene.world.add(probe)
    let good = Self.options(scene.broadcast)
    let wrong: [(String, (inout HandshakeOptions) -> Void)] = [
      ("another swarm", { $0.swarmID = try? Broadcast(seed: 99).key.swarmID.bytes }),
      ("no swarm", { $0.swarmID = nil }),
      ("an empty swarm id", { $0.swarmID = [] }),
      ("version 0", { $0.version = 0 }),
      ("no version", { $0.version = nil }),
      (
        "minimum version 2",
        {
          $0.version = 2; $0.minimumVersion = 2
        }
      ),
      ("no minimum version", { $0.minimumVersion = nil }),
      ("another integrity method", { $0.integrity = .unifiedMerkleTree }),
      ("no integrity method", { $0.integrity = nil }),
      ("another algorithm", { $0.signatureAlgorithm = 13 }),
      ("no algorithm", { $0.signatureAlgorithm = nil }),
      ("another addressing", { $0.addressing = .chunkRanges64 }),
      ("bins", { $0.addressing = .bins32 }),
      ("no window", { $0.discardWindow = nil }),
      ("no chunk size", { $0.chunkSize = nil }),
      ("another chunk size", { $0.chunkSize = 1024 }),
    ]
    for (what, change) in wrong {
      var options = good
      change(&options)
      #expect(!answered(probe, scene, Self.datagram(options)), "\(what)")
    }
    let whole = Self.datagram(good)
    #expect(!answered(probe, scene, Self.datagram(to: 0x1234_5678, good)), "an unknown channel")
    #expect(!answered(probe, scene, [0, 0, 0, 0]), "a keep-alive to channel 0")
    #expect(!answered(probe, scene, [0, 0]), "half a channel")
    #expect(!answered(probe, scene, []), "nothing")
    for count in stride(from: 5, to: whole.count, by: 7) {
      #expect(!answered(probe, scene, Array(whole[..<count])), "cut at \(count)")
    }
    var closing: [UInt8] = []
    WireFormat.appendChannel(0, to: &closing)
    WireFormat.appendClosingHandshake(to: &closing)
    #expect(!answered(probe, scene, closing), "a goodbye out of nowhere")
    #expect(answered(probe, scene, whole), "and the right one is still answered")
  }

  @Test func `that is sent again gets the same answer and makes no second channel`() throws {
    let scene = try Scene(seed: 1)
    let probe = Probe(number: 1)
    scene.world.add(probe)
    let bytes = Self.datagram(Self.options(scene.broadcast))
    for _ in 0..<5 { #expect(answered(probe, scene, bytes)) }
    let channels = Set(probe.received.map { Array($0.bytes[4..<9]) })
    #expect(channels.count == 1, "the answers name one channel")
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `gets no more bytes than it sent until the sender has shown where it is`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 2_000_000)
    scene.viewers(2)
    scene.run(for: .seconds(2))
    let probe = Probe(number: 1)
    scene.world.add(probe)
    var random = SplitMix64(seed: seed)
    var sent = 0
    for _ in 0..<20 {
      let bytes = Self.datagram(from: UInt32.random(in: 1...3, using: &random), Self.options(scene.broadcast))
      sent += bytes.count
      probe.send(bytes, to: scene.source.address, in: scene.world)
      scene.run(for: .milliseconds(Int.random(in: 1...400, using: &random)))
      #expect(probe.bytesReceived <= sent, "seed \(seed)")
      #expect(probe.received.allSatisfy { $0.bytes.count < 300 }, "seed \(seed): nothing heavy")
    }
    // And nothing comes later of its own accord.
    scene.run(for: .seconds(8))
    #expect(probe.bytesReceived <= sent, "seed \(seed)")
  }

  @Test func `says no more than once that nobody is there`() throws {
    let scene = try Scene(seed: 1)
    let viewer = scene.viewer(bootstrap: [Address(ipv4: 0x0A63_0001, port: 1)])
    let before = scene.world.sent
    scene.run(for: .seconds(30))
    let tries = scene.world.sent - before
    print("\(tries) datagrams in 30 s to an address where nobody is")
    #expect(tries < 300)
    #expect(viewer.output.readings.isEmpty)
  }
}

@Suite struct `A channel` {
  @Test func `that a peer never uses is given up`() throws {
    let scene = try Scene(seed: 1)
    let plain = try PlainPeer(number: 1, scene.broadcast, dials: [scene.source.address], now: .zero)
    scene.world.add(plain)
    scene.run(for: .seconds(1))
    #expect(scene.source.statistics(now: scene.world.now).peers == 1)
    scene.world.remove(plain.address)
    // RFC 7574, section 3.12: dead after three minutes and three datagrams without an answer.
    scene.run(for: .seconds(120))
    #expect(scene.source.statistics(now: scene.world.now).peers == 1)
    scene.run(for: .seconds(90))
    #expect(scene.source.statistics(now: scene.world.now).peers == 0)
  }

  @Test func `is not ended by a goodbye from somewhere else`() throws {
    let scene = try Scene(seed: 1, rate: 600_000)
    let viewer = scene.viewer()
    var channel: UInt32 = 0
    scene.world.observer = { bytes, from, _, _ in
      if from == scene.source.address, bytes.count > 1000 {
        channel = bytes[..<4].reduce(0) { $0 << 8 | UInt32($1) }
      }
    }
    scene.run(for: .seconds(2))
    scene.world.observer = nil
    #expect(channel != 0)
    let probe = Probe(number: 1)
    scene.world.add(probe)
    var bytes: [UInt8] = []
    WireFormat.appendChannel(channel, to: &bytes)
    WireFormat.appendClosingHandshake(to: &bytes)
    probe.send(bytes, to: viewer.address, in: scene.world)
    scene.run(for: .seconds(2))
    scene.expectWhole(viewer, lag: .milliseconds(100))
    #expect(probe.received.isEmpty)
  }

  @Test func `of a viewer that left is closed at once`() throws {
    let scene = try Scene(seed: 1, rate: 600_000)
    let viewer = scene.viewer()
    scene.run(for: .seconds(2))
    #expect(scene.source.statistics(now: scene.world.now).children == 1)
    scene.leave(viewer)
    scene.run(for: .milliseconds(100))
    #expect(viewer.hasLeft)
    let statistics = scene.source.statistics(now: scene.world.now)
    #expect(statistics.children == 0 && statistics.peers == 0)
  }

  @Test func `carries a pause of the stream`() throws {
    // Four chunks a second, so that the pauses between them are longer than a parent's silence may be.
    let scene = try Scene(seed: 1, rate: 42_000)
    scene.viewers(5)
    scene.run(for: .seconds(20))
    for viewer in scene.viewers {
      scene.expectWhole(viewer)
      let attached = viewer.seats[0].notices.count { if case .attached = $0.notice { true } else { false } }
      #expect(attached <= 3, "\(viewer.name) changed its parent \(attached) times")
    }
  }
}
