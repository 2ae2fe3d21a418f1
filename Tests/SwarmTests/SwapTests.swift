import Integrity
import Lab
import PluginKit
import Testing

@testable import Swarm

@Suite struct `A swap of topologies` {
  /// A swarm of few peers and few chunks, in which the first topology has settled.
  private static func scene(_ count: Int = 8, seed: UInt64 = 1, topology: String = "tree") throws -> Scene {
    let scene = try Scene(
      seed: seed,
      rate: 160_000,
      topology: topology,
      parameters: topology == "tree" ? "fanout=2" : "",
      path: Path(delay: .milliseconds(15))
    )
    scene.viewers(count)
    scene.run(for: .seconds(4))
    return scene
  }

  private static func swap(_ scene: Scene, to topology: String, _ parameters: String = "") throws {
    try scene.source.swap(to: topology, parameters: parameters, now: scene.world.now)
    scene.world.poke(scene.source.address)
  }

  private static func reports(_ viewer: Host) -> [SwapReport] {
    viewer.seats[0].notices.compactMap { if case .swapped(let report) = $0.notice { report } else { nil } }
  }

  @Test func `from tree to stripes, pull, chord and back loses nothing`() throws {
    let scene = try Self.scene()
    let sequence = [("striped", "stripes=2"), ("pull", ""), ("chord", ""), ("tree", "fanout=3")]
    for (topology, parameters) in sequence {
      try Self.swap(scene, to: topology, parameters)
      scene.run(for: .seconds(10))
    }
    for viewer in scene.viewers {
      #expect(viewer.output.isContiguous, "\(viewer.name)")
      #expect(viewer.statistics(now: scene.world.now).lost == 0, "\(viewer.name)")
      let reports = Self.reports(viewer)
      #expect(reports.map(\.topology) == sequence.map(\.0), "\(viewer.name)")
      #expect(reports.map(\.epoch) == [2, 3, 4, 5], "\(viewer.name)")
      #expect(reports.allSatisfy { $0.lost == 0 && $0.gap < .seconds(1) }, "\(viewer.name)")
    }
    let heard = scene.source.peer.swapReports
    #expect(!heard.isEmpty && heard.allSatisfy { $0.epoch == 5 && $0.lost == 0 })
  }

  @Test func `leaves nobody with two topologies or with a link that none uses`() throws {
    let scene = try Self.scene()
    try Self.swap(scene, to: "striped", "stripes=2")
    scene.run(for: .seconds(1))
    #expect(scene.viewers.allSatisfy { $0.peer.courses.count == 2 })
    scene.run(for: .seconds(10))
    for host in scene.viewers + [scene.source] {
      #expect(host.peer.courses.count == 1, "\(host.name)")
      let leftovers = host.peer.channels.count { $0.isOpen && !$0.roles[0].isUsed }
      #expect(leftovers == 0, "\(host.name)")
      #expect(host.peer.channels.allSatisfy { !$0.roles[1].isUsed }, "\(host.name)")
    }
  }

  @Test(arguments: [.seconds(2), .milliseconds(6500)] as [Duration])
  func `takes in who comes in the midst of it`(later: Duration) throws {
    let scene = try Self.scene()
    try Self.swap(scene, to: "striped", "stripes=2")
    scene.run(for: later)
    let late = scene.viewer()
    scene.run(for: .seconds(10))
    #expect(late.output.isContiguous && late.output.readings.count > 20)
    #expect(late.statistics(now: scene.world.now).epoch == 2)
    #expect(scene.viewers.allSatisfy { $0.output.isContiguous })
  }

