package import PluginKit

/// Somebody on the simulated network.
package protocol Participant: AnyObject {
  var address: Address { get }
  /// When it has something to do although nothing comes; nil for never.
  var nextTimeout: Duration? { get }
  /// Takes one datagram; what there is to be done about it is done in the turn that follows.
  func receive(_ datagram: [UInt8], from: Address, now: Duration)
  /// Does what is due, after a batch of datagrams or at its time.
  func turn(now: Duration, send: (_ datagram: [UInt8], _ to: Address) -> Void)
}

/// A network in virtual time with hosts on it.
///
/// No socket, no sleep, no clock: the same seed makes the same world, datagram by datagram. Datagrams that arrive at one
/// host at one time come in one turn, like a batch from a socket.
package final class World {
  /// What becomes of a datagram.
  package enum Fate {
    case arrives(Passage)
    /// It would have waited too long for its host's uplink.
    case overflowed
    /// It vanishes on the way, or nobody is there.
    case lost
  }

  /// How a datagram gets to its end.
  package struct Passage {
    /// How long it waits for its host's uplink, and how long that takes to send it.
    package var queued = Duration.zero
    package var sending = Duration.zero
    package var arrival = Duration.zero
  }

  /// What one datagram on its way is; its storage serves the next one that takes its place.
  private struct Datagram {
    var bytes: [UInt8] = []
    var from: Address
  }

  /// Something that happens at a time, in twenty-four bytes without references.
  private struct Event: TimedEvent {
    enum Kind: UInt8 {
      /// The datagram in a slot arrives at a place.
      case arrival
      /// A place wants its turn; valid while its wake time is the event's.
      case wake
      /// The action of this number.
      case action
    }

    let time: Int64
    /// The order among events of one time, and the kind in the lowest byte.
    private var order: UInt64
    private let place: UInt32
    private let item: UInt32

    init(_ kind: Kind, at time: Duration, place: Int = 0, item: Int = 0) {
      self.time = time.nanoseconds
      order = UInt64(kind.rawValue)
      self.place = UInt32(place)
      self.item = UInt32(item)
    }

    var kind: Kind { Kind(rawValue: UInt8(truncatingIfNeeded: order)) ?? .action }
    var to: Int { Int(place) }
    var number: Int { Int(item) }

    mutating func number(_ number: UInt64) { order = order & 0xFF | number << 8 }

    static func < (left: Event, right: Event) -> Bool {
      left.time != right.time ? left.time < right.time : left.order < right.order
    }
  }

  /// The way from one site to another.
  private struct Way {
    let to: Int
    /// What the trace knows it by.
    let number: UInt64
    var link: SimulatedLink
  }

  private struct Ends: Hashable {
    let from: Int
    let to: Address
  }

  /// Somebody who is on the network, or was.
  private struct Place {
    var participant: (any Participant)?
    var wake: Duration?
    let address: Address
    /// The number of the address, which who comes after has as well.
    let site: Int
  }

  package private(set) var now = Duration.zero
  /// A hash over every datagram, with its time and its ends, that was sent so far.
  package private(set) var trace: UInt64 = 0xCBF2_9CE4_8422_2325
  /// Datagrams sent and delivered so far.
  package private(set) var sent: UInt64 = 0
  package private(set) var delivered: UInt64 = 0
  /// Datagrams that vanished because they would have waited too long for their host's uplink.
  package var overflowed: UInt64 { uplinks.reduce(0) { $0 + ($1?.overflowed ?? 0) } }
  /// How often a participant asked to be woken at a time that had passed.
  package private(set) var restless: UInt64 = 0
  /// What the way from one host to another is like; asked for every datagram, so it may change.
  package var path: (_ from: Address, _ to: Address) -> Path
  /// What a host can send to all others together; unlimited unless it says a rate.
  package var uplink: (_ from: Address) -> Path? = { _ in nil }
  /// Sees every datagram as it is sent, also those that the network loses.
  package var observer: ((_ datagram: [UInt8], _ from: Address, _ to: Address, _ now: Duration) -> Void)?

  /// Hears what becomes of every datagram that is sent.
  package var follower: ((_ datagram: [UInt8], _ from: Address, _ to: Address, _ fate: Fate) -> Void)?

  private let seed: UInt64
  private var events = CalendarQueue<Event>()
  private var places: [Place] = []
  /// By address.
  private var sites: [Address: Int] = [:]
  /// By site: who is there now, and what it can send to all others together.
  private var present: [Int?] = []
  private var uplinks: [SimulatedLink?] = []
  private var datagrams: [Datagram] = []
  private var freeSlots: [Int] = []
  private var actions: [Int: (World) -> Void] = [:]
  private var planned = 0
  private var ways: [Way] = []
  /// Which of the ways is that between two sites.
  private var wayOf: [Ends: Int] = [:]
  private var islands: [Address: Int] = [:]

  package init(
    seed: UInt64,
    path: @escaping (_ from: Address, _ to: Address) -> Path = { _, _ in Path() }
  ) {
    self.seed = seed
    self.path = path
  }

  /// Puts a participant on the network, from now on.
  ///
  /// One that has the address already is gone, like a program that was started again.
  package func add(_ participant: any Participant) {
    let address = participant.address
    remove(address)
    let site = sites[address] ?? present.count
    if site == present.count {
      sites[address] = site
      present.append(nil)
      uplinks.append(nil)
    }
    present[site] = places.count
    places.append(Place(participant: participant, wake: nil, address: address, site: site))
    run(places.count - 1)
  }

  /// Takes whoever is at an address from the network as SIGKILL would: it says nothing and hears nothing any more.
  package func remove(_ address: Address) {
    guard let site = sites[address], let place = present[site] else { return }
    present[site] = nil
    places[place].participant = nil
    places[place].wake = nil
  }

  /// Lets nothing through between hosts of different groups; a host in none of them reaches all.
  package func partition(_ groups: [[Address]]) {
    islands = [:]
    for (number, group) in groups.enumerated() {
      for address in group { islands[address] = number }
    }
  }

  /// Does something at a time.
  package func at(_ time: Duration, _ action: @escaping (World) -> Void) {
    planned += 1
    actions[planned] = action
    events.schedule(Event(.action, at: max(time, now), item: planned))
  }

  /// Lets a participant do what somebody outside told it.
  package func poke(_ address: Address) {
    guard let site = sites[address], let place = present[site] else { return }
    run(place)
  }

  /// Lets time pass.
  package func run(until end: Duration) {
    _ = run(until: end) { false }
  }

  /// Lets time pass until something is so, or until `end`; says whether it became so.
  ///
  /// The condition is looked at after every turn.
  package func run(until end: Duration, or condition: () -> Bool) -> Bool {
    if condition() { return true }
    while let event = events.next(until: end.nanoseconds) {
      step(event)
      if condition() { return true }
    }
    now = max(now, end)
    return false
  }

  private func step(_ event: Event) {
    now = .nanoseconds(event.time)
    switch event.kind {
    case .action:
      actions.removeValue(forKey: event.number)?(self)
    case .wake:
      guard places[event.to].wake == now else { return }
      run(event.to)
    case .arrival:
      deliver(event.number, to: event.to)
      while let next = events.first, next.time == event.time, next.kind == .arrival, next.to == event.to {
        _ = events.next(until: event.time)
        deliver(next.number, to: event.to)
      }
      run(event.to)
    }
  }

  private func deliver(_ slot: Int, to place: Int) {
    freeSlots.append(slot)
    guard let participant = places[place].participant else { return }
    delivered += 1
    participant.receive(datagrams[slot].bytes, from: datagrams[slot].from, now: now)
  }

  private func run(_ place: Int) {
    guard let participant = places[place].participant else { return }
    participant.turn(now: now) { datagram, to in transmit(datagram, from: place, to: to) }
    guard var wake = participant.nextTimeout else {
      places[place].wake = nil
      return
    }
    if wake <= now {
      // A real clock would have moved on by the next turn.
      restless += 1
      wake = now + .milliseconds(1)
    }
    // Events happen at whole nanoseconds; never wake anybody before the time that it named.
    let whole = Duration.nanoseconds(wake.nanoseconds)
    wake = whole < wake ? whole + .nanoseconds(1) : whole
    guard places[place].wake != wake else { return }
    places[place].wake = wake
    events.schedule(Event(.wake, at: wake, place: place))
  }

  private func transmit(_ bytes: [UInt8], from place: Int, to: Address) {
    let (from, site) = (places[place].address, places[place].site)
    let way = way(from: site, at: from, to: to)
    sent += 1
    record(bytes, way: way.map { ways[$0].number } ?? mix(0, from, to))
    observer?(bytes, from, to, now)
    let fate = send(bytes, from: place, way)
    follower?(bytes, from, to, fate)
  }

  private func send(_ bytes: [UInt8], from place: Int, _ way: Int?) -> Fate {
    guard let way, let receiver = present[ways[way].to] else { return .lost }
    let (from, to, site) = (places[place].address, places[receiver].address, places[place].site)
    if !islands.isEmpty, let here = islands[from], let there = islands[to], here != there { return .lost }
    var passage = Passage()
    var departure = now
    if let shared = uplink(from) {
      if uplinks[site] == nil { uplinks[site] = SimulatedLink(shared, seed: mix(seed, from, from)) }
      uplinks[site]?.path = shared
      guard let left = uplinks[site]?.send(byteCount: bytes.count, now: now).first else { return .overflowed }
      departure = left
      passage.sending = SimulatedLink.sending(bytes.count, rate: shared.rate)
      passage.queued = departure - now - passage.sending
    }
    ways[way].link.path = path(from, to)
    let (first, second) = ways[way].link.send(byteCount: bytes.count, now: departure)
    if let first { post(bytes, from: from, to: receiver, at: first) }
    if let second { post(bytes, from: from, to: receiver, at: second) }
    guard let first else { return .lost }
    passage.arrival = first
    return .arrives(passage)
  }

  /// The way to an address; nil when nobody was ever there.
  private func way(from site: Int, at from: Address, to: Address) -> Int? {
    let ends = Ends(from: site, to: to)
    if let known = wayOf[ends] { return known }
    guard let far = sites[to] else { return nil }
    wayOf[ends] = ways.count
    ways.append(
      Way(to: far, number: mix(0, from, to), link: SimulatedLink(Path(), seed: mix(seed, from, to)))
    )
    return ways.count - 1
  }

  private func post(_ bytes: [UInt8], from: Address, to place: Int, at arrival: Duration) {
    var slot = datagrams.count
    if let free = freeSlots.popLast() {
      slot = free
      datagrams[slot].from = from
      datagrams[slot].bytes.removeAll(keepingCapacity: true)
    } else {
      datagrams.append(Datagram(from: from))
    }
    datagrams[slot].bytes += bytes
    events.schedule(Event(.arrival, at: arrival, place: place, item: slot))
  }

  private func record(_ bytes: [UInt8], way: UInt64) {
    var hash = trace
    hash = (hash ^ UInt64(bitPattern: now.nanoseconds)) &* 0x100_0000_01B3
    hash = (hash ^ way) &* 0x100_0000_01B3
    hash = (hash ^ UInt64(bytes.count)) &* 0x100_0000_01B3
    unsafe bytes.withUnsafeBytes { buffer in
      var offset = 0
      while offset + 8 <= buffer.count {
        let word = unsafe buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        hash = (hash ^ word) &* 0x100_0000_01B3
        hash ^= hash >> 29
        offset += 8
      }
      while offset < buffer.count {
        hash = unsafe (hash ^ UInt64(buffer[offset])) &* 0x100_0000_01B3
        offset += 1
      }
    }
    trace = hash
  }
}

/// A number of its own for each direction between two hosts.
private func mix(_ seed: UInt64, _ from: Address, _ to: Address) -> UInt64 {
  var hash = seed
  for address in [from, to] {
    for byte in address.bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    hash = hash &+ 0x9E37_79B9_7F4A_7C15
    hash = (hash ^ hash >> 31) &* 0xBF58_476D_1CE4_E5B9
  }
  return hash ^ hash >> 27
}
