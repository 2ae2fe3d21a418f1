import Lab
import PluginKit
import Support
import Swarm
import Testing

@Suite struct `Hard times` {
  @Test(arguments: [1, 2] as [UInt64])
  func `a crowd that comes all at once is taken in`(seed: UInt64) throws {
    let scene = try Scene(
      seed: seed,
      rate: 300_000,
      parameters: "fanout=3",
      path: Path(delay: .milliseconds(10))
    )
    scene.run(for: .seconds(2))
    scene.viewers(30, every: .zero)
    scene.run(for: .seconds(6))
    let waits = scene.viewers.compactMap { viewer in
      viewer.output.first.map { ($0.time - viewer.seats[0].joined).milliseconds }
    }
    print("seed \(seed): first chunk after", waits.sorted())
    #expect(waits.count == 30 && (waits.max() ?? 0) < 3000)
    for viewer in scene.viewers { scene.expectWhole(viewer) }
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `a peer that promised more than its line carries is relieved`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 600_000, path: Path(delay: .milliseconds(10)))
    let weak = scene.viewer()
    // It says that it can upload 20 Mbit/s and gets out a good copy of the stream.
    scene.world.uplink = { address in
      address == weak.address ? Path(delay: .zero, rate: 900_000, queue: .milliseconds(300)) : nil
    }
    scene.run(for: .milliseconds(500))
    scene.viewers(7, every: .milliseconds(200))
    scene.run(for: .seconds(18))
    print("seed \(seed): the weak one feeds", scene.children(of: weak).map(\.name))
    #expect(scene.children(of: weak).count <= 1)
    // What counts is that all is well in the end.
    let end = scene.newest(before: .seconds(2))
    let chunks = end - 200...end
    for viewer in scene.viewers {
      let part = viewer.output.part(of: chunks, within: .seconds(2))
      #expect(
        part == 1,
        "seed \(seed): \(viewer.name) has \(part) of the last chunks, lost \(viewer.statistics(now: scene.world.now).lost)"
      )
    }
  }

  @Test(arguments: Scene.isOptimised ? Array(1...20) : [1, 2, 3] as [UInt64])
  func `whatever happens, all is well when it is over`(seed: UInt64) throws {
    let scene = try Scene(seed: seed, rate: 200_000, path: Path(delay: .milliseconds(15), loss: 0.03))
    var random = SplitMix64(seed: seed)
    scene.viewers(8, every: .milliseconds(100))
    scene.run(for: .seconds(1))
    var gone: [Host] = []
    var watchers: [Host] = []
    for _ in 0..<40 {
      let present = scene.viewers.filter { viewer in !gone.contains { $0 === viewer } }
      switch Int.random(in: 0..<6, using: &random) {
      case 0, 1:
        // Never more that only watch than the others have room for.
        if present.count < 16 {
          let mayWatch = watchers.count { watcher in present.contains { $0 === watcher } } < present.count / 4
          let newcomer = scene.viewer(mayWatch && Bool.random(using: &random) ? .leaf : .relay)
          if mayWatch { watchers.append(newcomer) }
        }
      case 2:
        guard present.count > 3, let victim = present.randomElement(using: &random) else { break }
        scene.kill(victim)
        gone.append(victim)
      case 3:
        guard present.count > 3, let leaver = present.randomElement(using: &random) else { break }
        scene.leave(leaver)
        gone.append(leaver)
      case 4:
        // A part of the net is cut off for a while.
        let half = present.filter { _ in Bool.random(using: &random) }.map(\.address)
        scene.world.partition([
          half, (present.map(\.address) + [scene.source.address]).filter { !half.contains($0) },
        ])
        scene.run(for: .milliseconds(Int.random(in: 100...1500, using: &random)))
        scene.world.partition([])
      default: break
      }
      scene.run(for: .milliseconds(Int.random(in: 50...400, using: &random)))
    }
    // The faults are off: everybody gets everything from now on.
    scene.world.path = { _, _ in Path(delay: .milliseconds(15)) }
    scene.run(for: .seconds(10))
    let calm = scene.newest(before: .seconds(6))
    let end = scene.newest(before: .seconds(2))
    let present = scene.viewers.filter { viewer in !gone.contains { $0 === viewer } }
    for viewer in present {
      let output = viewer.output
      let statistics = viewer.statistics(now: scene.world.now)
      #expect(output.falsehoods == 0 && output.disorder == 0, "seed \(seed): \(viewer.name)")
      #expect(
        output.part(of: calm...end, within: .seconds(2)) == 1,
        "seed \(seed): \(viewer.name) has not all, depth \(statistics.depth ?? -1), parent \(scene.parent(of: viewer)?.name ?? "none")"
      )
      #expect(statistics.depth != nil, "seed \(seed): \(viewer.name) is not attached")
    }
    // Nobody is its own ancestor.
    for viewer in present {
      var ancestor = scene.parent(of: viewer)
      var steps = 0
      while let host = ancestor, host !== scene.source, steps < 40 {
        ancestor = scene.parent(of: host)
        steps += 1
      }
      #expect(steps < 40, "seed \(seed): a loop above \(viewer.name)")
    }
    print("seed \(seed): \(present.count) of \(scene.viewers.count) viewers are left, all is well")
  }
}
