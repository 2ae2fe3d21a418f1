import Integrity
import PluginKit
import Testing
import Wire

@testable import Swarm

/// What a plain peer says and hears, datagram by datagram.
@Suite struct `To a plain peer` {
  private let address = Address(ipv4: 0xC633_6407, port: 4000)
  private let format = WireFormat(signatureLength: 64, chunkSize: Foe.chunkSize)

  /// Opens a channel to a source with four chunks; the datagram that opens it says something as well.
  private func open(_ source: inout Peer, without missing: [UInt8] = [], _ first: (inout [UInt8]) -> Void)
    throws
    -> UInt32
  {
    for chunk in 1...4 as ClosedRange<UInt64> {
      let payload = [UInt8](repeating: 1, count: Foe.chunkSize)
      try unsafe source.publish(
        chunk: chunk,
        payload: payload.span.bytes,
        isEntry: true,
        isLast: false,
        now: .zero
      )
    }
    var supported = MessageSet.rfc7574
    for type in missing { supported.remove(type) }
    let key = try Foe.key()
    let options = HandshakeOptions(
      minimumVersion: 1,
      swarmID: key.swarmID.bytes,
      integrity: .signAll,
      signatureAlgorithm: key.algorithm.rawValue,
      addressing: .chunkRanges32,
      discardWindow: 256,
      supported: supported,
      chunkSize: Foe.chunkSize
    )
    var datagram: [UInt8] = []
    WireFormat.appendChannel(0, to: &datagram)
    WireFormat.appendHandshake(source: 7, options, to: &datagram)
    source.receive(datagram.span, from: address, now: .zero)
    var local: UInt32 = 0
    for answer in sent(by: &source) {
      var reader = try DatagramReader(answer.span)
      if case .handshake(let view)? = try reader.next(format) { local = view.source }
    }
    say(&source, to: local, first)
    return local
  }

  private func say(
    _ source: inout Peer,
    to local: UInt32,
    now: Duration = .zero,
    _ write: (inout [UInt8]) -> Void
  ) {
    var datagram: [UInt8] = []
    WireFormat.appendChannel(local, to: &datagram)
    write(&datagram)
    source.receive(datagram.span, from: address, now: now)
  }

  private func sent(by source: inout Peer) -> [[UInt8]] {
    var datagrams: [[UInt8]] = []
    source.flush { packets, heads, bodies, _ in
      for index in packets.indices {
        var bytes: [UInt8] = []
        bytes.append(bytes: heads.extracting(packets[index].head.range))
        bytes.append(bytes: bodies.extracting(packets[index].body.range))
        datagrams.append(bytes)
      }
    }
    return datagrams
  }

  /// The types of the first messages of what was sent.
  private func types(_ source: inout Peer) throws -> [UInt8] {
    try sent(by: &source).compactMap { try DatagramReader($0.span).nextType }
  }

  @Test func `goes what it asks for with the datagram that opens its channel`() throws {
    var source = try Foe.victim(.source)
    _ = try open(&source) { format.appendRequest(1...2, to: &$0) }
    var chunks: Set<UInt64> = []
    for datagram in sent(by: &source) {
      var reader = try DatagramReader(datagram.span)
      while let message = try reader.next(format) {
        if case .data(let range, _, _) = message { chunks.insert(range.lowerBound) }
      }
    }
    #expect(chunks.isSuperset(of: [1, 2]))
  }

  @Test func `goes no ACK that it does not understand, nor is time spent on it`() throws {
    var source = try Foe.victim(.source)
    let local = try open(&source, without: [MessageType.ack]) { _ in }
    say(&source, to: local) { bytes in
      unsafe format.appendSignedIntegrity(
        1...1,
        timestamp: 0,
        signature: [UInt8](repeating: 0, count: 64).span.bytes,
        to: &bytes
      )
      format.appendDataHeader(1, timestamp: 0, to: &bytes)
      bytes += [UInt8](repeating: 1, count: Foe.chunkSize)
    }
    let now = Duration.milliseconds(11)
    source.timeout(now: now)
    #expect(try !types(&source).contains(MessageType.ack))
    #expect(try #require(source.nextTimeout) > now)
  }

  @Test func `goes no CHOKE or UNCHOKE that it does not understand`() throws {
    var source = try Foe.victim(.source)
    let missing = [MessageType.choke, MessageType.unchoke]
    let local = try open(&source, without: missing) { _ in }
    source.chokePlain(0)
    say(&source, to: local) { format.appendRequest(1...2, to: &$0) }
    source.servePlain(0, 0)
    #expect(!source.channels[0].weChoke)
    let types = try types(&source)
    #expect(!types.contains(MessageType.choke) && !types.contains(MessageType.unchoke))
  }

  @Test func `goes no REQUEST from the source, whatever it says to have`() throws {
    var source = try Foe.victim(.source)
    _ = try open(&source) { format.appendHave(1...40, to: &$0) }
    var types: [UInt8] = []
    for tenth in 1...30 as ClosedRange<Int64> {
      source.timeout(now: .milliseconds(tenth * 100))
      types += try self.types(&source)
    }
    #expect(!types.contains(MessageType.request))
  }

  /// A client that begins anew on the port that it had, as it does after a crash.
  private func restart(_ caller: inout Caller, _ source: inout Peer, now: Duration) throws -> [Caller
    .Datagram]
  {
    caller.local += 0x1000
    return try caller.open(&source, now: now)
  }

  @Test func `goes the end of the channel that it had, when it comes on a new one`() throws {
    var source = try Caller.source(chunks: 4)
    var caller = try Caller()
    _ = try caller.open(&source, now: .zero)
    let old = caller.local
    let heard = try restart(&caller, &source, now: .seconds(1))
    let end = heard.filter { $0.destination == old }
    #expect(end.count == 1)
    guard case .handshake(source: 0, _)? = end.first?.messages.first else {
      Issue.record("no closing HANDSHAKE, but \(end)")
      return
    }
    caller.say(&source, now: .seconds(1)) { caller.format.appendRequest(1...2, to: &$0) }
    #expect(try caller.hear(&source).flatMap(\.messages).chunks == [1, 2])
  }

  @Test func `goes one slot, however often it restarts`() throws {
    var source = try Caller.source(chunks: 4) { $0.makeTopology = { _, _ in FewSlots(1) } }
    var (caller, other) = (try Caller(1), try Caller(2))
    _ = try caller.open(&source, now: .zero)
    for second in 1...4 as ClosedRange<Int64> {
      _ = try restart(&caller, &source, now: .seconds(second))
      #expect(source.channels.count { $0.isServed && !$0.isFree } == 1)
    }
    #expect(try other.open(&source, now: .seconds(5)).flatMap(\.messages).contains(.choke))
    // It is idle, so the slot goes to who waits, and to nobody else.
    for second in 6...20 as ClosedRange<Int64> { source.timeout(now: .seconds(second)) }
    #expect(try other.hear(&source).flatMap(\.messages).contains(.unchoke))
    #expect(source.channels.filter { $0.isServed && !$0.isFree }.map(\.address) == [other.address])
  }
}
