import Net
import PluginKit
import Swarm

/// A transport over the one socket of a host.
///
/// It takes datagrams from the socket through the transport to the swarms, and the other way. What follows from a few
/// datagrams is sent before the next are looked at, so that forwarding never waits for a whole batch.
struct Carrier: ~Copyable {
  /// So many datagrams are taken in before what follows from them is sent.
  private static let forwardEvery = 4
  /// So many batches are taken in before timers are looked at.
  private static let batchLimit = 64
  /// The most timers that a transport may set.
  private static let timerLimit = 64

  private var transport: any Transport
  private var socket: DatagramSocket
  private var inbound = TransportContext(now: .zero)
  private var outbound = TransportContext(now: .zero)
  private var backlog = Backlog()
  private var timers: [(id: UInt32, time: Duration)] = []
  private(set) var hops = TimeHistogram()
  private var refused: UInt64 = 0

  init(_ transport: consuming any Transport, _ socket: consuming DatagramSocket, now: Duration) {
    self.transport = transport
    self.socket = socket
    outbound.clear(now: now)
    self.transport.handle(.open(self.socket.localAddress), &outbound)
    transmit(Span(), RawSpan(), RawSpan())
  }

  var address: Address { socket.localAddress }
  var isDualStack: Bool { socket.options.isDualStack }
  var descriptor: Int32 { socket.descriptor }
  /// Whether packets wait until the socket takes more.
  var isBlocked: Bool { !backlog.isEmpty }
  /// Packets that were not sent: dropped by the transport, or for want of room in the socket.
  var dropped: UInt64 { backlog.dropped + refused }
  /// Packets that the kernel threw away before they were read.
  var overflowed: UInt64 { socket.counters.overflowed }
  /// Packets that were longer than the path carries in one piece.
  var tooLong: UInt64 { socket.counters.tooLong }
  var nextTimeout: Duration? { timers.lazy.map(\.time).min() }

  /// Takes in what waits in the socket; false when there is more.
  mutating func drain(into endpoint: inout Endpoint, _ clock: Clock) -> Bool {
    for _ in 0..<Self.batchLimit {
      let count = socket.receive()
      guard count > 0 else { return true }
      let now = clock.now
      inbound.clear(now: now)
      Self.decode(socket, by: &transport, &inbound)
      var pending = 0
      for index in inbound.deliveries.indices {
        switch inbound.deliveries[index] {
        case .packets(let first, let count):
          guard first >= 0, count >= 0, first <= socket.packets.count,
            count <= socket.packets.count - first
          else { continue }
          for place in first..<first + count {
            deliver(place, to: &endpoint, now: now)
            pending += 1
            if pending % Self.forwardEvery == 0 { flush(&endpoint, clock) }
          }
        case .made(let slice, let address):
          guard slice.range.upperBound <= inbound.bytes.count else { continue }
          _ = endpoint.receive(inbound.bytes.span.extracting(slice.range), from: address, now: now)
          pending += 1
          if pending % Self.forwardEvery == 0 { flush(&endpoint, clock) }
        }
      }
      flush(&endpoint, clock)
      if !inbound.actions.isEmpty { carryOut(inbound.actions) }
      for output in inbound.transmissions {
        guard case .made(let slice, let address) = output else { continue }
        send(inbound.bytes.span.extracting(checked: slice), to: address)
      }
      if count < DatagramSocket.batch { return true }
    }
    return false
  }

  private static func decode(
    _ socket: borrowing DatagramSocket,
    by transport: inout any Transport,
    _ context: inout TransportContext
  ) {
    transport.received(socket.packets, bytes: socket.bytes, &context)
  }

  private func deliver(_ place: Int, to endpoint: inout Endpoint, now: Duration) {
    let packet = socket.packets[place]
    let datagram = Span<UInt8>(_bytes: socket.bytes.extracting(packet.head.range))
    _ = endpoint.receive(datagram, from: packet.address, now: now)
  }

  /// Sends what the swarms have to send.
  mutating func flush(_ endpoint: inout Endpoint, _ clock: Clock) {
    for index in endpoint.peers.indices where endpoint.peers[index].hasOutput {
      endpoint.peers[index].flush { packets, heads, bodies, arrivals in
        write(packets, heads, bodies, now: clock.now)
        let now = clock.now
        for place in arrivals.indices where arrivals[place] != .zero { hops.add(now - arrivals[place]) }
      }
    }
  }

  private mutating func write(_ packets: Span<Packet>, _ heads: RawSpan, _ bodies: RawSpan, now: Duration) {
    outbound.clear(now: now)
    transport.write(packets, heads: heads, bodies: bodies, &outbound)
    transmit(packets, heads, bodies)
  }

  /// Carries out what the transport said about a batch to send.
  private mutating func transmit(_ packets: Span<Packet>, _ heads: RawSpan, _ bodies: RawSpan) {
    for index in outbound.transmissions.indices {
      switch outbound.transmissions[index] {
      case .packets(let first, let count):
        guard first >= 0, count >= 0, first <= packets.count, count <= packets.count - first else { continue }
        send(packets.extracting(first..<first + count), heads, bodies)
      case .made(let slice, let address):
        let bytes = outbound.bytes
        send(bytes.span.extracting(checked: slice), to: address)
      }
    }
    if !outbound.actions.isEmpty { carryOut(outbound.actions) }
  }

  private mutating func send(_ packets: Span<Packet>, _ heads: RawSpan, _ bodies: RawSpan) {
    // What waits goes first.
    let taken = backlog.isEmpty ? socket.send(packets, heads: heads, bodies: bodies) : 0
    for index in taken..<max(taken, packets.count) {
      let packet = packets[index]
      guard packet.head.range.upperBound <= heads.byteCount, packet.body.range.upperBound <= bodies.byteCount
      else { continue }
      backlog.append(packet, heads.extracting(packet.head.range), bodies.extracting(packet.body.range))
    }
  }

  private mutating func send(_ bytes: Span<UInt8>, to address: Address) {
    let bytes = unsafe bytes.bytes
    if backlog.isEmpty, socket.send(bytes, to: address) { return }
    backlog.append(Packet(address: address, head: Slice(offset: 0, count: 0)), bytes, RawSpan())
  }

  /// Sends what waits, as far as the socket takes it.
  mutating func retry(now: Duration) {
    guard !backlog.isEmpty else { return }
    backlog.retry(now: now) { packets, bytes in socket.send(packets, heads: bytes, bodies: RawSpan()) }
  }

  /// Lets the transport hear of its timers.
  mutating func timeout(now: Duration) {
    while let index = timers.firstIndex(where: { $0.time <= now }) {
      let timer = timers.remove(at: index)
      outbound.clear(now: now)
      transport.handle(.timer(timer.id), &outbound)
      transmit(Span(), RawSpan(), RawSpan())
    }
  }

  private mutating func carryOut(_ actions: [TransportAction]) {
    for action in actions {
      switch action {
      case .setTimer(let id, let time):
        timers.removeAll { $0.id == id }
        if timers.count < Self.timerLimit { timers.append((id, time)) }
      case .cancelTimer(let id): timers.removeAll { $0.id == id }
      case .dropped(let count): refused += UInt64(max(count, 0))
      // Of connections, which datagrams have none of.
      case .dial, .signal, .sample, .budget, .closed: break
      @unknown default: break
      }
    }
  }
}

extension Span {
  /// The part that a plugin named, empty when it is not inside.
  @_lifetime(copy self)
  fileprivate func extracting(checked slice: Slice) -> Span<Element> {
    slice.range.upperBound <= count ? extracting(slice.range) : extracting(first: 0)
  }
}
