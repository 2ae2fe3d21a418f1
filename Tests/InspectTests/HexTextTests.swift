import Inspect
import PluginKit
import Support
import Testing

/// What people paste.
struct HexTextTests {
  /// All datagrams of a text.
  private func pieces(_ text: String) throws -> [HexText.Piece] {
    var reader = HexText()
    var pieces: [HexText.Piece] = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      pieces += try reader.read(Array(line.utf8))
    }
    return pieces + reader.finish()
  }

  /// HANDSHAKE that opens a channel, in a datagram of 48 bytes.
  private static let opening =
    "0000000000000000010001010102001447a013e660d408619d894b20806b1d5086aab03b0301040206020900000400ff"

  private static func bytes(_ digits: String) -> [UInt8] {
    let digits = digits.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }

  @Test func `A line of digits is a datagram, however it is written`() throws {
    let ways = ["00aaFF10", "  00 aa ff 10\r", "00:aa:ff:10", "0x00, 0xAA, 0xff, 0x10", "00 aa  ff 10"]
    for way in ways { #expect(try pieces(way).map(\.bytes) == [[0, 0xAA, 0xFF, 0x10]], "\(way)") }
    for none in ["", "   ", "# 00 11"] { #expect(try pieces(none).isEmpty) }
    // A keep-alive each, not the offset of a dump.
    #expect(try pieces("00000000\n00000005\n00000000").map(\.bytes.count) == [4, 4, 4])
    for wrong in ["0", "0g", "00 1 22", "hello", "x1", "00 # 11"] {
      #expect(throws: HexError.self, "\(wrong)") { try pieces(wrong) }
    }
    #expect(throws: HexError.self) { try pieces(String(repeating: "0", count: 200_000)) }
  }

  static let dumps = [
    // xxd
    """
    00000000: 0000 0000 0000 0000 0100 0101 0102 0014  ................
    00000010: 47a0 13e6 60d4 0861 9d89 4b20 806b 1d50  G...`..a..K .k.P
    00000020: 86aa b03b 0301 0402 0602 0900 0004 00ff  ...;............
    """,
    // xxd -g1
    """
    00000000: 00 00 00 00 00 00 00 00 01 00 01 01 01 02 00 14  ................
    00000010: 47 a0 13 e6 60 d4 08 61 9d 89 4b 20 80 6b 1d 50  G...`..a..K .k.P
    00000020: 86 aa b0 3b 03 01 04 02 06 02 09 00 00 04 00 ff  ...;............
    """,
    // hexdump -C
    """
    00000000  00 00 00 00 00 00 00 00  01 00 01 01 01 02 00 14  |................|
    00000010  47 a0 13 e6 60 d4 08 61  9d 89 4b 20 80 6b 1d 50  |G...`..a..K .k.P|
    00000020  86 aa b0 3b 03 01 04 02  06 02 09 00 00 04 00 ff  |...;............|
    00000030
    """,
    // Wireshark, with letters that look like bytes
    """
    0000   00 00 00 00 00 00 00 00 01 00 01 01 01 02 00 14   ................
    0010   47 a0 13 e6 60 d4 08 61 9d 89 4b 20 80 6b 1d 50   ab cd ef 01 23 4
    0020   86 aa b0 3b 03 01 04 02 06 02 09 00 00 04 00 ff   ...;............
    """,
    // tcpdump -x of the datagram alone
    """
    \t0x0000:  0000 0000 0000 0000 0100 0101 0102 0014
    \t0x0010:  47a0 13e6 60d4 0861 9d89 4b20 806b 1d50
    \t0x0020:  86aa b03b 0301 0402 0602 0900 0004 00ff
    """,
  ]

  @Test(arguments: dumps)
  func `A dump is put together, once and twice, and letters beside it are left out`(dump: String) throws {
    let whole = Self.bytes(Self.opening)
    #expect(try pieces(dump).map(\.bytes) == [whole])
    #expect(try pieces(dump + "\n" + dump).map(\.bytes) == [whole, whole])
    #expect(try pieces(dump + "\n\n00000005\n").map(\.bytes) == [whole, [0, 0, 0, 5]])
    var inspector = Inspector()
    for piece in try pieces(dump) {
      guard case .datagram(let said) = inspector.inspect(piece) else { throw HexError.notSaid }
      #expect(said.messages.map(\.kind) == [.handshake])
      #expect(said.time == nil && said.source == nil && said.destination == nil)
    }
  }

  @Test func `Lines that are alike and were left out are there`() throws {
    let dump = """
      00000000  00 00 00 07 00 00 00 00  00 00 00 00 00 00 00 00  |................|
      00000010  47 47 47 47 47 47 47 47  47 47 47 47 47 47 47 47  |GGGGGGGGGGGGGGGG|
      *
      00000050  01                                                |.|
      00000051
      """
    let found = try pieces(dump)
    #expect(found.map(\.bytes.count) == [0x51])
    #expect(found[0].bytes[0x10..<0x50].allSatisfy { $0 == 0x47 } && found[0].bytes.last == 1)
    #expect(throws: HexError.self) { try pieces(dump.replacing("00000050", with: "00000055")) }
  }

  /// What follows IPv4's and UDP's headers, between 192.0.2.1:40000 and 192.0.2.2:7574.
  private static let packet =
    "4500 004c 0001 4000 4011 b69d c000 0201 c000 0202 9c40 1d96 0038 0000".filter { $0 != " " } + opening

  private func tcpdump(_ digits: String, letters: Bool = false) -> String {
    let bytes = Self.bytes(digits)
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 16) {
      let row = bytes[start..<min(start + 16, bytes.count)]
      let offset = String(start, radix: 16)
      text += "\t0x" + String(repeating: "0", count: 4 - offset.count) + offset + ": "
      for (index, byte) in row.enumerated() {
        if index % 2 == 0 { text += " " }
        text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
      if letters {
        text +=
          String(repeating: " ", count: 2 + (16 - row.count) / 2 * 5)
          + String(repeating: "a", count: row.count)
      }
      text += "\n"
    }
    return text
  }

  @Test(arguments: [
    ("", ""), ("00010203040506070809 0a0b0800", ""),
    ("", "09:14:15.250000 IP 192.0.2.1.40000 > 192.0.2.2.7574: UDP, length 48\n"),
    (
      "00000001000600000000000000000800",
      "09:14:15.250000 lo    In  IP 192.0.2.1.40000 > 192.0.2.2.7574: UDP, length 48\n"
    ),
    (
      "00010203040506070809 0a0b0800",
      "2026-11-21 09:14:15.250000 IP (tos 0x0, ttl 64, id 1, length 76)\n    192.0.2.1.40000 > 192.0.2.2.7574: [udp sum ok] UDP, length 48\n"
    ),
  ])
  func `A frame that tcpdump prints tells its addresses, and its time`(link: String, header: String) throws {
    for letters in [false, true] {
      let text = header + tcpdump(link.filter { $0 != " " } + Self.packet, letters: letters)
      let found = try pieces(text + text)
      #expect(found.count == 2)
      var inspector = Inspector()
      for piece in found {
        guard case .datagram(let said) = inspector.inspect(piece) else { throw HexError.notSaid }
        #expect(said.source?.description == "192.0.2.1:40000")
        #expect(said.destination?.description == "192.0.2.2:7574")
        #expect(said.messages.map(\.kind) == [.handshake])
        #expect(said.length == 48)
        #expect(said.time == (header.isEmpty ? nil : .milliseconds(33_255_250)))
        let json = JSONRenderer().render(said)
        #expect(json.contains(#""time_of_day":33255.25"#) == !header.isEmpty)
        #expect(!json.contains(#""time":"#))
      }
    }
  }

  @Test func `Addresses and times stand for one datagram, and only where they are said`() throws {
    let line = Self.opening + "\n"
    let found = try pieces(
      "1700000000.5 IP6 2001:db8::1.40000 > ::1.7574: UDP, length 48\n" + line + line
        + "23:59:59.9 IP 192.0.2.1:1 > 192.0.2.2:2\n" + line
        + "00:00:00.1 IP host.domain > 192.0.2.2.7574: UDP\n" + line
    )
    #expect(found.map(\.source?.description) == ["[2001:db8::1]:40000", nil, "192.0.2.1:1", nil])
    #expect(found.map(\.destination?.description) == ["[::1]:7574", nil, "192.0.2.2:2", nil])
    #expect(
      found.map(\.time) == [
        .milliseconds(1_700_000_000_500), nil, .milliseconds(86_399_900), .milliseconds(86_400_100),
      ]
    )
    var inspector = Inspector(port: 7574)
    var shown = 0
    for piece in found { if case .datagram = inspector.inspect(piece) { shown += 1 } }
    // Where no port is said, it may be the one.
    #expect(shown == 3)
    for wrong in ["> 192.0.2.1.1", "12:00:00.1 IP 192.0.2.1.1 >"] {
      #expect(throws: HexError.self) { try pieces(wrong) }
    }
  }

  @Test func `A stream that Wireshark follows is cut where it can be seen`() throws {
    let text = """
      00000000  00 00 00 01 02 00 00 00  00 00 00 00 00 00 00 00  ........ ........
      00000010  01 02                                             ..
          00000000  00 00 00 02 03                                    .....
          00000005  00 00 00 03                                       ....
      00000012  00 00 00 04                                       ....
      """
    let found = try pieces(text)
    #expect(found.map(\.bytes.count) == [18, 5, 4, 4])
    #expect(found.map { $0.bytes[3] } == [1, 2, 3, 4])
    let wrong = #expect(throws: HexError.self) { try pieces(text.replacing("00000012", with: "00000013:")) }
    #expect(wrong?.description.contains("does not follow") == true)
  }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func `Text that is altered anywhere is read or refused, never a trap`(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let whole = Array(
      (Self.dumps.joined(separator: "\n") + "\n12:00:00.1 IP 192.0.2.1.1 > ::1.2: UDP\n").utf8
    )
    for _ in 0..<20 {
      var text = whole
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let place = Int.random(in: 0..<text.count, using: &random)
        text[place] = Array("0123456789abcdefx:.>*# |\t\n\u{7F}é".utf8).randomElement(using: &random) ?? 0
      }
      var reader = HexText()
      var inspector = Inspector()
      for line in text.split(separator: 0x0A, omittingEmptySubsequences: false) {
        for piece in (try? reader.read(line)) ?? [] {
          #expect(piece.bytes.count <= whole.count, "seed \(seed)")
          _ = inspector.inspect(piece)
        }
      }
    }
  }
}

extension HexError {
  /// A datagram was skipped that is one.
  fileprivate struct NotSaid: Error {}
  fileprivate static var notSaid: NotSaid { NotSaid() }
}
