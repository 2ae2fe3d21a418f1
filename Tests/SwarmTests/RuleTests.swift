import Integrity
import PluginKit
import Testing
import Wire

@testable import Swarm

/// What RFC 7574 demands of a peer, message by message; `Tests/RFC7574.md` lists it all.
@Suite struct `A peer that opens a channel` {
  @Test func `sends its handshake alone, to channel 0, with all that it must say`() throws {
    var viewer = try Foe.victim()
    var caller = try Caller()
    viewer.start(bootstrap: [caller.address], now: .zero)
    let datagrams = try caller.hear(&viewer)
    #expect(datagrams.count == 1 && datagrams[0].destination == 0)
    guard case .handshake(let source, let options)? = datagrams[0].messages.first else {
      Issue.record("no handshake")
      return
    }
    #expect(datagrams[0].messages.count == 1, "nothing heavy, nothing at all")
    #expect(source != 0 && viewer.byLocal[source] != nil)
    var said = options
    said.supported = nil
    #expect(said == caller.options)
    // No hashes under Sign All, and the extension.
    let supported = try #require(options.supported)
    #expect(!supported.contains(MessageType.integrity) && supported.contains(Message.extensionType))
  }

  @Test func `answers with its handshake alone, to the channel that was named`() throws {
    var source = try Caller.source(chunks: 20)
    var caller = try Caller()
    caller.send(to: 0, &source, now: .zero) { bytes in
      WireFormat.appendHandshake(source: caller.local, caller.options, to: &bytes)
      caller.format.appendHave(0...3, to: &bytes)
      caller.format.appendRequest(4...9, to: &bytes)
    }
    let datagrams = try caller.hear(&source)
    #expect(datagrams.count == 1 && datagrams[0].destination == caller.local)
    guard case .handshake(let number, let options)? = datagrams[0].messages.first else {
      Issue.record("no handshake")
      return
    }
    #expect(datagrams[0].messages.count == 1, "nothing heavy, nothing at all")
    #expect(number != 0 && options.version == 1 && options.supported != nil)
    var said = options
    said.supported = nil
    said.minimumVersion = 1
    said.swarmID = caller.options.swarmID
    #expect(said == caller.options)
  }

  @Test func `answers the answer at once`() throws {
    var viewer = try Foe.victim()
    var caller = try Caller()
    viewer.start(bootstrap: [caller.address], now: .zero)
    _ = try caller.hear(&viewer)
    caller.handshake(to: caller.remote, &viewer, now: .milliseconds(5))
    #expect(try caller.hear(&viewer).first?.destination == caller.local)
  }

  @Test func `closes it where the answer does not fit the swarm`() throws {
    var viewer = try Foe.victim()
    var caller = try Caller()
    viewer.start(bootstrap: [caller.address], now: .zero)
    _ = try caller.hear(&viewer)
    caller.options.chunkSize = 1024
    caller.handshake(to: caller.remote, &viewer, now: .milliseconds(5))
    let closing = Caller.Said.handshake(source: 0, HandshakeOptions(version: 1))
    #expect(
      try caller.hear(&viewer) == [Caller.Datagram(destination: caller.local, messages: [closing])]
    )
    caller.say(&viewer, now: .milliseconds(6)) { caller.format.appendHave(0...3, to: &$0) }
    #expect(try caller.hear(&viewer).isEmpty)
  }

  @Test func `discards what is for another channel, and goes on with what is for this one`() throws {
    var viewer = try Foe.victim()
    var caller = try Caller()
    viewer.start(bootstrap: [caller.address], now: .zero)
    _ = try caller.hear(&viewer)
    caller.handshake(to: caller.remote ^ 1, &viewer, now: .milliseconds(5))
    #expect(try caller.hear(&viewer).isEmpty)
    caller.handshake(to: caller.remote, &viewer, now: .milliseconds(6))
    #expect(try !caller.hear(&viewer).isEmpty)

    var source = try Caller.source(chunks: 20)
    var other = try Caller(2)
    other.handshake(to: 0, &source, now: .zero)
    _ = try other.hear(&source)
    other.send(to: other.remote ^ 1, &source, now: .zero) { other.format.appendRequest(3...3, to: &$0) }
    #expect(try other.hear(&source).isEmpty)
    other.say(&source, now: .zero) { other.format.appendRequest(3...3, to: &$0) }
    #expect(try other.hear(&source).flatMap(\.messages).chunks == [3])
  }

  @Test func `gives it a random number that is not 0 and not in use`() throws {
    let numbers = ChannelNumbers()
    var random = Randomness.system
    let taken = (0..<10_000).map { _ in numbers.take(using: &random) }
    #expect(Set(taken).count == taken.count && !taken.contains(0))
    for bit in 0..<32 {
      let count = taken.count { $0 >> UInt32(bit) & 1 == 1 }
      #expect((4_500...5_500).contains(count), "bit \(bit) is set in \(count) of 10,000")
    }
  }
}

