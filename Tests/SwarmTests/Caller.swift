import Integrity
import PluginKit
import Wire

@testable import Swarm

/// A peer that knows RFC 7574 alone and says what a test tells it to; what it hears it keeps message by message.
struct Caller {
  enum Said: Hashable {
    case handshake(source: UInt32, HandshakeOptions)
    case data(UInt64, timestamp: UInt64)
    case ack(ChunkRange, delay: UInt64)
    case have(ChunkRange)
    case integrity(ChunkRange)
    case signedIntegrity(ChunkRange)
    case request(ChunkRange)
    case cancel(ChunkRange)
    case choke
    case unchoke
    case other
  }

  struct Datagram: Hashable {
    var destination: UInt32
    var messages: [Said]
  }

  /// Takes everybody and routes nothing, so that a plain peer gets what it asks for and no more.
  struct Hosting: Topology {
    static let manifest = Manifest(name: "hosting", version: "1.0.0", summary: "Serves all who ask")

    init() {}
    init(parameters: Parameters) throws(ParameterError) {}

    mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
      if case .inbound(let ask) = event { context.emit(.accept(ask.peer, ask.stripes, note: [])) }
    }
  }

  let address: Address
  var local: UInt32
  let format: WireFormat
  /// What it says of the swarm and itself.
  var options: HandshakeOptions
  /// The other side's channel, once it has named one.
  var remote: UInt32 = 0

  init(_ number: UInt32 = 1, _ integrity: IntegrityMethod = .signAll) throws {
    address = Address(ipv4: 0xC633_6500 + number, port: 7574)
    local = 0xCA11_0000 + number
    format = WireFormat(
      signatureLength: 64,
      hashLength: integrity == .unifiedMerkleTree ? 32 : 0,
      chunkSize: Foe.chunkSize
    )
    options = HandshakeOptions(
      minimumVersion: 1,
      swarmID: try Foe.key().swarmID.bytes,
      integrity: integrity,
      merkleHash: integrity == .unifiedMerkleTree ? .sha256 : nil,
      signatureAlgorithm: try Foe.key().algorithm.rawValue,
      addressing: .chunkRanges32,
      discardWindow: 256,
      chunkSize: Foe.chunkSize
    )
  }

  /// One that wants content, in chunks of that many bytes.
  init(_ number: UInt32 = 1, content root: RootHash, chunkSize: Int) {
    address = Address(ipv4: 0xC633_6500 + number, port: 7574)
    local = 0xCA11_0000 + number
    format = WireFormat(hashLength: root.function.length, chunkSize: chunkSize)
    options = HandshakeOptions(
      minimumVersion: 1,
      swarmID: root.bytes,
      integrity: .merkleTree,
      merkleHash: root.function,
      addressing: .chunkRanges32,
      chunkSize: chunkSize
    )
  }

  /// A source that serves whoever asks, with chunks from 0 on.
  static func source(
    chunks: UInt64,
    _ integrity: IntegrityMethod = .signAll,
    configure: (inout PeerConfiguration) -> Void = { _ in }
  ) throws -> Peer {
    var peer = try Foe.victim(.source) { configuration in
      configuration.makeTopology = { _, _ in Hosting() }
      configuration.integrity = integrity
      configuration.chunksPerSignature = 4
      configure(&configuration)
    }
    for chunk in 0..<chunks { try publish(chunk, peer: &peer, now: .zero) }
    return peer
  }

  static func payload(_ chunk: UInt64) -> [UInt8] {
    [UInt8](repeating: UInt8(truncatingIfNeeded: chunk), count: Foe.chunkSize)
  }

  static func publish(_ chunk: UInt64, peer: inout Peer, now: Duration) throws {
    let payload = payload(chunk)
    try unsafe peer.publish(
      chunk: chunk,
      payload: payload.span.bytes,
      isEntry: true,
      isLast: false,
      now: now
    )
  }

  // MARK: Saying

  func send(to channel: UInt32, _ peer: inout Peer, now: Duration, _ write: (inout [UInt8]) -> Void) {
    var datagram: [UInt8] = []
    WireFormat.appendChannel(channel, to: &datagram)
    write(&datagram)
    peer.receive(datagram.span, from: address, now: now)
  }

  func say(_ peer: inout Peer, now: Duration, _ write: (inout [UInt8]) -> Void) {
    send(to: remote, &peer, now: now, write)
  }

  func handshake(to channel: UInt32, _ peer: inout Peer, now: Duration) {
    send(to: channel, &peer, now: now) { WireFormat.appendHandshake(source: local, options, to: &$0) }
  }

  /// Opens a channel, as far as its third datagram.
  mutating func open(_ peer: inout Peer, now: Duration) throws -> [Datagram] {
    handshake(to: 0, &peer, now: now)
    _ = try hear(&peer)
    say(&peer, now: now) { _ in }
    return try hear(&peer)
  }

  /// Lets a viewer that knows nobody else find it, and answers its first handshake.
  mutating func beJoined(by peer: inout Peer, now: Duration) throws {
    peer.start(bootstrap: [address], now: now)
    _ = try hear(&peer)
    handshake(to: remote, &peer, now: now)
    _ = try hear(&peer)
  }

  /// A chunk under the stream's true signature, unless it `lies`; `sent` is the sender's clock in microseconds.
  func sendChunk(_ chunk: UInt64, to peer: inout Peer, now: Duration, sent: UInt64 = 0, lies: Bool = false)
    throws
  {
    let signer = try SignAll.Signer(Foe.key(), addressing: .chunkRanges32)
    var payload = Self.payload(chunk)
    var signature: [UInt8] = []
    try unsafe signer.sign(chunk: chunk, timestamp: chunk, payload: payload.span.bytes, into: &signature)
    if lies { payload[5] ^= 1 }
    say(&peer, now: now) { bytes in
      unsafe format.appendSignedIntegrity(
        chunk...chunk,
        timestamp: chunk,
        signature: signature.span.bytes,
        to: &bytes
      )
      format.appendDataHeader(chunk, timestamp: sent, to: &bytes)
      bytes += payload
    }
  }

  // MARK: Hearing

  /// Takes what a peer sends to this one, and forgets what it sends to others.
  mutating func hear(_ peer: inout Peer) throws -> [Datagram] {
    var came: [[UInt8]] = []
    let address = address
    peer.flush { packets, heads, bodies, _ in
      for index in packets.indices where packets[index].address == address {
        var bytes: [UInt8] = []
        bytes.append(bytes: heads.extracting(packets[index].head.range))
        bytes.append(bytes: bodies.extracting(packets[index].body.range))
        came.append(bytes)
      }
    }
    var datagrams: [Datagram] = []
    for bytes in came { datagrams.append(try read(bytes)) }
    return datagrams
  }

  private mutating func read(_ bytes: [UInt8]) throws -> Datagram {
    var reader = try DatagramReader(bytes.span)
    var datagram = Datagram(destination: reader.destination, messages: [])
    while let message = try reader.next(format) {
      switch message {
      case .handshake(let view):
        if !view.isClosing { remote = view.source }
        datagram.messages.append(.handshake(source: view.source, HandshakeOptions(view)))
      case .data(let chunks, let timestamp, _):
        datagram.messages.append(.data(chunks.lowerBound, timestamp: timestamp))
      case .ack(let chunks, let delay): datagram.messages.append(.ack(chunks, delay: delay))
      case .have(let chunks): datagram.messages.append(.have(chunks))
      case .integrity(let chunks, _): datagram.messages.append(.integrity(chunks))
      case .signedIntegrity(let chunks, _, _): datagram.messages.append(.signedIntegrity(chunks))
      case .request(let chunks): datagram.messages.append(.request(chunks))
      case .cancel(let chunks): datagram.messages.append(.cancel(chunks))
      case .choke: datagram.messages.append(.choke)
      case .unchoke: datagram.messages.append(.unchoke)
      default: datagram.messages.append(.other)
      }
    }
    return datagram
  }

  /// Hears what comes while time passes, and acknowledges the chunks among it every 20 ms.
  mutating func listen(to peer: inout Peer, from start: Duration, for time: Duration) throws -> [Said] {
    var heard: [Said] = []
    var now = start
    while now < start + time {
      now += .milliseconds(20)
      peer.timeout(now: now)
      let said = try hear(&peer).flatMap(\.messages)
      heard += said
      for chunk in said.chunks {
        say(&peer, now: now) { format.appendAck(chunk...chunk, delay: 10_000, to: &$0) }
      }
    }
    return heard + (try hear(&peer).flatMap(\.messages))
  }
}

extension [Caller.Said] {
  /// The chunks of DATA.
  var chunks: [UInt64] {
    compactMap { if case .data(let chunk, _) = $0 { chunk } else { nil } }
  }

  var haves: [ChunkRange] {
    compactMap { if case .have(let chunks) = $0 { chunks } else { nil } }
  }

  var acks: [ChunkRange] {
    compactMap { if case .ack(let chunks, _) = $0 { chunks } else { nil } }
  }

  var requests: [ChunkRange] {
    compactMap { if case .request(let chunks) = $0 { chunks } else { nil } }
  }
}
