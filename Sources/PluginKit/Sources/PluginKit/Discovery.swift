/// Finds peers of a swarm.
///
/// All that it says are hints.
public protocol Discovery: SendableMetatype {
  static var manifest: Manifest { get }

  init(parameters: Parameters) throws(ParameterError)

  mutating func handle(_ event: DiscoveryEvent, _ context: inout DiscoveryContext)
}

/// In which order peers are wanted.
public enum DiscoveryOrder: Hashable, Sendable {
  case any, newest, oldest, nearest
}

/// What happened around a discovery.
public enum DiscoveryEvent: Sendable {
  case start(swarm: [UInt8])
  /// The own peer takes part and can be told to others.
  case register(Contact, Capacity, isAttached: Bool)
  case query(order: DiscoveryOrder, limit: Int)
  case timer(UInt32)
  case stop
}

/// A peer that may exist.
public struct Hint: Hashable, Sendable {
  /// `HOST:PORT` or `[IPV6]:PORT`, which the host resolves; or an address that it need not.
  public enum Place: Hashable, Sendable {
    case name(String)
    case address(Address)
  }

  public var place: Place
  public var id: PeerID?
  public var capacity: Capacity?
  public var isAttached: Bool?

  public init(_ place: Place, id: PeerID? = nil, capacity: Capacity? = nil, isAttached: Bool? = nil) {
    self.place = place
    self.id = id
    self.capacity = capacity
    self.isAttached = isAttached
  }
}

/// What a discovery wants done.
public enum DiscoveryAction: Hashable, Sendable {
  /// An answer to a query, or news.
  case found([Hint])
  case setTimer(UInt32, at: Duration)
  case cancelTimer(UInt32)
}

/// Where a discovery says what to do.
public struct DiscoveryContext {
  public let now: Duration
  public var random: RandomSource
  public private(set) var actions: [DiscoveryAction] = []

  public init(now: Duration, random: RandomSource) {
    self.now = now
    self.random = random
  }

  public mutating func emit(_ action: DiscoveryAction) { actions.append(action) }
}
