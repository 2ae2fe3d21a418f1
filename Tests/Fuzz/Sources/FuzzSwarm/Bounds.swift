import Integrity
import PluginKit

@testable import Swarm

/// What others can make a peer keep stays within the bounds that are named for it, and fits together.
extension Peer {
  func checkBounds() {
    precondition(channels.count <= Self.channelLimit, "channels")
    precondition(banned.count <= Self.bannedLimit, "banned addresses")
    precondition(courses.count <= 2, "courses")
    for course in courses {
      precondition(course.timers.count <= Self.timerLimit, "timers")
      precondition(course.parents.count <= 64, "parents")
    }
    precondition(missing.count <= Self.missingLimit, "missing chunks")
    precondition(exchange.hints.count <= Exchange.hintLimit, "hints")
    precondition(directory.count <= Directory.limit, "known peers")
    precondition(numbers.count <= Self.channelLimit + Newcomers.limit, "channel numbers")
    precondition(window.held.count <= window.size, "the window")
    if let unified {
      precondition(unified.parked.count <= UnifiedMerkleState.parkedLimit, "chunks without hashes")
      precondition(unified.unsigned.count <= UnifiedMerkle.widths.upperBound, "chunks without a signature")
    }
    precondition(
      zip(missing, missing.dropFirst()).allSatisfy { $0.chunk < $1.chunk },
      "missing chunks in another order than theirs"
    )
    for (index, channel) in channels.enumerated() where !channel.isFree {
      precondition(byLocal[channel.local] == index, "a channel that cannot be found")
      precondition(channel.early.count <= Channel.earlySignatureLimit, "signatures without a chunk")
      precondition(channel.urgent.count <= Int(Self.requestLimit), "requests")
      precondition(channel.queue.count <= Channel.queueLimit, "chunks that wait")
      precondition(channel.flight.count <= 8192, "chunks under way")
      precondition(channel.available.ranges.count <= IntervalSet.limit, "ranges of another's chunks")
      precondition(channel.falseChunks < Channel.falseChunkLimit, "a liar is still here")
      for course in 0..<2 { precondition(channel.roles[course].routes.count <= 64, "routes") }
      precondition(
        channel.outstanding == missing.count { $0.source == index },
        "requests that were counted otherwise than made"
      )
    }
    precondition(byLocal.count == channels.count { !$0.isFree }, "a number without a channel")
  }
}
