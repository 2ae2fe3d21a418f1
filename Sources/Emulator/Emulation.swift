internal import Glibc
package import Lab
package import Net
package import PluginKit

/// An ``EmulatedNetwork`` between network namespaces, in real time.
///
/// Each host is a namespace with a TUN device; what it sends there is delayed and lost here, and written to the device
/// of the host that it is for.
package struct Emulation: ~Copyable {
  /// A host as `ip netns` knows it.
  package struct Host: Sendable {
    package var namespace: String
    package var addresses: [Address]

    package init(namespace: String, addresses: [Address]) {
      self.namespace = namespace
      self.addresses = addresses
    }
  }

  /// So many packets are taken from a device before what is due is delivered.
  private static let batch = 32

  /// How often all that has come is taken in and all that is due is delivered; zero: each packet at its time.
  ///
  /// Being woken for every packet is most of what the network costs. Each packet leaves early or late by less than this,
  /// and by nothing on average.
  package var tick = Duration.zero
  private var lastTick = Duration.zero
  /// The network that it carries packets through; another one forgets what is on its way.
  package var network: EmulatedNetwork
  package var counters: EmulatedNetwork.Counters { network.counters }
  /// How much later than they should packets left the network.
  ///
  /// How late they were taken in is not seen here; it is
  /// the same wait for the processor once more.
  package private(set) var lateness = TimeHistogram()
  /// Packets that a namespace did not take.
  package private(set) var refused: UInt64 = 0
  /// Sees each packet as its host sends it.
  package var observer: ((_ packet: Span<UInt8>, _ from: Int) -> Void)?
  package let clock: Clock
  private var loop: EventLoop
  private let devices: [TunnelDevice]

  /// Attaches to the device of each host; its addresses and routes are the caller's business.
  ///
  /// - Parameters:
  ///   - path: what every way is like.
  ///   - seed: makes the same losses again.
  ///   - hosts: numbered from 0, at most ``EmulatedNetwork/hostLimit``.
  ///   - device: the name that the TUN device has in every namespace.
  /// - Throws: ``NetError/noTunnel(_:namespace:_:)``, ``NetError/loop(_:)``.
  package init(_ path: Path, seed: UInt64, hosts: [Host], device: String) throws(NetError) {
    var network = EmulatedNetwork(path, seed: seed)
    let clock = Clock()
    var loop = try EventLoop(clock: clock)
    var devices: [TunnelDevice] = []
    try loop.catchSignals()
    for host in hosts {
      let opened = try TunnelDevice(device, in: host.namespace)
      try loop.watch(opened.descriptor, token: UInt32(network.add(host.addresses)))
      devices.append(opened)
    }
    self.network = network
    self.clock = clock
    self.devices = devices
    self.loop = loop
  }

  /// Carries packets until SIGINT or SIGTERM comes.
  package mutating func run() throws(NetError) { _ = try run(until: nil) }

  /// Carries packets until the clock shows a time, or SIGINT or SIGTERM comes.
  ///
  /// - Returns: whether a signal came.
  package mutating func run(until end: Duration?) throws(NetError) -> Bool {
    var buffer = [UInt8](repeating: 0, count: EmulatedNetwork.packetLimit)
    while end.map({ clock.now < $0 }) ?? true {
      if tick > .zero { awaitTick() }
      let times = tick > .zero ? [.zero] : [network.nextTimeout, end]
      for event in try loop.wait(until: times.compactMap(\.self).min()) {
        switch event {
        case .signal: return true
        case .ready(let token, _): takeIn(from: Int(token), by: &buffer)
        case .woken: break
        }
      }
      deliver()
    }
    return false
  }

  /// Sleeps to the next tick, whatever comes meanwhile; a signal ends it.
  private mutating func awaitTick() {
    let left = lastTick + tick - clock.now
    if left > .zero {
      var time = timespec(tv_sec: 0, tv_nsec: Int(min(left.nanoseconds, 999_999_999)))
      unsafe nanosleep(&time, nil)
    }
    lastTick = max(lastTick + tick, clock.now - tick)
  }

  private mutating func takeIn(from host: Int, by buffer: inout [UInt8]) {
    for _ in 0..<Self.batch {
      var span = buffer.mutableSpan
      guard let count = devices[host].read(into: &span) else { return }
      observer?(buffer.span.extracting(0..<count), host)
      network.receive(buffer.span.extracting(0..<count), from: host, now: clock.now - tick / 2)
    }
  }

  private mutating func deliver() {
    let now = clock.now + tick / 2
    while let departure = network.departure(now: now) {
      if !devices[departure.to].write(network.packet(departure)) { refused += 1 }
      lateness.add(max(clock.now - departure.due, .zero))
    }
  }
}
