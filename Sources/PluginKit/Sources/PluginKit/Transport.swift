/// Turns the datagrams of a swarm into what a socket carries, and back.
///
/// A transport is a codec over sockets that the host owns: it hears batches and says what to send and what to hand up.
/// It has no clock and no socket of its own.
public protocol Transport: SendableMetatype {
  /// ``Manifest/traits`` must be set.
  static var manifest: Manifest { get }

  init(parameters: Parameters) throws(ParameterError)

  mutating func handle(_ event: TransportEvent, _ context: inout TransportContext)

  /// Takes what came from the socket: each packet's ``Packet/head`` is its place in `bytes`.
  mutating func received(_ packets: Span<Packet>, bytes: RawSpan, _ context: inout TransportContext)

  /// Takes what the swarm wants sent: each packet is its head in `heads` followed by its body in `bodies`.
  ///
  /// The bytes are borrowed until the call returns and the host has carried out what the context says.
  mutating func write(
    _ packets: Span<Packet>,
    heads: RawSpan,
    bodies: RawSpan,
    _ context: inout TransportContext
  )
}

/// What a transport does by itself.
public struct TransportTraits: Hashable, Sendable {
  public enum Carrier: Hashable, Sendable { case datagrams, stream }

  public var carrier: Carrier
  /// The most bytes of a swarm's datagram that fit into one packet over IPv6.
  public var mtu: Int
  public var encrypts: Bool
  /// Whether it has its own congestion control, so that the swarm's stands back.
  public var controlsCongestion: Bool

  public init(carrier: Carrier, mtu: Int, encrypts: Bool, controlsCongestion: Bool) {
    self.carrier = carrier
    self.mtu = mtu
    self.encrypts = encrypts
    self.controlsCongestion = controlsCongestion
  }
}

/// How soon a packet must go.
@frozen public enum Lane: UInt8, Sendable, BitwiseCopyable {
  case control, urgent, data
}

/// A place in borrowed bytes.
@frozen public struct Slice: Hashable, Sendable, BitwiseCopyable {
  public var offset: UInt32
  public var count: UInt32

  @inlinable
  public init(offset: Int, count: Int) {
    self.offset = UInt32(truncatingIfNeeded: offset)
    self.count = UInt32(truncatingIfNeeded: count)
  }

  @inlinable public var range: Range<Int> { Int(offset)..<Int(offset) + Int(count) }
}

/// One packet of a batch.
@frozen public struct Packet: Sendable, BitwiseCopyable {
  public var address: Address
  public var head: Slice
  public var body: Slice
  /// Since the host's start; past it the packet is worth nothing.
  public var deadline: Duration
  public var lane: Lane
  /// The ECN bits of a received packet.
  public var congestion: UInt8

  @inlinable
  public init(
    address: Address,
    head: Slice,
    body: Slice = Slice(offset: 0, count: 0),
    deadline: Duration = .zero,
    lane: Lane = .control,
    congestion: UInt8 = 0
  ) {
    self.address = address
    self.head = head
    self.body = body
    self.deadline = deadline
    self.lane = lane
    self.congestion = congestion
  }
}

/// What happened around a transport.
public enum TransportEvent: Sendable {
  /// A socket is open at this address, or a connection to it stands.
  case open(Address)
  /// The swarm wants to talk to this address.
  case dial(Address)
  case timer(UInt32)
  /// Bytes of session negotiation from another host, through whatever channel the application has.
  case signal([UInt8])
  case close(Address)
}

/// What a transport wants done beside sending and handing up.
public enum TransportAction: Hashable, Sendable {
  /// Open a connection (stream carriers).
  case dial(Address)
  case setTimer(UInt32, at: Duration)
  case cancelTimer(UInt32)
  case signal([UInt8])
  /// How a connection does.
  case sample(Address, roundTrip: Duration)
  /// Bytes that may be written to an address before it would have to wait.
  case budget(Address, bytes: Int)
  /// Packets that were not sent, and will not be.
  case dropped(count: Int)
  case closed(Address)
}

/// Where a transport says what to do.
///
/// The lists keep their storage from call to call: a transport that passes packets on unchanged allocates nothing.
public struct TransportContext {
  /// What goes to a socket, or up to the swarm.
  @frozen public enum Output: Sendable, BitwiseCopyable {
    /// These packets of the batch, unchanged.
    case packets(first: Int, count: Int)
    /// A place in ``TransportContext/bytes``.
    case made(Slice, Address)
  }

  public var now: Duration
  public private(set) var transmissions: [Output] = []
  public private(set) var deliveries: [Output] = []
  public private(set) var actions: [TransportAction] = []
  /// The bytes that the transport made.
  public private(set) var bytes: [UInt8] = []

  public init(now: Duration) { self.now = now }

  /// Sends packets of the batch as they are.
  public mutating func transmit(_ packets: Range<Int>) {
    transmissions.append(.packets(first: packets.lowerBound, count: packets.count))
  }

  /// Sends other bytes.
  public mutating func transmit(_ bytes: Span<UInt8>, to address: Address) {
    transmissions.append(.made(keep(bytes), address))
  }

  /// Hands packets of the batch up as they are.
  public mutating func deliver(_ packets: Range<Int>) {
    deliveries.append(.packets(first: packets.lowerBound, count: packets.count))
  }

  /// Hands other bytes up.
  public mutating func deliver(_ bytes: Span<UInt8>, from address: Address) {
    deliveries.append(.made(keep(bytes), address))
  }

  public mutating func emit(_ action: TransportAction) { actions.append(action) }

  /// Forgets what was said and keeps the storage.
  public mutating func clear(now: Duration) {
    self.now = now
    transmissions.removeAll(keepingCapacity: true)
    deliveries.removeAll(keepingCapacity: true)
    actions.removeAll(keepingCapacity: true)
    bytes.removeAll(keepingCapacity: true)
  }

  private mutating func keep(_ span: Span<UInt8>) -> Slice {
    let offset = bytes.count
    bytes.reserveCapacity(offset + span.count)
    for index in span.indices { bytes.append(span[index]) }
    return Slice(offset: offset, count: span.count)
  }
}
