/// Decides, at one peer, who is connected to whom and who gets which chunk.
///
/// A topology is a value: it hears what happens around its peer and says what to do. It has no clock, socket, task or
/// randomness of its own and never sees the bytes of a chunk. The same file runs in a simulator and in a live swarm.
public protocol Topology: SendableMetatype {
  static var manifest: Manifest { get }

  /// - Throws: ``ParameterError`` when values that are each in range make no sense together.
  init(parameters: Parameters) throws(ParameterError)

  /// Takes in one event and says what to do by ``TopologyContext/emit(_:)``.
  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext)
}

/// The part that a peer plays.
@frozen public enum Role: Hashable, Sendable {
  /// It makes the stream.
  case source
  /// It watches and relays.
  case relay
  /// It watches only.
  case leaf
}

/// What a connection is for.
///
/// Whatever it is for, either side may send messages, advertise and push over it. Over data and spare connections both
/// sides answer requests, and who accepted tells the other by itself what it has.
@frozen public enum Purpose: UInt8, Hashable, Sendable {
  /// The other side is to push chunks to us.
  case data = 0
  /// Only messages of the topology.
  case control = 1
  /// Kept warm: it tells what it has, and answers requests when the parent fails.
  case spare = 2
}

/// A connection, as a topology hears of it.
public struct Link: Hashable, Sendable {
  public var peer: PeerRef
  public var purpose: Purpose
  public var stripes: StripeSet
  /// What the peer said about itself; `nil` for a plain RFC 7574 peer.
  public var hello: Hello?
  /// Whether the stripes flow to us: we asked and were accepted.
  public var isParent: Bool
  /// The round trip as measured so far.
  public var roundTrip: Duration
  /// How long the connection has existed.
  public var age: Duration
  /// What the accepting topology wanted to say.
  public var note: [UInt8]

  public init(
    peer: PeerRef,
    purpose: Purpose,
    stripes: StripeSet,
    hello: Hello?,
    isParent: Bool,
    roundTrip: Duration,
    age: Duration = .zero,
    note: [UInt8] = []
  ) {
    self.peer = peer
    self.purpose = purpose
    self.stripes = stripes
    self.hello = hello
    self.isParent = isParent
    self.roundTrip = roundTrip
    self.age = age
    self.note = note
  }
}

/// A peer that asks for something.
public struct Inbound: Hashable, Sendable {
  public var peer: PeerRef
  /// What the peer said about itself; `nil` for a plain RFC 7574 peer, which pulls and gets no push.
  public var hello: Hello?
  public var purpose: Purpose
  public var stripes: StripeSet
  /// The first chunk that it wants; `nil` for the newest entry.
  public var from: UInt64?
  /// What the asking topology wanted to say, at most ``noteLimit`` bytes.
  public var note: [UInt8]

  public static let noteLimit = 512

  public init(
    peer: PeerRef,
    hello: Hello?,
    purpose: Purpose,
    stripes: StripeSet,
    from: UInt64?,
    note: [UInt8] = []
  ) {
    self.peer = peer
    self.hello = hello
    self.purpose = purpose
    self.stripes = stripes
    self.from = from
    self.note = note
  }
}

/// A peer that someone says exists.
public struct Candidate: Hashable, Sendable {
  public var peer: PeerRef
  public var contact: Contact?
  public var capacity: Capacity?
  /// Whether it is known to receive the stream; `nil` when nobody said.
  public var isAttached: Bool?

  public init(peer: PeerRef, contact: Contact? = nil, capacity: Capacity? = nil, isAttached: Bool? = nil) {
    self.peer = peer
    self.contact = contact
    self.capacity = capacity
    self.isAttached = isAttached
  }
}

/// Why a connection or a request for one ended.
public enum LinkDownReason: Hashable, Sendable {
  /// It refused; the candidates it named come with the event.
  case refused
  /// It never answered.
  case unreachable
  /// It said goodbye.
  case closed
  /// It has been silent for too long.
  case silent
  /// It sent chunks that do not verify, or broke the protocol.
  case lied
  /// It takes part in another epoch or lacks what the swarm runs.
  case incompatible
}

