import PluginKit

/// What the two ends of a channel are to each other in one ``Course``.
struct Roles {
  // What we get from it.
  var pendingAsk: Channel.PendingAsk?
  /// What the other side granted us.
  var claimed: Purpose?
  var parentStripes: StripeSet = []
  var isSpare = false
  /// The first chunk that it promised to push when it accepted us.
  var promised: UInt64?
  /// The stripes whose declared parent it is.
  var feeds: [Channel.Feed] = []

  // What it gets from us.
  var verdict: Extension.Answer?
  var lastAnswer: Extension.Answer?
  /// What we granted the other side.
  var purpose: Purpose?
  var routes: [Channel.Route] = []
  /// Whether the topology serves it as a plain peer.
  var isServed = false

  /// Whether a topology connected the two, on either side's wish.
  @inline(__always) var isLink: Bool { claimed != nil || purpose != nil }
  /// Whether the channel is of use to the topology, or may soon be.
  @inline(__always) var isUsed: Bool { isLink || isServed || pendingAsk != nil }

  /// Whether the other side is to hear what we have.
  var tellsHaves: Bool { purpose.map { $0 != .control } ?? false }

  @inline(__always)
  func feed(_ stripe: Int) -> Int? { feeds.firstIndex { $0.stripe == stripe } }

  @inline(__always)
  func grants(_ purpose: Purpose) -> Bool { claimed == purpose || self.purpose == purpose }
}
