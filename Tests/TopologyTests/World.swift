import PluginKit
import Support

/// Peers of one topology in virtual time, with a host that keeps the promises of PluginKit and moves no chunks.
///
/// Asks and answers arrive, late when something is lost; messages may be lost and overtake each other. A killed host says
/// nothing more: its children hear of silence, everybody else of nothing for ten seconds.
final class World {
  struct Settings {
    /// One way, chosen for each pair of hosts.
    var delay: ClosedRange<Int> = 5...30
    /// Of messages; asks are repeated.
    var loss = 0.0
    var rate: UInt64 = 1_000_000
    var sourceUpload: UInt64 = 8_000_000
    /// Keeps ``World/trace`` up to date.
    var isTraced = false
  }

  static let retransmission = Duration.milliseconds(150)
  static let unreachable = Duration.seconds(1)
  static let forgotten = Duration.seconds(10)

  let settings: Settings
  let seed: UInt64
  let make: () -> any Topology
  var random: SplitMix64
  var now = Duration.zero
  var hosts: [Host] = []
  /// A digest of every action of every topology so far.
  var trace: UInt64 = 0xcbf2_9ce4_8422_2325
  /// What went wrong, in words.
  var faults: [String] = []
  var messages = 0
  var asks = 0
  /// The longest time that any loop of parents existed.
  var longestLoop = Duration.zero
  private var loopSince: [Int: Duration] = [:]
  var events = EventQueue()
  var connections = 0
  var byAddress: [Address: Int] = [:]

  init(seed: UInt64, settings: Settings = Settings(), _ make: @escaping () -> any Topology) {
    self.seed = seed
    self.settings = settings
    self.make = make
    random = SplitMix64(seed: seed)
    join(.source, upload: settings.sourceUpload)
  }

  // MARK: What a test does

  /// Adds a host that takes part from now on.
  @discardableResult
  func join(_ role: Role = .relay, upload: UInt64 = 8_000_000, isReachable: Bool = true) -> Int {
    let index = hosts.count
    let id = PeerID(InlineWords(random.next(), random.next(), random.next(), random.next()))
    let contact = Contact(
      id: id,
      address: Address(ipv4: 0x0a00_0000 + UInt32(index), port: 7574)
    )
    let capacity = Capacity(upload: upload, isReachable: isReachable)
    let host = Host(index, contact, role, capacity, make(), RandomSource(seed: random.next()))
    hosts.append(host)
    byAddress[contact.address] = index
    host.directory.world = self
    deliver(.start(role), to: host)
    deliver(.capacity(capacity), to: host)
    return index
  }

  /// Ends a host without a word.
  func kill(_ index: Int) {
    let dead = hosts[index]
    guard dead.isAlive else { return }
    dead.isAlive = false
    for host in hosts where host.isAlive {
      if host.sides[index] != nil { notice(death: index, at: host) }
    }
  }

  /// Lets a host leave properly.
  func leave(_ index: Int) {
    let host = hosts[index]
    guard host.isAlive else { return }
    deliver(.stop, to: host)
    for peer in host.sides.keys.sorted() { close(host, peer, redirect: []) }
    host.isAlive = false
  }

  func run(for duration: Duration) {
    let end = now + duration
    while let event = events.pop(until: end) {
      now = event.time
      event.body()
    }
    now = end
  }

  /// Runs until every living peer is attached, at most for `limit`.
  func settle(_ limit: Duration) -> Bool {
    let end = now + limit
    while now < end {
      if unattached.isEmpty { return true }
      run(for: .milliseconds(10))
      sweepLoops()
    }
    return unattached.isEmpty
  }

  /// Runs and looks for loops every few milliseconds.
  func watch(for duration: Duration) {
    let end = now + duration
    while now < end {
      run(for: .milliseconds(10))
      sweepLoops()
    }
  }

  // MARK: What a test looks at

  var living: [Int] { hosts.indices.filter { hosts[$0].isAlive } }

  /// The peers whose declared parents do not lead to the source by routes of the living.
  var unattached: [Int] {
    var known: [Int: Bool] = [0: hosts[0].isAlive]
    func reaches(_ index: Int) -> Bool {
      var way: [Int] = []
      var at = index
      while known[at] == nil {
        way.append(at)
        known[at] = false
        guard let parent = hosts[at].parent, hosts[parent].isAlive,
          hosts[at].sides[parent]?.data == .parent, hosts[parent].routes.contains(at)
        else { return false }
        at = parent
      }
      guard known[at] == true else { return false }
      for step in way { known[step] = true }
      return true
    }
    return living.filter { !reaches($0) }
  }

  func depth(of index: Int) -> Int {
    var depth = 0
    var at = index
    while at != 0, let parent = hosts[at].parent, depth <= hosts.count {
      at = parent
      depth += 1
    }
    return depth
  }

  var greatestDepth: Int { living.map { depth(of: $0) }.max() ?? 0 }

  /// The living that a host feeds.
  func children(of index: Int) -> [Int] {
    hosts[index].routes.sorted().filter { hosts[$0].isAlive && hosts[$0].parent == index }
  }

  /// How many copies of the stream a host's upload carries.
  func copies(of index: Int) -> Int { Int(hosts[index].capacity.upload / settings.rate) }

  /// Whether the living have a slot for each of them.
  func isFeasible(fanout: Int) -> Bool {
    let slots = living.map { index in
      let host = hosts[index]
      let relays = host.role == .source || (host.role == .relay && host.capacity.isReachable)
      return relays ? min(fanout, copies(of: index)) : 0
    }
    return slots.reduce(0, +) >= living.count - 1
  }

  func spare(of index: Int) -> Int? {
    hosts[index].sides.keys.sorted().first { hosts[index].sides[$0]?.isSpare == true }
  }

  private func sweepLoops() {
    var looping: Set<Int> = []
    var seen = [Int](repeating: -1, count: hosts.count)
    for start in hosts.indices where hosts[start].isAlive && seen[start] < 0 {
      var at: Int? = start
      while let here = at, hosts[here].isAlive, seen[here] < 0 {
        seen[here] = start
        at = hosts[here].parent
      }
      if let here = at, hosts[here].isAlive, seen[here] == start {
        var member = here
        repeat {
          looping.insert(member)
          member = hosts[member].parent ?? here
        } while member != here
      }
    }
    for member in looping {
      let since = loopSince[member] ?? now
      loopSince[member] = since
      longestLoop = max(longestLoop, now - since)
    }
    for member in loopSince.keys where !looping.contains(member) { loopSince[member] = nil }
  }
}
