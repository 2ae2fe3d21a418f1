import Integrity
import PluginKit
import Support
import Swarm
import Testing
import Wire

struct LinkTests {
  private let id: SwarmID

  init() throws { id = try SwarmID([15] + Array(0..<32)) }

  private static let query = "?cs=1316&cam=2&cipm=2&lsa=15&ldw=12000"

  private func refusal(_ text: String) -> String? {
    do throws(LinkError) {
      _ = try Link(text)
      return nil
    } catch {
      return error.description
    }
  }

  @Test func `A link is printed as it was read`() throws {
    let text = "ppspp://192.0.2.7:7574,[2001:db8::7]:80,host.example:7575/\(id)\(Self.query)"
    let link = try Link(text)
    #expect(link.description == text)
    #expect(
      link.endpoints == [
        .address(Address(ipv4: 0xC000_0207, port: 7574)),
        .address(Address(ipv6: 0x2001_0DB8_0000_0000, 7, port: 80)),
        .name("host.example", port: 7575),
      ]
    )
    #expect(link.swarmID == id)
    #expect((link.chunkSize, link.addressing, link.integrity) == (1316, .chunkRanges32, .signAll))
    #expect(link.window == 12000)
  }

  @Test func `Absent parameters have the defaults of the RFC`() throws {
    let link = try Link("PPSPP://host/\(id)?cipm=2")
    #expect(link.endpoints == [.name("host", port: 7574)])
    #expect((link.chunkSize, link.addressing, link.window) == (1024, .chunkRanges32, .max))
  }

  @Test func `The link of content is printed as it was read`() throws {
    let root = try RootHash([UInt8](0..<32), .sha256)
    let text = "ppspp://192.0.2.7:7574/\(root)?cs=1024&cam=2&cipm=1&mhf=2"
    let link = try Link(text)
    #expect(link.description == text)
    #expect(link.root == root)
    #expect(link.swarmID == nil)
    #expect((link.chunkSize, link.addressing, link.integrity) == (1024, .chunkRanges32, .merkleTree))
    #expect(try Link("ppspp://192.0.2.7/\(root)?cipm=1") == link)
    #expect(refusal("ppspp://h:1/\(root)?cipm=1&mhf=4")?.contains("64") == true)
    #expect(refusal("ppspp://h:1/\(root)?cipm=1&mhf=5")?.contains("0 to 4") == true)
    #expect(refusal("ppspp://h:1/\(root)?cipm=1&ldw=5")?.contains("ldw") == true)
  }

  @Test func `The link of a stream without integrity protection says so, and names no algorithm`() throws {
    let text = "ppspp://192.0.2.7:7574/\(id)?cs=1316&cam=2&cipm=0&ldw=12000"
    let link = try Link(text)
    #expect(link.description == text)
    #expect(link.integrity == .none && link.swarmID == id)
    #expect(try Link(text + "&lsa=15") == link)
  }

  @Test func `The link of a stream whose chunks vary in length says all ones`() throws {
    let text = "ppspp://192.0.2.7:7574/\(id)?cs=4294967295&cam=2&cipm=2&lsa=15&ldw=12000"
    let link = try Link(text)
    #expect(link.description == text)
    #expect(link.chunkSize == WireFormat.variableChunkSize)
  }

  @Test func `A window of all ones keeps everything`() throws {
    let narrow = try Link("ppspp://h:1/\(id)?cipm=2&ldw=4294967295")
    #expect(narrow.window == .max)
    #expect(narrow.description.hasSuffix("&ldw=4294967295"))
    let wide = try Link("ppspp://h:1/\(id)?cam=4&cipm=2&ldw=18446744073709551615")
    #expect(wide.window == .max)
    #expect(wide.description.hasSuffix("&ldw=18446744073709551615"))
    #expect(try Link("ppspp://h:1/\(id)?cam=4&cipm=2&ldw=4294967295").window == 4_294_967_295)
  }

  @Test(arguments: [
    ("http://h:1/x", "begins with ppspp://"),
    ("", "begins with ppspp://"),
    ("ppspp://", "no swarm id"),
    ("ppspp:///ID?cipm=2", "names no host"),
    ("ppspp://h:1", "no swarm id"),
    ("ppspp://h:1/?cipm=2", "the swarm id is empty"),
    ("ppspp://h:1/!!?cipm=2", "not base64url"),
    ("ppspp://h:1/ID#x", "'#'"),
    ("ppspp://me@h:1/ID?cipm=2", "'@'"),
    ("ppspp://h:0/ID?cipm=2", "no valid port"),
    ("ppspp://h:65536/ID?cipm=2", "no valid port"),
    ("ppspp://h:/ID?cipm=2", "no valid port"),
    ("ppspp://h:+1/ID?cipm=2", "no valid port"),
    ("ppspp://::1:7574/ID?cipm=2", "too many colons"),
    ("ppspp://[::1/ID?cipm=2", "no ']'"),
    ("ppspp://[::1]7574/ID?cipm=2", "between ']' and the port"),
    ("ppspp://[::1::]:1/ID?cipm=2", "no IPv6 address"),
    ("ppspp://[1:2:3:4:5:6:7]:1/ID?cipm=2", "no IPv6 address"),
    ("ppspp://[fe80::1%eth0]:1/ID?cipm=2", "no IPv6 address"),
    ("ppspp://1.2.3:1/ID?cipm=2", "no IPv4 address"),
    ("ppspp://1.2.3.256:1/ID?cipm=2", "no IPv4 address"),
    ("ppspp://1.2.3.04:1/ID?cipm=2", "no IPv4 address"),
    ("ppspp://0.0.0.0:7574/ID?cipm=2", "--advertise"),
    ("ppspp://[::]:7574/ID?cipm=2", "--advertise"),
    ("ppspp://-h:1/ID?cipm=2", "no HOST:PORT"),
    ("ppspp://h:1,,g:1/ID?cipm=2", "no HOST:PORT"),
    ("ppspp://h:1/ID?cs=1316", "put it in quotes"),
    ("ppspp://h:1/ID?cipm=4", "Sign All"),
    ("ppspp://h:1/ID?cipm=0&lsa=13", "a key for Ed25519"),
    ("ppspp://h:1/ID?cipm=0&mhf=4", "trees of streams"),
    ("ppspp://h:1/ID?cipm=2&cs=4294967294", "chunks of 1 to 65000"),
    ("ppspp://h:1/ID?cipm=1&cs=4294967295", "chunks of one size"),
    ("ppspp://h:1/ID?cipm=2&cam=1&cs=4294967295", "byte ranges (cam=1) cannot"),
    ("ppspp://h:1/ID?cipm=2&cs=0", "chunks of 1 to 65000"),
    ("ppspp://h:1/ID?cipm=2&cs=65001", "chunks of 1 to 65000"),
    ("ppspp://h:1/ID?cipm=2&cs=99999999999999999999", "no number"),
    ("ppspp://h:1/ID?cipm=2&cam=5", "0 to 4"),
    ("ppspp://h:1/ID?cipm=2&cam=258", "0 to 4"),
    ("ppspp://h:1/ID?cipm=2&lsa=13", "a key for Ed25519"),
    ("ppspp://h:1/ID?cipm=2&ldw=0", "at least one chunk"),
    ("ppspp://h:1/ID?cipm=2&ldw=4294967296", "cam=2"),
    ("ppspp://h:1/ID?cipm=2&cipm=2", "twice"),
    ("ppspp://h:1/ID?cipm=2&tracker=1", "'tracker'"),
    ("ppspp://h:1/ID?cipm=2 ", "a space"),
  ]) func `What is no link is refused with a sentence`(text: String, reason: String) {
    let text = text.replacing("/ID", with: "/\(id)")
    let sentence = refusal(text)
    #expect(sentence?.contains(reason) == true, "\(sentence ?? "accepted")")
    #expect(sentence?.contains("\n") != true)
  }

  @Test func `A link with too many hosts or bytes is refused`() {
    let hosts = (1...33).map { "h\($0):1" }.joined(separator: ",")
    #expect(refusal("ppspp://\(hosts)/\(id)?cipm=2")?.contains("more than 32 hosts") == true)
    #expect(refusal(String(repeating: "p", count: 8193))?.contains("longer") == true)
  }

  @Test func `IPv6 addresses are read in every form`() throws {
    for (text, printed) in [
      ("[::]:1", "[::]:1"), ("[::1]", "[::1]:7574"), ("[1::]:1", "[1::]:1"),
      ("[1:2:3:4:5:6:7:8]:1", "[1:2:3:4:5:6:7:8]:1"), ("[::ffff:192.0.2.1]:1", "[::ffff:c000:201]:1"),
      ("[2001:DB8:0:0:1::1]:1", "[2001:db8::1:0:0:1]:1"),
    ] {
      #expect(try Link.Endpoint(text).description == printed)
    }
  }

  @Test(arguments: 0..<64 as Range<UInt64>)
  func `Altered links never trap, and what is accepted is printed so that it reads the same`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let good = Array(
      "ppspp://192.0.2.7:7574,[2001:db8::7]:80,host.example/\(id)\(Self.query)".utf8
    )
    let pieces = [
      "://", ":", "[", "]", "::", ",", "/", "?", "&", "=", "ldw=", "99999999999999999999", "\u{0}", "é",
    ]
    for _ in 0..<200 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: 0...bytes.count, using: &random)
        switch UInt8.random(in: 0..<4, using: &random) {
        case 0: bytes.insert(contentsOf: pieces.randomElement(using: &random)!.utf8, at: place)
        case 1: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 0...20, using: &random)))
        case 2: if place < bytes.count { bytes[place] = .random(in: 0...255, using: &random) }
        default: bytes.insert(contentsOf: bytes[..<place].suffix(10), at: place)
        }
      }
      guard let link = try? Link(String(decoding: bytes, as: UTF8.self)) else { continue }
      #expect((try? Link(link.description)) == link, "seed \(seed): \(link)")
    }
    for _ in 0..<200 {
      let noise = (0..<Int.random(in: 0...80, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      _ = try? Link("ppspp://" + String(decoding: noise, as: UTF8.self))
      _ = try? Link.Endpoint(String(decoding: noise, as: UTF8.self))
    }
  }
}
