import Integrity
import Wire

/// The subtrees of a live stream whose munros were checked, for as long as their chunks may be in the window.
///
/// One slot for each, so that the newer takes the place of the older. All have the width of the first.
struct Subtrees {
  private let window: UInt64
  private var slots: [UnifiedMerkle.Subtree?] = []
  /// NCHUNKS_PER_SIG, once a munro has told it.
  private(set) var width: UInt64?
  /// The chunks of the rightmost.
  private(set) var newest: ChunkRange?

  init(window: UInt64) { self.window = window }

  subscript(chunk: UInt64) -> UnifiedMerkle.Subtree? {
    guard let slot = slot(chunk), let subtree = slots[slot], subtree.munro.contains(chunk) else { return nil }
    return subtree
  }

  func contains(_ chunk: UInt64) -> Bool {
    guard let slot = slot(chunk) else { return false }
    return slots[slot]?.munro.contains(chunk) == true
  }

  /// Whether these are the chunks of a subtree that may take a place here.
  func accepts(_ munro: ChunkRange) -> Bool {
    guard let width, let newest else { return true }
    guard munro.chunkCount == width else { return false }
    return munro.lowerBound >= newest.lowerBound || newest.lowerBound - munro.lowerBound <= window
  }

  mutating func insert(_ subtree: UnifiedMerkle.Subtree) {
    guard accepts(subtree.munro) else { return }
    if width == nil {
      width = subtree.munro.chunkCount
      slots = Array(repeating: nil, count: Int(window / subtree.munro.chunkCount) + 2)
    }
    if newest.map({ $0.lowerBound < subtree.munro.lowerBound }) ?? true { newest = subtree.munro }
    if let slot = slot(subtree.munro.lowerBound) { slots[slot] = subtree }
  }

  /// Judges a chunk by its subtree and what its sender says of it; nil when there is no subtree yet.
  mutating func verify(_ chunk: UInt64, _ payload: RawSpan, _ pending: PendingHashes) -> Verdict? {
    guard let slot = slot(chunk), contains(chunk) else { return nil }
    return slots[slot]?.verify(chunk, payload, pending)
  }

  /// Remembers the hashes of a chunk's subtree that lead to its munro.
  ///
  /// - Returns: the chunks of the subtree, and whether all its hashes are known now; nil when there is no such subtree.
  mutating func learn(_ chunk: UInt64, from pending: PendingHashes?) -> (munro: ChunkRange, isWhole: Bool)? {
    guard let pending, let slot = slot(chunk), contains(chunk) else { return nil }
    _ = slots[slot]?.learn(from: pending)
    return slots[slot].map { ($0.munro, $0.hasAllHashes) }
  }

  private func slot(_ chunk: UInt64) -> Int? { width.map { Int(chunk / $0 % UInt64(slots.count)) } }
}

/// Where a peer stands that sends or receives a stream under a Unified Merkle Tree (RFC 7574, section 6.1.2).
struct UnifiedMerkleState {
  /// A chunk whose hashes have not come, on behalf of the channel that sent it.
  struct Parked {
    var channel: UInt32
    var chunk: UInt64
    var sent: UInt64
    var note: UInt64
    var payload: [UInt8]
    var since: Duration
  }

  /// A chunk that waits for the signature of its subtree.
  struct Unsigned {
    var chunk: UInt64
    var payload: [UInt8]
    var isEntry: Bool
  }

  /// The most chunks that wait for their hashes; past it the oldest goes, and is asked for again.
  static let parkedLimit = 256

  let verifier: UnifiedMerkle.Verifier
  var signer: UnifiedMerkle.Signer?
  var subtrees: Subtrees
  var parked: [Parked] = []
  var unsigned: [Unsigned] = []
  /// What the stream becomes when it is over; nil once a chunk was left out.
  private var recording: UnifiedMerkle.Recording?
  private var recorded: UInt64 = 0

  init(
    _ configuration: PeerConfiguration,
    _ key: StreamPublicKey,
    window: UInt64
  ) throws(IntegrityError) {
    verifier = try UnifiedMerkle.Verifier(
      key,
      addressing: configuration.addressing,
      chunkSize: configuration.chunkSize,
      function: configuration.merkleHash
    )
    if let key = configuration.key {
      signer = try UnifiedMerkle.Signer(
        key,
        addressing: configuration.addressing,
        chunkSize: configuration.chunkSize,
        width: configuration.chunksPerSignature,
        function: configuration.merkleHash
      )
    }
    subtrees = Subtrees(window: window)
    recording = UnifiedMerkle.Recording(configuration.merkleHash)
  }

  /// Notes that a chunk was put out, in order.
  mutating func record(_ chunk: UInt64, isLast: Bool) {
    guard let width = subtrees.width, recording != nil else { return }
    let isNext = recording?.firstChunk.map { chunk == $0 + recorded } ?? (chunk % width == recorded)
    guard isNext else {
      recording = nil
      return
    }
    recorded += 1
    guard isLast || chunk % width == width - 1 else { return }
    do throws(IntegrityError) {
      guard let subtree = subtrees[chunk] else {
        recording = nil
        return
      }
      try recording?.append(subtree)
    } catch {
      recording = nil
    }
  }

  /// The root hash of all that was put out, if nothing was left out and it began with a subtree.
  var root: RootHash? {
    guard let recording else { return nil }
    return try? recording.root(chunkCount: recorded)
  }

  /// Whether a chunk waits here, and an earlier one of its subtree that is asked for in its stead.
  func isRepresented(_ chunk: UInt64) -> Bool {
    guard parked.contains(where: { $0.chunk == chunk }), let width = subtrees.width else { return false }
    return parked.contains { $0.chunk < chunk && $0.chunk / width == chunk / width }
  }
}

/// When the hashes of the last few subtrees went to a peer.
struct HashesSent {
  private var subtrees = [8 of UInt64](repeating: .max)
  private var times = [8 of Duration](repeating: .zero)
  private var next = 0

  /// When those of the subtree that begins with `first` went last.
  func time(of first: UInt64) -> Duration? {
    for index in subtrees.indices where subtrees[index] == first { return times[index] }
    return nil
  }

  mutating func note(_ first: UInt64, now: Duration) {
    for index in subtrees.indices where subtrees[index] == first {
      times[index] = now
      return
    }
    subtrees[next] = first
    times[next] = now
    next = (next + 1) % subtrees.count
  }
}
