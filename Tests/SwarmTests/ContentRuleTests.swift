import Integrity
import PluginKit
import Testing
import Wire

@testable import Swarm

/// What RFC 7574, section 5, demands of a peer that serves content.
@Suite struct `A peer that serves content` {
  @Test func `sends peaks, uncles from the top and the chunk, and no peaks to who has acknowledged one`()
    throws
  {
    // Figure 4 of the RFC.
    let bytes = [UInt8](repeating: 7, count: 7162)
    let tree = try ContentScene.tree(of: bytes, .sha256, 1024)
    let memory = ContentMemory(byteCount: bytes.count)
    unsafe memory.write(bytes.span.bytes, at: 0)
    var configuration = PeerConfiguration(
      .content(tree.root),
      role: .relay,
      identity: try unsafe PeerIdentity(seed: [UInt8](repeating: 200, count: 32).span.bytes),
      address: Foe.victimAddress
    )
    configuration.chunkSize = 1024
    configuration.seed = 1
    var seeder = try Peer(
      configuration,
      content: Content(tree, memory),
      channels: ChannelNumbers(),
      now: .zero
    )
    var caller = Caller(content: tree.root, chunkSize: 1024)
    #expect(try caller.open(&seeder, now: .zero).flatMap(\.messages) == [.have(0...6)])

    caller.say(&seeder, now: .milliseconds(1)) { caller.format.appendRequest(0...0, to: &$0) }
    var datagrams = try caller.hear(&seeder)
    var said = try #require(datagrams.first).messages
    let peaks = [Caller.Said.integrity(0...3), .integrity(4...5), .integrity(6...6)]
    #expect(datagrams.count == 1 && said.dropLast() == peaks + [.integrity(2...3), .integrity(1...1)])
    #expect(said.chunks == [0])

    caller.say(&seeder, now: .milliseconds(20)) { bytes in
      caller.format.appendAck(0...0, delay: 10_000, to: &bytes)
      caller.format.appendRequest(4...4, to: &bytes)
    }
    datagrams = try caller.hear(&seeder)
    said = try #require(datagrams.first).messages
    #expect(datagrams.count == 1 && said.dropLast() == [.integrity(5...5)] && said.chunks == [4])
  }
}
