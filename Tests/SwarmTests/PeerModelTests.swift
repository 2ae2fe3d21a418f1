import Support
import Testing

/// Two independent descriptions of a peer, the product and a model, hear the same and must do the same.
@Suite struct `A peer and its model` {
  /// How many events a schedule has; code that is not optimised has no time for all of them.
  private static let count = Scene.isOptimised ? 100_000 : 4000
  private static let seeds: [UInt64] = Scene.isOptimised ? [1, 2, 3, 4, 5] : [1, 2]

  /// Under Sign All, where each chunk has its own signature, and under a Unified Merkle Tree with 8 chunks a signature.
  private static let runs = seeds.flatMap { seed in [0, 8].map { (width: $0 as UInt64, seed: seed) } }

  @Test(arguments: runs)
  func `agree when it makes the stream and can send at once`(width: UInt64, seed: UInt64) throws {
    let rules = PeerModel.Rules(isSource: true, width: width, upload: 1 << 40, isCalm: true)
    try compare("source without a limit", rules, seed)
  }

  @Test(arguments: runs)
  func `agree when it makes the stream and what is asked for has to wait`(width: UInt64, seed: UInt64) throws
  {
    try compare("source", PeerModel.Rules(isSource: true, width: width, upload: 100_000), seed)
  }

  @Test(arguments: runs)
  func `agree when it pulls the stream from two others and passes it on`(width: UInt64, seed: UInt64) throws {
    try compare("relay", PeerModel.Rules(width: width, upload: 60_000), seed)
  }

  private func compare(_ role: String, _ rules: PeerModel.Rules, _ seed: UInt64) throws {
    let name = "\(role), \(rules.width == 0 ? "Sign All" : "Unified Merkle Tree"), seed \(seed)"
    var random = SplitMix64(seed: seed)
    let events = (0..<Self.count).map { _ in random.next() }
    var schedule = try PeerSchedule(rules, seed: seed)
    guard let found = try schedule.run(events) else {
      print("\(name): peer and model agree over \(Self.count) events")
      return
    }
    let shortest = try shrink(Array(events.prefix(found.count)), found.difference, rules, seed)
    schedule = try PeerSchedule(rules, seed: seed)
    schedule.isTold = true
    let last = try schedule.run(shortest)?.difference ?? found.difference
    Issue.record(
      """
      \(name): after event \(found.count) of \(Self.count)
        the peer:  \(found.difference.peer)
        the model: \(found.difference.model)
      With \(shortest.count) of these events:
        the peer:  \(last.peer)
        the model: \(last.model)
      What happened until then:
        \(schedule.story.suffix(40).joined(separator: "\n  "))
      """
    )
  }

  /// Leaves out events as long as the two still differ in the same way.
  private func shrink(
    _ events: [UInt64],
    _ difference: PeerModel.Difference,
    _ rules: PeerModel.Rules,
    _ seed: UInt64
  ) throws -> [UInt64] {
    var events = events
    var size = max(events.count / 2, 1)
    var effort = 60 * Self.count / 10
    while true {
      var start = 0
      var isShorter = false
      while start < events.count, effort > 0 {
        var tried = events
        tried.removeSubrange(start..<min(start + size, events.count))
        effort -= tried.count
        var schedule = try PeerSchedule(rules, seed: seed)
        if let found = try schedule.run(tried), found.count <= tried.count,
          found.difference.isLike(difference)
        {
          events = Array(tried.prefix(found.count))
          isShorter = true
        } else {
          start += size
        }
      }
      if effort <= 0 || size == 1 && !isShorter { return events }
      size = max(size / 2, 1)
    }
  }
}

extension PeerModel.Difference {
  /// Whether it is the same but for numbers.
  fileprivate func isLike(_ other: Self) -> Bool {
    peer.filter(\.isLetter) == other.peer.filter(\.isLetter)
      && model.filter(\.isLetter) == other.model.filter(\.isLetter)
  }
}
