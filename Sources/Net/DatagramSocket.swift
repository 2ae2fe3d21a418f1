internal import CSockets
internal import Glibc
package import PluginKit

/// A UDP socket that receives and sends in batches and never blocks.
///
/// Nothing that it sends is fragmented by IP. After it is open, receiving and sending allocate nothing.
@safe package struct DatagramSocket: ~Copyable {
  /// The most packets in one batch from the socket.
  package static let batch = 64

  /// What can be chosen about a socket.
  package struct Options: Hashable, Sendable {
    /// Whether a socket bound to an IPv6 address takes IPv4 too.
    package var isDualStack = false
    /// The kernel's buffers, in bytes; the system may grant less.
    package var receiveBuffer = 8 << 20
    package var sendBuffer = 4 << 20
    /// The longest datagram that is received, in bytes.
    package var datagramLimit = 9216

    package init() {}
  }

  /// What happened to packets that did not come or go.
  package struct Counters: Hashable, Sendable {
    /// Received packets that were longer than ``Options/datagramLimit``, or came from no IP address.
    package var cut: UInt64 = 0
    /// Packets that the kernel threw away because its buffer was full.
    package var overflowed: UInt64 = 0
    /// Packets longer than the path carries in one piece.
    package var tooLong: UInt64 = 0
    /// Packets that no route leads to, or that a firewall refused.
    package var unreachable: UInt64 = 0
    /// Packets whose parts do not lie in the bytes given.
    package var malformed: UInt64 = 0

    package init() {}
  }

  package let descriptor: Int32
  /// Where it is bound; the port is never 0.
  package let localAddress: Address
  package let options: Options
  package private(set) var counters = Counters()

  private let isMapping: Bool
  private let batches: OpaquePointer
  private let arrivals: UnsafeMutablePointer<freshet_arrival>
  private let received: UnsafeMutablePointer<Packet>
  private var receivedCount = 0
  private var overflow: UInt32 = 0

  private init(adopting descriptor: Int32, _ batches: OpaquePointer, at address: Address, _ options: Options)
  {
    self.descriptor = descriptor
    unsafe self.batches = batches
    self.localAddress = address
    self.options = options
    isMapping = address.tag == Address.ipv6
    unsafe arrivals = .allocate(capacity: Self.batch)
    unsafe received = .allocate(capacity: Self.batch)
  }

  deinit {
    close(descriptor)
    unsafe freshet_batches_free(batches)
    unsafe arrivals.deallocate()
    unsafe received.deallocate()
  }

  /// Opens a socket at an IPv4 or IPv6 address; port 0 lets the system choose.
  ///
  /// - Throws: ``NetError/cannotListen(_:_:)``, ``NetError/outOfMemory``.
  package static func bind(
    to address: Address,
    options: Options = Options()
  ) throws(NetError) -> DatagramSocket {
    let name = "udp://\(address)"
    guard let endpoint = address.endpoint else {
      throw .cannotListen(name, SystemError(code: EAFNOSUPPORT))
    }
    // Two slabs of 4 GiB would not be told apart by a Slice.
    let stride = min(max(options.datagramLimit, 64), 65536)
    let wanted = freshet_socket_options(
      dual_stack: options.isDualStack,
      receive_buffer: Int32(clamping: options.receiveBuffer),
      send_buffer: Int32(clamping: options.sendBuffer)
    )
    let descriptor = freshet_udp_open(endpoint, wanted)
    guard descriptor >= 0 else { throw .cannotListen(name, SystemError(code: -descriptor)) }
    guard let batches = unsafe freshet_batches_make(stride) else {
      close(descriptor)
      throw .outOfMemory
    }
    var local = freshet_endpoint()
    _ = unsafe freshet_local_endpoint(descriptor, &local)
    return unsafe DatagramSocket(
      adopting: descriptor,
      batches,
      at: Address(local) ?? address,
      options
    )
  }

  /// The bytes that the kernel's buffers hold, as granted.
  package var grantedBuffers: (receive: Int, send: Int) {
    (Int(max(freshet_receive_buffer(descriptor), 0)), Int(max(freshet_send_buffer(descriptor), 0)))
  }

  // MARK: Receiving

  /// Takes in what waits, at most ``batch`` packets, in place of what was received before.
  ///
  /// The result counts what was taken from the kernel, also packets that are too long to be kept: as long as it is
  /// `limit`, more may wait.
  @discardableResult
  package mutating func receive(limit: Int = batch) -> Int {
    receivedCount = 0
    let limit = min(max(limit, 0), Self.batch)
    var overflow = overflow
    let count = unsafe freshet_receive(descriptor, batches, UInt32(limit), arrivals, &overflow)
    // The kernel counts modulo 2^32.
    counters.overflowed += UInt64(overflow &- self.overflow)
    self.overflow = overflow
    // Nothing waits, or an ICMP error of an earlier packet was reported; the next call shows.
    guard count > 0 else { return 0 }
    for index in 0..<Int(count) {
      let arrival = unsafe arrivals[index]
      guard !arrival.is_cut, let source = Address(arrival.source) else {
        counters.cut += 1
        continue
      }
      let packet = Packet(
        address: source,
        head: Slice(offset: Int(arrival.offset), count: Int(arrival.count)),
        congestion: arrival.congestion
      )
      unsafe (received + receivedCount).initialize(to: packet)
      receivedCount += 1
    }
    return Int(count)
  }

  /// What the last ``receive(limit:)`` took in; each packet's head is its place in ``bytes``.
  package var packets: Span<Packet> {
    @_lifetime(borrow self)
    borrowing get {
      let span = unsafe Span(_unsafeStart: received, count: receivedCount)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The bytes of the received packets, until the next ``receive(limit:)``.
  package var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      let stride = min(max(options.datagramLimit, 64), 65536)
      let start = unsafe UnsafeRawPointer(freshet_slab(batches))
      let span = unsafe RawSpan(_unsafeStart: start, byteCount: stride * Self.batch)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  // MARK: Sending

  /// Sends packets, each its head in `heads` followed by its body in `bodies`.
  ///
  /// A packet that cannot be sent at all is counted in ``counters`` and passed over.
  ///
  /// - Returns: How many packets from the first on are dealt with; fewer than all when the socket's buffer is full.
  package mutating func send(_ packets: Span<Packet>, heads: RawSpan, bodies: RawSpan) -> Int {
    unsafe heads.withUnsafeBytes { heads in
      unsafe bodies.withUnsafeBytes { bodies in unsafe send(packets, heads, bodies) }
    }
  }

  /// Sends one packet.
  ///
  /// - Returns: False when the socket's buffer is full.
  package mutating func send(_ bytes: RawSpan, to address: Address) -> Bool {
    var packet = Packet(address: address, head: Slice(offset: 0, count: bytes.byteCount))
    return unsafe withUnsafePointer(to: &packet) { packet in
      let packets = unsafe Span(_unsafeStart: packet, count: 1)
      return unsafe bytes.withUnsafeBytes { bytes in
        unsafe send(packets, bytes, UnsafeRawBufferPointer(start: nil, count: 0)) == 1
      }
    }
  }

  private mutating func send(
    _ packets: Span<Packet>,
    _ heads: UnsafeRawBufferPointer,
    _ bodies: UnsafeRawBufferPointer
  ) -> Int {
    /// Which packet each place of the kernel's batch holds.
    var places = [64 of Int](repeating: 0)
    var next = 0
    while next < packets.count {
      var filled = 0
      while next < packets.count && filled < Self.batch {
        if unsafe prepare(packets[next], at: filled, heads, bodies) {
          places[filled] = next
          filled += 1
        }
        next += 1
      }
      var sent = 0
      while sent < filled {
        var error: Int32 = 0
        sent += Int(unsafe freshet_send(descriptor, batches, UInt32(sent), UInt32(filled), &error))
        guard sent < filled else { break }
        switch error {
        case EAGAIN, ENOBUFS, ENOMEM: return places[sent]
        // Told of an earlier packet; this one was not tried yet.
        case ECONNREFUSED: continue
        case EMSGSIZE: counters.tooLong += 1
        // The own address that the peer knows may have gone with its network.
        default:
          if unsafe freshet_prepare_without_source(batches, UInt32(sent)) { continue }
          counters.unreachable += 1
        }
        sent += 1
      }
    }
    return packets.count
  }

  /// Puts a packet into the kernel's batch; false when that cannot be.
  private mutating func prepare(
    _ packet: Packet,
    at place: Int,
    _ heads: UnsafeRawBufferPointer,
    _ bodies: UnsafeRawBufferPointer
  ) -> Bool {
    let head = packet.head.range
    let body = packet.body.range
    guard head.upperBound <= heads.count, body.isEmpty || body.upperBound <= bodies.count else {
      counters.malformed += 1
      return false
    }
    guard let destination = packet.address.endpoint, destination.port != 0,
      destination.family == 6 ? isMapping : !isMapping || options.isDualStack
    else {
      counters.unreachable += 1
      return false
    }
    unsafe freshet_prepare(
      batches,
      UInt32(place),
      destination,
      isMapping,
      heads.baseAddress.map { unsafe $0 + head.lowerBound },
      head.count,
      body.isEmpty ? nil : bodies.baseAddress.map { unsafe $0 + body.lowerBound },
      body.count
    )
    return true
  }
}
