/// What a swarm wants of its congestion control: RFC 6817's parameters, as RFC 7574, section 8.15, leaves them to us.
public struct CongestionProfile: Hashable, Sendable {
  /// The greatest target that RFC 6817, section 2.5, allows.
  public static let greatestTarget: Duration = .milliseconds(100)

  /// The standing queue that is aimed at, TARGET; 1 to 100 ms.
  public let target: Duration
  /// What may be under way before the first acknowledgement, and after a pause, in bytes.
  public let initialWindow: Int
  /// Up to this queue a channel to a child holds the stream's rate and what it needs for repair; nil for no such floor.
  public let floorLimit: Duration?

  public init(target: Duration, initialWindow: Int, floorLimit: Duration?) {
    self.target = min(max(target, .milliseconds(1)), Self.greatestTarget)
    self.initialWindow = max(initialWindow, 2 * CongestionControl.segment)
    self.floorLimit = floorLimit
  }

  /// A live stream: a low target for every hop adds its own, and below the stream's rate a child gains nothing from
  /// our yielding.
  public static let live = CongestionProfile(
    target: .milliseconds(25),
    initialWindow: 128 * 1024,
    floorLimit: .milliseconds(100)
  )

  /// Content that can wait: RFC 6817 to the letter.
  ///
  /// The target is half of the 100 ms that the RFC allows. That is also the buffer of many an uplink: a sender that aims
  /// at all of it sees no queue above its target before it sees loss, and yields to nobody.
  public static let background = CongestionProfile(
    target: .milliseconds(50),
    initialWindow: 2 * CongestionControl.segment,
    floorLimit: nil
  )
}
