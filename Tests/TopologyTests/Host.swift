import PluginKit

/// What one host knows of a link.
struct Side {
  enum Data {
    case parent, child
  }

  var connection: Int
  var isConnected = false
  /// What this host has asked the other for.
  var asked: Purpose?
  var askNumber = 0
  /// What the other has asked this host for.
  var wanted: Purpose?
  var wantedNumber = 0
  var data: Data?
  var isSpare = false
  var isGuest = false

  init(connection: Int) { self.connection = connection }

  var isIdle: Bool { asked == nil && wanted == nil && data == nil && !isSpare && !isGuest }
}

/// One host with its topology.
final class Host {
  let index: Int
  let contact: Contact
  let role: Role
  var capacity: Capacity
  var topology: any Topology
  var random: RandomSource
  let directory: Directory
  var isAlive = true
  var isPlain = false
  var isReady = false
  var sides: [Int: Side] = [:]
  var routes: Set<Int> = []
  var timers: [UInt32: Int] = [:]
  var parent: Int?
  var depth = 0
  var wasAttached = false
  var firstAttached: Duration?
  var detachedSince: Duration?
  /// How long it had no parent after it had had one.
  var detachedFor = Duration.zero

  init(
    _ index: Int,
    _ contact: Contact,
    _ role: Role,
    _ capacity: Capacity,
    _ topology: any Topology,
    _ random: RandomSource
  ) {
    self.index = index
    self.contact = contact
    self.role = role
    self.capacity = capacity
    self.topology = topology
    self.random = random
    directory = Directory(index)
  }

  func index(of peer: PeerRef) -> Int? { directory.index(of: peer) }
}

/// Numbers the peers differently on each host.
final class Directory: PeerDirectory {
  private let shift: UInt32
  weak var world: World?
  private var strangers: [Contact] = []
  private static let firstStranger: UInt32 = 1 << 24

  init(_ host: Int) { shift = UInt32(host) &* 7919 & 0xff_ffff }

  func ref(_ index: Int) -> PeerRef { PeerRef((UInt32(index) &+ shift) & 0xff_ffff) }

  func index(of peer: PeerRef) -> Int? {
    guard peer.number < Self.firstStranger, let world else { return nil }
    let index = Int((peer.number &- shift) & 0xff_ffff)
    return index < world.hosts.count ? index : nil
  }

  func contact(of peer: PeerRef) -> Contact? {
    if let index = index(of: peer) { return world?.hosts[index].contact }
    guard peer.number >= Self.firstStranger else { return nil }
    let index = Int(peer.number - Self.firstStranger)
    return index < strangers.count ? strangers[index] : nil
  }

  func peer(for contact: Contact) -> PeerRef {
    if let index = world?.index(of: contact.address) { return ref(index) }
    if let index = strangers.firstIndex(of: contact) { return PeerRef(Self.firstStranger + UInt32(index)) }
    strangers.append(contact)
    return PeerRef(Self.firstStranger + UInt32(strangers.count - 1))
  }
}