/// How a connection does.
@frozen public struct LinkSample: Hashable, Sendable {
  public var roundTrip: Duration
  /// Bytes that wait to be sent to it.
  public var queuedBytes: Int
  /// What it takes, in bits per second.
  public var rate: UInt64
  /// Of the chunks expected from it, those that had to be repaired, 0 to 1.
  public var loss: Double
  /// Whether it cannot be served at the stream's rate.
  public var isStarved: Bool

  public init(roundTrip: Duration, queuedBytes: Int, rate: UInt64, loss: Double, isStarved: Bool) {
    self.roundTrip = roundTrip
    self.queuedBytes = queuedBytes
    self.rate = rate
    self.loss = loss
    self.isStarved = isStarved
  }
}

/// A chunk that came and was verified; at the source, one that was published.
@frozen public struct ChunkArrival: Hashable, Sendable, BitwiseCopyable {
  public var chunk: UInt64
  /// Who brought it; the peer's own number (that of ``TopologyContext/me``) where it was published.
  public var from: PeerRef
  /// What the sender's topology wrote beside it; 0 when nothing.
  public var note: UInt64

  @inlinable
  public init(chunk: UInt64, from: PeerRef, note: UInt64) {
    self.chunk = chunk
    self.from = from
    self.note = note
  }
}

/// Chunks that a peer says it has.
@frozen public struct Advertisement: Hashable, Sendable {
  public var peer: PeerRef
  public var chunks: ClosedRange<UInt64>

  @inlinable
  public init(peer: PeerRef, chunks: ClosedRange<UInt64>) {
    self.peer = peer
    self.chunks = chunks
  }
}

/// Chunks that should have come.
///
/// Of a stripe with a declared parent these are the chunks that the parent passed over, or leaves unsent; of any other,
/// those that later ones have overtaken for longer than chunks were overtaken lately.
@frozen public struct Gap: Hashable, Sendable {
  public var chunks: ClosedRange<UInt64>
  /// After this they are of no use.
  public var deadline: Duration

  @inlinable
  public init(chunks: ClosedRange<UInt64>, deadline: Duration) {
    self.chunks = chunks
    self.deadline = deadline
  }
}

/// Why chunks that the topology asked for did not come.
public enum RequestFailure: Hashable, Sendable {
  /// No answer came in time.
  case timeout
  /// The peer answers no requests at the moment.
  case choked
  /// They lie outside the own window or the peer's, too many are under way, or the peer takes no requests.
  case unavailable
  /// The connection ended, or there was none.
  case linkDown
}

/// What one topology leaves to the one that follows it; made by the host.
public struct Handover: Hashable, Sendable {
  public var role: Role
  public var links: [Link]
  /// Others that are known to take part.
  public var members: [Candidate]
  /// What the same plugin in the same version left; empty from any other.
  public var privateState: [UInt8]

  public init(role: Role, links: [Link], members: [Candidate], privateState: [UInt8] = []) {
    self.role = role
    self.links = links
    self.members = members
    self.privateState = privateState
  }
}

/// The events that come only to topologies whose manifest wants them.
@frozen public struct WantedEvents: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let chunks = WantedEvents(rawValue: 1)
  public static let duplicates = WantedEvents(rawValue: 2)
  public static let haves = WantedEvents(rawValue: 4)
  public static let gaps = WantedEvents(rawValue: 8)
  public static let windowMoved = WantedEvents(rawValue: 16)
  public static let linkSamples = WantedEvents(rawValue: 32)
}

