@testable import Lab
@testable import Swarm

/// What decides how much a flow may have under way.
enum FlowControl {
  case ledbat(CongestionControl)
  case reno(Reno)
}

/// TCP as RFC 5681 and RFC 6582 have it, as far as a bulk transfer needs it: no limit but its window.
struct Reno {
  private(set) var window = 2.0 * 1434
  private var threshold = Double.infinity
  private var recovering: Duration = .zero

  mutating func acknowledged(_ bytes: Int) {
    window += window < threshold ? Double(bytes) : 1434 * Double(bytes) / window
  }

  /// Halves the window once for all that was sent before the last halving.
  mutating func lost(sentAt: Duration, now: Duration) {
    guard sentAt >= recovering else { return }
    recovering = now
    threshold = max(window / 2, 2 * 1434)
    window = threshold
  }

  mutating func timedOut(_ flight: Int, now: Duration) {
    threshold = max(Double(flight) / 2, 2 * 1434)
    window = 1434
    recovering = now
  }
}

/// One transfer through the bottleneck.
struct Flow {
  var control: FlowControl
  var starts: Duration = .zero
  var ends: Duration = .seconds(1_000_000)
  /// From the bottleneck to the receiver, and back.
  var delay: Duration = .milliseconds(10)
  /// How much faster than the sender's clock the receiver's runs, and what it shows at time zero.
  var skew = 0.0
  var clock: UInt64 = 0
  /// Bytes per second that there are to send; nil for all that goes.
  var demand: Double?
  /// Datagrams that one acknowledgement waits for, as `Peer` has it.
  var datagramsPerAck = 8
}

/// Flows that share one link with a first-in-first-out buffer, in virtual time.
///
/// Nothing but congestion control: senders and receivers do with it what `Peer` does.
struct Bottleneck {
  static let size = 1434

  private struct Datagram {
    var number: Int
    var sent: Duration
  }

  private struct State {
    var flow: Flow
    var next = 0
    var sentBytes = 0.0
    var underWay: [Datagram] = []
    var flight = 0
    var smoothed: Duration = .zero
    var lastAck: Duration = .zero
    var received = 0
    /// What the receiver has not acknowledged yet.
    var owed: [Datagram] = []
    var owedDelay: UInt64 = 0
    var ackNumber = 0
    var wake: Duration?
    var dropped = 0
  }

  private struct Ack {
    var flow: Int
    var datagrams: [Datagram]
    var delay: UInt64
  }

  private enum Event {
    case wake(Int)
    case arrival(Int, Datagram)
    case ackTimer(Int, Int)
    case ack(Ack)
  }

  private(set) var now: Duration = .zero
  private var flows: [State]
  private var link: SimulatedLink
  private let capacity: Double
  private var events = EventQueue<Event>()
  /// How long each datagram that arrived had waited for the link, since the last look.
  private(set) var waits: [Duration] = []
  private var random: SplitMix

  init(rate: UInt64, buffer: Duration, loss: Double = 0, seed: UInt64 = 1, _ flows: [Flow]) {
    link = SimulatedLink(Path(delay: .milliseconds(10), loss: loss, rate: rate, queue: buffer), seed: seed)
    capacity = Double(rate) / 8
    random = SplitMix(seed)
    self.flows = flows.map { State(flow: $0) }
    for index in flows.indices { wake(index, at: self.flows[index].flow.starts) }
  }

