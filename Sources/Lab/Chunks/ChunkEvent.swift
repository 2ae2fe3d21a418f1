/// Something that happens at a time, in thirty-two bytes without references.
struct ChunkEvent: TimedEvent {
  enum Kind: UInt8 {
    // At one peer, `to`.
    /// A chunk, `first`, is here from `from`; `second` is its place among the extras, 0 for none.
    case chunk
    /// The same when the download has taken it in.
    case downloaded
    /// The upload has sent what it was sending.
    case uploadFree
    /// Whatever is no chunk is here from `from`; `first` is its place among the letters.
    case letter
    /// A timer of the topology, number `first`.
    case timer
    /// It is time to ask for what is missing.
    case repair
    /// A second has passed.
    case second
    /// Somebody, `from`, who was lost may have been silent for long enough.
    case silence
    /// Parents are looked at that are heard and bring nothing.
    case stall
    /// An ask of `from`, number `first`, has had no answer.
    case askTimeout
    /// A link to `from` may be of no use.
    case idle
    /// Others are told what is held.
    case announce
    /// Discovery answers.
    case discovered

    // In the world.
    case join, begin, leave, publish, reckon, change, finish
  }

  var time: Int64
  /// The order among events of one time, and the kind in the lowest byte.
  private(set) var order: UInt64 = 0
  var to: UInt32
  var from: UInt32
  var first: UInt32
  var second: UInt32

  init(_ kind: Kind, at time: Int64, to: Int, from: UInt32 = 0, first: UInt32 = 0, second: UInt32 = 0) {
    self.time = time
    order = UInt64(kind.rawValue)
    self.to = UInt32(to)
    self.from = from
    self.first = first
    self.second = second
  }

  var kind: Kind { Kind(rawValue: UInt8(truncatingIfNeeded: order)) ?? .finish }

  mutating func number(_ number: UInt64) { order = order & 0xFF | number << 8 }

  static func < (left: ChunkEvent, right: ChunkEvent) -> Bool {
    left.time != right.time ? left.time < right.time : left.order < right.order
  }
}