/// What happened around a peer.
public enum TopologyEvent: Sendable {
  /// The peer takes part from now on.
  case start(Role)
  /// The peer leaves; messages that are sent now still go out.
  case stop
  /// A swap: this topology is to take over at `epoch`, beside the one that still runs. It takes the place of ``start(_:)``.
  ///
  /// The stream of ``TopologyContext/window`` begins for it with the first chunk that it carries: before that, it makes
  /// its links, and nothing comes. It says ``TopologyAction/ready(epoch:)`` when it could take over; what the other one
  /// leaves behind and nobody uses is closed afterwards.
  case prepare(epoch: UInt32, Handover)
  /// A swap: chunks from this one on belong to the successor, and this topology neither sees nor sends them.
  case retire(at: UInt64)
  /// What the own peer can carry, at the start and whenever it changes.
  case capacity(Capacity)
  /// An answer to ``TopologyAction/discover(limit:)``; empty when nobody is known.
  case discovered([Candidate])
  /// Somebody asks to be connected. Answer with accept or refuse; a host refuses what stays without an answer.
  case inbound(Inbound)
  /// A connection that we asked for, or accepted, stands.
  case linkUp(Link)
  /// A connection, or the attempt at one, ended; `redirect` names whom the other side suggests.
  case linkDown(PeerRef, LinkDownReason, redirect: [Candidate])
  /// A declared parent has said nothing at all for longer than it should, or somebody does not answer to chunks that were
  /// pushed; repeated while the silence lasts.
  case silence(PeerRef, for: Duration)
  /// How a connection does, once a second.
  case linkSample(PeerRef, LinkSample)
  /// Bytes from the same topology on another peer.
  case message(PeerRef, epoch: UInt32, bytes: [UInt8])
  case timer(UInt32)
  /// Of what the topology requested itself. It may ask somebody else; when it does not, the host does in time.
  case requestFailed(PeerRef, ClosedRange<UInt64>, RequestFailure)
  case choked(PeerRef)
  case unchoked(PeerRef)
  case windowMoved(WindowState)
  /// A topology that wants this takes pushes from everybody it is connected to; others only from whom they asked for data.
  case chunks([ChunkArrival])
  case duplicates([ChunkArrival])
  case haves([Advertisement])
  /// Chunks that are to be asked for. A topology that wants this is the first to choose of whom: the host asks by itself
  /// only after half of the time for which a chunk is waited for.
  case gaps([Gap])
}

/// What a topology wants done.
///
/// What names a peer that is gone is ignored.
public enum TopologyAction: Hashable, Sendable {
  /// Ask a peer for stripes, or only for a connection. `from`: the first chunk wanted, `nil` for its newest entry. It takes
  /// the place of what the same peer was asked for and has not answered.
  case connect(PeerRef, Purpose, StripeSet, from: UInt64?, note: [UInt8])
  case accept(PeerRef, StripeSet, note: [UInt8])
  /// `redirect`: at most ``TopologyContext/redirectLimit`` peers to try instead.
  case refuse(PeerRef, StripeSet, redirect: [PeerRef])
  /// Ends a connection and says where to go instead.
  case disconnect(PeerRef, redirect: [PeerRef])
  /// To the same topology on another peer: at most ``TopologyContext/messageLimit`` bytes, unordered, may be lost.
  case send(PeerRef, [UInt8])
  /// One timer a number; setting it again moves it.
  case setTimer(UInt32, at: Duration)
  case cancelTimer(UInt32)
  case discover(limit: Int)
  /// Tell a peer that we have these chunks.
  case advertise(ClosedRange<UInt64>, to: PeerRef)
  /// Ask a peer for those of these chunks that are not held; somebody else who was asked for them is not waited for any
  /// more. What does not come is told by ``TopologyEvent/requestFailed(_:_:_:)``.
  case request(ClosedRange<UInt64>, from: PeerRef)
  case cancel(ClosedRange<UInt64>, from: PeerRef)
  /// A standing rule: every chunk of the stripe from `from` on, and what is in the window of it; `nil`: newest entry.
  case route(stripe: Int, to: PeerRef, from: UInt64?)
  /// One chunk that is held to one peer, with eight bytes beside it for the topology there; 0 sends none.
  ///
  /// A chunk without a note is left out when the other side turns out to have it before it is sent.
  case push(chunk: UInt64, to: PeerRef, note: UInt64)
  /// Ends a route to a peer, or asks a parent to end its route to us.
  case stop(stripe: Int, PeerRef)
  /// Who feeds a stripe, and how deep we stand; `nil` when nobody does.
  ///
  /// A declared parent is expected to push its stripe in ascending order, so that what it passes over is known to be lost.
  /// A peer whose topology declares parents is attached while it has one. One whose topology never does is attached while
  /// chunks come, from whomever.
  case declareParent(stripe: Int, PeerRef?, depth: Int)
  /// The successor of a swap can take over.
  case ready(epoch: UInt32)
}

/// Which chunks a peer holds.
@frozen public struct WindowState: Hashable, Sendable, BitwiseCopyable {
  /// The oldest chunk that may still be held.
  public var first: UInt64
  /// The newest chunk held; `nil` before the first.
  public var last: UInt64?
  /// The newest chunk held at which a decoder can begin.
  public var newestEntry: UInt64?
  /// How many chunks the window holds at most.
  public var size: UInt64

