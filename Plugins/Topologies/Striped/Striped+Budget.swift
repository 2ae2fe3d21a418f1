import Branching
import PluginKit

// One upload for all stripes: it is counted in slots, each of which carries one stripe to one child.
extension Striped {
  /// Of the slots of a stripe's home peers, this many stay for orphans and for children on their way elsewhere.
  private static let reserve = 1
  /// From how many slots on there is a reserve.
  private static let reserveFrom = 5
  /// This part of the upload stays for acknowledgements, messages and repair, and for what newcomers have to catch up.
  private static let headroom: UInt64 = 8
  /// Below this part of the peers, the free slots of a stripe are few.
  private static let scarcity: UInt32 = 8

  /// How many slots the upload carries.
  func slots(_ context: TopologyContext) -> Int {
    guard role != .leaf, role == .source || capacity.isReachable, capacity.upload > 0 else { return 0 }
    let stream = part(of: context).stream
    guard stream.rate > 0 else { return StripeSet.limit }
    return stream.copies(in: capacity.upload - capacity.upload / Self.headroom)
  }

  /// Those that no stripe and no plain peer uses.
  func free(_ context: TopologyContext) -> Int {
    slots(context) - plain.count * branches.count - branches.reduce(0) { $0 + $1.load }
  }

  /// Deals the slots to the stripes: the source evenly, everybody else to its home, as far as others do not use them.
  mutating func share(_ context: inout TopologyContext) {
    let all = max(0, slots(context) - plain.count * branches.count)
    guard role != .source, let home else {
      for stripe in branches.indices {
        allow(stripe, (all + branches.count - 1 - stripe) / branches.count, reserve: 0, &context)
      }
      return
    }
    var left = all
    for stripe in branches.indices where stripe != home {
      let used = min(left, branches[stripe].load)
      allow(stripe, used, reserve: 0, &context)
      left -= used
    }
    allow(home, left, reserve: left >= Self.reserveFrom ? Self.reserve : 0, &context)
  }

  private mutating func allow(_ stripe: Int, _ slots: Int, reserve: Int, _ context: inout TopologyContext) {
    let fanout = max(1, min(fanout, slots - reserve))
    let isNew = branches[stripe].allowance != slots || branches[stripe].shape.fanout != fanout
    branches[stripe].allowance = slots
    branches[stripe].shape.fanout = fanout
    if isNew || branches[stripe].capacity != capacity { run(stripe, .capacity(capacity), &context) }
  }

  /// Moves home to where slots are missing.
  ///
  /// Everybody learns from its parents what the source has counted in each stripe. As many go as it takes to make the
  /// slots of two stripes equal, by chance, so that not all go; children in the old home stay until they leave.
  mutating func balance(_ context: inout TopologyContext) {
    share(&context)
    guard role != .source, let home, slots(context) > 0 else { return }
    if let lacking = branches.indices.first(where: { branches[$0].vainSearches >= 2 }), lacking != home,
      free(context) > 0
    {
      self.home = lacking
      share(&context)
      return
    }
    let slack = branches.map { Int64($0.census.slots) - Int64($0.census.peers) }
    guard branches.allSatisfy({ $0.census.peers > 0 }),
      let poorest = slack.indices.min(by: { (slack[$0], $0) < (slack[$1], $1) }), poorest != home,
      slack[poorest] < Int64(branches[poorest].census.peers / Self.scarcity) + 1,
      slack[home] > slack[poorest],
      free(context) > 0
    else { return }
    let surplus = UInt64(slack[home] - slack[poorest]) / 2
    let chance = UInt64(max(slack[home], 1))
    guard context.random.next(upperBound: chance) < surplus else { return }
    self.home = poorest
    share(&context)
  }
}
