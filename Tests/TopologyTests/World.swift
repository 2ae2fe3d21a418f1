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
  private var events = EventQueue()
  private var connections = 0
  private var byAddress: [Address: Int] = [:]

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

  // MARK: The host

  private func at(_ time: Duration, _ body: @escaping () -> Void) { events.push(time, body) }

  /// One way between two hosts, the same for each pair.
  private func delay(_ left: Int, _ right: Int) -> Duration {
    var pair = SplitMix64(seed: seed ^ UInt64(min(left, right)) << 32 ^ UInt64(max(left, right)))
    return .milliseconds(Int.random(in: settings.delay, using: &pair))
  }

  /// The time after which something that is repeated until it arrives has arrived.
  private func reliable(_ left: Int, _ right: Int, trips: Int) -> Duration {
    var time = Duration.zero
    for _ in 0..<trips {
      time += delay(left, right)
      while settings.loss > 0, Double.random(in: 0..<1, using: &random) < settings.loss {
        time += Self.retransmission
      }
    }
    return time
  }

  func index(of address: Address) -> Int? { byAddress[address] }

  func deliver(_ event: TopologyEvent, to host: Host) {
    guard host.isAlive else { return }
    var window = WindowState(first: 0, last: nil, newestEntry: nil, size: 4096)
    if host.wasAttached || host.role == .source {
      window.last = UInt64(now / .milliseconds(10))
    }
    var context = TopologyContext(
      now: now,
      me: host.contact,
      epoch: 1,
      window: window,
      stream: StreamProperties(rate: settings.rate, chunkSize: 1316, stripes: 1),
      held: [],
      random: host.random,
      directory: host.directory
    )
    host.topology.handle(event, &context)
    host.random = context.random
    for action in context.actions {
      if settings.isTraced { digest("\(now) \(host.index) \(action)") }
      perform(action, of: host)
    }
    if case .inbound(let ask) = event, let peer = host.index(of: ask.peer) {
      let isAnswered = context.actions.contains {
        switch $0 {
        case .accept(let other, _, _), .refuse(let other, _, _): other == ask.peer
        default: false
        }
      }
      if !isAnswered { refuse(host, peer, []) }
    }
  }

  private func digest(_ text: String) {
    for byte in text.utf8 { trace = (trace ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }

  private func perform(_ action: TopologyAction, of host: Host) {
    switch action {
    case .connect(let peer, let purpose, let stripes, let from, let note):
      if note.count > Inbound.noteLimit { faults.append("a note of \(note.count) bytes") }
      connect(host, host.index(of: peer), peer, purpose, stripes, from, note)
    case .accept(let peer, let stripes, let note):
      if note.count > Inbound.noteLimit { faults.append("a note of \(note.count) bytes") }
      guard let other = host.index(of: peer) else { return }
      accept(host, other, stripes, note)
    case .refuse(let peer, _, let redirect):
      if redirect.count > TopologyContext.redirectLimit { faults.append("\(redirect.count) redirects") }
      guard let other = host.index(of: peer) else { return }
      refuse(host, other, redirect)
    case .disconnect(let peer, let redirect):
      if redirect.count > TopologyContext.redirectLimit { faults.append("\(redirect.count) redirects") }
      guard let other = host.index(of: peer) else { return }
      close(host, other, redirect: redirect)
    case .send(let peer, let bytes):
      if bytes.count > TopologyContext.messageLimit { faults.append("a message of \(bytes.count) bytes") }
      guard let other = host.index(of: peer), let side = host.sides[other] else { return }
      messages += 1
      if settings.loss > 0, Double.random(in: 0..<1, using: &random) < settings.loss { return }
      let jitter = Duration.microseconds(Int.random(in: 0...3000, using: &random))
      at(now + delay(host.index, other) + jitter) { [self] in
        guard hosts[other].sides[host.index]?.connection == side.connection else { return }
        deliver(.message(hosts[other].directory.ref(host.index), epoch: 1, bytes: bytes), to: hosts[other])
      }
    case .setTimer(let number, let time):
      let generation = (host.timers[number] ?? 0) + 1
      host.timers[number] = generation
      if time < now { faults.append("a timer in the past") }
      at(max(time, now)) { [self] in
        if host.timers[number] == generation { deliver(.timer(number), to: host) }
      }
    case .cancelTimer(let number): host.timers[number, default: 0] += 1
    case .discover:
      at(now + .milliseconds(1)) { [self] in
        let source = Candidate(peer: host.directory.ref(0), contact: hosts[0].contact, isAttached: true)
        deliver(.discovered([source]), to: host)
      }
    case .route(_, let peer, _):
      guard let other = host.index(of: peer), host.sides[other] != nil else { return }
      host.routes.insert(other)
    case .stop(_, let peer):
      guard let other = host.index(of: peer) else { return }
      host.routes.remove(other)
      if host.sides[other]?.data == .child { host.sides[other]?.data = nil }
    case .declareParent(_, let peer, let depth):
      host.parent = peer.flatMap { host.index(of: $0) }
      host.depth = depth
      if host.parent != nil {
        host.wasAttached = true
        host.firstAttached = host.firstAttached ?? now
        if let since = host.detachedSince { host.detachedFor += now - since }
        host.detachedSince = nil
      } else if host.role != .source, host.wasAttached {
        host.detachedSince = host.detachedSince ?? now
      }
    case .ready: host.isReady = true
    case .advertise, .request, .cancel, .push: faults.append("a tree has no use for \(action)")
    @unknown default: break
    }
  }

  private func hello(of host: Host) -> Hello? {
    guard !host.isPlain else { return nil }
    return Hello(
      id: host.contact.id,
      capacity: host.capacity,
      isAttached: host.role == .source || host.parent != nil,
      depth: host.role == .source || host.parent != nil ? host.depth : nil,
      address: host.contact.address
    )
  }

  private func connect(
    _ host: Host,
    _ target: Int?,
    _ peer: PeerRef,
    _ purpose: Purpose,
    _ stripes: StripeSet,
    _ from: UInt64?,
    _ note: [UInt8]
  ) {
    asks += 1
    guard let target, target != host.index else {
      if target == host.index { faults.append("host \(host.index) asks itself") }
      at(now + Self.unreachable) { [self] in deliver(.linkDown(peer, .unreachable, redirect: []), to: host) }
      return
    }
    let other = hosts[target]
    if host.sides[target] == nil {
      connections += 1
      host.sides[target] = Side(connection: connections)
    }
    host.sides[target]?.asked = purpose
    host.sides[target]?.askNumber = asks
    let number = asks
    let isConnected = host.sides[target]?.isConnected == true
    let connection = host.sides[target]?.connection ?? 0
    at(now + reliable(host.index, target, trips: isConnected ? 1 : 3)) { [self] in
      guard other.isAlive else {
        at(now + Self.unreachable) { [self] in
          guard host.sides[target]?.connection == connection else { return }
          if host.sides[target]?.isIdle == true { host.sides[target] = nil }
          deliver(.linkDown(peer, .unreachable, redirect: []), to: host)
        }
        return
      }
      guard host.isAlive, host.sides[target]?.connection == connection else { return }
      var side = other.sides[host.index] ?? Side(connection: connection)
      // Of two connections that crossed, the newer one stays.
      side.connection = max(side.connection, connection)
      host.sides[target]?.connection = side.connection
      host.sides[target]?.isConnected = true
      side.isConnected = true
      // An ask that a later one has overtaken counts no more.
      guard number > side.wantedNumber else { return }
      side.wantedNumber = number
      side.wanted = purpose
      other.sides[host.index] = side
      let ask = Inbound(
        peer: other.directory.ref(host.index),
        hello: hello(of: host),
        purpose: purpose,
        stripes: stripes,
        from: from,
        note: note
      )
      deliver(.inbound(ask), to: other)
    }
  }

  private func accept(_ host: Host, _ asker: Int, _ stripes: StripeSet, _ note: [UInt8]) {
    guard var side = host.sides[asker], let purpose = side.wanted else { return }
    side.wanted = nil
    switch purpose {
    case .data:
      side.data = .child
      side.isGuest = false
    default:
      side.isGuest = true
      if side.data == .child {
        side.data = nil
        host.routes.remove(asker)
      }
    }
    host.sides[asker] = side
    checkFanOut(host)
    let trip = delay(host.index, asker)
    let link = Link(
      peer: host.directory.ref(asker),
      purpose: purpose,
      stripes: stripes,
      hello: hello(of: hosts[asker]),
      isParent: false,
      roundTrip: trip * 2
    )
    at(now) { [self] in
      if host.sides[asker]?.connection == side.connection { deliver(.linkUp(link), to: host) }
    }
    let answer = Link(
      peer: hosts[asker].directory.ref(host.index),
      purpose: purpose,
      stripes: stripes,
      hello: hello(of: host),
      isParent: purpose == .data,
      roundTrip: trip * 2,
      note: note
    )
    at(now + reliable(host.index, asker, trips: 1)) { [self] in
      let other = hosts[asker]
      guard other.isAlive, other.sides[host.index]?.connection == side.connection,
        other.sides[host.index]?.askNumber == side.wantedNumber
      else { return }
      if purpose == .data {
        other.sides[host.index]?.data = .parent
        other.sides[host.index]?.isSpare = false
      } else {
        other.sides[host.index]?.isSpare = true
        if other.sides[host.index]?.data == .parent { other.sides[host.index]?.data = nil }
      }
      other.sides[host.index]?.asked = nil
      if !host.isAlive { notice(death: host.index, at: other) }
      deliver(.linkUp(answer), to: other)
    }
    if !hosts[asker].isAlive { notice(death: asker, at: host) }
  }

  private func refuse(_ host: Host, _ asker: Int, _ redirect: [PeerRef]) {
    guard let side = host.sides[asker], side.wanted != nil else { return }
    host.sides[asker]?.wanted = nil
    if host.sides[asker]?.isIdle == true { host.sides[asker] = nil }
    let indices = redirect.map { host.index(of: $0) }
    at(now + reliable(host.index, asker, trips: 1)) { [self] in
      let other = hosts[asker]
      guard other.isAlive, other.sides[host.index]?.connection == side.connection,
        other.sides[host.index]?.askNumber == side.wantedNumber
      else { return }
      other.sides[host.index]?.asked = nil
      if other.sides[host.index]?.isIdle == true { other.sides[host.index] = nil }
      deliver(
        .linkDown(other.directory.ref(host.index), .refused, redirect: candidates(indices, for: other)),
        to: other
      )
    }
  }

  private func candidates(_ indices: [Int?], for host: Host) -> [Candidate] {
    indices.compactMap { index in
      index.map { Candidate(peer: host.directory.ref($0), contact: hosts[$0].contact) }
    }
  }

  private func close(_ host: Host, _ peer: Int, redirect: [PeerRef]) {
    guard let side = host.sides[peer] else { return }
    host.sides[peer] = nil
    host.routes.remove(peer)
    let indices = redirect.map { host.index(of: $0) }
    at(now + reliable(host.index, peer, trips: 1)) { [self] in
      let other = hosts[peer]
      guard other.sides[host.index]?.connection == side.connection else { return }
      drop(other, host.index, .closed, candidates(indices, for: other))
    }
  }

  private func drop(_ host: Host, _ peer: Int, _ reason: LinkDownReason, _ redirect: [Candidate]) {
    guard host.sides[peer] != nil else { return }
    host.sides[peer] = nil
    host.routes.remove(peer)
    deliver(.linkDown(host.directory.ref(peer), reason, redirect: redirect), to: host)
  }

  /// Lets a host find out, as hosts do, that a peer is dead.
  private func notice(death peer: Int, at host: Host) {
    guard let connection = host.sides[peer]?.connection else { return }
    let died = now
    let first = Duration.milliseconds(Int.random(in: 150...230, using: &random))
    func tick() {
      guard host.isAlive, host.sides[peer]?.connection == connection, now - died < Self.forgotten else {
        return
      }
      if host.sides[peer]?.data == .parent {
        deliver(.silence(host.directory.ref(peer), for: now - died), to: host)
      }
      at(now + .milliseconds(75)) { tick() }
    }
    at(now + first) { tick() }
    at(now + Self.forgotten) { [self] in
      guard host.isAlive, host.sides[peer]?.connection == connection else { return }
      drop(host, peer, .silent, [])
    }
  }

  /// No host ever feeds more of the living than its upload carries.
  private func checkFanOut(_ host: Host) {
    let fed = host.sides.filter { $0.value.data == .child && hosts[$0.key].isAlive }.count
    if fed > copies(of: host.index) {
      faults.append("host \(host.index) feeds \(fed) with \(host.capacity.upload) bit/s at \(now)")
    }
  }
}

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

/// What happens when, in the order in which it was said when it happens at once.
private struct EventQueue {
  struct Event {
    let time: Duration
    let number: Int
    let body: () -> Void

    static func < (left: Event, right: Event) -> Bool {
      (left.time, left.number) < (right.time, right.number)
    }
  }

  private var heap: [Event] = []
  private var count = 0

  mutating func push(_ time: Duration, _ body: @escaping () -> Void) {
    heap.append(Event(time: time, number: count, body: body))
    count += 1
    var at = heap.count - 1
    while at > 0, heap[at] < heap[(at - 1) / 2] {
      heap.swapAt(at, (at - 1) / 2)
      at = (at - 1) / 2
    }
  }

  mutating func pop(until end: Duration) -> Event? {
    guard let first = heap.first, first.time <= end else { return nil }
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var at = 0
    while true {
      var least = at
      for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child] < heap[least] {
        least = child
      }
      guard least != at else { break }
      heap.swapAt(at, least)
      at = least
    }
    return first
  }
}
