/// What one run showed, whichever engine ran it.
///
/// A delivery is expected of each peer for each measured chunk that was published while the peer took part and whose
/// deadline it lived to see.
package struct Measurement: Sendable {
  /// Deliveries that were expected, those of them that came before the deadline, and those that came after it.
  package var expected: UInt64 = 0
  package var inTime: UInt64 = 0
  package var late: UInt64 = 0
  /// From publishing to arrival, of the expected deliveries that came at all.
  package var delays = DelayHistogram()
  /// From joining to the first entry that is here with all that follows it so far.
  package var starts = DelayHistogram()
  /// Peers that joined, and those that never had a first entry.
  package var joins: UInt64 = 0
  package var neverStarted: UInt64 = 0

  /// Chunks that arrived where they were held already.
  package var duplicates: UInt64 = 0
  /// Chunks that arrived at all, duplicates included.
  package var arrivals: UInt64 = 0
  /// Bytes that all peers sent, as they were on the wire: chunks and everything else.
  package var chunkBytes: UInt64 = 0
  package var controlBytes: UInt64 = 0
  /// Chunks that the source sent, and those that it published.
  package var sourceChunks: UInt64 = 0
  package var published: UInt64 = 0
  /// Chunks that were dropped because they waited too long for an upload.
  package var overflowed: UInt64 = 0
  /// Chunks that were asked for, and came so.
  package var requested: UInt64 = 0
  package var repaired: UInt64 = 0
  /// False chunks that arrived and were found out.
  package var rejected: UInt64 = 0
  /// How often a plugin was called.
  package var calls: UInt64 = 0

  /// For each second of virtual time in which measured chunks were published: expected and in time.
  package var timeline: [Second] = []
  /// The part in time of each peer with at least one expected delivery, ascending.
  package var peerParts: [Float] = []
  /// How many peers stood at each depth when the measurement ended; the source is at 0.
  package var depths: [UInt32] = []
  /// Where the delay of sampled deliveries came from.
  package var split = DelaySplit()
  /// Why late and lost chunks were so.
  package var blame: [Blame: UInt64] = [:]
  /// The changes of the topology, in the order of the plan.
  package var swaps: [Swap] = []
  /// A hash over all that happened: the same for the same plan, composition and program.
  package var trace: UInt64 = 0

  package init() {}

  /// What peers saw of a change of the topology, from its announcement until the old topology had nothing left to do.
  package struct Swap: Hashable, Sendable {
    /// What it was changed to, and when that was announced, in nanoseconds.
    package var topology: String
    package var at: Int64
    /// The longest time between two chunks in a row at the output, of each peer that was there to its end.
    package var gaps = DelayHistogram()
    /// Chunks that were missing at their outputs, and those that came again.
    package var lost: UInt64 = 0
    package var duplicates: UInt64 = 0

    package init(_ topology: String, at: Int64) {
      self.topology = topology
      self.at = at
    }

    /// Takes in what others saw of the same change.
    package mutating func add(_ other: Swap) {
      gaps.add(other.gaps)
      lost += other.lost
      duplicates += other.duplicates
    }
  }

  package struct Second: Hashable, Sendable {
    package var expected: UInt64 = 0
    package var inTime: UInt64 = 0

    package init() {}
  }

  /// The delays of some deliveries, added up by cause, in nanoseconds.
  package struct DelaySplit: Hashable, Sendable {
    package var deliveries: UInt64 = 0
    package var serialisation: Int64 = 0
    package var propagation: Int64 = 0
    package var queue: Int64 = 0
    /// Round trips of requests, and the wait before somebody was asked.
    package var request: Int64 = 0
    /// What a chunk that was lost on the way waited until it was noticed.
    package var repair: Int64 = 0
    package var hops: UInt64 = 0

    package init() {}
  }

  /// Who is to blame for a chunk that was late or never came.
  package enum Blame: String, Hashable, Sendable, CaseIterable {
    /// The peer had no parent, or its parent had none.
    case detached
    /// It waited for an upload.
    case queue
    /// It was lost on the way, and the repair took too long.
    case repair
    /// A liar sent a false one.
    case liar
    /// None of these: the way was too long.
    case way
  }

  /// Copies that arrived for each chunk that was new; 1 is the optimum.
  package var copies: Double {
    arrivals > duplicates ? Double(arrivals) / Double(arrivals - duplicates) : 0
  }
  package var delivered: Double { expected == 0 ? 0 : Double(inTime) / Double(expected) }
  /// How often the source sent each chunk; `nil` when it published none.
  package var sourceFactor: Double? { published == 0 ? nil : Double(sourceChunks) / Double(published) }
  /// The part of all bytes that was no chunk.
  package var controlShare: Double {
    let all = chunkBytes + controlBytes
    return all == 0 ? 0 : Double(controlBytes) / Double(all)
  }
}
