import Inspect
import Integrity
import PluginKit
import Support
import Swarm
import Testing
import Wire

struct ReadingTests {
  @Test func `The example of RFC 7574 section 8 16 reads as a person would tell it`() throws {
    var inspector = Inspector()
    var renderer = TextRenderer()
    var text = ""
    for bytes in try vectors("rfc7574-example.txt") {
      text += renderer.render(inspector.inspect(datagram: bytes.span))
    }
    #expect(
      text == """
               0    48  HANDSHAKE  opens channel 00000001 · version: 1 · swarm ID: 47a013e660d40861…
                                   content integrity: Merkle hash tree · Merkle hash: SHA-256
                                   chunk addressing: 32-bit chunk ranges · chunk size: 1,024 bytes
        00000001    32  HANDSHAKE  answers as channel 00000008 · version: 1
                                   content integrity: Merkle hash tree · Merkle hash: SHA-256
                                   chunk addressing: 32-bit chunk ranges · chunk size: 1,024 bytes
                        HAVE       0
        00000008    14  REQUEST    0
                        PEX_REQ    asks for addresses of peers
        00000001    34  DATA       0 · 13 bytes
                                   cannot tell: the root hash has 20 bytes, and its function makes 32
        00000008    30  ACK        0 · one-way delay 100 µs
                        HAVE       0
        00000008    10  HANDSHAKE  closes the channel

        """
    )
    let channels = inspector.summary
    #expect(renderer.render(channels).contains("00000001 ⇄ 00000008"))
    #expect(renderer.render(channels).contains("closed"))
  }

  @Test(arguments: ChunkAddressing.allCases)
  func `Signed chunks are genuine, altered ones false`(addressing: ChunkAddressing) throws {
    var talk = try Talk(addressing: addressing)
    var inspector = talk.begun()
    let whole = try talk.data(7)
    let genuine = talk.say(whole, toViewer: true, &inspector)
    #expect(genuine.messages.map(\.kind) == [.signedIntegrity, .data])
    #expect(genuine.messages[1].verdict == .genuine)
    #expect(!genuine.messages[1].isDuplicate)
    #expect(genuine.value(.signedIntegrity, "signed_us_ago") == .signed(4000))
    var altered = whole
    altered[altered.count - 1] ^= 1
    let forged = talk.say(altered, toViewer: true, &inspector)
    #expect(forged.messages[1].verdict == .forged)
    #expect(forged.messages[1].isDuplicate)
    let tally = inspector.tally
    #expect([tally.genuine, tally.forged, tally.unknown, tally.duplicates] == [1, 1, 0, 1])
  }

  @Test func `A signature that comes ahead of its chunk is remembered`() throws {
    var talk = try Talk()
    var inspector = talk.begun()
    let whole = try talk.data(7)
    let cut = WireFormat.channelSize + talk.format.signedIntegritySize
    let ahead = talk.say(Array(whole[..<cut]), toViewer: true, &inspector)
    #expect(ahead.messages.map(\.kind) == [.signedIntegrity])
    let data = talk.say(Array(whole[..<4] + whole[cut...]), toViewer: true, &inspector)
    #expect(data.messages.map(\.verdict) == [.genuine])
  }

  @Test
  func `A capture that begins in mid-stream is read with the link, and only the length is known without`()
    throws
  {
    var talk = try Talk()
    let bytes = try talk.data(7)
    var blind = Inspector()
    let unread = talk.say(bytes, toViewer: true, &blind)
    #expect(unread.messages == [])
    #expect(unread.problem?.kind == .unreadable)
    #expect(unread.problem?.offset == 4)
    #expect(unread.problem?.rest == Array(bytes[4..<28]))
    #expect(unread.channel == Talk.viewerChannel)
    #expect(unread.length == bytes.count)

    var inspector = Inspector(link: talk.link)
    #expect(talk.say(bytes, toViewer: true, &inspector).messages.last?.verdict == .genuine)
    // Once the other direction was seen, both are one channel.
    let request = talk.datagram(Talk.sourceChannel) { talk.format.appendRequest(8...8, to: &$0) }
    #expect(talk.say(request, toViewer: false, &inspector).opposite == Talk.viewerChannel)
    let next = talk.say(try talk.data(8), toViewer: true, &inspector)
    #expect(next.value(.data, "answers_request_after_us") == .signed(1000))
  }

  @Test func `Delays are told in both directions`() throws {
    var talk = try Talk()
    var inspector = Inspector()
    _ = talk.say(talk.opening, toViewer: false, &inspector)
    let answer = talk.say(talk.answer, toViewer: true, &inspector)
    #expect(answer.value(.handshake, "answers_after_us") == .signed(1000))
    let request = talk.datagram(Talk.sourceChannel) { talk.format.appendRequest(5...9, to: &$0) }
    _ = talk.say(request, toViewer: false, &inspector)
    let data = talk.say(try talk.data(6), toViewer: true, &inspector)
    #expect(data.value(.data, "answers_request_after_us") == .signed(1000))
    let ack = talk.datagram(Talk.sourceChannel) {
      talk.format.appendAck(6...6, delay: UInt64(bitPattern: -250), to: &$0)
    }
    #expect(talk.say(ack, toViewer: false, &inspector).value(.ack, "delay_us") == .signed(-250))
  }

  @Test func `What breaks the rules is told with the place and the reason, and what came before stands`()
    throws
  {
    var talk = try Talk()
    var inspector = talk.begun()
    var bytes = talk.datagram(Talk.sourceChannel) { talk.format.appendHave(1...5, to: &$0) }
    bytes += [MessageType.have, 0, 0, 0, 9, 0, 0, 0, 2]
    let reversed = talk.say(bytes, toViewer: false, &inspector)
    #expect(reversed.messages.map(\.chunks) == [1...5])
    #expect(reversed.problem?.kind == .malformed)
    #expect(reversed.problem?.offset == 13)
    #expect(reversed.problem?.reason == "the range 9-2 ends before it starts")
    let short = talk.say([1, 2, 3], toViewer: false, &inspector)
    #expect(short.channel == nil)
    #expect(short.problem?.kind == .malformed)
    let keepAlive = talk.say(talk.datagram(Talk.sourceChannel) { _ in }, toViewer: false, &inspector)
    #expect(keepAlive.messages.map(\.kind) == [.keepAlive])
    let stranger = talk.say([0, 0, 0, 0, 9, 9], toViewer: false, &inspector)
    #expect(stranger.problem?.kind == .unreadable)
  }

  @Test func `Peers of one another are named, and certificates measured`() throws {
    var inspector = Inspector()
    var bytes: [UInt8] = []
    WireFormat.appendChannel(5, to: &bytes)
    WireFormat.appendPexResponse(address: UInt32(0xC000_0207), port: 7574, to: &bytes)
    WireFormat.appendPexResponse(address: UInt128(1), port: 9, to: &bytes)
    unsafe WireFormat.appendPexCertificate([UInt8](repeating: 1, count: 300).span.bytes, to: &bytes)
    WireFormat.appendChoke(to: &bytes)
    WireFormat.appendUnchoke(to: &bytes)
    // None of them depends on what a handshake says.
    let said = inspector.inspect(datagram: bytes.span)
    #expect(said.problem == nil)
    #expect(said.messages.map(\.kind) == [.pexResponse4, .pexResponse6, .pexCertificate, .choke, .unchoke])
    #expect(said.value(.pexResponse4, "address") == .text("192.0.2.7:7574"))
    #expect(said.value(.pexResponse6, "address") == .text("[::1]:9"))
    #expect(said.value(.pexCertificate, "certificate_bytes") == .unsigned(300))
  }

  @Test(arguments: ChunkAddressing.allCases, [nil, 1, WireFormat.variableChunkSize])
  func `A handshake that says too little is no trap`(addressing: ChunkAddressing, chunkSize: Int?) throws {
    var talk = try Talk()
    var inspector = Inspector()
    let options = HandshakeOptions(addressing: addressing, chunkSize: chunkSize)
    let opening = talk.datagram(0) { bytes in
      WireFormat.appendHandshake(source: 9, options, to: &bytes)
      bytes += [MessageType.have] + [UInt8](repeating: 0, count: addressing.specificationSize)
    }
    let said = talk.say(opening, toViewer: false, &inspector)
    if addressing == .byteRanges64, chunkSize != 1 {
      #expect(said.problem != nil)
    } else {
      #expect(said.messages.map(\.kind) == [.handshake, .have])
      #expect(said.value(.handshake, "lacks") == .text("minimum_version"))
    }
  }

  @Test func `A channel number that is used anew is another channel`() throws {
    var talk = try Talk()
    var inspector = talk.begun()
    var other = HandshakeOptions(minimumVersion: 1, swarmID: [1, 2, 3], integrity: IntegrityMethod.none)
    other.addressing = .chunkRanges64
    other.chunkSize = 8
    let opening = talk.datagram(0) {
      WireFormat.appendHandshake(source: Talk.viewerChannel, other, to: &$0)
    }
    _ = talk.say(opening, toViewer: false, &inspector)
    let wide = WireFormat(addressing: .chunkRanges64, chunkSize: 8)
    let bytes = talk.datagram(Talk.viewerChannel) { wide.appendHave(1...(1 << 40), to: &$0) }
    #expect(talk.say(bytes, toViewer: true, &inspector).messages.map(\.chunks) == [1...(1 << 40)])
  }

  @Test func `Handshakes without end leave no more behind than the bound, and the one in use stays`() throws {
    var talk = try Talk()
    var inspector = talk.begun()
    let opening = talk.opening
    for number in 1...10_000 as ClosedRange<UInt32> {
      var flood = opening
      flood.replaceSubrange(5..<9, with: [UInt8(number >> 8 & 255), UInt8(number & 255), 9, 9])
      _ = inspector.inspect(
        datagram: flood.span,
        at: talk.time,
        from: Address(ipv4: number, port: 1),
        to: Talk.source
      )
      guard number % 1000 == 0 else { continue }
      let said = talk.say(try talk.data(UInt64(number)), toViewer: true, &inspector)
      #expect(said.messages.last?.verdict == .genuine)
    }
    #expect(inspector.channelCount <= 4096)
  }
}
