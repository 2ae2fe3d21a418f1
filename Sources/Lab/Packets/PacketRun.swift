internal import Integrity
package import PluginKit
internal import Swarm
internal import Text

/// A plan at packet fidelity: the product's own peers on a simulated network, datagram by datagram.
///
/// Downloads can have no limit here; the figures are those of the engine at chunk fidelity. Why a chunk did not come is
/// told as far as the windows of peers reach.
package final class PacketRun {
  /// Why a plan cannot be run so, as a sentence.
  package struct Refusal: Error, CustomStringConvertible {
    package let description: String
  }

  /// The largest chunk whose datagram fits an Ethernet frame with its signature.
  private static let chunkLimit = 1316
  /// How long somebody who says goodbye stays to have it heard.
  private static let goodbye = Duration.milliseconds(200)
  /// What stands for no limit, in bits per second.
  private static let unlimited: UInt64 = 1_000_000_000_000

  let plan: Plan
  private let parts: [Composition.Part]
  /// Which part of the composition each peer has.
  private var partOf: [Int] = []
  private let makeTopology: (String, String) throws(ParameterError) -> any Topology
  let broadcast: Broadcast
  /// Room for all chunks of the run, so that none is overwritten that somebody still holds.
  private let chunks: SharedChunks
  let world: World
  private let buffer = DatagramBuffer()
  /// The peers that are there, by their numbers in the plan.
  var hosts: [Host?]
  private var uploads: [UInt64]
  /// How long a datagram may wait for the upload of each peer.
  private let queues: [Duration]
  private let geography: Geography
  private var weather: Weather
  var deliveries: DeliveryCount
  var ways: ChunkWays
  /// For each peer behind a NAT: whom it has sent something to.
  private var opened: [Set<Address>?]
  private var failure: (any Error)?

  /// - Throws: ``Refusal`` for chunks that fit no datagram and limited downloads, `ParameterError` for a topology that cannot be made,
  ///   `IntegrityError` when there is no key.
  package init(
    _ plan: Plan,
    _ composition: Composition,
    makeTopology: @escaping (_ name: String, _ parameters: String) throws(ParameterError) -> any Topology
  ) throws {
    let stream = plan.scenario.stream
    guard stream.chunkSize <= Self.chunkLimit else {
      throw Refusal(
        description: "chunks of \(stream.chunkSize) bytes fit no datagram: packet fidelity takes at most "
          + "\(Self.chunkLimit), chunk fidelity any"
      )
    }
    guard plan.peers.allSatisfy({ $0.access.download == 0 }) else {
      throw Refusal(
        description:
          "packet fidelity knows no limits of downloads: leave 'download' out, or use chunk fidelity"
      )
    }
    for part in composition.parts { _ = try makeTopology(part.topology, part.parameters) }
    self.plan = plan
    self.makeTopology = makeTopology
    parts = composition.parts
    broadcast = try Broadcast(
      seed: plan.seed,
      rate: stream.rate,
      chunkSize: stream.chunkSize,
      entryEvery: stream.entryEvery
    )
    chunks = SharedChunks(
      count: Int(plan.scenario.phases.end / stream.interval) + 2,
      chunkSize: stream.chunkSize,
      signatureLength: broadcast.publicKey.signatureLength
    )
    world = World(seed: plan.seed)
    hosts = Array(repeating: nil, count: plan.peers.count)
    deliveries = DeliveryCount(plan)
    deliveries.measurement.swaps = plan.swaps.map { swap in
      Measurement.Swap(swap.to.text, at: swap.at.nanoseconds)
    }
    ways = ChunkWays(plan)
    opened = plan.peers.map { $0.access.nat == .restricted ? [] : nil }
    // Who is slow sends a tenth of what it claims.
    uploads = plan.peers.map { $0.behaviour == .slow ? max(1, $0.access.upload / 10) : $0.access.upload }
    queues = plan.peers.map(\.access.queue)
    geography = Geography(plan)
    weather = plan.scenario.weather
    var random = RandomSource(seed: plan.seed ^ 0x7061_636B_6574)
    partOf = plan.peers.indices.map { peer in
      var left = peer == 0 ? 0 : random.part()
      for (index, part) in parts.enumerated() {
        left -= part.share
        if left < 0 { return index }
      }
      return 0
    }
    prepareWorld()
    schedule()
  }

  /// Runs to the end and says what was seen.
  package func run() throws -> Measurement {
    world.run(until: plan.scenario.phases.end)
    if let failure { throw failure }
    conclude()
    return deliveries.measurement
  }

  /// How many datagrams were delivered so far.
  package var datagrams: UInt64 { world.delivered }

  /// Lets time pass.
  package func run(until time: Duration) { world.run(until: time) }

  private func schedule() {
    let phases = plan.scenario.phases
    for (index, peer) in plan.peers.enumerated() {
      world.at(peer.joins) { [unowned self] _ in join(index) }
      if let goes = peer.goes { world.at(goes) { [unowned self] _ in go(index) } }
    }
    for change in plan.changes { world.at(change.at) { [unowned self] _ in apply(change.kind) } }
    world.at(phases.measured.upperBound) { [unowned self] _ in
      hosts[0]?.end(at: phases.measured.upperBound)
      noteDepths()
    }
  }

  // MARK: The network

  /// Peer `n` has the address 10.0.0.1 plus `n`.
  private static func number(_ peer: Int) -> UInt32 { UInt32(peer + 1) }

  static func peer(_ address: Address) -> Int {
    guard address.count >= 4 else { return 0 }
    return Int(UInt32(address[1]) << 16 | UInt32(address[2]) << 8 | UInt32(address[3])) - 1
  }

  private func prepareWorld() {
    world.path = { [unowned self] from, to in
      let (sender, receiver) = (Self.peer(from), Self.peer(to))
      if opened[receiver]?.contains(from) == false { return .cut }
      return Path(
        delay: .nanoseconds(geography.latency(sender, receiver)),
        jitter: weather.jitter,
        loss: weather.loss,
        burst: weather.burst
      )
    }
    world.uplink = { [unowned self] from in
      let sender = Self.peer(from)
      let rate = uploads[sender]
      guard rate > 0 else { return nil }
      return Path(delay: .zero, rate: rate, queue: queues[sender])
    }
    world.observer = { [unowned self] datagram, from, to, _ in
      let sender = Self.peer(from)
      opened[sender]?.insert(to)
      let bytes = UInt64(datagram.count + SimulatedLink.headers)
      // Nothing else is as long as a whole chunk.
      guard datagram.count >= broadcast.chunkSize else {
        deliveries.measurement.controlBytes += bytes
        return
      }
      deliveries.measurement.chunkBytes += bytes
      if sender == 0 { deliveries.measurement.sourceChunks += 1 }
    }
    world.follower = { [unowned self] datagram, from, to, fate in follow(datagram, from: from, to: to, fate) }
  }

  private func apply(_ kind: Plan.Change.Kind) {
    switch kind {
    case .cut(let members):
      let cut = Set(members)
      let addresses = plan.peers.indices.map { Address(ipv4: 0x0A00_0000 + Self.number($0), port: 7574) }
      world.partition([
        members.map { addresses[$0] }, addresses.indices.filter { !cut.contains($0) }.map { addresses[$0] },
      ])
    case .heal: world.partition([])
    case .sourceUpload(let rate): uploads[0] = rate
    case .weather(let changed): weather = changed
    case .swap(let part): swap(to: part)
    }
  }

  private func swap(to part: Composition.Part) {
    guard let source = hosts[0] else { return }
    do throws(SwarmError) {
      try source.swap(to: part.topology, parameters: part.parameters, now: world.now)
    } catch {
      let time = Number.text(world.now / .seconds(1), decimals: 3)
      failure = failure ?? Refusal(description: "the swap to '\(part.text)' at \(time) s: \(error)")
    }
    world.poke(source.address)
  }

  // MARK: Coming and going

  private func join(_ index: Int) {
    let planned = plan.peers[index]
    let part = parts[partOf[index]]
    let isOfFirstPart = partOf[index] == 0
    let host = Host("peer \(index)", number: Self.number(index), seed: plan.seed, buffer: buffer) {
      [makeTopology] name, parameters throws(ParameterError) in
      // Who has another plugin runs that, whatever the source announces.
      try isOfFirstPart
        ? makeTopology(name, parameters) : makeTopology(part.topology, part.parameters)
    }
    host.onReading = { [unowned self] reading in read(index, reading) }
    let source = Address(ipv4: 0x0A00_0000 + Self.number(0), port: 7574)
    let stream = plan.scenario.stream
    do {
      try behave(host, planned.behaviour)
      try host.join(broadcast, planned.role, bootstrap: index == 0 ? [] : [source], now: world.now) {
        $0.window = stream.windowSize
        $0.patience = stream.deadline
        $0.sharedChunks = chunks
        $0.capacity = Capacity(
          upload: planned.access.upload == 0 ? Self.unlimited : planned.access.upload,
          download: planned.access.download,
          isReachable: planned.access.nat == .open
        )
        $0.topology = part.topology
        $0.topologyParameters = part.parameters
      }
    } catch {
      failure = failure ?? error
      return
    }
    hosts[index] = host
    if index > 0 { deliveries.measurement.joins += 1 }
    world.add(host)
  }

  private func behave(_ host: Host, _ behaviour: Behaviour) throws(IntegrityError) {
    switch behaviour {
    case .honest, .slow: return
    case .liar:
      let liar = try Liar(.alterPayload, against: broadcast)
      host.rewrite = { [unowned self] datagram, to, now in
        let told = liar.rewrite(datagram, to: to, now: now)
        if told != [datagram], let chunk = ways.chunk(of: datagram) { ways.mark(Self.peer(to), chunk, .liar) }
        return told
      }
    case .freeRider:
      let size = broadcast.chunkSize
      host.rewrite = { datagram, _, _ in datagram.count >= size ? [] : [datagram] }
    }
  }

  private func go(_ index: Int) {
    guard let host = hosts[index] else { return }
    guard plan.peers[index].isGraceful else {
      leave(index)
      return
    }
    host.leave(now: world.now)
    world.poke(host.address)
    world.at(world.now + Self.goodbye) { [unowned self] _ in leave(index) }
  }

  private func leave(_ index: Int) {
    guard let host = hosts[index] else { return }
    count(host)
    world.remove(host.address)
    hosts[index] = nil
  }

  // MARK: What is seen

  private func read(_ index: Int, _ reading: Output.Reading) {
    if reading.isEntry { deliveries.begin(index, at: reading.time) }
    guard let made = broadcast[reading.chunk] else { return }
    guard index > 0 else { return expectReckoning(of: reading.chunk, published: made.time) }
    let arrived = reading.arrival ?? reading.time
    deliveries.deliver(to: index, published: made.time, arrived: arrived)
    takeApart(index, reading.chunk, published: made.time, arrived: arrived)
  }

  private func noteDepths() {
    for host in hosts {
      guard let depth = host?.statistics(now: world.now).depth, depth < 1 << 16 else { continue }
      while deliveries.measurement.depths.count <= depth { deliveries.measurement.depths.append(0) }
      deliveries.measurement.depths[depth] += 1
    }
  }

  private func count(_ host: Host) {
    let statistics = host.statistics(now: world.now)
    deliveries.measurement.arrivals += statistics.chunksIn + statistics.duplicate
    deliveries.measurement.duplicates += statistics.duplicate
    deliveries.measurement.repaired += statistics.repaired
    deliveries.measurement.rejected += statistics.rejected
    for (_, notice) in host.seats[0].notices {
      guard case .swapped(let report) = notice else { continue }
      // The first topology is that of epoch 1.
      let place = Int(report.epoch) - 2
      guard deliveries.measurement.swaps.indices.contains(place), !host.seats[0].isSource else { continue }
      deliveries.measurement.swaps[place].gaps.add(report.gap.nanoseconds)
      deliveries.measurement.swaps[place].lost += report.lost
      deliveries.measurement.swaps[place].duplicates += report.duplicates
    }
    deliveries.measurement.calls += host.calls
  }

  private func conclude() {
    for host in hosts { if let host { count(host) } }
    deliveries.conclude(published: broadcast.published.map(\.time))
    deliveries.measurement.overflowed = world.overflowed
    deliveries.measurement.trace = world.trace
  }
}
