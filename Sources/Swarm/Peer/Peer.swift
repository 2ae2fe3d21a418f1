import Integrity
public import PluginKit
import Wire

/// One peer's part in one swarm: datagrams, chunks and a time in; datagrams, chunks and notices out.
///
/// A value without clock, socket, task or randomness of its own: a simulator and a live node drive the same code. The
/// driver feeds it what came (``receive(_:from:now:)``), then takes what is to be sent (``flush(_:)``), and calls
/// ``timeout(now:)`` when ``nextTimeout`` has come. All times are since the driver's start and never run backwards.
public struct Peer {
  /// The most channels at one time, and how many of those the other side may have opened.
  public static let channelLimit = 512
  static let inboundLimit = 448
  static let bannedLimit = 256

  let configuration: PeerConfiguration
  /// What we give to the swarm; ``setCapacity(_:now:)`` changes it.
  private(set) var capacity: Capacity
  /// Of a stream; content that does not change needs none.
  ///
  /// A stream without integrity protection still has it: its swarm id is the key that signs the descriptor, so that
  /// nobody else says which topology the viewers run, although anybody may say what they see.
  let verifier: SignAll.Verifier?
  let signer: SignAll.Signer?
  let plainFormat: WireFormat
  let extendedFormat: WireFormat
  let me: Contact
  let numbers: ChannelNumbers
  let directory = Directory()

  var now: Duration {
    didSet { foreseen = nil }
  }
  /// When there is something to be done, as it was found out since the last that happened.
  var foreseen: Duration?
  var random: Randomness
  var outbox = Outbox()
  var window: ChunkWindow
  /// Of a stream under a Unified Merkle Tree; nil where every chunk has its own signature.
  var unified: UnifiedMerkleState?
  /// Of a static swarm; nil in that of a stream.
  var content: Content?
  /// What is about to be asked for; kept for its storage.
  var asking: [ChunkRange] = []
  var channels = ChannelTable()
  var byLocal: [UInt32: Int] = [:]
  var newcomers = Newcomers()
  var banned: [(address: Address, until: Duration)] = []
  var notices: [Notice] = []
  var counters = Statistics()
  let began: Duration

  // Who tells us about the swarm.
  var exchange = Exchange()
  var gate = Gate()
  var bootstrap: [Address] = []
  /// The newest, which may name a topology that is not here.
  var descriptor: SwarmDescriptor?
  var signedDescriptor: [UInt8] = []
  var speaksPlain = false
  /// When a plain leaf asks whether the swarm runs something else.
  var nextNews: Duration = .zero
  var hasConnected = false

  // The topology and what it asked for.
  var courses: [Course] = []
  /// While there are two.
  var swap: Swap?
  /// What was seen of the last swap that is over.
  var lastSwap: SwapReport?
  /// From which chunk on the swarm runs what is not here.
  var lacking: UInt64?
  /// For the topology that is made next.
  var topologyRandom: RandomSource
  /// How often a topology was called.
  package internal(set) var calls: UInt64 = 0
  /// Whether chunks came lately.
  var isFed = false
  var lastAskNumber: UInt16 = 0

  // What is missing.
  var expected: UInt64?
  var missing: [MissingChunk] = []
  var reordering: Reordering
  /// What is about to be asked for, and what the topology is about to hear that it does not get.
  var requests: [(index: Int, chunks: ChunkRange)] = []
  var failures: [(peer: PeerRef, chunks: ChunkRange, reason: RequestFailure)] = []
  var nextRepair: Duration?
  var chunkInterval: Duration = .milliseconds(5)
  var lastArrival: Duration?

  // Output.
  var nextRead: UInt64?
  var lastChunk: UInt64?
  var hasReadLast = false
  var lastRead: Duration?
  var lastReadTimestamp: UInt64?
  var readCount: UInt64 = 0
  var blockedUntil: Duration?
  var nextSecond: Duration
  var measuredRate: UInt64 = 0
  var bytesThisSecond: UInt64 = 0
  /// Bytes of a chunk: the size of all, or where it varies the mean of the last ones, at first half of the most.
  var usualLength: Double

  // Sending within the upload that was given.
  var upload: UploadShare

  var leaving: Duration?
  /// Whether everything is done after ``leave(now:)``.
  public private(set) var hasLeft = false

