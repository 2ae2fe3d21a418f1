import PluginKit

/// What a peer wants sent, until the driver takes it.
///
/// A packet is a head, made here, and a body that lies in the chunk window. Storage is kept from batch to batch.
struct Outbox {
  /// Where heads are made: append to it between ``begin()`` and ``end(to:body:chunk:lane:deadline:arrival:)``.
  var heads: [UInt8] = []
  private(set) var packets: [Packet] = []
  /// When the chunk of a packet came here, if this is its first forwarding; else zero.
  private(set) var arrivals: [Duration] = []
  private var start = 0
  /// The chunk that each body is; `UInt64.max` for none.
  private(set) var bodies: [UInt64] = []

  var isEmpty: Bool { packets.isEmpty }

  /// Begins the head of the next packet.
  mutating func begin() { start = heads.count }

  /// Forgets the head under way.
  mutating func abandon() { heads.removeLast(pending) }

  /// The bytes of the head under way.
  var pending: Int { heads.count - start }

  mutating func end(
    to address: Address,
    body: Slice = Slice(offset: 0, count: 0),
    chunk: UInt64 = .max,
    lane: Lane = .control,
    deadline: Duration = .zero,
    arrival: Duration = .zero
  ) {
    packets.append(
      Packet(
        address: address,
        head: Slice(offset: start, count: heads.count - start),
        body: body,
        deadline: deadline,
        lane: lane
      )
    )
    arrivals.append(arrival)
    bodies.append(chunk)
    start = heads.count
  }

  mutating func clear() {
    heads.removeAll(keepingCapacity: true)
    packets.removeAll(keepingCapacity: true)
    arrivals.removeAll(keepingCapacity: true)
    bodies.removeAll(keepingCapacity: true)
    start = 0
  }

  /// Takes back the packets whose body is a chunk that is about to be overwritten; returns how many.
  mutating func withdraw(_ chunk: UInt64) -> Int {
    guard bodies.contains(chunk) else { return 0 }
    var kept = 0
    for index in packets.indices where bodies[index] != chunk {
      packets[kept] = packets[index]
      arrivals[kept] = arrivals[index]
      bodies[kept] = bodies[index]
      kept += 1
    }
    let count = packets.count - kept
    packets.removeLast(count)
    arrivals.removeLast(count)
    bodies.removeLast(count)
    return count
  }
}
