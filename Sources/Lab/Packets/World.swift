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
  /// What one datagram on its way is; its storage serves the next one that takes its place.
  private struct Datagram {
    var bytes: [UInt8] = []
    var from: Address
  }

  private enum Event {
    case arrival(to: Int, slot: Int)
    /// Valid while the participant's wake time is the event's.
    case wake(Int)
    case action(Int)
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

  private let seed: UInt64
  private var events = EventQueue<Event>()
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
  private var links: [SimulatedLink] = []
  /// By the sites of sender and receiver: which of the links is theirs.
  private var linkOf: [UInt64: Int] = [:]
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
    events.schedule(.action(planned), at: max(time, now))
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
    while let time = events.nextTime, time <= end {
      step()
      if condition() { return true }
    }
    now = max(now, end)
    return false
  }

  private func step() {
    guard let (event, time) = events.popFirst() else { return }
    now = time
    switch event {
    case .action(let number):
      actions.removeValue(forKey: number)?(self)
    case .wake(let place):
      guard places[place].wake == time else { return }
      run(place)
    case .arrival(let place, let slot):
      deliver(slot, to: place)
      while events.nextTime == time, case .arrival(place, let slot)? = events.next {
        _ = events.popFirst()
        deliver(slot, to: place)
      }
      run(place)
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
    events.schedule(.wake(place), at: wake)
  }

  private func transmit(_ bytes: [UInt8], from place: Int, to: Address) {
    let from = places[place].address
    sent += 1
    record(bytes, from: from, to: to)
    observer?(bytes, from, to, now)
    if !islands.isEmpty, let here = islands[from], let there = islands[to], here != there { return }
    guard let far = sites[to], let receiver = present[far] else { return }
    let site = places[place].site
    var departure = now
    if let shared = uplink(from) {
      if uplinks[site] == nil { uplinks[site] = SimulatedLink(shared, seed: mix(seed, from, from)) }
      uplinks[site]?.path = shared
      guard let left = uplinks[site]?.send(byteCount: bytes.count, now: now).first else { return }
      departure = left
    }
    let index = link(from: site, to: far) { mix(seed, from, to) }
    links[index].path = path(from, to)
    let (first, second) = links[index].send(byteCount: bytes.count, now: departure)
    if let first { post(bytes, from: from, to: receiver, at: first) }
    if let second { post(bytes, from: from, to: receiver, at: second) }
  }

  private func link(from: Int, to: Int, seed: () -> UInt64) -> Int {
    let pair = UInt64(from) << 32 | UInt64(to)
    if let known = linkOf[pair] { return known }
    linkOf[pair] = links.count
    links.append(SimulatedLink(Path(), seed: seed()))
    return links.count - 1
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
    events.schedule(.arrival(to: place, slot: slot), at: arrival)
  }

  private func record(_ bytes: [UInt8], from: Address, to: Address) {
    var hash = trace
    hash = (hash ^ UInt64(bitPattern: now.nanoseconds)) &* 0x100_0000_01B3
    hash = (hash ^ mix(0, from, to)) &* 0x100_0000_01B3
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