  /// Numbers for the little irregularities that every real sender has.
  private struct SplitMix {
    var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }
    mutating func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
  }

  /// Bytes that reached each flow's receiver since the last look.
  mutating func takeReceived() -> [Int] {
    defer { for index in flows.indices { flows[index].received = 0 } }
    return flows.map(\.received)
  }

  mutating func takeWaits() -> [Duration] {
    defer { waits.removeAll(keepingCapacity: true) }
    return waits
  }

  var dropped: [Int] { flows.map(\.dropped) }

  func ledbat(_ index: Int) -> CongestionControl? {
    if case .ledbat(let control) = flows[index].flow.control { control } else { nil }
  }

  mutating func setDelay(_ index: Int, _ delay: Duration) { flows[index].flow.delay = delay }

  mutating func run(until end: Duration) {
    while let time = events.nextTime, time <= end, let (event, at) = events.popFirst() {
      now = at
      switch event {
      case .wake(let index):
        guard flows[index].wake == nil || flows[index].wake == time else { continue }
        flows[index].wake = nil
        timeouts(index)
        pump(index)
      case .arrival(let index, let datagram): receive(index, datagram)
      case .ackTimer(let index, let number):
        if flows[index].ackNumber == number { acknowledge(index) }
      case .ack(let ack): take(ack)
      }
    }
    now = max(now, end)
  }

  private mutating func wake(_ index: Int, at time: Duration) {
    let whole = Duration.nanoseconds(time.nanoseconds + 1)
    if let wake = flows[index].wake, wake <= whole, wake > now { return }
    flows[index].wake = whole
    events.schedule(.wake(index), at: whole)
  }

  private mutating func pump(_ index: Int) {
    guard now >= flows[index].flow.starts, now < flows[index].flow.ends else { return }
    while true {
      if let demand = flows[index].flow.demand {
        let offered = demand * ((now - flows[index].flow.starts) / .seconds(1))
        if flows[index].sentBytes + Double(Self.size) > offered {
          wake(index, at: now + .seconds(Double(Self.size) / demand))
          return
        }
      }
      switch flows[index].flow.control {
      case .ledbat(var control):
        guard control.allows(Self.size, now: now) else {
          let times = [control.nextChance(Self.size, now: now), control.silenceDeadline].compactMap { $0 }
          if let time = times.min() { wake(index, at: max(time, now + .microseconds(1))) }
          return
        }
        control.sent(Self.size, now: now)
        flows[index].flow.control = .ledbat(control)
      case .reno(let reno):
        guard flows[index].flight == 0 || Double(flows[index].flight + Self.size) <= reno.window else {
          wake(index, at: max(now + .milliseconds(1), flows[index].lastAck + timeout(index)))
          return
        }
      }
      transmit(index)
    }
  }

  private func timeout(_ index: Int) -> Duration { max(.seconds(1), flows[index].smoothed * 3) }

  private mutating func timeouts(_ index: Int) {
    switch flows[index].flow.control {
    case .ledbat(var control):
      guard let deadline = control.silenceDeadline, deadline <= now else { return }
      control.silent(now: now)
      flows[index].flow.control = .ledbat(control)
    case .reno(var reno):
      guard flows[index].flight > 0, now - flows[index].lastAck >= timeout(index) else { return }
      reno.timedOut(flows[index].flight, now: now)
      flows[index].flow.control = .reno(reno)
      flows[index].lastAck = now
    }
    flows[index].flight = 0
    flows[index].underWay.removeAll()
  }

  private mutating func transmit(_ index: Int) {
    if flows[index].flight == 0 { flows[index].lastAck = now }
    let datagram = Datagram(number: flows[index].next, sent: now)
    flows[index].next += 1
    flows[index].sentBytes += Double(Self.size)
    flows[index].flight += Self.size
    flows[index].underWay.append(datagram)
    // A sender's own clock and scheduler: up to a tenth of a millisecond.
    let entry = now + .microseconds(random.next(100))
    guard let arrival = link.send(byteCount: Self.size, now: entry).first else {
      flows[index].dropped += 1
      return
    }
    let serialised = Duration.seconds(Double(Self.size + 28) / capacity)
    waits.append(arrival - entry - link.path.delay - serialised)
    events.schedule(.arrival(index, datagram), at: arrival + flows[index].flow.delay)
  }

  private mutating func receive(_ index: Int, _ datagram: Datagram) {
    flows[index].received += Self.size
    flows[index].owed.append(datagram)
    let drifted = now + now * flows[index].flow.skew
    flows[index].owedDelay =
      flows[index].flow.clock &+ UInt64(bitPattern: drifted.microseconds - datagram.sent.microseconds)
    if flows[index].owed.count >= flows[index].flow.datagramsPerAck {
      acknowledge(index)
    } else if flows[index].owed.count == 1 {
      events.schedule(.ackTimer(index, flows[index].ackNumber), at: now + .milliseconds(10))
    }
  }

  private mutating func acknowledge(_ index: Int) {
    let ack = Ack(flow: index, datagrams: flows[index].owed, delay: flows[index].owedDelay)
    flows[index].owed.removeAll(keepingCapacity: true)
    flows[index].ackNumber += 1
    events.schedule(.ack(ack), at: now + flows[index].flow.delay)
  }

  private mutating func take(_ ack: Ack) {
    let index = ack.flow
    guard let newest = ack.datagrams.last else { return }
    let trip = now - newest.sent
    flows[index].smoothed = flows[index].smoothed == .zero ? trip : (flows[index].smoothed * 7 + trip) / 8
    flows[index].lastAck = now
    // What was sent well before something that has arrived, and has not arrived, is lost.
    let tolerance = max(flows[index].smoothed / 4, .milliseconds(5))
    var (arrived, bytes, passed) = (0, 0, 0)
    var lost: [Datagram] = []
    var waiting: [Datagram] = []
    for datagram in flows[index].underWay {
      guard datagram.number <= newest.number else { break }
      passed += 1
      while ack.datagrams[arrived].number < datagram.number { arrived += 1 }
      if ack.datagrams[arrived].number == datagram.number {
        bytes += Self.size
      } else if datagram.sent + tolerance < newest.sent {
        lost.append(datagram)
      } else {
        waiting.append(datagram)
      }
    }
    flows[index].underWay.replaceSubrange(0..<passed, with: waiting)
    flows[index].flight -= bytes + lost.count * Self.size
    // What was given up before it was acknowledged does not count.
    guard bytes > 0 else { return }
    switch flows[index].flow.control {
    case .ledbat(var control):
      control.measured(trip)
      control.acknowledged(bytes, delay: ack.delay, now: now)
      for datagram in lost { control.lost(Self.size, sentAt: datagram.sent, now: now) }
      flows[index].flow.control = .ledbat(control)
    case .reno(var reno):
      reno.acknowledged(bytes)
      for datagram in lost { reno.lost(sentAt: datagram.sent, now: now) }
      flows[index].flow.control = .reno(reno)
    }
    pump(index)
  }
}

/// The part of all values that lie at or below what is returned is `part`.
func percentile(_ values: [Duration], _ part: Double) -> Duration {
  let sorted = values.sorted()
  return sorted.isEmpty ? .zero : sorted[min(sorted.count - 1, Int(part * Double(sorted.count)))]
}

/// Jain's index: 1 when all get the same, 1 / n when one gets all.
func jain(_ shares: [Int]) -> Double {
  let sum = Double(shares.reduce(0, +))
  let squares = shares.reduce(0) { $0 + Double($1) * Double($1) }
  return squares == 0 ? 1 : sum * sum / (Double(shares.count) * squares)
}
