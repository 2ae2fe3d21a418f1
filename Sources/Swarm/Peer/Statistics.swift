/// What one peer counted and measured since it began.
///
/// The names in JSON stand beside the fields; they are part of what `--stats` promises.
public struct Statistics: Hashable, Sendable {
  /// `chunks_in`: chunks that were received and verified, each once.
  public var chunksIn: UInt64 = 0
  /// `chunks_out`: DATA messages that were sent, repairs included.
  public var chunksOut: UInt64 = 0
  /// `duplicate`: chunks that were received again.
  public var duplicate: UInt64 = 0
  /// `lost`: chunks after the first received one that were not there when the output needed them; numbers that a
  /// restarted broadcast skipped are none.
  public var lost: UInt64 = 0
  /// `late`: chunks that were not sent, or came, after their deadline.
  public var late: UInt64 = 0
  /// `repaired`: chunks that came because they were asked for again.
  public var repaired: UInt64 = 0
  /// `rejected`: chunks that failed a check, and datagrams that could not be read.
  public var rejected: UInt64 = 0
  /// `bytes_in`: bytes of datagrams received.
  public var bytesIn: UInt64 = 0
  /// `bytes_out`: bytes of datagrams sent.
  public var bytesOut: UInt64 = 0
  /// `input_bytes`: payload that a source published.
  public var inputBytes: UInt64 = 0
  /// `verified`: signatures that were checked and held.
  public var verified: UInt64 = 0
  /// `children`: peers that are fed at this moment.
  public var children: Int = 0
  /// `peers`: peers with an open channel at this moment.
  public var peers: Int = 0
  /// `id`: who this peer is, written as in the others' `parent`; nil until it is known.
  public var id: String?
  /// `parent`: who feeds this peer, or nil for a source and an orphan.
  public var parent: String?
  /// `depth`: hops from the source, 0 for the source itself, nil when not attached.
  public var depth: Int?
  /// `window_fill`: which part of the window holds chunks, 0 to 1; of content, which part is here.
  public var windowFill: Double = 0
  /// `time_ms`: milliseconds since the process started.
  public var timeMilliseconds: Double = 0
  /// `behind_live_ms`: from the signing of the newest chunk that was put out to its output.
  public var behindLiveMilliseconds: Double?
  /// `delay_ms_median`: from the signing of a chunk to its output, of all chunks signed since the output began;
  /// from its arrival where nothing is signed.
  public var delayMedianMilliseconds: Double?
  /// `delay_ms_p99`: the same, not exceeded by 99 of 100 chunks; nil when more than the hundredth is lost.
  public var delayP99Milliseconds: Double?
  /// `delay_ms_p9999`: the same, not exceeded by 9,999 of 10,000 chunks.
  public var delayP9999Milliseconds: Double?
  /// `within_2s`: the part of those chunks, lost ones included, that was put out within two seconds, 0 to 1.
  public var within2Seconds: Double?
  /// `longest_gap_ms`: the longest time between two chunks in a row at the output.
  public var longestGapMilliseconds: Double?
  /// `first_chunk_ms`: from the process's start to the first verified chunk.
  public var firstChunkMilliseconds: Double?
  /// `first_frame_ms`: from the process's start to the first complete random access unit written to the output.
  public var firstFrameMilliseconds: Double?
  /// `first_frame_bytes`: the length of that random access unit.
  public var firstFrameBytes: Int?
  /// `hop_us_median`: microseconds from a chunk's arrival to its sending.
  public var hopMedianMicroseconds: Double?
  /// `hop_us_p99`: the same, not exceeded by 99 of 100 chunks.
  public var hopP99Microseconds: Double?

  /// `epoch`: how many topologies the swarm has run; nil for one that knows of none.
  public var epoch: UInt32?
  /// `topology`: the plugin that brings what comes next.
  public var topology: String?
  /// `swaps`: how often the topology was changed while this peer took part.
  public var swaps: UInt64 = 0
  /// `swap_gap_ms`: the longest time between two chunks in a row at the output while the last swap went on.
  public var swapGapMilliseconds: Double?
  /// `swap_lost`: chunks that were missing at the output while it went on.
  public var swapLost: UInt64?
  /// `swap_duplicate`: chunks that came again while it went on.
  public var swapDuplicates: UInt64?

  public init() {}

  /// Adds what another peer of the same process counted.
  public mutating func add(_ other: Statistics) {
    chunksIn += other.chunksIn
    chunksOut += other.chunksOut
    duplicate += other.duplicate
    lost += other.lost
    late += other.late
    repaired += other.repaired
    rejected += other.rejected
    bytesIn &+= other.bytesIn
    bytesOut &+= other.bytesOut
    inputBytes += other.inputBytes
    verified += other.verified
    children += other.children
    peers += other.peers
  }
}
