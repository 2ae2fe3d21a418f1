import Integrity
import PluginKit
import Wire

@testable import Swarm

/// A peer whose every word a test chooses: it knows the protocol, its own identity and, if need be, the stream's key.
struct Foe {
  static let victimAddress = Address(ipv4: 0xCB00_7101, port: 1)
  static let chunkSize = 128

  let identity: PeerIdentity
  let address: Address
  let local: UInt32
  /// The victim's channel, once it has named one.
  var remote: UInt32 = 0
  var asks: [Extension.Ask] = []
  /// Datagrams and bytes that came, and ranges that were asked for.
  var datagrams = 0
  var bytes = 0
  var requests: [ChunkRange] = []
  /// Peers that were named to it, and how often it was asked for some.
  var named: [Address] = []
  var certificates: [[UInt8]] = []
  var haves = 0
  var chunks = 0
  var peerRequests = 0

  init(_ number: UInt32, host: UInt32? = nil, at address: Address? = nil) throws {
    let seed = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 32)
    identity = try unsafe PeerIdentity(seed: seed.span.bytes)
    self.address = address ?? Address(ipv4: 0xC633_6400 + (host ?? number), port: UInt16(4000 + number))
    local = 0xF000 + number
  }

  static func key() throws -> StreamKey {
    try unsafe StreamKey(ed25519Seed: [UInt8](repeating: 9, count: 32).span.bytes)
  }

  /// A peer to be attacked.
  static func victim(
    _ role: Role = .relay,
    topology: String = "greedy",
    numbers: ChannelNumbers = ChannelNumbers(),
    now: Duration = .zero,
    configure: (inout PeerConfiguration) -> Void = { _ in }
  ) throws -> Peer {
    let key = try key()
    var configuration = PeerConfiguration(
      swarmID: key.swarmID,
      role: role,
      identity: try unsafe PeerIdentity(seed: [UInt8](repeating: 200, count: 32).span.bytes),
      address: victimAddress
    )
    configuration.chunkSize = chunkSize
    configuration.window = 256
    configuration.seed = 1
    configuration.beginsEntry = { _ in true }
    configuration.topology = topology
    configuration.rate = 1_000_000
    configuration.makeTopology = { _, _ in Greedy() }
    if role == .source { configuration.key = key }
    configure(&configuration)
    return try Peer(configuration, channels: numbers, now: now)
  }

  private static func options(initiator: Bool) throws -> HandshakeOptions {
    let key = try key()
    var supported = MessageSet.rfc7574
    supported.insert(Message.extensionType)
    return HandshakeOptions(
      minimumVersion: initiator ? 1 : nil,
      swarmID: initiator ? key.swarmID.bytes : nil,
      integrity: .signAll,
      signatureAlgorithm: key.algorithm.rawValue,
      addressing: .chunkRanges32,
      discardWindow: 256,
      supported: supported,
      chunkSize: chunkSize
    )
  }

  static let format = WireFormat(
    addressing: .chunkRanges32,
    signatureLength: 64,
    chunkSize: chunkSize,
    allowsExtensions: true
  )

  func firstDatagram() throws -> [UInt8] {
    var datagram: [UInt8] = []
    WireFormat.appendChannel(0, to: &datagram)
    WireFormat.appendHandshake(source: local, try Self.options(initiator: true), to: &datagram)
    return datagram
  }

  /// Sends a first handshake.
  mutating func knock(_ victim: inout Peer, now: Duration) throws {
    let datagram = try firstDatagram()
    victim.receive(datagram.span, from: address, now: now)
    try hear(&victim, now: now)
  }

  /// Opens a channel to the victim and proves an identity.
  mutating func connect(_ victim: inout Peer, now: Duration, claiming: Address? = nil) throws {
    try knock(&victim, now: now)
    hello(&victim, now: now, claiming: claiming)
    try hear(&victim, now: now)
  }

  func hello(_ victim: inout Peer, now: Duration, claiming: Address? = nil, times: Int = 1) {
    let message = HelloMessage(
      isReply: false,
      wantsDescriptor: false,
      hello: Hello(
        id: PeerID(identity.id) ?? PeerID(InlineWords()),
        capacity: Capacity(upload: 10_000_000),
        isAttached: true,
        depth: 1,
        address: claiming ?? Address(ipv4: 0, port: 0)
      )
    )
    let body = message.encode(identity, from: local, to: remote) ?? []
    say(&victim, now: now) { bytes in
      for _ in 0..<times {
        unsafe WireFormat.appendExtension(
          kind: Extension.Kind.hello.rawValue,
          body: body.span.bytes,
          to: &bytes
        )
      }
    }
  }

  func say(_ victim: inout Peer, now: Duration, _ write: (inout [UInt8]) -> Void) {
    var datagram: [UInt8] = []
    WireFormat.appendChannel(remote, to: &datagram)
    write(&datagram)
    victim.receive(datagram.span, from: address, now: now)
  }

  func say(_ victim: inout Peer, _ kind: Extension.Kind, _ body: [UInt8], now: Duration) {
    say(&victim, now: now) { bytes in
      unsafe WireFormat.appendExtension(kind: kind.rawValue, body: body.span.bytes, to: &bytes)
    }
  }

  /// A chunk under the stream's true signature.
  func sendChunk(
    _ chunk: UInt64,
    to victim: inout Peer,
    now: Duration,
    timestamp: UInt64? = nil,
    isShort: Bool = false
  ) throws {
    let signer = try SignAll.Signer(Self.key(), addressing: .chunkRanges32)
    let payload = [UInt8](
      repeating: UInt8(truncatingIfNeeded: chunk),
      count: Self.chunkSize / (isShort ? 2 : 1)
    )
    var signature: [UInt8] = []
    let timestamp = timestamp ?? chunk
    try unsafe signer.sign(
      chunk: chunk,
      timestamp: timestamp,
      payload: payload.span.bytes,
      into: &signature
    )
    say(&victim, now: now) { bytes in
      unsafe Self.format.appendSignedIntegrity(
        chunk...chunk,
        timestamp: timestamp,
        signature: signature.span.bytes,
        to: &bytes
      )
      Self.format.appendDataHeader(chunk, timestamp: 0, to: &bytes)
      bytes += payload
    }
  }

  /// Answers the latest ask with yes.
  func accept(_ victim: inout Peer, from: UInt64?, now: Duration) {
    guard let ask = asks.last else { return }
    let answer = Extension.Answer(number: ask.number, isAccepted: true, stripes: ask.stripes, from: from)
    say(&victim, .answer, answer.encode(), now: now)
  }

  /// Signs a swarm descriptor with the stream's key, and sends it.
  func sendDescriptor(
    _ victim: inout Peer,
    epoch: UInt32 = 1,
    rate: UInt64 = 1_000_000,
    captureStart: UInt64 = 0,
    validFrom: UInt64 = 0,
    topology: String = "greedy",
    key: StreamKey? = nil,
    now: Duration
  )
    throws
  {
    let statement = SwarmDescriptor(
      epoch: epoch,
      rate: rate,
      stripes: 1,
      captureStart: captureStart,
      validFrom: validFrom,
      topology: topology,
      parameters: ""
    ).encode()
    var signature: [UInt8] = []
    try unsafe (key ?? Self.key()).sign(statement: statement.span.bytes, into: &signature)
    say(&victim, .descriptor, statement + signature, now: now)
  }

  /// Takes what the victim sends to this peer, and forgets what it sends to others.
  mutating func hear(_ victim: inout Peer, now: Duration) throws {
    var came: [[UInt8]] = []
    let address = address
    victim.flush { packets, heads, bodies, _ in
      for index in packets.indices where packets[index].address == address {
        var bytes: [UInt8] = []
        bytes.append(bytes: heads.extracting(packets[index].head.range))
        bytes.append(bytes: bodies.extracting(packets[index].body.range))
        came.append(bytes)
      }
    }
    for datagram in came {
      datagrams += 1
      bytes += datagram.count
      try read(datagram)
      // The victim dials us: we answer as anybody would.
      guard datagram.starts(with: [0, 0, 0, 0]) else { continue }
      var answer: [UInt8] = []
      WireFormat.appendChannel(remote, to: &answer)
      WireFormat.appendHandshake(source: local, try Self.options(initiator: false), to: &answer)
      victim.receive(answer.span, from: address, now: now)
    }
  }

  private mutating func read(_ datagram: [UInt8]) throws {
    var reader = try DatagramReader(datagram.span)
    while let message = try reader.next(Self.format) {
      switch message {
      case .handshake(let view): if !view.isClosing { remote = view.source }
      case .request(let chunks): requests.append(chunks)
      case .pexRequest: peerRequests += 1
      case .pexCertificate(let der): certificates.append(unsafe der.withUnsafeBytes { unsafe Array($0) })
      case .have: haves += 1
      case .data: chunks += 1
      case .pexResponse4(let host, let port): named.append(Address(ipv4: host, port: port))
      case .pexResponse6(let host, let port):
        named.append(Address(ipv6: UInt64(host >> 64), UInt64(truncatingIfNeeded: host), port: port))
      case .extensionMessage(let kind, let body):
        guard kind == Extension.Kind.ask.rawValue, let ask = Extension.Ask(body) else { continue }
        if asks.last?.number != ask.number { asks.append(ask) }
      default: break
      }
    }
  }

  /// Becomes the parent of a victim that joins through it.
  mutating func feed(_ victim: inout Peer, from: UInt64?, rate: UInt64 = 1_000_000, now: Duration) throws {
    victim.start(bootstrap: [address], now: now)
    for _ in 0..<3 { try hear(&victim, now: now) }
    hello(&victim, now: now)
    try hear(&victim, now: now)
    try sendDescriptor(&victim, rate: rate, now: now)
    for notice in victim.takeNotices() {
      if case .discover = notice { victim.discovered([(address, nil)], now: now) }
    }
    try hear(&victim, now: now)
    accept(&victim, from: from, now: now)
    try hear(&victim, now: now)
  }
}

/// Takes everybody, and everything from whoever it hears of.
struct Greedy: Topology {
  static let manifest = Manifest(name: "greedy", version: "1.0.0", summary: "Takes all that it can get")

  init() {}
  init(parameters: Parameters) throws(ParameterError) {}

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start(let role):
      if role != .source { context.emit(.discover(limit: 4)) }
    case .discovered(let candidates):
      for candidate in candidates {
        context.emit(.connect(candidate.peer, .data, .first(1), from: nil, note: []))
      }
    case .inbound(let ask):
      context.emit(.accept(ask.peer, ask.stripes, note: []))
      if ask.purpose == .data { context.emit(.route(stripe: 0, to: ask.peer, from: ask.from)) }
    case .linkUp(let link):
      if link.isParent { context.emit(.declareParent(stripe: 0, link.peer, depth: 1)) }
    default: break
    }
  }
}
