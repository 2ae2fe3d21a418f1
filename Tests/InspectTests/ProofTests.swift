import Inspect
import Integrity
import Support
import Swarm
import Testing
import Wire

@Suite struct `Chunks under a tree of hashes` {
  /// Two kinds of swarms with real peers in them.
  enum Kind: CaseIterable, Sendable {
    case content, stream

    func record() throws -> Recorded {
      switch self {
      case .content: try Self.someContent.get()
      case .stream: try Self.someStream.get()
      }
    }

    private static let someContent = Result { try Recorded.content(50_000) }
    private static let someStream = Result { try Recorded.stream() }
  }

  @Test(arguments: Kind.allCases)
  func `are genuine as their peers send them, and so are the signatures above them`(kind: Kind) throws {
    var inspector = Inspector()
    let said = try kind.record().said(&inspector)
    let tally = inspector.tally
    print("\(kind): \(tally.genuine) genuine, \(tally.unknown) unknown")
    #expect(tally.genuine > 190)
    #expect([tally.forged, tally.unknown, tally.forgedStatements] == [0, 0, 0])
    #expect(said.allSatisfy { $0.problem == nil })
    let signatures = said.flatMap(\.messages).filter { $0.kind == .signedIntegrity }
    #expect(signatures.isEmpty == (kind == .content))
    #expect(signatures.allSatisfy { $0.verdict == .genuine })
  }

  @Test(arguments: [HashFunction.sha1, .sha256, .sha512], [255, 256, 257, 5000, 8192])
  func `are told for every shape of tree`(function: HashFunction, bytes: Int) throws {
    var inspector = Inspector()
    _ = try Recorded.content(bytes, function: function).said(&inspector)
    #expect(inspector.tally.genuine == UInt64((bytes + 255) / 256))
    #expect([inspector.tally.forged, inspector.tally.unknown] == [0, 0])
  }

  @Test(arguments: Kind.allCases, 0..<4 as Range<UInt64>)
  func `are FALSE when a byte is altered, and only they`(kind: Kind, seed: UInt64) throws {
    var recorded = try kind.record()
    var inspector = Inspector()
    let honest = recorded.said(&inspector)
    let chunks = inspector.tally.genuine
    var random = SplitMix64(seed: seed)
    let candidates = honest.indices.filter { honest[$0].messages.last?.kind == .data }
    let place = try #require(candidates.randomElement(using: &random))
    let data = try #require(honest[place].messages.last)
    let header = WireFormat(chunkSize: recorded.chunkSize).dataHeaderSize
    let byte = Int.random(in: data.offset + header..<data.offset + data.length, using: &random)
    recorded.datagrams[place].bytes[byte] ^= 1 << UInt8.random(in: 0..<8, using: &random)

    var second = Inspector()
    let said = recorded.said(&second)
    #expect(said[place].messages.last?.verdict == .forged, "seed \(seed)")
    #expect(second.tally.forged == 1, "seed \(seed)")
    // Of content, its true hash is missing where it would have proved others; a stream's peers send all hashes.
    #expect(second.tally.genuine + second.tally.unknown == chunks - 1, "seed \(seed)")
    #expect(second.tally.unknown < (kind == .content ? 128 : 1), "seed \(seed)")
    var text = TextRenderer()
    #expect(text.render(said[place]).contains("FALSE"))
    #expect(JSONRenderer().render(said[place]).contains(#""verdict":"false""#))
    #expect(text.render(second.summary).contains("1 FALSE"))
  }

  @Test func `are FALSE with a hash that is, and a subtree's signature with another hash`() throws {
    var recorded = try Recorded.stream()
    var inspector = Inspector()
    let honest = recorded.said(&inspector)
    let place = try #require(honest.firstIndex { $0.messages.contains { $0.kind == .signedIntegrity } })
    let munro = try #require(honest[place].messages.first { $0.kind == .integrity })
    recorded.datagrams[place].bytes[munro.offset + munro.length - 1] ^= 1
    var second = Inspector()
    let said = recorded.said(&second)
    #expect(said[place].messages.first { $0.kind == .signedIntegrity }?.verdict == .forged)
    #expect(second.tally.forgedStatements == 1)
    var text = TextRenderer()
    #expect(text.render(second.summary).contains("1 false hello, descriptor or signature"))
  }

