/// Gathers transport packets into chunks of one size.
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
  private var pending: [UInt8] = []
  private var isEntry = false
  private var since: Int64 = 0

  /// - Parameter size: bytes of a full chunk, a positive multiple of 188.
  init(size: Int) {
    precondition(
      size > 0 && size % TransportStream.packetSize == 0,
      "a chunk holds whole transport packets"
    )
    self.size = size
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
    let chunk = pad()
    isEntry = true
    return chunk
  }

  /// Fills the pending chunk with null packets.
  mutating func pad() -> Chunk? {
    guard !pending.isEmpty else { return nil }
    while pending.count < size { pending += TransportStream.nullPacket }
    return take(isLast: false)
  }

  /// A chunk of null packets, which says nothing and is as long as the others.
  func filler() -> Chunk {
    var bytes: [UInt8] = []
    while bytes.count < size { bytes += TransportStream.nullPacket }
    return Chunk(bytes: bytes, isEntry: false, isLast: false)
  }

  /// Ends the stream with a chunk that is shorter than the others (RFC 7574, section 8.6).
  mutating func finish() -> Chunk {
    if pending.isEmpty && size > TransportStream.packetSize { pending += TransportStream.nullPacket }
    return take(isLast: true)
  }

  private mutating func take(isLast: Bool) -> Chunk {
    defer {
      pending.removeAll(keepingCapacity: true)
      isEntry = false
    }
    return Chunk(bytes: pending, isEntry: isEntry, isLast: isLast)
  }
}
