import PluginKit
import Swarm
import Wire

/// Where a datagram is put together before it goes out.
package final class DatagramBuffer {
  var bytes: [UInt8] = []

  package init() {}
}

extension Peer {
  /// Hands over what is to be sent, each head with its body as one datagram, which is built in `datagram`.
  mutating func flush(
    into datagram: inout [UInt8],
    _ send: (_ datagram: [UInt8], _ to: Address) -> Void
  ) {
    flush { packets, heads, bodies, _ in
      for number in packets.indices {
        datagram.removeAll(keepingCapacity: true)
        datagram.append(bytes: heads.extracting(packets[number].head.range))
        datagram.append(bytes: bodies.extracting(packets[number].body.range))
        send(datagram, packets[number].address)
      }
    }
  }
}
