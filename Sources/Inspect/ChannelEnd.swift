internal import Integrity
internal import PluginKit
internal import Swarm
internal import Wire

/// One end of a channel, named as datagrams name it: by who receives there, and its number.
struct ChannelName: Hashable {
  /// Nil where the capture has no addresses.
  var owner: Address?
  var number: UInt32
}

/// What is known of one end of a channel.
struct ChannelEnd {
  /// A signature that came ahead of its chunk.
  struct Signature {
    var chunk: UInt64
    var timestamp: UInt64
    var bytes: [UInt8]
  }

  /// Chunks that the owner asked for.
  struct Request {
    var chunks: ChunkRange
    var time: Duration
  }

  /// The most signatures and requests that are kept.
  static let limit = 256

  /// Who sends to this end.
  var remote: Address?
  /// The number of the other end, which belongs to `remote`.
  var opposite: UInt32?
  /// What the owner's HANDSHAKE said.
  var offer: HandshakeOptions?
  var isInitiator = false
  /// When the owner's first HANDSHAKE was seen.
  var opened: Duration?
  var isClosed = false
  /// How datagrams to this end are read; nil as long as nothing says it.
  var format: WireFormat?
  var integrity: IntegrityMethod?
  /// Where the swarm stands in the list of those that were seen.
  var swarm: Int?
  private(set) var signatures: [Signature] = []
  private(set) var requests: [Request] = []
  /// Hashes that were sent to this end; the verifiers prove them.
  private(set) var hashes: PendingHashes?
  /// Datagrams and bytes to this end.
  var datagrams: UInt64 = 0
  var bytes: UInt64 = 0
  /// The count of datagrams when the last one was for this end.
  var lastHeard: UInt64 = 0

  mutating func keep(_ signature: Signature) {
    if signatures.count == Self.limit { signatures.removeFirst() }
    signatures.append(signature)
  }

  /// The signature that was kept for a chunk; the latest, and as often as it is asked for.
  func signature(of chunk: UInt64) -> Signature? { signatures.last { $0.chunk == chunk } }

  mutating func keep(_ chunks: ChunkRange, _ hash: RawSpan, _ function: HashFunction) {
    if hashes?.function != function { hashes = PendingHashes(function) }
    hashes?.insert(chunks, hash)
  }

  mutating func keep(_ request: Request) {
    if requests.count == Self.limit { requests.removeFirst() }
    requests.append(request)
  }

  /// When the owner last asked for a chunk.
  func requested(_ chunk: UInt64) -> Duration? { requests.last { $0.chunks.contains(chunk) }?.time }
}
