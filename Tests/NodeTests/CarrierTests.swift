import Integrity
import Net
import PluginKit
import Swarm
import Testing
import Tree

@testable import Node

/// A transport that makes its own bytes: each is turned over.
private struct Inverting: Transport {
  static let manifest = Manifest(
    name: "inverting",
    version: "1.0.0",
    summary: "Turns each bit over",
    traits: TransportTraits(carrier: .datagrams, mtu: 1452, encrypts: false, controlsCongestion: false)
  )

  init(parameters: Parameters) {}
  init() {}

  mutating func handle(_ event: TransportEvent, _ context: inout TransportContext) {
    if case .open = event { context.emit(.setTimer(1, at: context.now)) }
  }

  mutating func received(_ packets: Span<Packet>, bytes: RawSpan, _ context: inout TransportContext) {
    for index in packets.indices {
      let turned = Self.turned(bytes, packets[index].head)
      context.deliver(turned.span, from: packets[index].address)
    }
  }

  mutating func write(
    _ packets: Span<Packet>,
    heads: RawSpan,
    bodies: RawSpan,
    _ context: inout TransportContext
  ) {
    for index in packets.indices {
      let turned = Self.turned(heads, packets[index].head) + Self.turned(bodies, packets[index].body)
      context.transmit(turned.span, to: packets[index].address)
    }
  }

  private static func turned(_ bytes: RawSpan, _ slice: Slice) -> [UInt8] {
    slice.range.map { unsafe ~bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
  }
}

/// A transport that names packets which do not exist.
private struct Boasting: Transport {
  static let manifest = Inverting.manifest

  init(parameters: Parameters) {}
  init() {}

  mutating func handle(_ event: TransportEvent, _ context: inout TransportContext) {}

  mutating func received(_ packets: Span<Packet>, bytes: RawSpan, _ context: inout TransportContext) {
    context.deliver(0..<1_000_000)
    context.deliver(5_000..<5_001)
    for number in 0..<1000 as Range<UInt32> { context.emit(.setTimer(number, at: .zero)) }
    context.emit(.dropped(count: -5))
  }

  mutating func write(
    _ packets: Span<Packet>,
    heads: RawSpan,
    bodies: RawSpan,
    _ context: inout TransportContext
  ) {
    context.transmit(0..<1_000_000)
    context.transmit(packets.count..<packets.count + 1)
  }
}

struct CarrierTests {
  private static let loopback = Address(ipv4: 0x7f00_0001, port: 0)

  private func peer(
    _ role: Role,
    _ swarmID: SwarmID,
    _ key: StreamKey?,
    _ carrier: borrowing Carrier,
    _ endpoint: inout Endpoint,
    _ clock: Clock
  ) throws {
    var configuration = PeerConfiguration(
      swarmID: swarmID,
      role: role,
      identity: try PeerIdentity.generate(),
      address: carrier.address
    )
    configuration.key = key
    configuration.rate = 1_000_000
    configuration.beginsEntry = { _ in true }
    configuration.makeTopology = { _, parameters throws(ParameterError) in
      try Tree(parameters: Parameters(parameters, declared: Tree.manifest.parameters))
    }
    endpoint.peers.append(try Peer(configuration, channels: endpoint.channels, now: clock.now))
  }

  @Test func `A stream goes through a transport that makes its own bytes`() throws {
    let clock = Clock()
    let key = try StreamKey.generate()
    var source = Carrier(Inverting(), try DatagramSocket.bind(to: Self.loopback), now: clock.now)
    var viewer = Carrier(Inverting(), try DatagramSocket.bind(to: Self.loopback), now: clock.now)
    var sending = Endpoint()
    var receiving = Endpoint()
    try peer(.source, key.swarmID, key, source, &sending, clock)
    try peer(.relay, key.swarmID, nil, viewer, &receiving, clock)
    sending.peers[0].start(bootstrap: [], now: clock.now)
    receiving.peers[0].start(bootstrap: [source.address], now: clock.now)
    let payload = [UInt8](repeating: 7, count: 1316)
    var next: UInt64 = 0
    var read: [UInt64] = []
    while read.count < 100, clock.now < .seconds(20) {
      // One chunk in two milliseconds, however fast the loop turns.
      if clock.now >= .milliseconds(2) * Int(next) {
        let bytes = unsafe payload.span.bytes
        try sending.peers[0].publish(
          chunk: next,
          payload: bytes,
          isEntry: true,
          isLast: false,
          now: clock.now
        )
        next += 1
      }
      source.flush(&sending, clock)
      _ = source.drain(into: &sending, clock)
      _ = viewer.drain(into: &receiving, clock)
      sending.peers[0].timeout(now: clock.now)
      receiving.peers[0].timeout(now: clock.now)
      for notice in receiving.peers[0].takeNotices() {
        guard case .discover = notice else { continue }
        receiving.peers[0].discovered([(source.address, nil)], now: clock.now)
      }
      source.timeout(now: clock.now)
      source.flush(&sending, clock)
      viewer.flush(&receiving, clock)
      receiving.peers[0].read(now: clock.now) { chunk, bytes, _, _, _ in
        #expect(bytes.byteCount == 1316)
        read.append(chunk)
      }
    }
    #expect(read.count >= 100)
    #expect(read == Array((read.first ?? 0)..<(read.first ?? 0) + UInt64(read.count)))
    #expect(viewer.dropped == 0)
    #expect(source.hops.count > 0)
  }

  @Test func `A transport that names what does not exist harms nobody`() throws {
    let clock = Clock()
    let key = try StreamKey.generate()
    var carrier = Carrier(Boasting(), try DatagramSocket.bind(to: Self.loopback), now: clock.now)
    var other = try DatagramSocket.bind(to: Self.loopback)
    var endpoint = Endpoint()
    try peer(.relay, key.swarmID, nil, carrier, &endpoint, clock)
    endpoint.peers[0].start(bootstrap: [other.localAddress], now: clock.now)
    carrier.flush(&endpoint, clock)
    let noise = [UInt8](repeating: 1, count: 40)
    #expect(unsafe other.send(noise.span.bytes, to: carrier.address))
    for _ in 0..<100 where carrier.nextTimeout == nil { _ = carrier.drain(into: &endpoint, clock) }
    #expect(carrier.nextTimeout == .zero)
    carrier.timeout(now: clock.now)
    #expect(carrier.nextTimeout == nil)
    #expect(carrier.dropped == 0)
  }
}
