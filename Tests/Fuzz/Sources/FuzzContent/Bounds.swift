import Integrity
import PluginKit

@testable import Swarm

extension Stage {
  /// What others can make a peer keep stays within the bounds that are named for it, and fits together.
  func checkBounds(of number: Int) {
    let peer = peers[number]
    precondition(peer.channels.count <= Peer.channelLimit, "channels")
    precondition(peer.banned.count <= Peer.bannedLimit, "banned addresses")
    precondition(peer.directory.count <= Directory.limit, "known peers")
    precondition(peer.exchange.hints.count <= Exchange.hintLimit, "hints")
    precondition(peer.numbers.count <= Peer.channelLimit + Newcomers.limit, "channel numbers")
    for (index, channel) in peer.channels.enumerated() where !channel.isFree {
      precondition(peer.byLocal[channel.local] == index, "a channel that cannot be found")
      precondition(channel.content.wanted.count <= ContentChannel.wantedLimit, "requests")
      precondition(channel.available.ranges.count <= ContentChannel.availableLimit, "what another has")
      let underWay = channel.content.underWay.ranges.count
      precondition(underWay <= ContentChannel.availableLimit, "what is under way")
      precondition(channel.flight.count <= 8192, "chunks in flight")
      precondition(channel.falseChunks < Channel.falseChunkLimit, "a liar is still here")
    }
    precondition(peer.byLocal.count == peer.channels.count { !$0.isFree }, "a number without a channel")
    precondition(
      peer.channels.count { !$0.isFree && $0.isServed } <= Peer.slots,
      "more are served than there are slots"
    )
    guard let content = peer.content else { preconditionFailure("its content is gone") }
    precondition(content.early.count <= Content.earlyLimit, "chunks before there is memory")
    content.fetch?.check()
  }

  /// Nothing is held that is not what was seeded.
  func checkContent(of number: Int) {
    guard let content = peers[number].content, let memory = content.memory else { return }
    for range in content.held.ranges {
      for chunk in range {
        let start = Int(chunk) * Self.chunkSize
        let isTrue = memory.bytes.extracting(start..<min(start + Self.chunkSize, bytes.count))
          .withUnsafeBytes { $0.elementsEqual(payload(chunk)) }
        precondition(isTrue, "chunk \(chunk) is held and is not what was seeded")
      }
    }
    precondition(content.heldCount == content.held.count, "held chunks were counted otherwise")
  }
}

extension Fetch {
  /// Each chunk is here, or asked for from somebody, or open: none is forgotten.
  fileprivate func check() {
    var asked = Set<UInt64>()
    for source in sources {
      guard let source else { continue }
      precondition(source.outstanding <= FetchSource.highestLimit, "requests to one source")
      for place in 0..<source.asked.count { asked.insert(source.asked[place]) }
      for place in 0..<source.late.count { asked.insert(source.late[place].chunk) }
    }
    var (openCount, heldCount) = (0 as UInt64, 0 as UInt64)
    for chunk in 0..<chunkCount {
      let bit: UInt64 = 1 << (chunk % 64)
      let (isHeld, isTaken) = (held[Int(chunk / 64)] & bit != 0, taken[Int(chunk / 64)] & bit != 0)
      precondition(isTaken || !isHeld, "chunk \(chunk) is here and open")
      precondition(!isTaken || isHeld || asked.contains(chunk), "chunk \(chunk) is forgotten")
      if !isTaken { openCount += 1 }
      if isHeld { heldCount += 1 }
    }
    precondition(openCount == self.openCount && heldCount == self.heldCount, "chunks were counted otherwise")
  }
}
