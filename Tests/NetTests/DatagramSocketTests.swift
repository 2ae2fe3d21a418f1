import CAllocations
import Net
import PluginKit
import Support
import Testing

/// Loopback in both families.
private let families = [Address(ipv4: 0x7f00_0001, port: 0), Address(ipv6: 0, 1, port: 0)]

@Suite struct DatagramSocketTests {
  @Test(arguments: families)
  func `a batch arrives whole, in order and from the sender's address`(home: Address) throws {
    for seed in UInt64(1)...20 {
      var random = SplitMix64(seed: seed)
      var sender = try DatagramSocket.bind(to: home)
      var receiver = try DatagramSocket.bind(to: home)
      let heads = (0..<4096).map { _ in UInt8.random(in: 0...255, using: &random) }
      let bodies = (0..<65536).map { _ in UInt8.random(in: 0...255, using: &random) }
      func slice(of count: Int, upTo limit: Int) -> Slice {
        let size = Int.random(in: 0...limit, using: &random)
        return Slice(offset: Int.random(in: 0...count - size, using: &random), count: size)
      }
      let packets = (0..<Int.random(in: 1...200, using: &random)).map { _ in
        Packet(
          address: receiver.localAddress,
          head: slice(of: heads.count, upTo: 100),
          body: slice(of: bodies.count, upTo: 1316)
        )
      }
      let sent = send(packets, heads, bodies, from: &sender)
      #expect(sent == packets.count, "seed \(seed)")
      let gathered = try gather(&receiver, count: packets.count)
      #expect(
        gathered.map(\.bytes)
          == packets.map { Array(heads[$0.head.range]) + Array(bodies[$0.body.range]) },
        "seed \(seed)"
      )
      #expect(gathered.allSatisfy { $0.source == sender.localAddress }, "seed \(seed)")
      #expect(sender.counters == DatagramSocket.Counters())
      #expect(receiver.counters == DatagramSocket.Counters())
    }
  }

  @Test func `a socket of both families answers to both`() throws {
    var options = DatagramSocket.Options()
    options.isDualStack = true
    var both = try DatagramSocket.bind(to: Address(ipv6: 0, 0, port: 0), options: options)
    let port = try #require(both.localAddress.port)
    for home in families {
      var other = try DatagramSocket.bind(to: home)
      #expect(send([7], from: &other, to: home.with(port: port)))
      let heard = try gather(&both, count: 1)
      #expect(heard.first?.source == other.localAddress)
      #expect(send([8], from: &both, to: other.localAddress))
      #expect(try gather(&other, count: 1).first?.source == home.with(port: port))
    }
  }

  @Test func `an IPv6 socket leaves the IPv4 port to others`() throws {
    let six = try DatagramSocket.bind(to: Address(ipv6: 0, 0, port: 0))
    let port = try #require(six.localAddress.port)
    let four = try DatagramSocket.bind(to: Address(ipv4: 0, port: port))
    #expect(four.localAddress == Address(ipv4: 0, port: port))
  }

  @Test func `an address in use is one sentence`() throws {
    let first = try DatagramSocket.bind(to: Address(ipv4: 0x7f00_0001, port: 0))
    let error = #expect(throws: NetError.self) {
      _ = try DatagramSocket.bind(to: first.localAddress)
    }
    #expect(
      error?.description
        == "cannot listen on udp://\(first.localAddress): address already in use; choose another port with --listen"
    )
  }

  @Test func `a foreign address is one sentence`() {
    let error = #expect(throws: NetError.self) {
      _ = try DatagramSocket.bind(to: Address(ipv4: 0xc000_0201, port: 7574))
    }
    #expect(
      error?.description == "cannot listen on udp://192.0.2.1:7574: this machine does not have that address"
    )
    #expect(throws: NetError.self) {
      _ = try DatagramSocket.bind(to: Address(tag: 9, bytes: [1, 2]) ?? Address(ipv4: 0, port: 0))
    }
  }

  @Test(arguments: families)
  func `what is too long for the path is counted, and the rest goes`(home: Address) throws {
    var sender = try DatagramSocket.bind(to: home)
    var receiver = try DatagramSocket.bind(to: home)
    let bodies = [UInt8](repeating: 1, count: 70_000)
    let sizes = [10, 65_530, 20, 70_000, 30]
    let packets = sizes.map {
      Packet(
        address: receiver.localAddress,
        head: Slice(offset: 0, count: 0),
        body: Slice(offset: 0, count: $0)
      )
    }
    #expect(send(packets, [], bodies, from: &sender) == 5)
    #expect(sender.counters.tooLong == 2)
    #expect(try gather(&receiver, count: 3).map(\.bytes.count) == [10, 20, 30])
  }

  @Test func `what is longer than the receiver takes is counted`() throws {
    var options = DatagramSocket.Options()
    options.datagramLimit = 100
    var sender = try DatagramSocket.bind(to: families[0])
    var receiver = try DatagramSocket.bind(to: families[0], options: options)
    for count in [100, 101, 99] {
      #expect(send([UInt8](repeating: 0, count: count), from: &sender, to: receiver.localAddress))
    }
    #expect(try gather(&receiver, count: 2).map(\.bytes.count) == [100, 99])
    #expect(receiver.counters.cut == 1)
  }

  @Test func `packets to nowhere are counted and stop nothing`() throws {
    var sender = try DatagramSocket.bind(to: families[0])
    var receiver = try DatagramSocket.bind(to: families[0])
    let heads: [UInt8] = [1, 2, 3]
    let one = Slice(offset: 0, count: 1)
    let strangers = [
      Packet(address: Address(ipv6: 0, 1, port: 9), head: one),
      Packet(address: Address(ipv4: 0x7f00_0001, port: 0), head: one),
      Packet(address: Address(tag: 200, bytes: [1]) ?? families[0], head: one),
      Packet(address: Address(ipv4: 0xffff_ffff, port: 9), head: one),
      Packet(address: receiver.localAddress, head: Slice(offset: 2, count: 2)),
      Packet(address: receiver.localAddress, head: one, body: Slice(offset: Int(UInt32.max), count: 1)),
      Packet(address: receiver.localAddress, head: Slice(offset: 2, count: 1)),
    ]
    let sent = send(strangers, heads, from: &sender)
    #expect(sent == strangers.count)
    #expect(sender.counters.unreachable == 4)
    #expect(sender.counters.malformed == 2)
    #expect(try gather(&receiver, count: 1).map(\.bytes) == [[3]])
  }

  @Test(arguments: families)
  func `a port that nobody listens on does not harm`(home: Address) throws {
    var sender = try DatagramSocket.bind(to: home)
    let gone: Address
    do { gone = try DatagramSocket.bind(to: home).localAddress }
    for _ in 0..<100 { #expect(send([1], from: &sender, to: gone)) }
    #expect(sender.receive() == 0)
    #expect(sender.counters == DatagramSocket.Counters())
  }

  @Test(arguments: [false, true])
  func `an answer comes from the address that was asked`(isDualStack: Bool) throws {
    var options = DatagramSocket.Options()
    options.isDualStack = isDualStack
    let any = isDualStack ? Address(ipv6: 0, 0, port: 0) : Address(ipv4: 0, port: 0)
    var server = try DatagramSocket.bind(to: any, options: options)
    let port = try #require(server.localAddress.port)
    var clients = 0
    for host in UInt32(1)...40 {
      for own in [
        Address(ipv4: 0x7f00_0000 + host, port: port), Address(ipv4: 0x7f01_0000 + host, port: port),
      ] {
        var client = try DatagramSocket.bind(to: Address(ipv4: 0x7f00_0001, port: 0))
        #expect(send([1], from: &client, to: own))
        #expect(try gather(&server, count: 1).first?.source == client.localAddress)
        #expect(send([2], from: &server, to: client.localAddress))
        #expect(try gather(&client, count: 1).first?.source == own)
        clients += 1
      }
    }
    #expect(clients == 80)
    #expect(server.counters == DatagramSocket.Counters())
  }

  @Test func `a full receiver loses packets and counts them`() throws {
    var options = DatagramSocket.Options()
    options.receiveBuffer = 4096
    var sender = try DatagramSocket.bind(to: families[0])
    var receiver = try DatagramSocket.bind(to: families[0], options: options)
    let bytes = [UInt8](repeating: 0, count: 1400)
    for _ in 0..<100 { #expect(send(bytes, from: &sender, to: receiver.localAddress)) }
    var count = 0
    while case let taken = receiver.receive(), taken > 0 { count += taken }
    // The kernel tells with the next packet that it takes.
    #expect(send(bytes, from: &sender, to: receiver.localAddress))
    #expect(receiver.receive() == 1)
    #expect(count < 100)
    #expect(receiver.counters.overflowed == UInt64(100 - count))
  }

  @Test(.enabled(if: allocations_are_counted(), "a sanitizer brings its own malloc"))
  func `receiving and sending a batch allocates nothing`() throws {
    var sender = try DatagramSocket.bind(to: families[0])
    var receiver = try DatagramSocket.bind(to: families[0])
    let heads = [UInt8](repeating: 1, count: 100)
    let bodies = [UInt8](repeating: 2, count: 1316)
    let packets = (0..<64).map { _ in
      Packet(
        address: receiver.localAddress,
        head: Slice(offset: 0, count: 100),
        body: Slice(offset: 0, count: 1316)
      )
    }
    func round() -> Int {
      var count = send(packets, heads, bodies, from: &sender)
      while case let taken = receiver.receive(), taken > 0 { count += receiver.packets.count }
      return count
    }
    #expect(round() == 128)
    let before = allocations_of_this_thread()
    let count = round()
    let after = allocations_of_this_thread()
    #expect(count == 128)
    #expect(after - before == 0)
  }
}
