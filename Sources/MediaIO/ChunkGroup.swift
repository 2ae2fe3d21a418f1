/// Chunks that can only be sent together, because one signature covers them all (RFC 7574, section 6.1.2.1).
///
/// Counts where in its group a chunk stands. A group that a slow moment of the stream leaves open is to be filled up
/// after ``patience``; as a group holds no more than the stream's rate fills in that time, the filling never takes more
/// than the stream itself.
struct ChunkGroup {
  /// How long a group may wait to become full, in nanoseconds.
  static let patience: Int64 = 100_000_000

  private let size: Int
  private var count = 0
  private var since: Int64 = 0

  /// - Parameter size: chunks of a group; 1 where every chunk goes by itself.
  init(size: Int) {
    precondition(size > 0, "a group holds at least one chunk")
    self.size = size
  }

  var isComplete: Bool { count == 0 }

  /// When the group is to be filled up; nil when none is open.
  var deadline: Int64? { isComplete ? nil : since &+ Self.patience }

  mutating func add(now: Int64) {
    if count == 0 { since = now }
    count = (count + 1) % size
  }
}
