import PluginKit
import Swarm
import Wire

extension Peer {
  /// What is to be sent, each head with its body as one datagram.
  mutating func takeDatagrams() -> [(bytes: [UInt8], to: Address)] {
    var datagrams: [(bytes: [UInt8], to: Address)] = []
    flush { packets, heads, bodies, _ in
      for number in packets.indices {
        let packet = packets[number]
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(packet.head.count) + Int(packet.body.count))
        bytes.append(bytes: heads.extracting(packet.head.range))
        bytes.append(bytes: bodies.extracting(packet.body.range))
        datagrams.append((bytes, packet.address))
      }
    }
    return datagrams
  }
}
