/// Gathers transport packets into chunks of one size, or of any up to that.
///
/// A value without a clock: times come in as nanoseconds of the caller's monotonic clock.
struct Chunker {
  /// How long a chunk may wait to become full, in nanoseconds.
  static let patience: Int64 = 20_000_000

  /// A chunk as it is handed on.
  struct Chunk: Equatable {
    var bytes: [UInt8]
    var isEntry: Bool
    var isLast: Bool
  }

  private let size: Int
  private let isVariable: Bool
  private var pending: [UInt8] = []
  private var isEntry = false
  private var since: Int64 = 0

  /// - Parameters:
  ///   - size: bytes of a full chunk, a positive multiple of 188.
  ///   - isVariable: whether a chunk may go without being full; else it is filled up with null packets.
  init(size: Int, isVariable: Bool = false) {
    precondition(
      size > 0 && size % TransportStream.packetSize == 0,
      "a chunk holds whole transport packets"
    )
    self.size = size
    self.isVariable = isVariable
    pending.reserveCapacity(size)
  }

  /// When the pending chunk is to be sent even if it is not full; nil when nothing is pending.
  var deadline: Int64? {
    pending.isEmpty ? nil : since &+ Self.patience
  }

  /// Adds one packet and returns the chunk that it fills.
  mutating func append(_ packet: ArraySlice<UInt8>, now: Int64) -> Chunk? {
    if pending.isEmpty { since = now }
    pending += packet
    return pending.count >= size ? take(isLast: false) : nil
  }

  /// Ends the pending chunk, so that the next packet begins an entry at the start of its own chunk.
  mutating func beginEntry() -> Chunk? {
    let chunk = flush()
    isEntry = true
    return chunk
  }

  /// Ends the pending chunk, filled up where it has to be.
  mutating func flush() -> Chunk? {
    guard !pending.isEmpty else { return nil }
    while !isVariable, pending.count < size { pending += TransportStream.nullPacket }
    return take(isLast: false)
  }

  /// A chunk of null packets, which says nothing and is no longer than it must be.
  func filler() -> Chunk {
    var bytes = TransportStream.nullPacket
    while !isVariable, bytes.count < size { bytes += TransportStream.nullPacket }
    return Chunk(bytes: bytes, isEntry: false, isLast: false)
  }

  /// Ends the stream with a chunk that is shorter than the others (RFC 7574, section 8.6), or empty where they vary.
  mutating func finish() -> [Chunk] {
    if isVariable { return [flush(), take(isLast: true)].compactMap(\.self) }
    if pending.isEmpty && size > TransportStream.packetSize { pending += TransportStream.nullPacket }
    return [take(isLast: true)]
  }

  private mutating func take(isLast: Bool) -> Chunk {
    defer {
      pending.removeAll(keepingCapacity: true)
      isEntry = false
    }
    return Chunk(bytes: pending, isEntry: isEntry, isLast: isLast)
  }
}