  @Test func `begins when the one before is over, and only with what can be made`() throws {
    let scene = try Self.scene(2)
    func refusal(_ topology: String, _ parameters: String = "") -> String? {
      do throws(SwarmError) {
        try scene.source.swap(to: topology, parameters: parameters, now: scene.world.now)
        return nil
      } catch { return error.description }
    }
    #expect(refusal("tree", "fanout=2")?.contains("already") == true)
    #expect(refusal("ring") == "there is no topology 'ring' here")
    #expect(refusal("tree", "fanout=0")?.contains("fanout") == true)
    #expect(throws: SwarmError.self) {
      try scene.viewers[0].swap(to: "striped", now: scene.world.now)
    }
    #expect(scene.source.peer.courses.count == 1)
    #expect(refusal("striped", "stripes=2") == nil)
    scene.world.poke(scene.source.address)
    #expect(refusal("chord")?.contains("'striped' is not over") == true)
    scene.run(for: .seconds(11))
    #expect(refusal("chord") == nil)
  }

  @Test func `keeps a viewer that lacks the plugin as a plain leaf`() throws {
    let scene = try Self.scene(3)
    let poor = try Self.poor(scene)
    scene.run(for: .seconds(3))
    try Self.swap(scene, to: "striped", "stripes=2")
    scene.run(for: .seconds(14))
    let newest = try #require(poor.output.last?.chunk)
    #expect(poor.output.isContiguous)
    #expect(newest + 40 > scene.newest(before: .zero), "it is still fed")
    #expect(poor.peer.speaksPlain && poor.peer.courses.isEmpty)
    #expect(scene.viewers.allSatisfy { $0.output.isContiguous })
  }

  @Test func `back to what a plain leaf has lets it take part again`() throws {
    let scene = try Self.scene(3)
    let poor = try Self.poor(scene)
    scene.run(for: .seconds(3))
    try Self.swap(scene, to: "striped", "stripes=2")
    scene.run(for: .seconds(14))
    #expect(poor.peer.speaksPlain)
    try Self.swap(scene, to: "tree", "fanout=3")
    scene.run(for: .seconds(30))
    #expect(!poor.peer.speaksPlain && poor.peer.courses.map(\.descriptor.epoch) == [3])
    #expect(poor.statistics(now: scene.world.now).depth != nil, "it has a parent that the tree gave it")
    #expect(poor.output.isContiguous)
    #expect((poor.output.last?.chunk ?? 0) + 40 > scene.newest(before: .zero), "it is still fed")
    for host in scene.viewers + [scene.source, poor] {
      #expect(!host.peer.channels.contains { $0.isOpen && $0.speech == .plain }, "\(host.name)")
      #expect(!host.peer.channels.contains { $0.isOpen && $0.asksNews }, "\(host.name)")
    }
  }

  @Test func `to another topology that a plain leaf lacks leaves it where it is`() throws {
    let scene = try Self.scene(2)
    let poor = try Self.poor(scene)
    scene.run(for: .seconds(3))
    try Self.swap(scene, to: "striped", "stripes=2")
    scene.run(for: .seconds(14))
    try Self.swap(scene, to: "pull")
    scene.run(for: .seconds(30))
    #expect(poor.peer.speaksPlain && poor.peer.courses.isEmpty)
    #expect(poor.output.isContiguous)
    #expect((poor.output.last?.chunk ?? 0) + 40 > scene.newest(before: .zero), "it is still fed")
    #expect(poor.peer.channels.count { $0.isOpen && $0.asksNews } <= 1)
  }

  /// Somebody who has the tree and nothing else.
  private static func poor(_ scene: Scene) throws -> Host {
    let poor = Host("poor", number: 200, seed: 9) { name, parameters throws(ParameterError) in
      guard name == "tree" else { throw ParameterError("there is no topology '\(name)' here") }
      return try Scene.makeTopology(name, parameters)
    }
    try poor.join(scene.broadcast, bootstrap: [scene.source.address], now: scene.world.now)
    scene.world.add(poor)
    return poor
  }

  @Test(arguments: [
    "chain", "striped", "superpeer", "chord", "pull", "pushpull", "gossip", "mesh", "seeded",
  ]) func `to any topology that ships, and from it, loses nothing`(name: String) throws {
    let scene = try Self.scene(4, seed: 3)
    try Self.swap(scene, to: name)
    scene.run(for: .milliseconds(9500))
    try Self.swap(scene, to: "tree", "fanout=3")
    scene.run(for: .milliseconds(9500))
    for viewer in scene.viewers {
      let reports = Self.reports(viewer)
      #expect(reports.map(\.topology) == [name, "tree"], "\(viewer.name)")
      #expect(
        reports.allSatisfy { $0.lost == 0 && $0.gap < .seconds(1) },
        "\(viewer.name): \(reports.map { "\($0.lost) lost, gap \($0.gap)" })"
      )
      #expect(viewer.output.isContiguous, "\(viewer.name)")
      #expect((viewer.output.last?.chunk ?? 0) + 20 > scene.newest(before: .zero), "\(viewer.name)")
    }
  }
}

