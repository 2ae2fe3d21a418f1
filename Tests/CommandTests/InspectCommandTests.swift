import FoundationEssentials
import Glibc
import Support
import Testing
import freshet

/// `freshet inspect` as its users start it.
@Suite(.serialized) struct InspectCommandTests {
  private static let clip =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    + "/Media/clock.mp4"

  /// Whether this process may open a packet socket.
  private static var canWatch: Bool {
    let descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue), 0)
    if descriptor >= 0 { close(descriptor) }
    return descriptor >= 0
  }

  /// The datagrams of RFC 7574 section 8.16, as text and as a capture of raw IP packets.
  private func example() throws -> (text: String, capture: [UInt8]) {
    let folder = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    let file = try contents(of: "/\(folder)/WireTests/Vectors/rfc7574-example.txt")
    let lines = String(decoding: file, as: UTF8.self).split(separator: "\n").filter {
      $0.first?.isHexDigit == true
    }
    // Little-endian: magic, version 2.4, zone, accuracy, longest packet, link type 101.
    var capture: [UInt8] = [
      0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 101, 0, 0, 0,
    ]
    for (index, line) in lines.enumerated() {
      let digits = line.compactMap(\.hexDigitValue)
      let datagram = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
      let isFromInitiator = [0, 2, 4, 5].contains(index)
      let total = UInt8(datagram.count + 28)
      let hosts: [UInt8] = isFromInitiator ? [192, 0, 2, 1, 192, 0, 2, 2] : [192, 0, 2, 2, 192, 0, 2, 1]
      capture += [UInt8(index), 0, 0, 0, 0, 0, 0, 0, total, 0, 0, 0, total, 0, 0, 0]
      capture += [0x45, 0, 0, total, 0, 0, 0, 0, 64, 17, 0, 0] + hosts
      capture += [0x1D, 0x96, 0x1D, 0x96, 0, total - 20, 0, 0] + datagram
    }
    return (lines.joined(separator: "\n"), capture)
  }

  @Test func `A capture reads the same from a file and from standard input`() throws {
    let folder = try TemporaryDirectory()
    let (_, capture) = try example()
    try write(capture, to: folder.file("example.pcap"))
    let file = try run(built("freshet"), ["inspect", folder.file("example.pcap")])
    #expect(file.status == 0, "\(file.errors)")
    #expect(
      file.text.contains(
        "A = 192.0.2.1:7574\nB = 192.0.2.2:7574\n  0.000000  A → B          0    48  HANDSHAKE"
      )
    )
    #expect(file.text.contains("answers as channel 00000008 · after 1.00 s"))
    #expect(file.text.contains("6 datagrams in 5.00 s, 168 bytes"))
    let piped = try run(built("freshet"), ["inspect", "-"], input: capture)
    #expect(piped.text == file.text)
    let quiet = try run(built("freshet"), ["inspect", folder.file("example.pcap"), "--quiet"])
    #expect(quiet.text.contains("6 datagrams in 5.00 s, 168 bytes"))
    #expect(quiet.text.contains("192.0.2.1:7574 00000001 ⇄ 192.0.2.2:7574 00000008"))
    #expect(!quiet.text.contains("opens channel"))
  }

  @Test func `A capture that breaks off is told up to there, and is one sentence`() throws {
    let (_, capture) = try example()
    let result = try run(built("freshet"), ["inspect", "-"], input: Array(capture.dropLast(5)))
    #expect(result.status == 1)
    #expect(result.text.contains("5 datagrams"))
    #expect(result.errors.hasPrefix("freshet: the capture cannot be read further: "))
    #expect(result.errors.filter { $0 == "\n" }.count == 1)
  }

  @Test func `Text with a datagram a line is read, and a line that is none is named`() throws {
    let (text, _) = try example()
    let result = try run(built("freshet"), ["inspect", "-", "--only", "pex,ack"], input: Array(text.utf8))
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.text.contains("PEX_REQ"))
    #expect(result.text.contains("one-way delay 100 µs"))
    #expect(!result.text.contains("opens channel"))
    let wrong = try run(built("freshet"), ["inspect", "-"], input: Array("00000000\nhello\n".utf8))
    #expect(wrong.status == 1)
    #expect(wrong.errors.hasPrefix("freshet: line 2 is no datagram in hexadecimal digits: "))
  }

  @Test(arguments: [
    ["inspect"], ["inspect", "x", "--interface", "lo"], ["inspect", "x", "--channel", "xyz"],
    ["inspect", "x", "--only", "dat"], ["inspect", "x", "--port", "0"], ["inspect", "x", "y"],
  ])
  func `What cannot be meant is one sentence`(arguments: [String]) throws {
    let result = try run(built("freshet"), arguments)
    #expect(result.status == 64)
    #expect(result.errors.filter { $0 == "\n" }.count == 1)
  }

  @Test(arguments: ["/nowhere/at-all.pcap", "/"])
  func `A file that is none is one sentence`(path: String) throws {
    let result = try run(built("freshet"), ["inspect", path])
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("freshet: \(path) cannot be read: "))
  }

  private struct Line: Decodable {
    struct Message: Decodable {
      var message: String
      var first: UInt64?
      var chunk_bytes: Int?
      var verdict: String?
      var duplicate: Bool?
    }
    var type: String
    var messages: [Message]
    var hex: String
    var problem: Problem?
    struct Problem: Decodable { var reason: String }
  }

  private struct Summary: Decodable {
    var type: String
    var genuine: Int
    var unknown: Int
    var dropped: Int
  }

  @Test(.enabled(if: canWatch, "watching an interface needs root or CAP_NET_RAW"))
  func `Every chunk of a recording is found genuine on its way`() throws {
    let folder = try TemporaryDirectory()
    var source = try Program(
      built("freshet"),
      ["broadcast", Self.clip, "--listen", "udp://127.0.0.1:0", "--verbose"]
    )
    let link = try #require(try source.line())
    let port = try #require(link.split(separator: "/")[1].split(separator: ":").last)
    // Into a file: who does not take what it says makes it lose frames.
    let line = "exec \"$0\" inspect --port \(port) --interface lo --json --hex >\"$1\""
    var watcher = try Program("/bin/sh", ["-c", line, built("freshet"), folder.file("said.json")])
    try watcher.waitForComplaint("watching UDP port \(port)")
    var viewer = try Program(built("freshet"), ["join", link, "--output", folder.file("out.ts")])
    #expect(try viewer.wait() == 0, "\(viewer.complaint)")
    #expect(try source.wait() == 0, "\(source.complaint)")
    watcher.signal(SIGINT)
    #expect(try watcher.wait() == 0, "\(watcher.complaint)")

    var chunks: [UInt64: [UInt8]] = [:]
    var last = ""
    var kinds: Set<String> = []
    let text = String(decoding: try contents(of: folder.file("said.json")), as: UTF8.self)
    for line in text.split(separator: "\n").map(String.init) {
      last = line
      guard let said = try? JSONDecoder().decode(Line.self, from: Data(line.utf8)) else { continue }
      #expect(said.problem == nil, "\(said.problem?.reason ?? "")")
      for message in said.messages {
        kinds.insert(message.message)
        guard message.message == "data", let chunk = message.first, let size = message.chunk_bytes else {
          continue
        }
        #expect(message.verdict == "genuine", "chunk \(chunk)")
        let digits = said.hex.suffix(2 * size).compactMap(\.hexDigitValue)
        chunks[chunk] = stride(from: 0, to: digits.count, by: 2).map {
          UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
      }
    }
    let summary = try JSONDecoder().decode(Summary.self, from: Data(last.utf8))
    #expect(summary.type == "summary")
    #expect(summary.unknown == 0 && summary.dropped == 0)
    #expect(summary.genuine >= chunks.count)
    #expect(
      kinds.isSuperset(of: ["handshake", "hello", "descriptor", "ask", "answer", "data", "ack", "have"])
    )
    // What was recorded is what went by, but for the packets that only fill chunks up.
    let recording = try contents(of: folder.file("out.ts"))
    let stream = chunks.sorted { $0.key < $1.key }.flatMap(\.value)
    var packets: [UInt8] = []
    for start in stride(from: 0, to: stream.count - 187, by: 188)
    where stream[start + 1] & 0x1F != 0x1F || stream[start + 2] != 0xFF {
      packets += stream[start..<start + 188]
    }
    #expect(recording.count > 100_000)
    // A difference of so many bytes is not to be searched for.
    let isSame = Array(packets.suffix(recording.count)) == recording
    #expect(isSame, "\(packets.count) bytes went by, \(recording.count) were recorded")
  }
}
