import PluginKit
import Wire

// Peers that speak the RFC and nothing else: leaves that pull from us, and sources that we pull from.
extension Peer {
  /// The other side speaks the RFC and nothing else.
  mutating func becomePlain(_ index: Int) {
    guard channels[index].speech == .unknown else { return }
    channels[index].speech = .plain
    channels[index].nextHello = nil
    let peer = channels[index].peer
    if channels[index].isInitiator {
      if let ask = channels[index].pendingAsk?.ask {
        channels[index].pendingAsk = nil
        pull(index, purpose: ask.purpose, stripes: ask.stripes)
      } else if topology == nil, configuration.role != .source {
        pull(index, purpose: .data, stripes: .first(1))
      }
      return
    }
    directory[peer]?.channel = index
    // It may have what we lack.
    channels[index].isSpare = true
    if topology != nil {
      events.append(
        .inbound(
          Inbound(
            peer: peer,
            hello: nil,
            purpose: .data,
            stripes: .first(descriptor?.stripes ?? 1),
            from: nil
          )
        )
      )
    } else if configuration.role != .leaf, channels.count(where: { $0.isServed && !$0.isFree }) < plainSlots {
      servePlain(index)
    } else {
      chokePlain(index)
    }
  }

  /// How many plain peers are served where there is no topology to decide it.
  private var plainSlots: Int {
    streamRate == 0 ? 1 : Int(clamping: min(configuration.capacity.upload / streamRate, 64))
  }

  mutating func pull(_ index: Int, purpose: Purpose, stripes: StripeSet) {
    channels[index].claimed = purpose
    channels[index].isSpare = purpose == .spare
    channels[index].isPulled = purpose == .data
    if topology != nil {
      events.append(.linkUp(link(index, purpose: purpose, stripes: stripes, isParent: purpose == .data)))
    }
    if purpose == .data { notices.append(.attached(parent: channels[index].address.description, depth: 1)) }
    extendHorizon()
  }

  mutating func servePlain(_ index: Int) {
    channels[index].isServed = true
    channels[index].wantsHaves = true
    channels[index].congestion.floorRate = liveFloor
    if channels[index].weChoke {
      channels[index].weChoke = false
      send(index) { bytes in WireFormat.appendUnchoke(to: &bytes) }
    }
    for range in window.held.ranges.suffix(16) { sendHave(index, range) }
  }

  mutating func chokePlain(_ index: Int) {
    channels[index].weChoke = true
    guard channels[index].understands(MessageType.choke) else { return }
    send(index) { bytes in WireFormat.appendChoke(to: &bytes) }
  }
}