  @Test(arguments: Kind.allCases)
  func `cannot be told without the hashes, which is said`(kind: Kind) throws {
    var recorded = try kind.record()
    // A capture that begins in the middle, read with the link.
    let count = recorded.datagrams.count
    recorded.datagrams.removeFirst(count / 2)
    var inspector = Inspector(link: recorded.link)
    let said = recorded.said(&inspector)
    #expect(inspector.tally.forged == 0)
    let first = try #require(said.flatMap(\.messages).first { $0.kind == .data })
    #expect(first.isUnknown)
    var text = TextRenderer(width: 200)
    #expect(said.contains { text.render($0).contains("cannot tell: ") })
    // Of a stream the next subtree is told; of content, peaks are sent once.
    #expect((inspector.tally.genuine > 50) == (kind == .stream))
  }

  @Test func `are not told when a stranger makes up more of them than there is room for`() {
    var inspector = Inspector()
    var reasons: [String] = []
    for (number, height) in [(7, 23), (8, 23), (9, 24)] as [(UInt32, Int)] {
      let root = [UInt8](repeating: UInt8(number), count: 32)
      let opening = Self.opening(root, chunkSize: 256, number)
      let lie = Self.onlyPeak(root, height: height, chunkSize: 256, number)
      _ = inspector.inspect(datagram: opening.span, at: .zero, from: Talk.viewer, to: Talk.source)
      for _ in 0..<2 {
        let said = inspector.inspect(datagram: lie.span, at: .zero, from: Talk.source, to: Talk.viewer)
        guard case .unknown(let reason)? = said.messages.last?.verdict else { continue }
        reasons.append(reason)
      }
    }
    #expect(reasons.count == 6)
    #expect(reasons.filter { $0.contains("more chunks than there is memory for") }.count == 1, "\(reasons)")
    #expect(reasons.filter { $0.contains("are more than the") }.count == 2, "\(reasons)")
  }

  @Test func `are not called FALSE because a stranger has said another size`() throws {
    var recorded = try Recorded.content(6 * 256)
    let root = recorded.link.name.bytes
    let opening = try #require(recorded.datagrams.first)
    var lies: [Recorded.Datagram] = []
    for number in [7, 8] as [UInt32] {
      let stranger = Self.opening(root, chunkSize: 256, number)
      let lie = Self.onlyPeak(root, height: Int(number), chunkSize: 256, number)
      let (from, to) = (opening.from, opening.to)
      lies.append(Recorded.Datagram(bytes: stranger, from: from, to: to, time: opening.time))
      lies.append(Recorded.Datagram(bytes: lie, from: to, to: from, time: opening.time))
    }
    recorded.datagrams = lies + recorded.datagrams
    var inspector = Inspector()
    let said = recorded.said(&inspector)
    #expect(!said.prefix(4).flatMap(\.messages).contains { $0.verdict == .genuine })
    #expect([inspector.tally.genuine, inspector.tally.forged] == [6, 0])
  }

  /// A HANDSHAKE of content from a channel.
  private static func opening(_ root: [UInt8], chunkSize: Int, _ channel: UInt32) -> [UInt8] {
    var bytes: [UInt8] = []
    WireFormat.appendChannel(0, to: &bytes)
    let options = HandshakeOptions(
      minimumVersion: 1,
      swarmID: root,
      integrity: .merkleTree,
      merkleHash: .sha256,
      addressing: .chunkRanges32,
      chunkSize: chunkSize
    )
    WireFormat.appendHandshake(source: channel, options, to: &bytes)
    return bytes
  }

  /// The root hash as that of so many chunks, and a chunk under it.
  private static func onlyPeak(
    _ root: [UInt8],
    height: Int,
    chunkSize: Int,
    _ channel: UInt32
  ) -> [UInt8] {
    let format = WireFormat(hashLength: 32, chunkSize: chunkSize)
    var bytes: [UInt8] = []
    WireFormat.appendChannel(channel, to: &bytes)
    let chunks = 0...(1 << UInt64(height)) - 1 as ChunkRange
    unsafe format.appendIntegrity(chunks, hash: root.span.bytes, to: &bytes)
    format.appendDataHeader(0, timestamp: 0, to: &bytes)
    return bytes + [UInt8](repeating: 1, count: chunkSize)
  }
}
