import PluginKit

// Coming and going, and what befalls the whole world.
extension ChunkWorld {
  mutating func join(_ index: Int) {
    guard peers[index].state == .absent else { return }
    peers[index].state = .opening
    note(index, .joined)
    guard index != 0 else {
      begin(0)
      publish()
      return
    }
    measurement.joins += 1
    begin(index)
  }

  /// The first datagrams go to the source, or to whom the tracker knows: what the swarm runs is known two round trips later.
  mutating func begin(_ index: Int) {
    guard peers[index].state == .opening else { return }
    let isKnown = index == 0 || peers[index].hasDescriptor
    guard isKnown else {
      var contact = 0
      if discovery == .tracker, !attached.isEmpty {
        contact = Int(attached[Int(random.next() % UInt64(attached.count))])
      }
      let trip = geography.latency(index, contact) + geography.latency(contact, index)
      if reaches(index, contact) {
        measurement.controlBytes += UInt64(WireCost.opening + WireCost.descriptor)
        spend(contact, WireCost.opening / 2 + WireCost.descriptor)
        peers[index].hasDescriptor = true
        peers[index].firstContact = UInt32(contact)
        events.schedule(ChunkEvent(.begin, at: now + trip * 2 + jitter(index), to: index))
      } else {
        events.schedule(ChunkEvent(.begin, at: now + Self.openingLimit, to: index))
      }
      return
    }
    guard let topology = makeTopologyOf(index) else { return }
    peers[index].state = .running
    peers[index].wishes = Wishes(type(of: topology).manifest.wants)
    topologies[index] = topology
    if peers[index].wishes.contains(.haves) { wantsHaves = true }
    if index != 0 {
      let contact = Int(peers[index].firstContact)
      if reaches(index, contact), let link = makeLink(index, to: UInt32(contact), isInbound: false) {
        if let other = admit(contact, UInt32(index)) {
          peers[index].links[link].isOpen = true
          peers[contact].links[other].isOpen = true
        } else {
          free(index, link)
        }
      }
    }
    tell(index, .start(index == 0 ? .source : peers[index].isLeaf ? .leaf : .relay))
    tell(index, .capacity(capacity(index)))
    if peers[index].wishes.contains(.linkSamples) {
      events.schedule(ChunkEvent(.second, at: now + 1_000_000_000, to: index))
    }
  }

  private func makeTopologyOf(_ index: Int) -> (any Topology)? {
    let part = parts[Int(peers[index].part)]
    return try? makeTopology(part.topology, part.parameters)
  }

  mutating func leave(_ index: Int) {
    guard peers[index].state == .running || peers[index].state == .opening else { return }
    if peers[index].state == .running, plan.peers[index].isGraceful {
      tell(index, .stop)
      for link in peers[index].links.indices where !peers[index].links[link].isFree {
        sayGoodbye(index, link, [])
      }
    }
    peers[index].state = .gone
    goneCount += 1
    note(index, .left)
    for link in peers[index].links.indices where !peers[index].links[link].isFree {
      let other = peers[index].links[link].peer
      forgetQueue(index, link)
      notice(loss: UInt32(index), at: Int(other))
    }
    topologies[index] = nil
    peers[index].dissolve()
  }

  mutating func change(_ kind: Plan.Change.Kind) {
    switch kind {
    case .cut(let cut):
      isDivided = true
      for index in cut where peers.indices.contains(index) { peers[index].isCut = true }
      for index in peers.indices where peers[index].state == .running {
        for link in peers[index].links where !link.isFree && peers[Int(link.peer)].isCut != peers[index].isCut
        {
          notice(loss: link.peer, at: index)
        }
      }
    case .heal:
      isDivided = false
      for index in peers.indices { peers[index].isCut = false }
    case .sourceUpload(let upload):
      peers[0].upload = upload
      if peers[0].state == .running { tell(0, .capacity(capacity(0))) }
    case .weather(let weather):
      loss = weather.loss
      burst = max(1, weather.burst)
      jitter = UInt64(max(0, weather.jitter.nanoseconds))
    case .swap: preconditionFailure("a chunk world with a swap is not made")
    }
  }
}