  @inlinable
  public init(first: UInt64, last: UInt64?, newestEntry: UInt64?, size: UInt64) {
    self.first = first
    self.last = last
    self.newestEntry = newestEntry
    self.size = size
  }
}

/// The stream that the swarm carries, as its descriptor says.
@frozen public struct StreamProperties: Hashable, Sendable {
  /// Bits per second that one copy takes on the wire: the payload and what proves it.
  public var rate: UInt64
  /// Bytes in a chunk; the most where they vary in length.
  public var chunkSize: Int
  /// How many stripes; chunk `c` belongs to stripe `c mod stripes`.
  public var stripes: Int

  @inlinable
  public init(rate: UInt64, chunkSize: Int, stripes: Int) {
    self.rate = rate
    self.chunkSize = chunkSize
    self.stripes = stripes
  }

  /// How many times the whole stream fits into `upload`, in bits per second.
  @inlinable
  public func copies(in upload: UInt64) -> Int { rate == 0 ? 0 : Int(clamping: upload / rate) }
}

/// What a topology may look at, and where it says what to do.
public struct TopologyContext {
  /// The most peers that a refusal or a goodbye can name.
  public static let redirectLimit = 8
  /// The most bytes in one message.
  public static let messageLimit = 1024

  /// Since the host's start.
  public let now: Duration
  /// The own id and address.
  public let me: Contact
  public let epoch: UInt32
  public let window: WindowState
  public let stream: StreamProperties
  /// Deterministic for a given seed.
  public var random: RandomSource
  /// What was said so far, in order.
  public private(set) var actions: [TopologyAction] = []

  private let chunks: Chunks
  private let directory: any PeerDirectory

  /// Where the host looks up what is held.
  private enum Chunks {
    case ranges([ClosedRange<UInt64>])
    case host(any HeldChunks)
  }

  public init(
    now: Duration,
    me: Contact,
    epoch: UInt32,
    window: WindowState,
    stream: StreamProperties,
    held: [ClosedRange<UInt64>],
    random: RandomSource,
    directory: any PeerDirectory
  ) {
    self.now = now
    self.me = me
    self.epoch = epoch
    self.window = window
    self.stream = stream
    self.chunks = .ranges(held)
    self.random = random
    self.directory = directory
  }

  /// For a host that looks up what is held only when it is asked.
  public init(
    now: Duration,
    me: Contact,
    epoch: UInt32,
    window: WindowState,
    stream: StreamProperties,
    chunks: any HeldChunks,
    random: RandomSource,
    directory: any PeerDirectory
  ) {
    self.now = now
    self.me = me
    self.epoch = epoch
    self.window = window
    self.stream = stream
    self.chunks = .host(chunks)
    self.random = random
    self.directory = directory
  }

  public mutating func emit(_ action: TopologyAction) { actions.append(action) }

  /// The chunks held, ascending and without overlap.
  public var held: [ClosedRange<UInt64>] {
    switch chunks {
    case .ranges(let ranges): ranges
    case .host(let host): host.held
    }
  }

  public func has(_ chunk: UInt64) -> Bool {
    switch chunks {
    case .ranges(let ranges): ranges.contains { $0.contains(chunk) }
    case .host(let host): host.has(chunk)
    }
  }

  /// How others reach a peer; `nil` for one whose id is not known.
  public func contact(of peer: PeerRef) -> Contact? { directory.contact(of: peer) }

  /// The host's number for a peer that a message named.
  public func peer(for contact: Contact) -> PeerRef { directory.peer(for: contact) }
}

/// Where a host keeps the chunks that it holds.
public protocol HeldChunks: AnyObject {
  func has(_ chunk: UInt64) -> Bool
  /// Ascending and without overlap.
  var held: [ClosedRange<UInt64>] { get }
}

/// Where a host keeps the peers that it knows of.
public protocol PeerDirectory: AnyObject {
  func contact(of peer: PeerRef) -> Contact?
  func peer(for contact: Contact) -> PeerRef
}

/// Random numbers that are the same for the same seed.
@frozen public struct RandomSource: RandomNumberGenerator, Sendable, Hashable {
  @usableFromInline var state: UInt64

  @inlinable
  public init(seed: UInt64) { state = seed }

  @inlinable
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
