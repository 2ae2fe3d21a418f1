import Lab
import PluginKit
import Testing

@testable import Swarm

/// Feeds whoever asks, as many as ask.
private struct Star: Topology {
  static let manifest = Manifest(name: "star", version: "1.0.0", summary: "Feeds whoever asks")
  init() {}
  init(parameters: Parameters) {}

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start(let role):
      if role != .source { context.emit(.discover(limit: 1)) }
    case .discovered(let candidates):
      if let first = candidates.first {
        context.emit(.connect(first.peer, .data, .first(1), from: nil, note: []))
      }
    case .inbound(let inbound):
      context.emit(.accept(inbound.peer, inbound.stripes, note: []))
      context.emit(.route(stripe: 0, to: inbound.peer, from: inbound.from))
    case .linkUp(let link):
      if link.isParent { context.emit(.declareParent(stripe: 0, link.peer, depth: 1)) }
    default: break
    }
  }
}

@Suite struct `An upload that does not suffice` {
  @Test(arguments: [500_000, 2_500_000, 5_000_000, 100_000_000] as [UInt64])
  func `lets out at once what it carries in a twentieth of a second`(upload: UInt64) {
    var share = UploadShare(Capacity(upload: upload), now: .zero)
    var bytes = 0
    while share.allows(1500, isChild: true, now: .zero) {
      share.take(1500, now: .zero)
      bytes += 1500
    }
    let limit = max(Int(upload) / 8 / 20, 6000)
    #expect(bytes <= limit && bytes > limit - 1500)
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `is shared equally by children, near and far, lossy and not`(seed: UInt64) throws {
    var children: [Host] = []
    func path(_ from: Address, _ to: Address) -> Path {
      var path = Path(delay: .milliseconds(10))
      if children.count > 2, [from, to].contains(children[2].address) { path.delay = .milliseconds(100) }
      if children.count > 3, [from, to].contains(children[3].address) { path.loss = 0.05 }
      return path
    }
    let world = World(seed: seed) { _, _ in Path() }
    world.path = path
    let broadcast = try Broadcast(seed: seed, rate: 1_000_000)
    func host(_ number: UInt32) -> Host {
      Host("host \(number)", number: number, seed: seed) { _, _ throws(ParameterError) in Star() }
    }
    let source = host(1)
    // Four streams of a megabit each are wanted, and chunks have headers and signatures.
    try source.join(broadcast, .source, now: .zero) {
      $0.topology = "star"
      $0.capacity = Capacity(upload: 2_600_000)
    }
    world.add(source)
    for number in 2...5 as ClosedRange<UInt32> {
      let child = host(number)
      children.append(child)
      try child.join(broadcast, .leaf, bootstrap: [source.address], now: .zero)
      world.add(child)
    }
    var bytes: [Address: Int] = [:]
    world.run(until: .seconds(3))
    world.observer = { datagram, from, to, _ in
      if from == source.address, datagram.count > 1000 { bytes[to, default: 0] += datagram.count }
    }
    world.run(until: .seconds(18))
    let shares = children.map { bytes[$0.address] ?? 0 }
    print("seed \(seed): children get \(shares.map { $0 * 8 / 15_000 }) kbit/s, Jain \(jain(shares))")
    #expect(jain(shares) >= 0.95, "seed \(seed): \(shares)")
    let sum = Double(shares.reduce(0, +)) * 8 / 15
    #expect(sum >= 0.9 * 2_600_000 && sum <= 1.02 * 2_600_000, "seed \(seed): \(sum)")
  }

  @Test func `is the children's before it is of those that only repair`() {
    var share = UploadShare(Capacity(upload: 8_000_000), now: .zero)
    var now = Duration.zero
    // Half of the bucket is for the children.
    var repaired = 0
    while share.allows(1000, isChild: false, now: now) {
      share.take(1000, now: now)
      repaired += 1000
    }
    #expect(repaired <= 33_000)
    share.wait(for: 1000, isChild: false, now: now)
    #expect(!share.allows(1000, isChild: false, now: now))
    // Nobody who waits to repair holds up a child.
    var fed = 0
    for _ in 0..<1000 {
      now += .milliseconds(1)
      while share.allows(1000, isChild: true, now: now) {
        share.take(1000, now: now)
        fed += 1000
      }
      #expect(!share.allows(1000, isChild: false, now: now))
    }
    #expect(fed >= 1_000_000)
    // When children have had enough, turns are for the others.
    now += .seconds(1)
    share.begin()
    #expect(share.suffices(for: 1000, isChild: false, now: now))
    share.settled(children: false)
    #expect(share.allows(1000, isChild: false, now: now) && share.nextTurn == nil)
  }

  @Test func `lets whoever has to wait look again, but not without a pause`() {
    for upload in [0, 1, 1_000_000, .max] as [UInt64] {
      var share = UploadShare(Capacity(upload: upload), now: .zero)
      for isChild in [true, false] {
        share.begin()
        share.wait(for: 1500, isChild: isChild, now: .seconds(5))
        let pause = (share.nextTurn ?? .zero) - .seconds(5)
        #expect(pause >= UploadShare.interval && pause <= UploadShare.idleInterval)
      }
    }
  }
}
