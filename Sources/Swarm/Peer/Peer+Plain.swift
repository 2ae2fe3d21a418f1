import PluginKit
import Wire

// Peers that speak the RFC and nothing else: leaves that pull from us, and sources that we pull from.
extension Peer {
  /// The other side speaks the RFC and nothing else.
  mutating func becomePlain(_ index: Int) {
    guard channels[index].speech == .unknown else { return }
    guard !channels[index].asksNews else {
      sayGoodbye(index, redirect: [])
      free(index)
      return
    }
    guard isAdmitted(index) else {
      lose(index, .unreachable)
      return
    }
    channels[index].speech = .plain
    channels[index].nextHello = nil
    if content != nil { return meet(index) }
    let peer = channels[index].peer
    if channels[index].isInitiator {
      for course in courses.indices {
        guard let ask = channels[index].roles[course].pendingAsk?.ask else { continue }
        channels[index].roles[course].pendingAsk = nil
        pull(index, purpose: ask.purpose, stripes: ask.stripes, course)
      }
      if courses.isEmpty, configuration.role != .source {
        pull(index, purpose: .data, stripes: .first(1), 0)
      }
      return
    }
    supersede(index)
    directory[peer]?.channel = index
    consider(index)
  }

  /// A plain peer that comes once more, as after a restart, is done with the channel that it had before.
  ///
  /// A peer has one slot, and the topology knows it by one number: what is served on two channels is counted once.
  private mutating func supersede(_ index: Int) {
    for old in channels.indices
    where old != index && channels[old].peer == channels[index].peer && channels[old].isOpen
      && channels[old].speech == .plain && !channels[old].isInitiator
    {
      sayGoodbye(old, redirect: [])
      lose(old, .closed)
    }
  }

  /// Decides whether a plain peer is served; where there is a topology it is its business.
  mutating func consider(_ index: Int) {
    if !courses.isEmpty {
      for course in courses.indices { offerPlain(index, to: course) }
    } else if configuration.role != .leaf, channels.count(where: { $0.isServed && !$0.isFree }) < plainSlots {
      servePlain(index, 0)
    } else if !channels[index].weChoke {
      chokePlain(index)
    }
  }

  /// Asks a topology whether it serves a plain peer.
  mutating func offerPlain(_ index: Int, to course: Int) {
    let stripes = StripeSet.first(courses[course].descriptor.stripes)
    courses[course].events.append(
      .inbound(
        Inbound(peer: channels[index].peer, hello: nil, purpose: .data, stripes: stripes, from: nil)
      )
    )
  }

  /// A topology does not serve a plain peer; it is choked unless the other one of a swap serves it.
  mutating func refusePlain(_ index: Int, _ course: Int) {
    channels[index].roles[course].isServed = false
    guard !channels[index].roles[0].isServed, !channels[index].roles[1].isServed else { return }
    if !channels[index].weChoke { chokePlain(index) }
  }

  /// How long a plain peer keeps its slot without asking for anything.
  static let plainPatience: Duration = .seconds(10)

  /// Slots go from plain peers that do not use theirs to those that wait, one a second.
  mutating func reviewPlain() {
    if content != nil { return reviewSlots() }
    let waiting = channels.indices.filter { channels[$0].isOpen && channels[$0].weChoke }
    guard let index = waiting.min(by: { channels[$0].lastAsked < channels[$1].lastAsked }) else { return }
    for idle in channels.indices where channels[idle].isServed && channels[idle].isOpen {
      guard now - channels[idle].lastAsked >= Self.plainPatience, window.newest != nil, lastChunk == nil
      else { continue }
      chokePlain(idle)
      tell(.linkDown(channels[idle].peer, .silent, redirect: []))
    }
    channels[index].lastAsked = now
    consider(index)
  }

  /// How many plain peers are served where there is no topology to decide it.
  private var plainSlots: Int {
    streamRate == 0 ? 1 : Int(clamping: min(capacity.upload / streamRate, 64))
  }

  mutating func pull(_ index: Int, purpose: Purpose, stripes: StripeSet, _ course: Int) {
    channels[index].roles[course].claimed = purpose
    channels[index].roles[course].isSpare = purpose == .spare
    channels[index].isPulled = purpose == .data
    if course < courses.count {
      courses[course].events.append(
        .linkUp(link(index, purpose: purpose, stripes: stripes, isParent: purpose == .data))
      )
    }
    if purpose == .data { notices.append(.attached(parent: channels[index].address.description, depth: 1)) }
    extendHorizon()
  }

  mutating func servePlain(_ index: Int, _ course: Int) {
    channels[index].roles[course].isServed = true
    channels[index].isServed = true
    channels[index].lastAsked = now
    channels[index].wantsHaves = true
    channels[index].congestion.floorRate = liveFloor
    if channels[index].weChoke {
      channels[index].weChoke = false
      if channels[index].understands(MessageType.unchoke) {
        send(index) { bytes in WireFormat.appendUnchoke(to: &bytes) }
      }
    }
    for range in window.held.ranges.suffix(16) { sendHave(index, range) }
  }

  mutating func chokePlain(_ index: Int) {
    channels[index].weChoke = true
    channels[index].isServed = false
    for course in courses.indices { channels[index].roles[course].isServed = false }
    channels[index].lastAsked = now
    channels[index].urgent.removeAll()
    sayChoke(index)
  }

  mutating func sayChoke(_ index: Int) {
    guard channels[index].understands(MessageType.choke) else { return }
    send(index) { bytes in WireFormat.appendChoke(to: &bytes) }
  }
}
