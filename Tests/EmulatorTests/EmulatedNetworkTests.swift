import Emulator
import Lab
import PluginKit
import Support
import Testing

@Suite struct `An emulated network` {
  /// A packet as it left.
  private struct Departure: Equatable {
    var packet: [UInt8]
    var to: Int
    var due: Duration
  }

  private static let left = Address(ipv4: 0x0A00_0001, port: 0)
  private static let right = Address(ipv4: 0x0A00_0002, port: 7574)
  private static let right6 = Address(ipv6: 0xFD00 << 48, 2, port: 0)

  /// An IPv4 packet with a number in its body.
  private func packet(to host: UInt32, number: Int = 0, byteCount: Int = 100) -> [UInt8] {
    var packet = [UInt8](repeating: 0, count: byteCount)
    packet[0] = 0x45
    for index in 0..<4 {
      packet[16 + index] = UInt8(truncatingIfNeeded: host >> UInt32(24 - 8 * index))
      if byteCount > 31 { packet[28 + index] = UInt8(truncatingIfNeeded: number >> (24 - 8 * index)) }
    }
    return packet
  }

  private func network(_ path: Path, seed: UInt64 = 1) -> EmulatedNetwork {
    var network = EmulatedNetwork(path, seed: seed)
    #expect(network.add([Self.left]) == 0)
    #expect(network.add([Self.right, Self.right6]) == 1)
    return network
  }

  /// What leaves until `end`, each packet at its time.
  private func drain(_ network: inout EmulatedNetwork, until end: Duration) -> [Departure] {
    var departures: [Departure] = []
    while let now = network.nextTimeout, now <= end {
      while let departure = network.departure(now: now) {
        let packet = network.packet(departure)
        departures.append(
          Departure(
            packet: unsafe packet.withUnsafeBufferPointer { unsafe Array($0) },
            to: departure.to,
            due: departure.due
          )
        )
      }
    }
    return departures
  }

  @Test func `delays each direction by its own exact time`() {
    var network = network(Path(delay: .milliseconds(10)))
    network[1, 0] = Path(delay: .milliseconds(25))
    let there = packet(to: 0x0A00_0002, number: 1)
    let back = packet(to: 0x0A00_0001, number: 2)
    network.receive(there.span, from: 0, now: .milliseconds(1))
    network.receive(back.span, from: 1, now: .milliseconds(2))
    #expect(network.nextTimeout == .milliseconds(11))
    #expect(network.departure(now: .milliseconds(10)) == nil)
    #expect(
      drain(&network, until: .seconds(1)) == [
        Departure(packet: there, to: 1, due: .milliseconds(11)),
        Departure(packet: back, to: 0, due: .milliseconds(27)),
      ]
    )
    #expect(network.nextTimeout == nil)
  }

  @Test func `takes its time for the bits of a packet, one by one`() {
    var network = network(Path(delay: .milliseconds(10)))
    network.setLineRate(1_000_000, of: 0)
    // A thousand bits take a millisecond; the bucket in front of the line has let both go at their times.
    let (first, second) = (packet(to: 0x0A00_0002, byteCount: 125), packet(to: 0x0A00_0002, byteCount: 250))
    network.receive(first.span, from: 0, now: .zero)
    network.receive(second.span, from: 0, now: .milliseconds(1))
    let back = packet(to: 0x0A00_0001)
    network.receive(back.span, from: 1, now: .zero)
    #expect(
      drain(&network, until: .seconds(1)) == [
        Departure(packet: back, to: 0, due: .milliseconds(10)),
        Departure(packet: first, to: 1, due: .milliseconds(11)),
        Departure(packet: second, to: 1, due: .milliseconds(13)),
      ]
    )
  }

  @Test func `finds hosts by IPv6 addresses too, and drops what is for nobody`() {
    var network = network(Path(delay: .milliseconds(1)))
    var six = [UInt8](repeating: 0, count: 48)
    six[0] = 0x60
    six[24] = 0xFD
    six[39] = 2
    network.receive(six.span, from: 0, now: .zero)
    #expect(drain(&network, until: .seconds(1)) == [Departure(packet: six, to: 1, due: .milliseconds(1))])
    six[39] = 3
    let strangers: [[UInt8]] = [
      six, [], [0x45], Array(six.prefix(39)), packet(to: 0x0A00_0003), [UInt8](repeating: 0, count: 60),
    ]
    for stranger in strangers { network.receive(stranger.span, from: 0, now: .zero) }
    let long = packet(to: 0x0A00_0002, byteCount: EmulatedNetwork.packetLimit + 1)
    network.receive(long.span, from: 0, now: .zero)
    #expect(network.nextTimeout == nil)
    #expect(network.counters.unroutable == 7)
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `loses as many as it says, the same ones for the same seed, in each direction others`(seed: UInt64) {
    func arrived(_ seed: UInt64, from: Int) -> [Departure] {
      var network = network(Path(delay: .milliseconds(10), loss: 0.05), seed: seed)
      for number in 0..<10_000 {
        let packet = packet(to: from == 0 ? 0x0A00_0002 : 0x0A00_0001, number: number)
        network.receive(packet.span, from: from, now: .milliseconds(number))
      }
      let departures = drain(&network, until: .seconds(20))
      #expect(network.counters.lost + UInt64(departures.count) == 10_000)
      #expect(network.counters.delivered == UInt64(departures.count))
      return departures
    }
    let there = arrived(seed, from: 0)
    #expect((9400...9600).contains(there.count), "seed \(seed): \(there.count)")
    #expect(there == arrived(seed, from: 0), "seed \(seed)")
    #expect(there.map(\.due) != arrived(seed, from: 1).map(\.due), "seed \(seed)")
    #expect(there.map(\.due) != arrived(seed + 100, from: 0).map(\.due), "seed \(seed)")
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `mixes up no packets while many are on their way`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var network = network(
      Path(delay: .milliseconds(10), jitter: .milliseconds(5), duplication: 0.1),
      seed: seed
    )
    var sent: [[UInt8]] = []
    var departures: [Departure] = []
    var now = Duration.zero
    for number in 0..<3000 {
      let packet = packet(to: 0x0A00_0002, number: number, byteCount: .random(in: 32...1500, using: &random))
      network.receive(packet.span, from: 0, now: now)
      sent.append(packet)
      now += .microseconds(Int.random(in: 0...300, using: &random))
      departures += drain(&network, until: now)
    }
    departures += drain(&network, until: now + .seconds(1))
    var once: [[UInt8]] = []
    for departure in departures where once.last != departure.packet { once.append(departure.packet) }
    #expect(once == sent, "seed \(seed)")
    #expect(departures.count > 3200, "seed \(seed)")
  }

  @Test func `keeps no more than a bounded number of packets`() {
    var network = network(Path(delay: .seconds(60)))
    let packet = packet(to: 0x0A00_0002)
    for _ in 0..<EmulatedNetwork.transitLimit + 10 { network.receive(packet.span, from: 0, now: .zero) }
    #expect(network.counters.overflowed == 10)
    #expect(drain(&network, until: .seconds(60)).count == EmulatedNetwork.transitLimit)
  }
}
