import Net
import PluginKit

/// Receives until `count` packets came, or nothing more comes within a second.
func gather(
  _ socket: inout DatagramSocket,
  count: Int
) throws -> [(bytes: [UInt8], source: Address)] {
  let clock = Clock()
  let loop = try EventLoop(clock: clock)
  try loop.watch(socket.descriptor, token: 1)
  var gathered: [(bytes: [UInt8], source: Address)] = []
  while gathered.count < count, clock.now < .seconds(1) {
    _ = try loop.wait(until: .seconds(1))
    socket.receive()
    let bytes = socket.bytes
    for index in socket.packets.indices {
      let packet = socket.packets[index]
      gathered.append(
        (
          packet.head.range.map { unsafe bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) },
          packet.address
        )
      )
    }
  }
  return gathered
}

/// Sends one packet; false when the socket's buffer is full.
func send(_ bytes: [UInt8], from socket: inout DatagramSocket, to address: Address) -> Bool {
  unsafe socket.send(bytes.span.bytes, to: address)
}

/// Sends a batch, and returns how many packets are dealt with.
func send(
  _ packets: [Packet],
  _ heads: [UInt8],
  _ bodies: [UInt8] = [],
  from socket: inout DatagramSocket
) -> Int {
  unsafe socket.send(packets.span, heads: heads.span.bytes, bodies: bodies.span.bytes)
}