  /// A peer that has not begun; ``start(bootstrap:now:)`` begins.
  ///
  /// - Throws: ``SwarmError`` when the swarm id holds no usable key, or a source has no key or no topology, or the swarm
  ///   is named for other content.
  public init(
    _ configuration: PeerConfiguration,
    content: consuming Content? = nil,
    channels numbers: ChannelNumbers,
    now: Duration
  ) throws(SwarmError) {
    self.configuration = configuration
    capacity = configuration.capacity
    self.numbers = numbers
    self.now = now
    began = now
    upload = UploadShare(configuration.capacity, now: now)
    usualLength =
      configuration.hasVariableChunks ? Double(configuration.chunkLimit) / 2 : Double(configuration.chunkSize)
    nextSecond = now + .seconds(1)
    reordering = Reordering(limit: configuration.patience / 4, now: now)
    do throws(IntegrityError) {
      verifier = try Self.verifier(configuration)
      signer = try Self.signer(configuration)
      if configuration.integrity == .unifiedMerkleTree, let key = verifier?.key {
        unified = try UnifiedMerkleState(configuration, key, window: configuration.window)
      }
    } catch { throw .integrity(error) }
    guard let id = PeerID(configuration.identity.id) else { preconditionFailure("an id has 32 bytes") }
    me = Contact(id: id, address: configuration.address)
    plainFormat = WireFormat(
      addressing: configuration.addressing,
      signatureLength: configuration.integrity.isSigned ? verifier?.signatureLength ?? 0 : 0,
      hashLength: Self.hashLength(configuration),
      chunkSize: configuration.chunkSize
    )
    var extended = plainFormat
    extended.allowsExtensions = true
    extendedFormat = extended
    window = ChunkWindow(
      size: content == nil ? configuration.window : 1,
      chunkSize: configuration.chunkLimit,
      signatureLength: unified == nil ? plainFormat.signatureLength : 0,
      shared: configuration.sharedChunks
    )
    random = configuration.seed.map { .seeded(RandomSource(seed: $0)) } ?? .system
    topologyRandom = RandomSource(seed: random.next())
    if let content {
      guard configuration.name == .content(content.tree.root), configuration.chunkSize == content.chunkSize
      else { throw .otherContent }
      self.content = content
      // Members of a closed swarm say by hellos who they are; else there is nothing that plain messages do not say.
      speaksPlain = configuration.membership == nil
    } else if configuration.role == .source {
      try beginSource()
    }
  }

  private static func verifier(_ configuration: PeerConfiguration) throws(IntegrityError) -> SignAll.Verifier?
  {
    guard case .live(let id) = configuration.name else { return nil }
    let key = if let key = configuration.publicKey { key } else { try StreamPublicKey(id) }
    return try SignAll.Verifier(key, addressing: configuration.addressing, chunkSize: configuration.chunkSize)
  }

  private static func hashLength(_ configuration: PeerConfiguration) -> Int {
    switch configuration.name {
    case .content(let root): root.function.length
    case .live: configuration.integrity == .unifiedMerkleTree ? configuration.merkleHash.length : 0
    }
  }

  private static func signer(_ configuration: PeerConfiguration) throws(IntegrityError) -> SignAll.Signer? {
    guard let key = configuration.key else { return nil }
    return try SignAll.Signer(
      key,
      addressing: configuration.addressing,
      chunkSize: configuration.chunkSize
    )
  }

  private mutating func beginSource() throws(SwarmError) {
    let stripes: Int
    do throws(ParameterError) {
      stripes = try stripeCount(configuration.topology, configuration.topologyParameters)
    } catch { throw .topology(error) }
    let descriptor = SwarmDescriptor(
      epoch: 1,
      rate: configuration.rate,
      stripes: stripes,
      captureStart: NTPTimestamp(sinceUnixEpoch: configuration.clockOffset + now).rawValue,
      validFrom: 0,
      topology: configuration.topology,
      parameters: configuration.topologyParameters
    )
    let signed = try sign(descriptor)
    do throws(ParameterError) {
      try adopt(descriptor, signed: signed)
    } catch { throw .topology(error) }
    settle()
  }

  /// What the source announces, with its signature behind it.
  func sign(_ descriptor: SwarmDescriptor) throws(SwarmError) -> [UInt8] {
    guard let key = configuration.key else { throw .noKey }
    var signed = descriptor.encode()
    do throws(IntegrityError) {
      var signature: [UInt8] = []
      try unsafe key.sign(statement: signed.span.bytes, into: &signature)
      signed += signature
    } catch { throw .integrity(error) }
    return signed
  }

  /// How many stripes a topology that the source announces wants.
  func stripeCount(_ topology: String, _ parameters: String) throws(ParameterError) -> Int {
    let made = try configuration.makeTopology(topology, parameters)
    return try Parameters(parameters, declared: type(of: made).manifest.parameters).stripes
  }

  /// Begins with the addresses of the link; a source needs none.
  public mutating func start(bootstrap: [Address], now: Duration) {
    self.now = now
    self.bootstrap = bootstrap
    for address in bootstrap { connect(to: directory.peer(at: address)) }
    if content != nil { noteContent() }
    settle()
  }

