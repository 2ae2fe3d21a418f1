import PluginKit
import Support

// What a host does between its topology and the others.
extension World {
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
      // Here are neither headers nor acknowledgements: what a tree keeps back for them is given to it.
      stream: StreamProperties(rate: settings.rate * 92 / 100, chunkSize: 4096, stripes: 1),
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

  func close(_ host: Host, _ peer: Int, redirect: [PeerRef]) {
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
  func notice(death peer: Int, at host: Host) {
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
    // Where somebody has fallen silent, an orphan has its slot before it is known to be dead.
    let hasSilent = settings.loss > 0 || hosts.contains { !$0.isAlive }
    if fed > copies(of: host.index) + (hasSilent ? 1 : 0) {
      faults.append("host \(host.index) feeds \(fed) with \(host.capacity.upload) bit/s at \(now)")
    }
  }
}
