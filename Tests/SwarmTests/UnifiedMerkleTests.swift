import Integrity
import Lab
import PluginKit
import Swarm
import Testing
import Wire

@Suite struct `A stream under a Unified Merkle Tree` {
  @Test(arguments: [(1, 0.0), (3, 0.05)] as [(UInt64, Double)])
  func `goes down a chain of relays whole, whatever datagrams are lost`(seed: UInt64, loss: Double) throws {
    let scene = try Scene(
      seed: seed,
      rate: 3_800_000,
      topology: "chain",
      parameters: "",
      integrity: .unifiedMerkleTree,
      path: Path(delay: .milliseconds(10), loss: loss)
    )
    scene.viewers(3, every: .milliseconds(300))
    scene.run(for: .seconds(4))
    var duplicates: [UInt64] = []
    for viewer in scene.viewers {
      scene.expectWhole(viewer)
      let statistics = viewer.statistics(now: scene.world.now)
      #expect(statistics.rejected == 0, "seed \(seed)")
      duplicates.append(statistics.duplicate)
    }
    // Nobody who is there from the start waits for what was before.
    #expect(scene.viewers[0].output.readings.allSatisfy { ($0.delay ?? .zero) < .seconds(1) }, "seed \(seed)")
    let last = scene.viewers.compactMap { $0.output.readings.map(\.delay).compactMap(\.self).max() }
    print("seed \(seed), loss \(loss): greatest delays \(last), duplicates \(duplicates)")
  }

  @Test(arguments: [SignatureAlgorithm.rsaSHA256, .ecdsaP384SHA384])
  func `whose signature is long needs two datagrams for its hashes`(algorithm: SignatureAlgorithm) throws {
    let scene = try Scene(
      seed: 1,
      rate: 3_800_000,
      key: try StreamKey.generate(algorithm),
      integrity: .unifiedMerkleTree,
      path: Path(delay: .milliseconds(5), loss: 0.02)
    )
    scene.viewers(3)
    scene.run(for: .seconds(3))
    for viewer in scene.viewers { scene.expectWhole(viewer) }
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `may end in the middle of a subtree`(seed: UInt64) throws {
    let scene = try Scene(
      seed: seed,
      rate: 2_000_000,
      integrity: .unifiedMerkleTree,
      path: Path(delay: .milliseconds(5), loss: 0.02)
    )
    scene.viewers(3)
    scene.source.end(at: .milliseconds(2000 + 13 * Int64(seed)))
    scene.run(for: .seconds(4))
    #expect(scene.broadcast.hasEnded)
    for viewer in scene.viewers {
      #expect(viewer.peer.hasEnded, "seed \(seed)")
      #expect(viewer.output.last?.chunk == scene.broadcast.published.last?.chunk)
      #expect(viewer.output.isContiguous)
    }
  }

  @Test func `waits with its chunks when hashes are lost, and asks for them`() throws {
    let scene = try Scene(seed: 1, rate: 3_800_000, integrity: .unifiedMerkleTree)
    let format = WireFormat(
      signatureLength: scene.broadcast.key.signatureLength,
      hashLength: 32,
      chunkSize: scene.broadcast.chunkSize,
      allowsExtensions: true
    )
    // Every other datagram with a signed munro never leaves.
    var count = 0
    var lost = 0
    scene.source.rewrite = { datagram, _, _ in
      guard var reader = try? DatagramReader(datagram.span) else { return [datagram] }
      while let message = try? reader.next(format) {
        guard case .signedIntegrity = message else { continue }
        count += 1
        if count.isMultiple(of: 2) {
          lost += 1
          return []
        }
      }
      return [datagram]
    }
    scene.viewers(1)
    scene.run(for: .seconds(3))
    let viewer = scene.viewers[0]
    scene.expectWhole(viewer)
    let statistics = viewer.statistics(now: scene.world.now)
    #expect(lost > 20)
    // Only what opens a subtree is asked for again, not all that waited.
    #expect(statistics.duplicate < UInt64(lost) * 3, "\(statistics.duplicate) duplicates for \(lost) losses")
  }

  /// What somebody who does not play fair changes.
  enum Lie: CaseIterable, Sendable {
    case payload, leaf, munro, signature, anotherSubtree, noHashes
  }

  @Test(arguments: Scene.isOptimised ? Lie.allCases : [.payload, .leaf, .anotherSubtree])
  func `is not spoiled by a relay that lies about chunks, hashes or signatures`(lie: Lie) throws {
    let scene = try Scene(
      seed: 3,
      rate: 800_000,
      parameters: "fanout=2",
      integrity: .unifiedMerkleTree,
      path: Path(delay: .milliseconds(5), loss: 0.01)
    )
    scene.viewers(4)
    scene.run(for: .seconds(2))
    let liar = try #require(scene.viewers.first { !scene.children(of: $0).isEmpty })
    let victims = scene.children(of: liar)
    let format = WireFormat(
      signatureLength: scene.broadcast.key.signatureLength,
      hashLength: 32,
      chunkSize: scene.broadcast.chunkSize,
      allowsExtensions: true
    )
    var told = 0
    liar.rewrite = { datagram, to, _ in
      guard victims.contains(where: { $0.address == to }), var reader = try? DatagramReader(datagram.span)
      else {
        return [datagram]
      }
      var bytes: [UInt8] = []
      WireFormat.appendChannel(reader.destination, to: &bytes)
      while let message = try? reader.next(format) {
        switch message {
        case .integrity(let chunks, let hash):
          var hash = unsafe hash.withUnsafeBytes { unsafe Array($0) }
          var chunks = chunks
          if lie == .noHashes, chunks.count == 1 { continue }
          if lie == .leaf && chunks.count == 1 || lie == .munro && chunks.count > 1 {
            hash[3] ^= 4
            told += 1
          }
          if lie == .anotherSubtree {
            let width = UInt64(scene.broadcast.chunksPerSignature)
            chunks = chunks.lowerBound + width...chunks.upperBound + width
          }
          unsafe format.appendIntegrity(chunks, hash: hash.span.bytes, to: &bytes)
        case .signedIntegrity(var chunks, let timestamp, let signature):
          var signature = unsafe signature.withUnsafeBytes { unsafe Array($0) }
          if lie == .signature {
            signature[9] ^= 1
            told += 1
          }
          if lie == .anotherSubtree {
            let width = UInt64(scene.broadcast.chunksPerSignature)
            chunks = chunks.lowerBound + width...chunks.upperBound + width
            told += 1
          }
          unsafe format.appendSignedIntegrity(
            chunks,
            timestamp: timestamp,
            signature: signature.span.bytes,
            to: &bytes
          )
        case .data(let chunks, let sent, let payload):
          var payload = unsafe payload.withUnsafeBytes { unsafe Array($0) }
          if lie == .payload {
            payload[payload.count / 2] ^= 1
            told += 1
          }
          format.appendDataHeader(chunks.lowerBound, length: payload.count, timestamp: sent, to: &bytes)
          bytes += payload
        default: format.append(message, to: &bytes)
        }
      }
      return [bytes]
    }
    scene.run(for: .seconds(4))
    for viewer in scene.viewers where viewer !== liar {
      scene.expectWhole(viewer)
      #expect(viewer.output.falsehoods == 0)
    }
    // Without hashes it is a bad parent and no liar: the others' hashes prove what it sends.
    guard lie != .noHashes else { return }
    #expect(told > 0)
    for victim in victims {
      #expect(victim.statistics(now: scene.world.now).rejected <= 10, "\(lie)")
      #expect(scene.parent(of: victim) !== liar, "\(lie): the liar is left")
    }
  }
}
