import Integrity
import PluginKit
import Swarm

/// Two peers that talk: one of them then hears what the fuzzer makes up.
struct Stage {
  static let addresses = [Address(ipv4: 0x0A00_0001, port: 1), Address(ipv4: 0x0A00_0002, port: 2)]
  static let chunkSize = 96
  static let unixTime = Duration.seconds(1_800_000_000)

  // One thread runs one input at a time.
  private nonisolated(unsafe) static var made: [Variant: Stage] = [:]

  /// The stage of a swarm, made when it is first wanted.
  static func of(_ variant: Variant) -> Stage {
    if let stage = made[variant] { return stage }
    do {
      let stage = try Stage(variant)
      made[variant] = stage
      return stage
    } catch {
      preconditionFailure("the stage cannot be set: \(error)")
    }
  }

  let variant: Variant
  let authority: CertificateAuthority
  var peers: [Peer] = []
  var now = Duration.zero
  /// Datagrams that were on their way, by whom they were for.
  var seen: [[[UInt8]]] = [[], []]
  /// What was published, the first chunk first.
  var payloads: [[UInt8]] = []

  static func key() throws -> StreamKey {
    try StreamKey(ed25519Seed: [UInt8](repeating: 7, count: 32).span.bytes)
  }

  private init(_ variant: Variant) throws {
    self.variant = variant
    let key = try Self.key()
    authority = try CertificateAuthority.generate(.live(key.swarmID), now: Self.unixTime)
    for number in 0..<2 {
      let own = [UInt8](repeating: UInt8(number), count: 32)
      var configuration = PeerConfiguration(
        swarmID: key.swarmID,
        role: number == 0 ? .source : .relay,
        identity: try PeerIdentity(seed: own.span.bytes),
        address: Self.addresses[number]
      )
      configuration.integrity = variant.integrity
      configuration.addressing = variant.addressing
      configuration.chunksPerSignature = 4
      configuration.chunkSize = variant.chunkSize
      configuration.window = 32
      configuration.seed = UInt64(number)
      configuration.clockOffset = Self.unixTime
      configuration.beginsEntry = { _ in true }
      configuration.makeTopology = { _, _ in Star() }
      configuration.topology = "star"
      configuration.rate = 1_000_000
      configuration.exchange = .everywhere
      if number == 0 { configuration.key = key }
      if variant.isClosed {
        configuration.membership = try Membership(
          authority: authority.authority,
          certificate: certificate(of: configuration.identity.publicKey),
          identity: configuration.identity
        )
      }
      peers.append(try Peer(configuration, channels: ChannelNumbers(), now: .zero))
    }
    peers[0].start(bootstrap: [], now: now)
    peers[1].start(bootstrap: [Self.addresses[0]], now: now)
    for _ in 0..<64 {
      try turn()
      now += .milliseconds(5)
    }
    precondition(peers[1].statistics(now: now).chunksIn > 20, "the stage is not set")
  }

  /// A certificate that the swarm's authority gives out.
  func certificate(of publicKey: [UInt8], place: String? = nil) throws(IntegrityError)
    -> MembershipCertificate
  {
    try authority.issue(
      name: "member",
      publicKey: publicKey,
      place: place,
      now: Self.unixTime,
      notAfter: Self.unixTime + .seconds(86_400)
    )
  }

  private mutating func turn() throws {
    let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: payloads.count), count: Self.chunkSize)
    let chunk = UInt64(payloads.count)
    payloads.append(payload)
    try peers[0].publish(chunk: chunk, payload: payload.span.bytes, isEntry: true, isLast: false, now: now)
    for number in peers.indices {
      if let time = peers[number].nextTimeout, time <= now { peers[number].timeout(now: now) }
      for notice in peers[number].takeNotices() {
        guard case .discover = notice else { continue }
        peers[number].discovered([(address: Self.addresses[0], id: nil)], now: now)
      }
      for datagram in flushed(number) {
        seen[1 - number].append(datagram)
        peers[1 - number].receive(datagram.span, from: Self.addresses[number], now: now)
      }
      peers[number].read(now: now) { _, _, _, _, _ in }
    }
  }

  private mutating func flushed(_ number: Int) -> [[UInt8]] {
    var datagrams: [[UInt8]] = []
    peers[number].flush { packets, heads, bodies, _ in
      for index in packets.indices {
        let packet = packets[index]
        var bytes: [UInt8] = []
        for place in packet.head.range {
          bytes.append(heads.unsafeLoad(fromByteOffset: place, as: UInt8.self))
        }
        for place in packet.body.range {
          bytes.append(bodies.unsafeLoad(fromByteOffset: place, as: UInt8.self))
        }
        datagrams.append(bytes)
      }
    }
    return datagrams
  }
}
