import PluginKit
import Wire

/// What one peer must do at its protocol border when all others are plain RFC 7574 peers.
///
/// Written for the tests from the RFC, over sets and lists that are walked each time, with no line of the product. What
/// must be said is predicted word by word (``due``). Where the RFC leaves a choice (whom to ask, when to send what was
/// asked for, who gets a slot), what the peer said is judged and then taken over.
struct PeerModel {
  struct Rules {
    /// Makes the stream, and asks its topology about plain peers; else it pulls from those that it dials.
    var isSource = false
    /// How many plain peers a source's topology takes.
    var slots = 3
    var window: UInt64 = 64
    var chunkSize = 128
    /// How many chunks a signature covers under a Unified Merkle Tree; under Sign All each has its own, and this is 0.
    var width: UInt64 = 0
    /// Bits per second.
    var upload: UInt64 = 0
    var patience: Duration = .seconds(2)
    /// Whether nothing keeps the peer from sending at once what was asked for.
    var isCalm = false
  }

  /// What both sides say where they are not the same.
  struct Difference {
    var peer: String
    var model: String
  }

  /// A chunk under its signature, or under a false one.
  struct Chunk: Hashable {
    var number: UInt64
    var timestamp: UInt64
    var payload: [UInt8]
    var signature: [UInt8]
  }

  /// Where a channel of the other side is.
  struct Origin: Hashable {
    var address: Address
    var channel: UInt32
  }

  struct Asked: Hashable {
    var local: UInt32
    var number: UInt64
  }

  struct Newcomer {
    var local: UInt32
    var supported: MessageSet
    var since: Duration
  }

  struct Wanted {
    var number: UInt64
    var until: Duration
    /// False when it may have been sent so lately that asking again changes nothing.
    var isCertain: Bool
    /// Whether it was taken back.
    var isWithdrawn = false
  }

  /// One channel.
  struct Line {
    let origin: Address
    let isDialled: Bool
    var remote: UInt32 = 0
    var supported = MessageSet.rfc7574
    var isOpen = false
    var heard: Duration
    var sent: Duration
    /// When the first three datagrams went out since the last that came.
    var unheard: [Duration] = []
    var dialled: Duration
    var tries = 0
    var nextDial: Duration?

    var isServed = false
    var weChoke = false
    var chokedAt: Duration = .zero
    /// When it last used its slot, and when for certain.
    var used: Duration
    var asked: Duration
    /// What it says to have by HAVE, and by ACK as well, which is not heard when it comes too late.
    var available: [ChunkRange] = []
    var possible: [ChunkRange] = []
    var lies = 0
    /// Hashes that it sent, and that nothing has proven yet, the oldest first.
    var hashes: [(node: ChunkRange, hash: [UInt8])] = []
    var early: [(number: UInt64, timestamp: UInt64, signature: [UInt8])] = []
    var isChokingUs = false

    var owed: ChunkRange?
    var owedDelay: UInt64 = 0
    var owedCount = 0
    var owedUntil: Duration?

    var wanted: [Wanted] = []
    var lastSent: [UInt64: Duration] = [:]
    /// What it had shown to have before this event, and the subtree whose munro it was last sent.
    var shown: [ChunkRange] = []
    var munro: UInt64?
    var wantsHaves = false
    var told: UInt64?
    var toldAt: Duration?
  }

  let rules: Rules
  var now: Duration = .zero
  /// Whether the stream's key made this chunk, or munro.
  let isGenuine: (Chunk) -> Bool
  let isSigned: (Munro) -> Bool
  var held: [UInt64: Chunk] = [:]
  /// What was held until this event, and may have been sent before it went.
  var parting: [UInt64: Chunk] = [:]
  /// When the first of all chunks was held.
  var heldSince: Duration?
  var lastChunk: UInt64?
  /// Under a Unified Merkle Tree: what is known of subtrees, by their places, and chunks whose hashes are missing.
  var subtrees: [UInt64: SubtreeModel] = [:]
  /// Those that were known until this event.
  var displaced: [UInt64: SubtreeModel] = [:]
  var newestSubtree: UInt64?
  var parked: [Parked] = []
  /// Who had been asked for which chunk last before this event.
  var awaited: Set<Asked> = []
  var lines: [UInt32: Line] = [:]
  /// Those that were open until this event, and may have been spoken to before.
  var ended: [UInt32: Line] = [:]
  var newcomers: [Origin: Newcomer] = [:]
  var banned: [Address: Duration] = [:]
  var places: Set<Address> = []
  var due: [Origin: [Due]] = [:]
  var bootstrap: [Address] = []
  var measured: UInt64 = 0
  var keptThisSecond: UInt64 = 0
  var nextSecond: Duration = .seconds(1)
  var hasLeft = false
  /// Whether the datagram that is being read had something that lets chunks go.
  var mayHaveSent = false
  /// The first thing in which the peer is not as the model.
  private(set) var difference: Difference?

  init(
    _ rules: Rules,
    began: Duration = .zero,
    isGenuine: @escaping (Chunk) -> Bool,
    isSigned: @escaping (Munro) -> Bool
  ) {
    self.rules = rules
    now = began
    nextSecond = began + .seconds(1)
    self.isGenuine = isGenuine
    self.isSigned = isSigned
  }

  /// The peer is, does or leaves out something, and should not.
  mutating func complain(_ peer: String, _ model: String) {
    difference = difference ?? Difference(peer: peer, model: model)
  }

  /// Microseconds of our clock.
  var clock: UInt64 {
    let (seconds, attoseconds) = now.components
    return UInt64(seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
  }
}
