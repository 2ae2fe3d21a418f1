public import Integrity
public import PluginKit
public import Wire

/// What a peer needs to take part in one swarm.
public struct PeerConfiguration {
  public var name: SwarmName
  public var role: Role
  public var identity: PeerIdentity
  /// Where others reach us; a host of zeros lets them take what they see.
  public var address: Address
  public var addressing = ChunkAddressing.chunkRanges32
  /// How chunks are protected; of a stream also ``IntegrityMethod/none``, and then who relays it can alter it unnoticed.
  public var integrity = IntegrityMethod.signAll
  /// The hash function of trees.
  public var merkleHash = MerkleHash.sha256
  /// How many chunks a source signs together under a Unified Merkle Tree: a power of two within `UnifiedMerkle.widths`.
  public var chunksPerSignature = 32
  /// Bytes of every chunk but the last, or ``WireFormat/variableChunkSize``; content has no variable one.
  public var chunkSize = 1316
  /// Where the bytes of chunks lie in a simulated world; nil where the peer keeps its own.
  public var sharedChunks: SharedChunks?
  /// How many chunks we keep.
  public var window: UInt64 = 12_000
  public var capacity = Capacity(upload: 20_000_000)
  /// What chunks on their way may do to the queues that they share.
  public var congestion = CongestionProfile.live
  /// How long output waits for a missing chunk, and how long a queued one is worth sending.
  public var patience: Duration = .seconds(2)
  /// The most bytes of one datagram.
  public var datagramLimit = 1472
  /// Unix time at the host's time zero; DATA and signatures carry this plus the host's time.
  public var clockOffset: Duration = .zero
  /// Makes everything random repeatable, for simulations; without one the system's randomness is used.
  public var seed: UInt64?
  /// What shows that we belong to a closed swarm, for our `identity`; nil in an open one.
  public var membership: Membership?
  /// With whom addresses are exchanged; a source that does not say exchanges none, others do in private networks.
  public var exchange: PeerExchange?
  /// Whether a decoder can begin with this chunk.
  public var beginsEntry: (RawSpan) -> Bool = { _ in false }
  /// Makes the topology that a swarm's descriptor names.
  public var makeTopology: (_ name: String, _ parameters: String) throws(ParameterError) -> any Topology = {
    name,
    _ throws(ParameterError) in
    throw ParameterError("there is no topology '\(name)' here")
  }

  /// The stream's key; a source needs it.
  public var key: StreamKey?
  /// The stream's public key, to be shared by the peers of one process; made from the swarm id where it is nil.
  public var publicKey: StreamPublicKey?
  /// What the source declares: bits of payload per second.
  public var rate: UInt64 = 0
  public var topology = "tree"
  public var topologyParameters = ""

  public init(swarmID: SwarmID, role: Role, identity: PeerIdentity, address: Address) {
    self.init(.live(swarmID), role: role, identity: identity, address: address)
  }

  public init(_ name: SwarmName, role: Role, identity: PeerIdentity, address: Address) {
    self.name = name
    self.role = role
    self.identity = identity
    self.address = address
  }
}

// Chunks of one size, or of any (RFC 7574, sections 7.11 and 8.1).
extension PeerConfiguration {
  /// The most bytes of a chunk where sizes vary: seven packets of MPEG-TS, which fit beside their signature.
  public static let longestVariableChunk = 1316

  var hasVariableChunks: Bool { chunkSize == WireFormat.variableChunkSize }

  /// The most bytes that a chunk has.
  var chunkLimit: Int { hasVariableChunks ? Self.longestVariableChunk : chunkSize }

  /// Whether a chunk of so many bytes is the last of its stream: a short one, and where sizes vary an empty one.
  ///
  /// The RFC has no sign for the end of a stream; section 8.6 allows the last chunk to be shorter than the others.
  func endsStream(_ length: Int) -> Bool { hasVariableChunks ? length == 0 : length < chunkSize }
}

/// Why a peer cannot take part, as a sentence.
public enum SwarmError: Error, CustomStringConvertible {
  case integrity(IntegrityError)
  case topology(ParameterError)
  case noKey
  case chunkTooLong(bytes: Int, limit: Int)
  case chunkPublished(UInt64)
  case streamEnded
  case otherContent
  case swapUnderWay(String)
  case runsAlready(String)
  case nothingPublished

  public var description: String {
    switch self {
    case .integrity(let error): error.description
    case .topology(let error): error.description
    case .noKey: "only the source publishes chunks, and it needs the stream's key"
    case .chunkTooLong(let bytes, 0):
      "a stream whose chunks vary in length ends with an empty one, which a chunk of \(bytes) bytes is not"
    case .chunkTooLong(let bytes, let limit):
      "a chunk of \(bytes) bytes does not fit: this swarm's chunks have at most \(limit)"
    case .chunkPublished(let chunk): "chunk \(chunk) is published already, or older than the window"
    case .otherContent: "the content is not that which the swarm is named for"
    case .streamEnded: "the stream has ended; nothing can be published any more"
    case .swapUnderWay(let topology):
      "the change to '\(topology)' is not over yet; try again in some seconds"
    case .runsAlready(let topology): "the swarm runs '\(topology)' with these parameters already"
    case .nothingPublished: "nothing has been broadcast yet; try again when the stream runs"
    }
  }
}

/// Gives out channel numbers that are random and used once on a socket (RFC 7574, section 12.1).
public final class ChannelNumbers {
  private var taken: Set<UInt32> = []

  public init() {}

  func take(using random: inout some RandomNumberGenerator) -> UInt32 {
    while true {
      let number = UInt32.random(in: 1...(.max), using: &random)
      if taken.insert(number).inserted { return number }
    }
  }

  func release(_ number: UInt32) { taken.remove(number) }

  /// How many are in use.
  var count: Int { taken.count }
}

/// Random numbers from the system, or repeatable ones.
enum Randomness: RandomNumberGenerator {
  case system
  case seeded(RandomSource)

  mutating func next() -> UInt64 {
    switch self {
    case .system:
      var system = SystemRandomNumberGenerator()
      return system.next()
    case .seeded(var source):
      defer { self = .seeded(source) }
      return source.next()
    }
  }
}

/// What a peer tells the program that drives it.
public enum Notice: Hashable, Sendable {
  /// The topology looks for peers; answer with ``Peer/discovered(_:now:)``.
  case discover(limit: Int)
  /// A parent was found, or changed; without a depth where chunks come without parents.
  case attached(parent: String, depth: Int?)
  /// Nobody feeds us at the moment.
  case detached
  /// Something that a user should know.
  case sentence(String)
  /// The swarm changes to another topology, which begins to make its links.
  case preparing(topology: String, epoch: UInt32)
  /// A swap is over.
  case swapped(SwapReport)
  /// The first peer answered: somebody is there.
  case connected
  /// The stream's last chunk was read.
  case ended
  /// Content has this many chunks; answer with ``Peer/provide(_:now:)``.
  case sized(chunks: UInt64)
  /// The last chunk of content is here, and tells its length in bytes.
  case length(UInt64)
  /// All of the content is here.
  case complete
}