/// What RFC 7574 demands of a peer on an open channel.
@Suite struct `A peer with an open channel` {
  @Test func `takes the messages of a datagram in their order, up to the first that is none`() throws {
    var source = try Caller.source(chunks: 1)
    var caller = try Caller()
    _ = try caller.open(&source, now: .zero)
    let index = try #require(source.channels.firstIndex { $0.address == caller.address })
    caller.say(&source, now: .zero) { bytes in
      WireFormat.appendUnchoke(to: &bytes)
      WireFormat.appendChoke(to: &bytes)
    }
    #expect(source.channels[index].isChokingUs)
    caller.say(&source, now: .zero) { bytes in
      bytes.append(200)
      WireFormat.appendUnchoke(to: &bytes)
    }
    #expect(source.channels[index].isChokingUs)
    caller.say(&source, now: .zero) { bytes in
      WireFormat.appendChoke(to: &bytes)
      WireFormat.appendUnchoke(to: &bytes)
      bytes.append(200)
      WireFormat.appendChoke(to: &bytes)
    }
    #expect(!source.channels[index].isChokingUs)
  }

  @Test func `sends what was asked for in the order of the requests, under its own clock`() throws {
    var source = try Caller.source(chunks: 40) { $0.clockOffset = .seconds(1_700_000_000) }
    var caller = try Caller()
    _ = try caller.open(&source, now: .zero)
    let now = Duration.seconds(1) + .microseconds(23)
    caller.say(&source, now: now) { bytes in
      for chunks in [20...22, 5...6, 30...30] as [ChunkRange] {
        caller.format.appendRequest(chunks, to: &bytes)
      }
    }
    let heard = try caller.hear(&source).flatMap(\.messages)
    #expect(heard.chunks == [20, 21, 22, 5, 6, 30])
    for case .data(_, let timestamp) in heard { #expect(timestamp == 1_700_000_001_000_023) }
  }

  /// A source that cannot send all that was asked for at once, and who asked for chunks 0 to 39.
  private func busy() throws -> (Peer, Caller, [UInt64]) {
    var source = try Caller.source(chunks: 40) { $0.congestion = .background }
    var caller = try Caller()
    _ = try caller.open(&source, now: .zero)
    caller.say(&source, now: .zero) { caller.format.appendRequest(0...39, to: &$0) }
    let sent = try caller.hear(&source).flatMap(\.messages).chunks
    #expect(sent == Array(0..<UInt64(sent.count)) && (5...14).contains(sent.count))
    return (source, caller, sent)
  }

  private func acknowledge(_ chunks: [UInt64], _ caller: Caller, _ source: inout Peer) {
    for chunk in chunks {
      caller.say(&source, now: .milliseconds(20)) { bytes in
        caller.format.appendAck(chunk...chunk, delay: 10_000, to: &bytes)
      }
    }
  }

  @Test func `does not send what was cancelled, or what the other side has by now`() throws {
    var (source, caller, sent) = try busy()
    caller.say(&source, now: .milliseconds(1)) { bytes in
      caller.format.appendCancel(25...30, to: &bytes)
      caller.format.appendHave(15...17, to: &bytes)
    }
    acknowledge(sent, caller, &source)
    sent += try caller.listen(to: &source, from: .milliseconds(20), for: .seconds(1)).chunks
    #expect(sent == Array(0...14) + Array(18...24) + Array(31...39))
  }

  @Test func `forgets what was asked for when it chokes, and says so again to who asks`() throws {
    var (source, caller, sent) = try busy()
    let index = try #require(source.channels.firstIndex { $0.address == caller.address })
    source.chokePlain(index)
    #expect(try caller.hear(&source).flatMap(\.messages) == [.choke])
    acknowledge(sent, caller, &source)
    caller.say(&source, now: .milliseconds(30)) { caller.format.appendRequest(38...38, to: &$0) }
    #expect(try caller.hear(&source).flatMap(\.messages) == [.choke])
    source.servePlain(index)
    let heard = try caller.listen(to: &source, from: .milliseconds(30), for: .milliseconds(500))
    #expect(heard.first == .unchoke && heard.chunks.isEmpty)
    caller.say(&source, now: .milliseconds(600)) { caller.format.appendRequest(38...38, to: &$0) }
    sent = try caller.hear(&source).flatMap(\.messages).chunks
    #expect(sent == [38])
  }

  @Test func `asks for nothing while it is choked, whatever is offered, and ignores an unchoke for nothing`()
    throws
  {
    var viewer = try Foe.victim()
    var caller = try Caller()
    try caller.beJoined(by: &viewer, now: .zero)
    caller.say(&viewer, now: .milliseconds(1)) { bytes in
      WireFormat.appendUnchoke(to: &bytes)
      caller.format.appendHave(10...13, to: &bytes)
    }
    var heard = try caller.listen(to: &viewer, from: .milliseconds(1), for: .milliseconds(20))
    #expect(heard.requests == [10...13])
    caller.say(&viewer, now: .milliseconds(22)) { bytes in
      WireFormat.appendChoke(to: &bytes)
      caller.format.appendHave(10...30, to: &bytes)
    }
    heard = try caller.listen(to: &viewer, from: .milliseconds(22), for: .seconds(1))
    #expect(heard.requests.isEmpty)
    caller.say(&viewer, now: .milliseconds(1100)) { WireFormat.appendUnchoke(to: &$0) }
    heard = try caller.listen(to: &viewer, from: .milliseconds(1100), for: .milliseconds(20))
    #expect(!heard.requests.isEmpty)
  }

  @Test func `acknowledges a genuine chunk with the biggest interval around it and its delay, and no other`()
    throws
  {
    var viewer = try Foe.victim()
    var caller = try Caller()
    try caller.beJoined(by: &viewer, now: .zero)
    caller.say(&viewer, now: .milliseconds(1)) { caller.format.appendHave(10...20, to: &$0) }
    try caller.sendChunk(10, to: &viewer, now: .milliseconds(5), sent: 2_000)
    var heard = try caller.listen(to: &viewer, from: .milliseconds(5), for: .milliseconds(20))
    #expect(heard.filter { if case .ack = $0 { true } else { false } } == [.ack(10...10, delay: 3_000)])
    try caller.sendChunk(12, to: &viewer, now: .milliseconds(30))
    try caller.sendChunk(11, to: &viewer, now: .milliseconds(31))
    heard = try caller.listen(to: &viewer, from: .milliseconds(31), for: .milliseconds(20))
    #expect(heard.acks.last == 10...12)
    try caller.sendChunk(13, to: &viewer, now: .milliseconds(60), lies: true)
    heard = try caller.listen(to: &viewer, from: .milliseconds(60), for: .milliseconds(100))
    #expect(heard.acks.isEmpty)
  }

  @Test func `tells of verified chunks by the biggest interval, and of no others`() throws {
    var viewer = try Foe.victim()
    var caller = try Caller()
    try caller.beJoined(by: &viewer, now: .zero)
    var child = try Caller(2)
    #expect(try child.open(&viewer, now: .zero).flatMap(\.messages).haves.isEmpty, "there is nothing yet")
    var now = Duration.milliseconds(5)
    func told(_ chunk: UInt64, lies: Bool = false) throws -> [ChunkRange] {
      try caller.sendChunk(chunk, to: &viewer, now: now, lies: lies)
      defer { now += .milliseconds(300) }
      return try child.listen(to: &viewer, from: now, for: .milliseconds(200)).haves
    }
    #expect(try told(10) == [10...10])
    #expect(try told(11) == [10...11])
    #expect(try told(13) == [13...13])
    #expect(try told(14, lies: true).isEmpty)
    #expect(try told(12) == [10...13])
    #expect(try told(19) == [19...19])
    #expect(try told(15) == [15...15, 19...19])
    #expect(try told(16) == [15...16, 19...19])
    #expect(try told(14) == [10...16, 19...19])
  }

  @Test func `keeps it alive when there is nothing to say`() throws {
    var source = try Caller.source(chunks: 0)
    var caller = try Caller()
    _ = try caller.open(&source, now: .zero)
    var empty: [Duration] = []
    for second in 1...120 {
      source.timeout(now: .seconds(second))
      for datagram in try caller.hear(&source) where datagram.messages.isEmpty {
        #expect(datagram.destination == caller.local)
        empty.append(.seconds(second))
      }
    }
    #expect(empty.count >= 3, "\(empty)")
  }

  @Test func `asks for nothing that has left the other side's discard window`() throws {
    var viewer = try Foe.victim()
    var caller = try Caller()
    caller.options.discardWindow = 16
    try caller.beJoined(by: &viewer, now: .zero)
    caller.say(&viewer, now: .milliseconds(1)) { caller.format.appendHave(0...99, to: &$0) }
    var heard = try caller.listen(to: &viewer, from: .milliseconds(1), for: .milliseconds(20))
    #expect(heard.requests == [84...99])
    caller.say(&viewer, now: .milliseconds(30)) { caller.format.appendHave(0...109, to: &$0) }
    heard = try caller.listen(to: &viewer, from: .milliseconds(30), for: .seconds(1))
    #expect(!heard.requests.isEmpty && heard.requests.allSatisfy { $0.lowerBound >= 94 })
  }
}

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

  private static func signer() throws -> UnifiedMerkle.Signer {
    try UnifiedMerkle.Signer(
      Foe.key(),
      addressing: .chunkRanges32,
      chunkSize: Foe.chunkSize,
      width: 4,
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
    lies: Bool = false
  ) throws {
    for chunk in first..<first + 4 {
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
      subtree.uncles(of: first, holdsAny: { _ in false }) {
        caller.format.appendIntegrity($0, hash: $1, to: &bytes)
      }
      caller.format.appendDataHeader(first, timestamp: 0, to: &bytes)
      bytes += Caller.payload(first)
    }
  }
}