  /// Answers ``Notice/discover(limit:)`` with what a discovery found.
  public mutating func discovered(_ hints: [(address: Address, id: PeerID?)], now: Duration) {
    self.now = now
    let candidates = hints.prefix(64).map { hint in
      let peer = directory.peer(at: hint.address, id: hint.id)
      directory[peer]?.hintedBy = nil
      return candidate(peer)
    }
    tell(.discovered(candidates))
    settle()
  }

  /// Changes what we give to the swarm: the topology and all peers hear of it.
  public mutating func setCapacity(_ capacity: Capacity, now: Duration) {
    self.now = now
    self.capacity = capacity
    upload.setCapacity(capacity, now: now)
    tell(.capacity(ownCapacity))
    for index in channels.indices where channels[index].isOpen && channels[index].speech == .proven {
      sendHello(index)
    }
    settle()
  }

  /// Takes in one datagram.
  public mutating func receive(_ datagram: Span<UInt8>, from address: Address, now: Duration) {
    self.now = now
    counters.bytesIn &+= UInt64(datagram.count)
    read(datagram, from: address)
    settle()
  }

  /// Bytes of every chunk but the last, or ``WireFormat/variableChunkSize``.
  public var chunkSize: Int { configuration.chunkSize }

  /// Signs a chunk, where the swarm protects its chunks, and sends it on its way.
  ///
  /// `chunk` must be a number that the key has never signed; `isLast` ends the stream, and such a chunk must be
  /// shorter than the others (RFC 7574, section 8.6), or empty where their sizes vary.
  public mutating func publish(
    chunk: UInt64,
    payload: RawSpan,
    isEntry: Bool,
    isLast: Bool,
    now: Duration
  ) throws(SwarmError) {
    self.now = now
    guard let signer else { throw .noKey }
    guard lastChunk == nil else { throw .streamEnded }
    let longestLast = configuration.hasVariableChunks ? 0 : configuration.chunkSize - 1
    let limit = isLast ? longestLast : configuration.chunkLimit
    guard payload.byteCount <= limit else {
      throw .chunkTooLong(bytes: payload.byteCount, limit: limit)
    }
    let ends = configuration.endsStream(payload.byteCount)
    guard chunk >= window.first, !window.contains(chunk) else { throw .chunkPublished(chunk) }
    if unified != nil {
      if expected == nil { begin(at: chunk) }
      do throws(IntegrityError) {
        if ends { lastChunk = chunk }
        try publishInTree(chunk, payload, isEntry: isEntry, isLast: lastChunk != nil)
      } catch { throw .integrity(error) }
      settle()
      return
    }
    let timestamp = nextTimestamp()
    signature.removeAll(keepingCapacity: true)
    if configuration.integrity == .signAll {
      do throws(IntegrityError) {
        try signer.sign(chunk: chunk, timestamp: timestamp.rawValue, payload: payload, into: &signature)
      } catch { throw .integrity(error) }
    }
    counters.inputBytes &+= UInt64(payload.byteCount)
    if expected == nil { begin(at: chunk) }
    if ends { lastChunk = chunk }
    let made = signature
    unsafe keep(
      chunk,
      timestamp: timestamp.rawValue,
      signature: made.span.bytes,
      payload: payload,
      isEntry: isEntry,
      from: nil
    )
    settle()
  }

  /// The time of the next signature: never before that of the chunk that came before, whatever the clock does.
  func nextTimestamp() -> NTPTimestamp {
    let clock = NTPTimestamp(sinceUnixEpoch: configuration.clockOffset + now)
    let before = window.newest.flatMap { window.timestamp(of: $0) }.map(NTPTimestamp.init(rawValue:))
    return before.map { clock.isBefore($0) ? $0 : clock } ?? clock
  }

  /// The signature under way; kept for its storage.
  private var signature: [UInt8] = []

  /// What the program should know, in order; forgotten when taken.
  public mutating func takeNotices() -> [Notice] {
    guard !notices.isEmpty else { return [] }
    defer { notices.removeAll(keepingCapacity: true) }
    return notices
  }

  /// Whether ``flush(_:)`` has something to hand over.
  public var hasOutput: Bool { !outbox.isEmpty }

  /// Hands over what is to be sent, then forgets it.
  ///
  /// The body of a packet lies in the chunk window and is borrowed during the call. `arrivals` says for each packet
  /// when its chunk came here, if this is the chunk's first forwarding, and zero otherwise.
  public mutating func flush(
    _ body: (
      _ packets: Span<Packet>, _ heads: RawSpan, _ bodies: RawSpan, _ arrivals: Span<Duration>
    ) -> Void
  ) {
    guard !outbox.isEmpty else { return }
    if let memory = content?.memory { return flush(from: memory, body) }
    window.withBytes { bodies in
      unsafe body(outbox.packets.span, outbox.heads.span.bytes, bodies, outbox.arrivals.span)
    }
    outbox.clear()
  }

