internal import Integrity
package import PluginKit
package import Swarm
internal import Wire

/// A whole node of the simulated network: an endpoint with its peers, and what drives them.
///
/// It takes turns as a node on a real socket does: first all datagrams, then what they caused, then timers, and the
/// local reader last.
package final class Host: Participant {
  /// One peer's side of the world.
  package struct Seat {
    package let broadcast: Broadcast
    package let bootstrap: [Address]
    package let isSource: Bool
    package let joined: Duration
    package internal(set) var output = Output()
    package internal(set) var notices: [(time: Duration, notice: Notice)] = []
    var nextChunk: Duration?
    var endsAt: Duration?
  }

  package let name: String
  package let address: Address
  package private(set) var endpoint = Endpoint()
  /// Beside each peer of the endpoint.
  package private(set) var seats: [Seat] = []
  /// Changes what the host sends: gives the datagrams that go out instead.
  package var rewrite: ((_ datagram: [UInt8], _ to: Address, _ now: Duration) -> [[UInt8]])?
  /// Takes what is read, which is not kept in the seat's output then.
  package var onReading: ((Output.Reading) -> Void)?
  /// Whether discovery answers with the bootstrap addresses.
  package var answersDiscovery = true
  private let buffer: DatagramBuffer
  /// What was read in this turn; kept for its storage.
  private var readings: [Output.Reading] = []
  private let identitySeed: UInt64
  private var makesTopology: (String, String) throws(ParameterError) -> any Topology
  private var clockOffset: Duration

  /// A host at 10.0.x.y, port 7574: `number` gives the address and, with the seed, identity and randomness.
  ///
  /// Its clock shows `clockOffset` since the Unix epoch at the world's time zero. The hosts of a world may share a buffer.
  package init(
    _ name: String,
    number: UInt32,
    seed: UInt64,
    clockOffset: Duration = .seconds(1_800_000_000),
    buffer: DatagramBuffer = DatagramBuffer(),
    makeTopology: @escaping (_ name: String, _ parameters: String) throws(ParameterError) -> any Topology
  ) {
    self.name = name
    address = Address(ipv4: 0x0A00_0000 + number, port: 7574)
    identitySeed = seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(number)
    self.clockOffset = clockOffset
    self.buffer = buffer
    makesTopology = makeTopology
  }

  package var peer: Peer { endpoint.peers[0] }
  package var output: Output { seats[0].output }

  package func statistics(now: Duration) -> Statistics { endpoint.peers[0].statistics(now: now) }

  // What of the first broadcast is asked to find out why a chunk did not come; see `Peer`.

  func parent(of chunk: UInt64) -> Address? { endpoint.peers[0].parent(of: chunk) }
  var isDetached: Bool { endpoint.peers[0].isDetached }
  func lacks(_ chunk: UInt64) -> Bool { endpoint.peers[0].lacks(chunk) }
  func isWaiting(_ chunk: UInt64, for address: Address) -> Bool {
    endpoint.peers[0].isWaiting(chunk, for: address)
  }
  func request(for chunk: UInt64) -> Bool? { endpoint.peers[0].request(for: chunk) }
  /// How often its topology was called.
  var calls: UInt64 { endpoint.peers[0].calls }

  /// Takes part in a broadcast from now on.
  ///
  /// The source publishes its first chunk at once; viewers ask the hosts at `bootstrap`.
  package func join(
    _ broadcast: Broadcast,
    _ role: Role = .relay,
    bootstrap: [Address] = [],
    now: Duration,
    configure: (inout PeerConfiguration) -> Void = { _ in }
  ) throws {
    let seed = seedBytes(identitySeed, 0x6964)
    let identity = try unsafe PeerIdentity(seed: seed.span.bytes)
    var configuration = PeerConfiguration(
      swarmID: broadcast.key.swarmID,
      role: role,
      identity: identity,
      address: address
    )
    configuration.chunkSize = broadcast.chunkSize
    configuration.integrity = broadcast.integrity
    configuration.chunksPerSignature = broadcast.chunksPerSignature
    configuration.clockOffset = clockOffset
    configuration.seed = identitySeed &+ UInt64(seats.count) &* 0xA076_1D64_78BD_642F
    configuration.publicKey = broadcast.publicKey
    configuration.beginsEntry = Broadcast.beginsEntry
    configuration.makeTopology = makesTopology
    if role == .source {
      configuration.key = broadcast.key
      configuration.rate = broadcast.rate
    }
    configure(&configuration)
    var peer = try Peer(configuration, channels: endpoint.channels, now: now)
    peer.start(bootstrap: bootstrap, now: now)
    endpoint.peers.append(peer)
    var seat = Seat(broadcast: broadcast, bootstrap: bootstrap, isSource: role == .source, joined: now)
    if role == .source { seat.nextChunk = now }
    seats.append(seat)
  }

  /// Publishes the last chunk at a time: the end of the stream.
  package func end(at time: Duration) { seats[0].endsAt = time }

  /// Changes the topology of the first broadcast, which this host makes; the host is to be poked afterwards.
  package func swap(to topology: String, parameters: String = "", now: Duration) throws(SwarmError) {
    _ = try endpoint.peers[0].swap(to: topology, parameters: parameters, now: now)
  }

  /// Says goodbye to all; the host is to be poked afterwards.
  package func leave(now: Duration) {
    for index in endpoint.peers.indices {
      endpoint.peers[index].leave(now: now)
      seats[index].nextChunk = nil
    }
  }

  /// Gives another upload to the first broadcast; the host is to be poked afterwards.
  package func setCapacity(_ capacity: Capacity, now: Duration) {
    endpoint.peers[0].setCapacity(capacity, now: now)
  }

  package var hasLeft: Bool { endpoint.peers.allSatisfy(\.hasLeft) }

  package var nextTimeout: Duration? {
    var next: Duration?
    for index in endpoint.peers.indices {
      if let time = endpoint.nextTimeout(index) { next = min(next ?? time, time) }
      if let time = seats[index].nextChunk { next = min(next ?? time, time) }
    }
    return next
  }

  package func receive(_ datagram: [UInt8], from: Address, now: Duration) {
    _ = endpoint.receive(datagram.span, from: from, now: now)
  }

  package func turn(now: Duration, send: (_ datagram: [UInt8], _ to: Address) -> Void) {
    flush(now, send)
    for index in endpoint.peers.indices {
      publish(index, now)
      if let time = endpoint.nextTimeout(index), time <= now {
        endpoint.peers[index].timeout(now: now)
      }
    }
    flush(now, send)
    for index in endpoint.peers.indices {
      read(index, now)
      for notice in endpoint.peers[index].takeNotices() {
        seats[index].notices.append((now, notice))
        if case .discover = notice, answersDiscovery {
          endpoint.peers[index].discovered(seats[index].bootstrap.map { ($0, nil) }, now: now)
        }
      }
    }
    flush(now, send)
  }

  private func publish(_ index: Int, _ now: Duration) {
    while let time = seats[index].nextChunk, time <= now {
      let isLast = seats[index].endsAt.map { time >= $0 } ?? false
      let made = seats[index].broadcast.publish(isLast: isLast, now: now)
      publish(index, made, isLast: isLast, now)
      seats[index].nextChunk = isLast ? nil : time + seats[index].broadcast.interval
    }
  }

  private func publish(_ index: Int, _ made: Broadcast.Published, isLast: Bool, _ now: Duration) {
    do throws(SwarmError) {
      try unsafe endpoint.peers[index].publish(
        chunk: made.chunk,
        payload: made.payload.span.bytes,
        isEntry: made.isEntry,
        isLast: isLast,
        now: now
      )
    } catch {
      preconditionFailure("a simulated source cannot publish: \(error)")
    }
  }

  private func read(_ index: Int, _ now: Duration) {
    let broadcast = seats[index].broadcast
    endpoint.peers[index].read(now: now) { chunk, payload, _, isEntry, skipped in
      let made = broadcast[chunk]
      readings.append(
        Output.Reading(
          chunk: chunk,
          time: now,
          delay: made.map { now - $0.time },
          skipped: skipped,
          isEntry: isEntry,
          isTrue: broadcast.isTrue(chunk, payload) && made?.isEntry == isEntry
        )
      )
    }
    guard !readings.isEmpty else { return }
    for var reading in readings {
      reading.arrival = endpoint.peers[index].arrival(of: reading.chunk)
      if let onReading { onReading(reading) } else { seats[index].output.append(reading) }
    }
    readings.removeAll(keepingCapacity: true)
  }

  private func flush(_ now: Duration, _ send: (_ datagram: [UInt8], _ to: Address) -> Void) {
    for index in endpoint.peers.indices where endpoint.hasOutput(index) {
      guard let rewrite else {
        endpoint.peers[index].flush(into: &buffer.bytes, send)
        continue
      }
      endpoint.peers[index].flush(into: &buffer.bytes) { bytes, to in
        for changed in rewrite(bytes, to, now) { send(changed, to) }
      }
    }
  }
}
