import Net
import PluginKit
import Support
import Testing

@Suite struct AddressTests {
  @Test(arguments: [
    ("127.0.0.1:7574", "127.0.0.1:7574"), ("[::1]:1", "[::1]:1"), (":7574", "0.0.0.0:7574"),
    ("[2001:db8::7]:65535", "[2001:db8::7]:65535"), ("[::]:0", "[::]:0"),
    ("[::ffff:192.0.2.7]:5", "192.0.2.7:5"),
  ])
  func `addresses are read`(text: String, address: String) throws {
    #expect(try resolve(text).map(\.description) == [address])
    #expect(try HostPort(text).numeric?.description == address)
  }

  @Test(arguments: [
    ("example.org", "the port is missing: write HOST:PORT"),
    ("example.org:", "a port is a number from 0 to 65535"),
    ("example.org:65536", "a port is a number from 0 to 65535"),
    ("example.org:-1", "a port is a number from 0 to 65535"),
    ("example.org:٣", "a port is a number from 0 to 65535"),
    ("::1:7574", "write an IPv6 address in brackets, as [2001:db8::7]:7574"),
    ("[::1:7574", "the bracket is not closed"),
    ("[127.0.0.1]:7574", "only an IPv6 address stands in brackets"),
    ("a b:1", "a host has only letters, digits, dots and hyphens"),
    ("exämple.org:1", "a host has only letters, digits, dots and hyphens"),
    (String(repeating: "a", count: 254) + ":1", "the host is too long"),
    ("", "the port is missing: write HOST:PORT"),
    ("[]:1", "only an IPv6 address stands in brackets"),
    ("[::1]7574", "the port is missing: write HOST:PORT"),
  ])
  func `what is no address is one sentence`(text: String, reason: String) {
    let error = #expect(throws: NetError.self) { try HostPort(text) }
    #expect(error?.description == "'\(text)' is no address: \(reason)")
  }

  @Test func `noise is an address or a sentence`() {
    let pieces = [
      "[", "]", ":", "::", "7", "65536", "a", ".", "/", "\u{0}", "é", " ", "://", "%eth0", "127.0.0.1",
    ]
    for seed in UInt64(1)...2000 {
      var random = SplitMix64(seed: seed)
      let text = (0..<Int.random(in: 0...8, using: &random))
        .map { _ in pieces.randomElement(using: &random) ?? "" }
        .joined()
      do throws(NetError) {
        let place = try ListenAddress(text)
        _ = place.place.numeric
      } catch {
        #expect(error.description.contains("is no address"), "seed \(seed): \(error)")
      }
    }
  }

  @Test func `a name is looked up`() throws {
    let found = try resolve("localhost:7574")
    #expect(!found.isEmpty && found.allSatisfy { $0.isLoopback && $0.port == 7574 })
  }

  @Test func `an unknown name is one sentence`() throws {
    let error = #expect(throws: NetError.self) { try resolve("nobody.invalid:7574") }
    let text = try #require(error?.description)
    #expect(text.hasPrefix("cannot find the host 'nobody.invalid': "), "\(text)")
  }

  @Test func `a place to listen names its transport`() throws {
    let listen = try ListenAddress("UDP://[::]:7574")
    #expect(listen.scheme == "udp" && listen.place == HostPort(host: "::", port: 7574))
    #expect(listen.description == "udp://[::]:7574")
    #expect(try ListenAddress("0.0.0.0").description == "udp://0.0.0.0:7574")
    #expect(try ListenAddress("tcp://localhost:80/").description == "tcp://localhost:80")
    let error = #expect(throws: NetError.self) { try ListenAddress("://1.2.3.4:5") }
    #expect(
      error?.description
        == "'://1.2.3.4:5' is no address: it begins with the name of a transport, as udp://0.0.0.0:7574"
    )
    let other = #expect(throws: NetError.self) { try ListenAddress("udp://1.2.3.4:x") }
    #expect(other?.description == "'udp://1.2.3.4:x' is no address: a port is a number from 0 to 65535")
  }

  @Test(arguments: [
    ("127.9.9.9", true, true), ("[::1]", true, true), ("10.1.2.3", false, true),
    ("172.16.0.1", false, true), ("172.31.255.255", false, true), ("172.32.0.1", false, false),
    ("192.168.7.7", false, true), ("100.64.0.1", false, true), ("100.128.0.1", false, false),
    ("169.254.1.1", false, true), ("[fe80::1]", false, true), ("[fd00::1]", false, true),
    ("[2001:db8::1]", false, false), ("8.8.8.8", false, false),
  ])
  func `loopback and private addresses are known`(
    host: String,
    isLoopback: Bool,
    isPrivate: Bool
  ) throws {
    let address = try #require(try HostPort(host + ":1").numeric)
    #expect(address.isLoopback == isLoopback)
    #expect(address.isPrivate == isPrivate)
  }

  @Test func `the port changes and the host stays`() {
    #expect(Address(ipv4: 0x0102_0304, port: 5).with(port: 6) == Address(ipv4: 0x0102_0304, port: 6))
    let six = Address(ipv6: 0x2001_0db8_0000_0000, 7, port: 5)
    #expect(six.with(port: 0) == Address(ipv6: 0x2001_0db8_0000_0000, 7, port: 0))
    let other = Address(tag: 99, bytes: [1, 2, 3]) ?? six
    #expect(other.with(port: 6) == other)
  }

  @Test func `nobody is told an unspecified address`() {
    for home in [Address(ipv4: 0, port: 7574), Address(ipv6: 0, 0, port: 7574)] {
      let told = home.reachable(dualStack: true)
      #expect(!told.isEmpty)
      #expect(told.allSatisfy { !$0.isUnspecified && !$0.isLinkLocal && $0.port == 7574 })
      #expect(Set(told).count == told.count)
      #expect(home.reachable().allSatisfy { $0.tag == home.tag })
    }
    let fixed = Address(ipv4: 0x7f00_0001, port: 7574)
    #expect(fixed.reachable() == [fixed])
  }
}