  /// Says goodbye to everybody; a source, and a viewer of a stream that has ended, first sees its children through.
  public mutating func leave(now: Duration) {
    self.now = now
    guard leaving == nil else { return }
    leaving = now
    finishLeaving()
  }

  /// How long a peer that leaves waits for its children to have everything.
  private static let drainLimit: Duration = .seconds(3)

  mutating func finishLeaving() {
    guard let leaving, !hasLeft, isDrained || now - leaving >= Self.drainLimit else { return }
    // Only now: a topology that stops takes leave of the children.
    tell(.stop)
    settle()
    for index in channels.indices where !channels[index].isFree {
      sayGoodbye(index, redirect: [])
      free(index)
    }
    hasLeft = true
  }

  /// Whether every child of a stream that has ended has said that it has all of what we hold.
  ///
  /// Of a stream that goes on nobody waits for the rest: the children find another parent.
  private var isDrained: Bool {
    guard let lastChunk else { return true }
    return channels.allSatisfy { channel in
      guard channel.isOpen else { return true }
      guard let from = channel.firstRouted else {
        // Who asks for its chunks has to hear of the last one first.
        return channel.congestion.sentBytes == 0 || channel.available.contains(lastChunk)
      }
      guard from <= lastChunk else { return true }
      return channel.queue.isEmpty && channel.urgent.isEmpty
        && window.held.ranges.allSatisfy { range in
          let first = max(range.lowerBound, from)
          guard first <= range.upperBound else { return true }
          return channel.available.range(containing: first).map { $0.upperBound >= range.upperBound } == true
        }
    }
  }

  /// What was counted, and how things stand.
  public func statistics(now: Duration) -> Statistics {
    var statistics = counters
    statistics.id = me.id.description
    statistics.epoch = courses.last?.descriptor.epoch
    statistics.topology = courses.isEmpty ? nil : courses[carrier].descriptor.topology
    statistics.swapGapMilliseconds = lastSwap.map { $0.gap / .milliseconds(1) }
    statistics.swapLost = lastSwap?.lost
    statistics.swapDuplicates = lastSwap?.duplicates
    statistics.timeMilliseconds = now / .milliseconds(1)
    for channel in channels where channel.isOpen {
      statistics.peers += 1
      if channel.isChild { statistics.children += 1 }
    }
    if configuration.role == .source {
      statistics.depth = 0
    } else if let parent = courses.isEmpty ? nil : courses[carrier].parents.first {
      statistics.depth = parent.depth
      statistics.parent = directory[parent.peer].map { $0.id?.description ?? $0.address.description }
    } else if let channel = channels.first(where: { $0.isPulled && $0.isOpen }) {
      statistics.depth = 1
      statistics.parent = channel.address.description
    }
    statistics.windowFill = Double(window.held.count) / Double(max(window.size, 1))
    if let content { statistics.windowFill = Double(content.heldCount) / Double(content.chunkCount ?? .max) }
    return statistics
  }

  /// Our clock as DATA carries it: microseconds since the Unix epoch (RFC 7574, section 8.6).
  var wireClock: UInt64 { UInt64(bitPattern: (configuration.clockOffset + now).microseconds) }

  /// Bits per second that the stream takes, as declared or as it comes, whichever is more.
  var streamRate: UInt64 { max(descriptor?.rate ?? 0, measuredRate) }

  /// Bytes that a chunk usually takes on the wire, with what proves it.
  var usualDatagram: Double {
    let proof =
      switch configuration.integrity {
      case .signAll: plainFormat.signedIntegritySize
      case .unifiedMerkleTree:
        plainFormat.integritySize + plainFormat.signedIntegritySize / configuration.chunksPerSignature
      case .none, .merkleTree: 0
      }
    return usualLength + Double(WireFormat.channelSize + proof + plainFormat.dataHeaderSize)
  }

  /// Bits per second that one copy of the stream takes on the wire, with what proves its chunks, as it was declared.
  ///
  /// Where the size of chunks varies, so does this.
  public var copyRate: UInt64 {
    UInt64(exactly: (Double(descriptor?.rate ?? 0) * usualDatagram / usualLength).rounded(.down)) ?? .max
  }

  /// Bytes per second that a child is not taken below: the stream, its repair, and what it needs to catch up.
  ///
  /// What the stream declares is the broadcaster's word; what we are ready to upload is ours.
  var liveFloor: Double { Double(min(streamRate, capacity.upload)) * 2.5 / 8 }

  var depth: Int? {
    configuration.role == .source ? 0 : courses.isEmpty ? nil : courses[carrier].parents.map(\.depth).max()
  }
}
