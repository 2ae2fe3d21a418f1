public import CPluginABI
import PluginKit

/// Datagrams of the swarm as UDP datagrams, unchanged (RFC 7574, section 8).
struct UDP: Transport {
  static let manifest = Manifest(
    name: "udp",
    version: "1.0.0",
    summary: "Sends each datagram of the swarm as one UDP datagram, over IPv4 and IPv6",
    traits: TransportTraits(carrier: .datagrams, mtu: 1452, encrypts: false, controlsCongestion: false)
  )

  init(parameters: Parameters) {}

  mutating func handle(_ event: TransportEvent, _ context: inout TransportContext) {}

  mutating func received(_ packets: Span<Packet>, bytes: RawSpan, _ context: inout TransportContext) {
    context.deliver(0..<packets.count)
  }

  mutating func write(
    _ packets: Span<Packet>,
    heads: RawSpan,
    bodies: RawSpan,
    _ context: inout TransportContext
  ) {
    context.transmit(0..<packets.count)
  }
}

@c(UDP_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(UDP.self) }
}
