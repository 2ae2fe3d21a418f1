internal import PluginKit
internal import Swarm

// What becomes of chunks, beside their deliveries.
extension PacketRun {
  /// How many peers are asked, one above the other, why a chunk did not come.
  private static let blameDepth = 64

  func follow(_ datagram: [UInt8], from: Address, to: Address, _ fate: World.Fate) {
    guard let chunk = ways.chunk(of: datagram) else { return }
    let (sender, receiver) = (Self.peer(from), Self.peer(to))
    switch fate {
    case .overflowed: ways.mark(receiver, chunk, .queue)
    case .lost: ways.mark(receiver, chunk, .repair)
    case .arrives(let passage):
      guard ways.isSampled(chunk), let made = broadcast[UInt64(chunk)], isCounted(made.time) else { return }
      let cause: ChunkCause =
        switch hosts[receiver]?.request(for: UInt64(chunk)) {
        case true?: .requested
        case false?: .repaired
        case nil: .fresh
        }
      ways.pass(
        chunk,
        published: made.time.nanoseconds,
        from: sender,
        to: receiver,
        cause,
        at: world.now.nanoseconds,
        passage
      )
    }
  }

  /// A chunk came to a peer: where its delay came from.
  func takeApart(_ index: Int, _ chunk: UInt64, published: Duration, arrived: Duration) {
    let chunk = UInt32(truncatingIfNeeded: chunk)
    guard ways.isSampled(chunk), deliveries.isExpected(index, published),
      let split = ways.split(chunk, to: index, arrived: arrived.nanoseconds)
    else { return }
    deliveries.measurement.split.deliveries += 1
    deliveries.measurement.split.serialisation += split.serialisation
    deliveries.measurement.split.propagation += split.propagation
    deliveries.measurement.split.queue += split.queue
    deliveries.measurement.split.request += split.request
    deliveries.measurement.split.repair += split.repair
    deliveries.measurement.split.hops += UInt64(split.hops)
  }

  /// A chunk was published: when its deadline has passed, those who lack it are asked why.
  func expectReckoning(of chunk: UInt64, published: Duration) {
    guard isCounted(published) else { return }
    world.at(published + plan.scenario.stream.deadline) { [unowned self] _ in reckon(chunk, published) }
  }

  /// Whether chunks of a time count at anybody.
  private func isCounted(_ published: Duration) -> Bool {
    let phases = plan.scenario.phases
    return phases.measured.contains(published) && published + plan.scenario.stream.deadline <= phases.end
  }

  private func reckon(_ chunk: UInt64, _ published: Duration) {
    for index in plan.peers.indices.dropFirst()
    where deliveries.isExpected(index, published) && hosts[index]?.lacks(chunk) ?? true {
      deliveries.measurement.blame[blame(index, chunk), default: 0] += 1
    }
    ways.forget(UInt32(truncatingIfNeeded: chunk))
  }

  /// Looks upwards for the first who was let down.
  private func blame(_ index: Int, _ chunk: UInt64) -> Measurement.Blame {
    var at = index
    for _ in 0..<Self.blameDepth {
      if let known = ways.blame(at, UInt32(truncatingIfNeeded: chunk)) { return known }
      guard let host = hosts[at] else { return .detached }
      guard let parent = host.parent(of: chunk) else { return host.isDetached ? .detached : .way }
      let above = Self.peer(parent)
      guard let feeder = hosts[above] else { return .detached }
      if feeder.isWaiting(chunk, for: host.address) { return .queue }
      // What it has by now may have come late, and then what happened above is to blame.
      guard above > 0 else { return .way }
      at = above
    }
    return .detached
  }
}
