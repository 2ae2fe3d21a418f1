import Glibc
import Net
import Support
import Testing

/// A network namespace with a TUN device that has the address 10.0.0.1.
private struct Namespace: ~Copyable {
  let name = "freshet-test-\(UInt64.random(in: .min ... .max))"

  init?() {
    let commands = [
      ["netns", "add", name],
      ["-n", name, "tuntap", "add", "dev", "wan0", "mode", "tun"],
      ["-n", name, "address", "add", "10.0.0.1/24", "dev", "wan0"],
      ["-n", name, "link", "set", "wan0", "up"],
    ]
    for command in commands {
      guard let result = try? Support.run("ip", command), result.status == 0 else { return nil }
    }
  }

  deinit { _ = try? Support.run("ip", ["netns", "delete", name]) }

  /// Whether this user may make one on this machine.
  static var isAllowed: Bool { Namespace() != nil }
}

/// An ICMP echo request from 10.0.0.2 to 10.0.0.1.
private func echoRequest(_ body: [UInt8]) -> [UInt8] {
  func sum(_ bytes: [UInt8]) -> [UInt8] {
    var sum: UInt32 = 0
    for index in stride(from: 0, to: bytes.count, by: 2) {
      sum += UInt32(bytes[index]) << 8 | UInt32(index + 1 < bytes.count ? bytes[index + 1] : 0)
    }
    while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
    return [~UInt8(sum >> 8), ~UInt8(sum & 0xFF)]
  }
  var echo: [UInt8] = [8, 0, 0, 0, 0, 1, 0, 1] + body
  echo.replaceSubrange(2..<4, with: sum(echo))
  let count = 20 + echo.count
  var header: [UInt8] = [
    0x45, 0, UInt8(count >> 8), UInt8(count & 0xFF), 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1,
  ]
  header.replaceSubrange(10..<12, with: sum(header))
  return header + echo
}

@Suite struct TunnelDeviceTests {
  @Test(.enabled(if: Namespace.isAllowed, "this needs root, network namespaces and /dev/net/tun"))
  func `a packet goes into a namespace, and its answer comes out`() throws {
    let here = try #require(try? run("readlink", ["/proc/self/ns/net"]).text)
    guard let namespace = Namespace() else { throw RunError(description: "no namespace") }
    let device = try TunnelDevice("wan0", in: namespace.name)
    let loop = try EventLoop(clock: Clock())
    try loop.watch(device.descriptor, token: 1)
    let body: [UInt8] = (0..<200).map { UInt8($0) }
    let (request, rubbish) = (echoRequest(body), [1, 2, 3] as [UInt8])
    let takes = device.write(request.span)
    #expect(takes)
    let takesRubbish = device.write(rubbish.span)
    #expect(!takesRubbish)
    var packet = [UInt8](repeating: 0, count: 1500)
    var answer: [UInt8]?
    let clock = Clock()
    while answer == nil, clock.now < .seconds(5) {
      // The system lets nothing out before it has noticed that somebody is at the device, which takes it up to a second.
      let asksAgain = device.write(request.span)
      #expect(asksAgain)
      _ = try loop.wait(for: .milliseconds(100))
      var span = packet.mutableSpan
      // The system says a few things by itself, over IPv6; what waits behind them is not announced again.
      while answer == nil, let count = device.read(into: &span) {
        if span[0] >> 4 == 4 { answer = (0..<count).map { span[$0] } }
      }
    }
    let found = try #require(answer)
    #expect(found[12..<20].elementsEqual([10, 0, 0, 1, 10, 0, 0, 2]))
    #expect(found[20] == 0 && Array(found[28...]) == body)
    #expect(try run("readlink", ["/proc/self/ns/net"]).text == here)
  }

  @Test(arguments: ["freshet-test-nowhere", "../../proc/self/ns/net", ""])
  func `a namespace that is not there is a sentence`(name: String) {
    #expect(throws: NetError.self) { try TunnelDevice("wan0", in: name) }
  }

  @Test func `why a device cannot be opened is said in words`() {
    let missing = NetError.noTunnel("wan0", namespace: "left", .noSuchFile)
    #expect("\(missing)" == "there is no network namespace 'left', or no /dev/net/tun on this machine")
    let refused = NetError.noTunnel("wan0", namespace: "left", .needsRoot)
    #expect("\(refused)".hasSuffix("in the network namespace 'left': this needs root"))
  }
}
