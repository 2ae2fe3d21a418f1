/// What a broadcast takes its chunks from.
///
/// `open()` and `run` block and are called once each, in this order, on a thread of the caller's; the rest may be used
/// from any thread.
public protocol ChunkSource: Sendable {
  /// Opens the input; blocks until it has said what it carries.
  func open() throws(MediaError)
  /// Emits all chunks, the last one shorter than the others; returns when the input is over, or after ``stop()``.
  ///
  /// One signature covers `groupSize` chunks.
  func run(groupSize: Int, _ emit: MediaSource.Emit) -> MediaSource.End
  /// Ends ``open()`` and ``run(groupSize:_:)`` soon; the run still emits its last chunk.
  func stop()
  /// Whether the input keeps its own time.
  var isLive: Bool { get }
  /// What is sent, in a few words; empty before ``open()``.
  var summary: String { get }
  /// The rate in bits a second, as far as it is known.
  var declaredBitrate: Int64? { get }
  /// The most chunks a second that so many bits a second make.
  func chunkRate(bitRate: UInt64) -> Double
  /// What a user should know about the input, each as a sentence.
  var notices: [String] { get }
}

extension MediaSource: ChunkSource {}
