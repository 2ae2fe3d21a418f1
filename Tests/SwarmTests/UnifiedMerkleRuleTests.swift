import Integrity
import PluginKit
import Testing
import Wire

@testable import Swarm

/// What RFC 7574, section 6.1.2, demands of a peer in a swarm under a Unified Merkle Tree.
@Suite struct `A peer under a Unified Merkle Tree` {
  @Test func `tells of no chunk before its munro is signed`() throws {
    var source = try Caller.source(chunks: 3, .unifiedMerkleTree)
    var caller = try Caller(1, .unifiedMerkleTree)
    #expect(try caller.open(&source, now: .zero).flatMap(\.messages).isEmpty)
    #expect(try caller.listen(to: &source, from: .zero, for: .milliseconds(500)).isEmpty)
    try Caller.publish(3, peer: &source, now: .milliseconds(600))
    let heard = try caller.listen(to: &source, from: .milliseconds(600), for: .milliseconds(200))
    #expect(heard == [.integrity(0...3), .signedIntegrity(0...3), .have(0...3)])
  }

  @Test func `sends the munro and its signature, the uncles from the top and the chunk, as far as they lack`()
    throws
  {
    var source = try Caller.source(chunks: 4, .unifiedMerkleTree)
    var caller = try Caller(1, .unifiedMerkleTree)
    _ = try caller.open(&source, now: .zero)
    caller.say(&source, now: .milliseconds(1)) { caller.format.appendRequest(1...1, to: &$0) }
    var datagrams = try caller.hear(&source)
    #expect(datagrams.count == 1)
    var said = try #require(datagrams.first).messages
    #expect(
      said.dropLast() == [.integrity(0...3), .signedIntegrity(0...3), .integrity(2...3), .integrity(0...0)]
    )
    #expect(said.chunks == [1])
    caller.say(&source, now: .milliseconds(20)) { bytes in
      caller.format.appendAck(1...1, delay: 10_000, to: &bytes)
      caller.format.appendRequest(2...2, to: &bytes)
    }
    datagrams = try caller.hear(&source)
    said = try #require(datagrams.first).messages
    #expect(datagrams.count == 1 && said.dropLast() == [.integrity(3...3)] && said.chunks == [2])
  }

  @Test func `shows its rightmost munro to who has none of it, from the third datagram on`() throws {
    var source = try Caller.source(chunks: 12, .unifiedMerkleTree)
    var caller = try Caller(1, .unifiedMerkleTree)
    caller.handshake(to: 0, &source, now: .zero)
    #expect(try caller.hear(&source).flatMap(\.messages).count == 1, "the second datagram is a handshake")
    caller.say(&source, now: .zero) { _ in }
    let munro = [Caller.Said.integrity(8...11), .signedIntegrity(8...11)]
    #expect(try caller.hear(&source).first?.messages == munro)
    caller.say(&source, now: .milliseconds(1)) { caller.format.appendHave(11...11, to: &$0) }
    let heard = try caller.listen(to: &source, from: .milliseconds(1), for: .milliseconds(500))
    #expect(heard.filter { munro.contains($0) }.isEmpty)

    // The other way around, the third datagram is that of who has called.
    var relay = try Foe.victim { configuration in
      configuration.integrity = .unifiedMerkleTree
    }
    try caller.beJoined(by: &relay, now: .zero)
    var signer = try Self.signer()
    try Self.sendMunro(of: 8, timestamp: 100, &signer, caller, to: &relay, now: .milliseconds(1))
    var other = try Caller(2, .unifiedMerkleTree)
    relay.start(bootstrap: [other.address], now: .milliseconds(2))
    #expect(try other.hear(&relay).flatMap(\.messages).count == 1, "the first datagram is a handshake")
    other.handshake(to: other.remote, &relay, now: .milliseconds(3))
    #expect(try other.hear(&relay).first?.messages == munro)
  }

  @Test func `discards a munro that is signed earlier than the one before it`() throws {
    var viewer = try Foe.victim { $0.integrity = .unifiedMerkleTree }
    var caller = try Caller(1, .unifiedMerkleTree)
    try caller.beJoined(by: &viewer, now: .zero)
    var signer = try Self.signer()
    try Self.sendMunro(of: 8, timestamp: 100, &signer, caller, to: &viewer, now: .milliseconds(1))
    #expect(viewer.unified?.subtrees.contains(8) == true)
    #expect(viewer.window.contains(8))
    var old = signer
    try Self.sendMunro(of: 12, timestamp: 99, &old, caller, to: &viewer, now: .milliseconds(2))
    #expect(viewer.unified?.subtrees.contains(12) == false)
    #expect(!viewer.window.contains(12) && viewer.statistics(now: .milliseconds(2)).rejected == 1)
    try Self.sendMunro(of: 12, timestamp: 101, &signer, caller, to: &viewer, now: .milliseconds(3))
    #expect(viewer.unified?.subtrees.contains(12) == true)
  }

  @Test func `passes nothing on before the signature of its munro was checked`() throws {
    var relay = try Foe.victim { $0.integrity = .unifiedMerkleTree }
    var caller = try Caller(1, .unifiedMerkleTree)
    try caller.beJoined(by: &relay, now: .zero)
    var child = try Caller(2, .unifiedMerkleTree)
    _ = try child.open(&relay, now: .zero)
    var signer = try Self.signer()
    var copy = signer
    try Self.sendMunro(of: 8, timestamp: 100, &copy, caller, to: &relay, now: .milliseconds(1), lies: true)
    child.say(&relay, now: .milliseconds(2)) { child.format.appendRequest(8...8, to: &$0) }
    #expect(try child.listen(to: &relay, from: .milliseconds(2), for: .milliseconds(300)).isEmpty)
    try Self.sendMunro(of: 8, timestamp: 100, &signer, caller, to: &relay, now: .milliseconds(400))
    let heard = try child.listen(to: &relay, from: .milliseconds(400), for: .milliseconds(200))
    #expect(heard == [.integrity(8...11), .signedIntegrity(8...11), .have(8...8)])
  }

  @Test func `that makes the stream signs it by itself, and takes no munro from others`() throws {
    var source = try Caller.source(chunks: 0, .unifiedMerkleTree)
    var caller = try Caller(1, .unifiedMerkleTree)
    _ = try caller.open(&source, now: .zero)
    // One that the same key signed when subtrees had another width.
    var former = try Self.signer(width: 8)
    try Self.sendMunro(of: 0, timestamp: 1, &former, caller, to: &source, now: .milliseconds(1))
    for chunk in 8..<12 as Range<UInt64> { try Caller.publish(chunk, peer: &source, now: .milliseconds(2)) }
    caller.say(&source, now: .milliseconds(3)) { caller.format.appendRequest(8...11, to: &$0) }
    let said = try caller.hear(&source).flatMap(\.messages)
    #expect(said.chunks == [8, 9, 10, 11])
    #expect(said.count { $0 == .signedIntegrity(8...11) } == 4)
  }

  @Test func `sends no chunk that the other side could not check`() throws {
    var relay = try Foe.victim { $0.integrity = .unifiedMerkleTree }
    var caller = try Caller(1, .unifiedMerkleTree)
    try caller.beJoined(by: &relay, now: .zero)
    var child = try Caller(2, .unifiedMerkleTree)
    _ = try child.open(&relay, now: .zero)
    var signer = try Self.signer()
    try Self.sendMunro(of: 8, timestamp: 100, &signer, caller, to: &relay, now: .milliseconds(1))
    // More than a window ahead: its place is that of the one before.
    let ahead = 8 + relay.window.size + 2 * 4
    try Self.sendMunro(
      of: ahead,
      timestamp: 101,
      &signer,
      caller,
      to: &relay,
      now: .milliseconds(2),
      hasChunk: false
    )
    #expect(relay.window.contains(8) && relay.unified?.subtrees.contains(8) == false)
    child.say(&relay, now: .milliseconds(3)) { child.format.appendRequest(8...8, to: &$0) }
    let heard = try child.listen(to: &relay, from: .milliseconds(3), for: .milliseconds(300))
    #expect(heard.chunks.isEmpty)
  }

  private static func signer(width: Int = 4) throws -> UnifiedMerkle.Signer {
    try UnifiedMerkle.Signer(
      Foe.key(),
      addressing: .chunkRanges32,
      chunkSize: Foe.chunkSize,
      width: width,
      function: .sha256
    )
  }

  /// Sends a signed munro, and its first chunk with the uncles; a signature that `lies` is false.
  private static func sendMunro(
    of first: UInt64,
    timestamp: UInt64,
    _ signer: inout UnifiedMerkle.Signer,
    _ caller: Caller,
    to peer: inout Peer,
    now: Duration,
    lies: Bool = false,
    hasChunk: Bool = true
  ) throws {
    for chunk in first..<first + UInt64(signer.width) {
      let payload = Caller.payload(chunk)
      _ = try unsafe signer.append(chunk, payload.span.bytes)
    }
    let subtree = try signer.finish(timestamp: timestamp)
    var signature = subtree.signature
    if lies { signature[7] ^= 1 }
    caller.say(&peer, now: now) { bytes in
      subtree.munroHash { caller.format.appendIntegrity($0, hash: $1, to: &bytes) }
      unsafe caller.format.appendSignedIntegrity(
        subtree.munro,
        timestamp: timestamp,
        signature: signature.span.bytes,
        to: &bytes
      )
      guard hasChunk else { return }
      subtree.uncles(of: first, holdsAny: { _ in false }) {
        caller.format.appendIntegrity($0, hash: $1, to: &bytes)
      }
      caller.format.appendDataHeader(first, timestamp: 0, to: &bytes)
      bytes += Caller.payload(first)
    }
  }
}