@Suite struct `What strangers say of a swap` {
  /// A viewer whose topology knows one who says what it likes.
  private func neighbours(now: Duration) throws -> (victim: Peer, foe: Foe) {
    var victim = try Foe.victim(now: now)
    var foe = try Foe(1)
    try foe.connect(&victim, now: now)
    try foe.sendDescriptor(&victim, epoch: 3, captureStart: 100, now: now)
    #expect(victim.courses.map(\.descriptor.epoch) == [3])
    return (victim, foe)
  }

  @Test func `counts only when it is newer and the stream's key signed it`() throws {
    var (victim, foe) = try neighbours(now: .seconds(1))
    // The same once more, an older epoch, an older broadcast with a higher epoch.
    try foe.sendDescriptor(&victim, epoch: 3, captureStart: 100, now: .seconds(1))
    try foe.sendDescriptor(&victim, epoch: 2, captureStart: 100, validFrom: 5, now: .seconds(1))
    try foe.sendDescriptor(&victim, epoch: 9, captureStart: 99, validFrom: 5, now: .seconds(1))
    #expect(victim.courses.map(\.descriptor.epoch) == [3])
    #expect(victim.statistics(now: .seconds(1)).rejected == 0)
    let other = try unsafe StreamKey(ed25519Seed: [UInt8](repeating: 77, count: 32).span.bytes)
    try foe.sendDescriptor(&victim, epoch: 4, captureStart: 100, key: other, now: .seconds(1))
    #expect(victim.courses.map(\.descriptor.epoch) == [3])
    #expect(victim.statistics(now: .seconds(1)).rejected == 1)
  }

  @Test func `never makes it run more than two`() throws {
    var (victim, foe) = try neighbours(now: .seconds(1))
    for epoch in [4, 5, 4_000_000_000, .max] as [UInt32] {
      try foe.sendDescriptor(&victim, epoch: epoch, captureStart: 100, validFrom: 1 << 30, now: .seconds(1))
      #expect(victim.courses.count == 2 && victim.courses[1].descriptor.epoch == epoch)
    }
    // A broadcast that was started again counts anew.
    try foe.sendDescriptor(&victim, epoch: 1, captureStart: 101, now: .seconds(1))
    #expect(victim.courses.map(\.descriptor.epoch) == [.max, 1])
  }

  @Test func `costs few signatures a second, and ends with the liar`() throws {
    var (victim, foe) = try neighbours(now: .seconds(1))
    let other = try unsafe StreamKey(ed25519Seed: [UInt8](repeating: 77, count: 32).span.bytes)
    for epoch in 4..<40 as Range<UInt32> {
      try foe.sendDescriptor(&victim, epoch: epoch, captureStart: 100, key: other, now: .seconds(1))
    }
    #expect(victim.statistics(now: .seconds(1)).rejected <= 3)
    #expect(!victim.channels.contains { $0.isOpen && $0.address == foe.address })
    #expect(victim.courses.map(\.descriptor.epoch) == [3])
  }
}
