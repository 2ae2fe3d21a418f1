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

  @Test func `counts nothing for an ACK of what it has not sent`() throws {
    let (_, _, usual) = try busy()
    var source = try Caller.source(chunks: 40) { $0.congestion = .background }
    var caller = try Caller()
    _ = try caller.open(&source, now: .zero)
    for step in 0..<200 {
      caller.say(&source, now: .zero) { bytes in
        caller.format.appendAck(0...UInt64(step), delay: UInt64(step), to: &bytes)
      }
    }
    let index = try #require(source.channels.firstIndex { $0.address == caller.address })
    #expect(source.channels[index].available.isEmpty)
    caller.say(&source, now: .zero) { caller.format.appendRequest(0...39, to: &$0) }
    let sent = try caller.hear(&source).flatMap(\.messages).chunks
    #expect(sent == usual, "the window has not grown")
  }

  @Test func `is left by who gets what cannot be read again and again, and may come back`() throws {
    var source = try Caller.source(chunks: 40)
    var caller = try Caller()
    _ = try caller.open(&source, now: .zero)
    let nonsense = { (source: inout Peer, count: Int, now: Duration) in
      for _ in 0..<count { caller.say(&source, now: now) { $0 += [0xC8, 1, 2, 3] } }
    }
    // Never so many within a second: the channel stays.
    for second in 1...3 {
      source.timeout(now: .seconds(second))
      nonsense(&source, Channel.malformedLimit - 1, .seconds(second))
    }
    #expect(source.byLocal[caller.remote] != nil)
    _ = try caller.hear(&source)
    // Who does not know the channel, or is elsewhere, cannot end it.
    let foe = try Caller(2)
    for _ in 0..<1000 {
      foe.send(to: caller.remote, &source, now: .seconds(3)) { $0 += [0xC8, 1, 2, 3] }
    }
    #expect(source.byLocal[caller.remote] != nil)
    nonsense(&source, 1, .seconds(3))
    #expect(source.byLocal[caller.remote] == nil)
    let last = try caller.hear(&source).flatMap(\.messages)
    guard case .handshake(source: 0, _)? = last.last else {
      Issue.record("it does not say that it closes the channel: \(last)")
      return
    }
    caller.say(&source, now: .seconds(3)) { caller.format.appendRequest(0...3, to: &$0) }
    #expect(try caller.hear(&source).isEmpty, "nothing is said any more")
    caller.local += 1
    _ = try caller.open(&source, now: .seconds(4))
    #expect(source.byLocal[caller.remote] != nil, "it is not banned: others may have forged that")
  }

  @Test func `forgets what was asked for when it chokes, and says so again to who asks`() throws {
    var (source, caller, sent) = try busy()
    let index = try #require(source.channels.firstIndex { $0.address == caller.address })
    source.chokePlain(index)
    #expect(try caller.hear(&source).flatMap(\.messages) == [.choke])
    acknowledge(sent, caller, &source)
    caller.say(&source, now: .milliseconds(30)) { caller.format.appendRequest(38...38, to: &$0) }
    #expect(try caller.hear(&source).flatMap(\.messages) == [.choke])
    source.servePlain(index, 0)
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
