package import Lab
internal import Net
package import PluginKit

/// A network between hosts: an IP packet and a time in, packets and the time of the next one out.
///
/// Each direction between two hosts is a ``SimulatedLink`` of its own, as in the simulator. The same seed and the same
/// calls give the same departures.
package struct EmulatedNetwork {
  /// The longest packet, in bytes: what Ethernet carries.
  package static let packetLimit = 1500
  /// The most packets on their way at a time; those past it vanish as on a full queue.
  package static let transitLimit = 32_768
  /// The most hosts; each has a link to each.
  package static let hostLimit = 256

  /// What happened to packets.
  package struct Counters: Hashable, Sendable {
    package var received: UInt64 = 0
    package var delivered: UInt64 = 0
    /// Packets that vanished by chance.
    package var lost: UInt64 = 0
    /// Packets that vanished because a queue, or the network, was full.
    package var overflowed: UInt64 = 0
    /// Packets to nobody here, or that are no IP packets.
    package var unroutable: UInt64 = 0

    package init() {}
  }

  /// A packet that leaves the network.
  package struct Departure: Equatable {
    /// The number of the host that it is for.
    package var to: Int
    /// When it should leave.
    package var due: Duration
    fileprivate var bytes: Range<Int>
  }

  private struct Transit {
    var slot: Int
    var byteCount: Int
    var to: Int
  }

  package private(set) var counters = Counters()
  private let path: Path
  private var random: RandomSource
  private var hosts: [Address: Int] = [:]
  /// In bits per second, by host; 0 where sending takes no time.
  private var lineRates: [UInt64] = []
  /// One row for each sender.
  private var links: [[SimulatedLink]] = []
  private var transits = EventQueue<Transit>()
  /// The packets on their way, each in a slot of ``packetLimit``; grows to what was once needed.
  private var slab: [UInt8] = []
  private var freeSlots: [Int] = []

  /// A network without hosts on which every way is alike.
  package init(_ path: Path, seed: UInt64) {
    self.path = path
    random = RandomSource(seed: seed)
  }

  /// Puts a host on the network.
  ///
  /// - Parameter addresses: what packets to it bear; their ports do not matter.
  /// - Returns: its number; the first is 0.
  package mutating func add(_ addresses: [Address]) -> Int {
    let number = links.count
    precondition(number < Self.hostLimit, "a network has at most \(Self.hostLimit) hosts")
    for address in addresses { hosts[address.with(port: 0)] = number }
    for sender in links.indices { links[sender].append(SimulatedLink(path, seed: random.next())) }
    lineRates.append(0)
    links.append((0...number).map { _ in SimulatedLink(path, seed: random.next()) })
    return number
  }

  /// What the way from one host to another is like.
  package subscript(from: Int, to: Int) -> Path {
    get { links[from][to].path }
    set { links[from][to].path = newValue }
  }

  /// Lets the bits of each packet that a host sends take their time on its line, in bits per second; 0: none.
  ///
  /// A packet does not wait here for the one before: somebody else sees to it that no more come than the line carries,
  /// like a token bucket, out of which a packet comes whole when its first bit may go.
  package mutating func setLineRate(_ rate: UInt64, of host: Int) { lineRates[host] = rate }

  /// When the next packet leaves the network.
  package var nextTimeout: Duration? { transits.nextTime }

  /// Takes in a packet that a host sends.
  package mutating func receive(_ packet: Span<UInt8>, from: Int, now: Duration) {
    counters.received += 1
    guard packet.count <= Self.packetLimit, let address = destination(of: packet), let to = hosts[address]
    else {
      counters.unroutable += 1
      return
    }
    let (lost, overflowed) = (links[from][to].lost, links[from][to].overflowed)
    let rate = lineRates[from]
    let sent = rate == 0 ? now : now + .nanoseconds(Int64(UInt64(packet.count) * 8_000_000_000 / rate))
    let (first, second) = links[from][to]
      .send(byteCount: max(0, packet.count - SimulatedLink.headers), now: sent)
    counters.lost += links[from][to].lost - lost
    counters.overflowed += links[from][to].overflowed - overflowed
    for arrival in [first, second] {
      guard let arrival else { continue }
      keep(packet, for: to, until: arrival)
    }
  }

  private mutating func keep(_ packet: Span<UInt8>, for to: Int, until arrival: Duration) {
    let slot: Int
    if let free = freeSlots.popLast() {
      slot = free
    } else {
      slot = slab.count / Self.packetLimit
      guard slot < Self.transitLimit else {
        counters.overflowed += 1
        return
      }
      slab.append(contentsOf: repeatElement(0, count: Self.packetLimit))
    }
    let start = slot * Self.packetLimit
    for index in packet.indices { slab[start + index] = packet[index] }
    transits.schedule(Transit(slot: slot, byteCount: packet.count, to: to), at: arrival)
  }

  /// Takes the next packet that is due from the network; nil when none is.
  package mutating func departure(now: Duration) -> Departure? {
    guard let time = transits.nextTime, time <= now, let (transit, due) = transits.popFirst() else {
      return nil
    }
    freeSlots.append(transit.slot)
    counters.delivered += 1
    let start = transit.slot * Self.packetLimit
    return Departure(to: transit.to, due: due, bytes: start..<start + transit.byteCount)
  }

  /// The bytes of a packet that left, until the next one is taken in.
  @_lifetime(borrow self)
  package func packet(_ departure: Departure) -> Span<UInt8> { slab.span.extracting(departure.bytes) }
}

/// To whom an IPv4 or IPv6 packet goes, with port 0; nil when it is none.
private func destination(of packet: Span<UInt8>) -> Address? {
  guard packet.count >= 20 else { return nil }
  switch packet[0] >> 4 {
  case 4: return Address(ipv4: UInt32(number(in: packet, at: 16, 4)), port: 0)
  case 6 where packet.count >= 40:
    return Address(ipv6: number(in: packet, at: 24, 8), number(in: packet, at: 32, 8), port: 0)
  default: return nil
  }
}

private func number(in packet: Span<UInt8>, at start: Int, _ count: Int) -> UInt64 {
  var number: UInt64 = 0
  for index in start..<start + count { number = number << 8 | UInt64(packet[index]) }
  return number
}
