import Inspect
import PluginKit
import Support
import Testing
import Wire

/// Datagrams inside frames, as a network card or the kernel gives them.
struct FrameTests {
  private static let payload: [UInt8] = [0, 0, 0, 7]

  private static func udp(_ payload: [UInt8]) -> [UInt8] {
    let length = UInt16(payload.count + 8)
    return [0x9C, 0x40, 0x1D, 0x96, UInt8(length >> 8), UInt8(length & 255), 0, 0] + payload
  }

  private static func ipv4(_ body: [UInt8], pieces: UInt16 = 0, next: UInt8 = 17) -> [UInt8] {
    let total = UInt16(body.count + 20)
    return [
      0x45, 0, UInt8(total >> 8), UInt8(total & 255), 0, 0, UInt8(pieces >> 8), UInt8(pieces & 255), 64, next,
    ]
      + [0, 0, 192, 0, 2, 1, 192, 0, 2, 2] + body
  }

  private static func ipv6(_ body: [UInt8], next: UInt8 = 17) -> [UInt8] {
    let address: [UInt8] = [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11)
    return [0x60, 0, 0, 0, UInt8(body.count >> 8), UInt8(body.count & 255), next, 64] + address + [1]
      + address
      + [2] + body
  }

  private func said(
    _ frame: [UInt8],
    _ layer: LinkLayer,
    port: UInt16? = nil
  ) -> (DatagramDescription?, Tally) {
    var inspector = Inspector(port: port)
    guard case .datagram(let said) = inspector.inspect(frame: frame.span, layer, at: .zero) else {
      return (nil, inspector.tally)
    }
    return (said, inspector.tally)
  }

  static let envelopes: [(LinkLayer, [UInt8])] = [
    (.raw, []), (.rawFile, []), (.openBSDRaw, []), (.ipv4, []), (.null, [2, 0, 0, 0]), (.loop, [0, 0, 0, 2]),
    (.ethernet, [UInt8](repeating: 9, count: 12) + [8, 0]),
    (.ethernet, [UInt8](repeating: 9, count: 12) + [0x88, 0xA8, 0, 1, 0x81, 0, 0, 2, 8, 0]),
    (.linuxCooked, [0, 0, 0, 1, 0, 6] + [UInt8](repeating: 0, count: 8) + [8, 0]),
    (.linuxCooked2, [8, 0] + [UInt8](repeating: 0, count: 18)),
  ]

  @Test(arguments: envelopes)
  func `A datagram is found in every kind of frame`(layer: LinkLayer, head: [UInt8]) {
    let (found, _) = said(head + Self.ipv4(Self.udp(Self.payload)), layer)
    #expect(found?.source?.description == "192.0.2.1:40000")
    #expect(found?.destination?.description == "192.0.2.2:7574")
    #expect(found?.channel == 7)
    #expect(found?.length == 4)
    // Ethernet fills short frames up.
    #expect(said(head + Self.ipv4(Self.udp(Self.payload)) + [0, 0, 0], layer).0?.length == 4)
  }

  @Test func `IPv6 is read, behind its extension headers too`() {
    for body in [
      Self.ipv6(Self.udp(Self.payload)),
      Self.ipv6([17, 0, 0, 0, 0, 0, 0, 0] + Self.udp(Self.payload), next: 0),
    ] {
      let (found, _) = said(body, .raw)
      #expect(found?.source?.description == "[2001:db8::1]:40000")
      #expect(found?.channel == 7)
    }
  }

  @Test func `Pieces of IP packets are said to be pieces`() {
    let first = said(Self.ipv4(Self.udp(Self.payload + [3, 1]).dropLast(2) + [], pieces: 0x2000), .raw).0
    #expect(first?.problem?.kind == .fragment)
    #expect(first?.length == 6)
    #expect(first?.captured == 4)
    let later = said(Self.ipv4([1, 2, 3], pieces: 0x0010), .raw).0
    #expect(later?.problem?.kind == .fragment)
    #expect(later?.source?.port == 0)
    let later6 = said(Self.ipv6([17, 0, 0, 16, 0, 0, 0, 0, 1, 2], next: 44), .raw).0
    #expect(later6?.problem?.kind == .fragment)
  }

  @Test func `A capture that kept only the beginning is not called malformed`() {
    let frame = Self.ipv4(Self.udp(Self.payload + [MessageType.pexResponse4, 1, 2, 3, 4, 5, 6]))
    let whole = said(frame, .raw).0
    #expect(whole?.problem == nil)
    let cut = said(Array(frame.dropLast(3)), .raw).0
    #expect(cut?.problem?.kind == .cut)
    #expect(cut?.length == 11)
    #expect(cut?.captured == 8)
  }

  @Test func `Everything else is counted`() {
    #expect(said(Self.ipv4(Self.udp(Self.payload), next: 6), .raw).1.skipped == [.otherTransport: 1])
    #expect(
      said([UInt8](repeating: 9, count: 12) + [8, 6, 0, 1], .ethernet).1.skipped == [.otherProtocol: 1]
    )
    #expect(said(Self.ipv4(Self.udp(Self.payload)), .raw, port: 1).1.skipped == [.otherPort: 1])
    #expect(said(Self.ipv4(Self.udp(Self.payload)), .raw, port: 40_000).1.skipped == [:])
    #expect(said([0x45, 0], .raw).1.skipped == [.damaged: 1])
  }

  @Test(arguments: 0..<20)
  func `Frames that are cut or altered anywhere never stop it`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var inspector = Inspector(keepsBytes: true)
    var renderer = TextRenderer()
    for _ in 0..<500 {
      let body =
        random.next() & 1 == 0 ? Self.ipv4(Self.udp(Self.payload)) : Self.ipv6(Self.udp(Self.payload))
      var frame = body
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        frame[Int.random(in: 0..<frame.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      frame.removeLast(Int.random(in: 0...frame.count / 2, using: &random))
      let layer = LinkLayer.allCases.randomElement(using: &random) ?? .raw
      guard case .datagram(let said) = inspector.inspect(frame: frame.span, layer, at: .zero) else {
        continue
      }
      #expect(said.captured <= frame.count, "seed \(seed)")
      #expect(said.bytes.count == said.captured || said.problem?.kind == .fragment, "seed \(seed)")
      #expect(!renderer.render(said).isEmpty, "seed \(seed)")
    }
  }
}
