import FoundationEssentials
import Inspect
import PluginKit
import Support
import Testing
import Wire

struct RenderingTests {
  /// A few datagrams with a bit of everything, the last of them altered at random.
  private func talk(_ seed: UInt64) throws -> ([DatagramDescription], Inspector) {
    var random = SplitMix64(seed: seed)
    var talk = try Talk()
    var inspector = talk.begun()
    var said: [DatagramDescription] = []
    for number in 0..<60 as Range<UInt64> {
      var bytes = try talk.data(number)
      switch random.next() % 4 {
      case 0:
        bytes = talk.datagram(Talk.viewerChannel) { talk.format.appendHave(number...(number + 9), to: &$0) }
      case 1:
        let body = (0..<Int.random(in: 0...200, using: &random)).map { _ in
          UInt8.random(in: 0...255, using: &random)
        }
        let kind = UInt8.random(in: 0...12, using: &random)
        bytes = talk.datagram(Talk.viewerChannel) { bytes in
          unsafe WireFormat.appendExtension(kind: kind, body: body.span.bytes, to: &bytes)
        }
      case 2: bytes = talk.opening
      default: break
      }
      if random.next() & 1 == 0 {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      said.append(talk.say(bytes, toViewer: random.next() & 1 == 0, &inspector))
    }
    return (said, inspector)
  }

  @Test(arguments: 0..<10)
  func `No line is wider than what was asked for, and none ends in a space`(seed: UInt64) throws {
    let (said, inspector) = try talk(seed)
    for width in [80, 100, 160] {
      var renderer = TextRenderer(width: width)
      var text = said.map { renderer.render($0) }.joined()
      text += renderer.render(inspector.summary)
      for line in text.split(separator: "\n") {
        #expect(line.count <= width, "seed \(seed): \(line)")
        #expect(line.last != " ", "seed \(seed): \(line)")
      }
    }
  }

  @Test(arguments: 0..<10)
  func `Colour changes nothing but the colour`(seed: UInt64) throws {
    let (said, inspector) = try talk(seed)
    var plain = TextRenderer()
    var coloured = TextRenderer(inColor: true)
    for one in said {
      let text = coloured.render(one)
      #expect(text.contains("\u{1B}["))
      #expect(text.replacing(/\u{1B}\[[0-9;]*m/, with: "") == plain.render(one), "seed \(seed)")
    }
    let summary = coloured.render(inspector.summary)
    #expect(summary.replacing(/\u{1B}\[[0-9;]*m/, with: "") == plain.render(inspector.summary))
  }

  private struct Line: Decodable {
    struct Message: Decodable {
      var message: String
      var offset: Int
      var length: Int
      var verdict: String?
    }
    var type: String
    var number: UInt64
    var time: Double
    var from: String
    var channel: String?
    var length: Int
    var messages: [Message]
  }

  @Test(arguments: 0..<10)
  func `Each datagram is one JSON object on one line`(seed: UInt64) throws {
    let (said, inspector) = try talk(seed)
    let renderer = JSONRenderer()
    for one in said {
      let text = renderer.render(one)
      #expect(text.filter { $0 == "\n" }.count == 1 && text.last == "\n")
      let line = try JSONDecoder().decode(Line.self, from: Data(text.utf8))
      #expect(line.type == "datagram")
      #expect(line.number == one.number)
      #expect(line.length == one.length)
      #expect(line.messages.map(\.message) == one.messages.map(\.kind.rawValue))
      var end = one.messages.first?.kind == .keepAlive ? 0 : 4
      for message in line.messages {
        #expect(message.offset == end, "seed \(seed)")
        end += message.length
      }
      #expect(end <= one.length, "seed \(seed)")
    }
    struct Last: Decodable {
      var type: String
      var datagrams: UInt64
    }
    let last = try JSONDecoder().decode(Last.self, from: Data(renderer.render(inspector.summary).utf8))
    #expect(last.type == "summary")
    #expect(last.datagrams == 62)
  }

  @Test func `A filter leaves what it names`() throws {
    var talk = try Talk()
    var inspector = talk.begun()
    let data = talk.say(try talk.data(3), toViewer: true, &inspector)
    #expect(try Filter(only: ["data"]).apply(data)?.messages.map(\.kind) == [.data])
    #expect(try Filter(only: ["have", "pex", "extension", "malformed"]).apply(data) == nil)
    #expect(Filter(channel: Talk.viewerChannel).apply(data) != nil)
    #expect(Filter(channel: Talk.sourceChannel).apply(data) != nil)
    #expect(Filter(channel: 3).apply(data) == nil)
    let opening = talk.say(talk.opening, toViewer: false, &inspector)
    #expect(Filter(channel: Talk.viewerChannel).apply(opening) != nil)
    let error = #expect(throws: Filter.UnknownName.self) { try Filter(only: ["have", "dat"]) }
    #expect(error?.name == "dat")
  }
}
