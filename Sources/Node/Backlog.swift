import PluginKit

/// Packets that wait because the socket's buffer is full, in the order in which they are to go.
struct Backlog {
  /// The most packets that wait; what comes then is dropped.
  static let packetLimit = 1024
  /// The most bytes that wait.
  static let byteLimit = 2 << 20

  private var packets: [Packet] = []
  private var bytes: [UInt8] = []
  /// How many were not sent, because there was no room or their deadline passed.
  private(set) var dropped: UInt64 = 0

  var isEmpty: Bool { packets.isEmpty }

  /// Keeps a packet of two parts.
  mutating func append(_ packet: Packet, _ head: RawSpan, _ body: RawSpan) {
    let count = head.byteCount + body.byteCount
    guard packets.count < Self.packetLimit, bytes.count + count <= Self.byteLimit else {
      dropped += 1
      return
    }
    var kept = packet
    kept.head = Slice(offset: bytes.count, count: count)
    kept.body = Slice(offset: 0, count: 0)
    unsafe head.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    unsafe body.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    packets.append(kept)
  }

  /// Offers all that are still worth sending; `send` returns how many it took.
  mutating func retry(now: Duration, _ send: (Span<Packet>, RawSpan) -> Int) {
    let before = packets.count
    packets.removeAll { $0.deadline != .zero && $0.deadline < now }
    dropped += UInt64(before - packets.count)
    let taken = unsafe send(packets.span, bytes.span.bytes)
    packets.removeFirst(min(max(taken, 0), packets.count))
    if packets.isEmpty { bytes.removeAll(keepingCapacity: true) }
  }
}
