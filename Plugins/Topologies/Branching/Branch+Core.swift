import PluginKit

/// Counting the tree at its root, and electing a core by what was counted.
///
/// Where a shape has a trial, only peers of the core take children. The source sets the bar: how many children one must be
/// able to take, as high as leaves slots enough for all. Reports carry up how many could take how many, views carry the
/// bar down; there is no list of the core.
extension Branch {
  /// So many slots more than there are peers, in eighths of them and at least one for whoever comes next, must be left
  /// when the bar rises.
  private static let slackEighths = 3
  /// How long the bar could have risen before it does; it falls at once.
  private static let patience = Duration.seconds(5)

  /// Whether it takes children by the rule of the tree.
  func isCore(_ context: TopologyContext) -> Bool {
    guard shape.trial != nil, role != .source else { return true }
    return isCore(min(shape.fanout, copies(context)), for: context.now - began)
  }

  func isCore(_ slots: Int, for uptime: Duration) -> Bool {
    guard let trial = shape.trial else { return true }
    return census.bar == 0 ? slots > 0 : slots >= Int(census.bar) && uptime >= trial
  }

  /// Whether somebody above is to judge by its own bar: who has no parent does not know of one.
  var mayBeCore: Bool { census.bar == 0 || parent == nil }

  /// The source's count of all that hangs below it.
  mutating func count(_ context: TopologyContext) {
    var peers: UInt32 = 0
    var sum = UInt32(clamping: slots(context))
    for child in children {
      peers = peers.addingClamped(child.size)
      sum = sum.addingClamped(child.capacity)
    }
    census.peers = peers
    census.slots = sum
    guard shape.trial != nil else { return }
    setBar(highestBar(context), context.now)
  }

  /// The highest bar above which there are slots enough for everybody; 0 where there are too few in any case.
  private func highestBar(_ context: TopologyContext) -> UInt8 {
    let needed = UInt64(census.peers) + max(1, UInt64(census.peers) * UInt64(Self.slackEighths) / 8)
    var slots = UInt64(slots(context))
    let classes = classes(context)
    for number in classes.indices.reversed() {
      let least = UInt64(Self.least(of: number))
      slots = slots.addingReportingOverflow(UInt64(classes[number]) * least).partialValue
      if slots >= needed { return UInt8(clamping: least) }
    }
    return 0
  }

  private mutating func setBar(_ bar: UInt8, _ now: Duration) {
    guard bar > census.bar else {
      census.bar = bar
      barMayRise = nil
      return
    }
    let since = barMayRise ?? now
    barMayRise = since
    guard now - since >= Self.patience else { return }
    census.bar = bar
    barMayRise = nil
  }

  /// How many settled peers, itself included, could take so many children.
  func classes(_ context: TopologyContext) -> [UInt32] {
    var classes = [UInt32](repeating: 0, count: Report.classLimit)
    let own = min(shape.fanout, copies(context))
    if role != .source, own > 0, context.now - began >= shape.trial ?? .zero {
      classes[Self.class(of: own)] += 1
    }
    for child in children where child.suspicion == nil {
      for (number, count) in child.classes.prefix(Report.classLimit).enumerated() {
        classes[number] = classes[number].addingClamped(count)
      }
    }
    return classes
  }

  /// Class 0 holds 1, class 1 holds 2, class 2 holds 3 and 4, class 3 holds 5 to 8, and so on.
  private static func `class`(of slots: Int) -> Int {
    min(Int.bitWidth - (slots - 1).leadingZeroBitCount, Report.classLimit - 1)
  }

  private static func least(of number: Int) -> Int { number == 0 ? 1 : 1 << (number - 1) + 1 }
}
