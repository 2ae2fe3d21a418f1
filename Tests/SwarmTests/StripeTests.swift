import Lab
import PluginKit
import Swarm
import Testing

/// Four relays, each of which feeds one stripe of four to everybody else; the farther, the higher its number.
private func stripes(_ wants: any Wanting.Type, seed: UInt64, viewers: Int = 6, loss: Double) throws
  -> PuppetStage
{
  let count = 4
  var attached: [Int: StripeSet] = [:]
  func delay(_ from: Int, _ to: Int) -> Duration {
    // A chunk of stripe 3 comes 120 ms after one of stripe 0.
    (1...count).contains(from) ? .milliseconds(5 + 40 * (from - 1)) : .milliseconds(5)
  }
  return try PuppetStage(
    wants,
    seed: seed,
    viewers: viewers,
    stripes: count,
    path: { Path(delay: delay($0, $1), loss: loss) },
    react: { host, event, context in
      func join(_ candidates: [Candidate]) {
        for stripe in 0..<count where attached[host]?.contains(stripe: stripe) != true {
          let parent = candidates[stripe + 1 == host ? 0 : stripe + 1].peer
          context.emit(.connect(parent, .data, StripeSet(stripe), from: nil, note: []))
        }
        context.emit(.setTimer(1, at: context.now + .milliseconds(250)))
      }
      switch event {
      case .start(let role):
        if role == .source { attached[host] = .first(count) } else { context.emit(.discover(limit: 9)) }
      case .timer(1):
        if (attached[host] ?? []) != .first(count) { context.emit(.discover(limit: 9)) }
      case .discovered(let candidates): if candidates.count == viewers + 1 { join(candidates) }
      case .inbound(let ask):
        guard attached[host]?.isSuperset(of: ask.stripes) == true else {
          return context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
        }
        context.emit(.accept(ask.peer, ask.stripes, note: []))
        for stripe in ask.stripes.stripes {
          context.emit(.route(stripe: stripe, to: ask.peer, from: ask.from))
        }
      case .linkUp(let link):
        guard link.isParent else { return }
        attached[host, default: []].formUnion(link.stripes)
        for stripe in link.stripes.stripes {
          context.emit(.declareParent(stripe: stripe, link.peer, depth: 1))
        }
      default: break
      }
    }
  )
}

@Suite struct `A stream in stripes` {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func `that come with delays of their own is never asked for while nothing is lost`(seed: UInt64) throws {
    for wants in [Nothing.self, Everything.self] as [any Wanting.Type] {
      let stage = try stripes(wants, seed: seed, loss: 0)
      stage.run(for: .seconds(2))
      let before = stage.requests
      stage.run(for: .seconds(8))
      print("seed \(seed): \(before) requests while all joined, \(stage.requests - before) after that")
      #expect(stage.requests == before, "seed \(seed): \(stage.requests - before) chunks asked for")
      for host in 1..<stage.hosts.count {
        let statistics = stage.statistics(host)
        let output = stage.hosts[host].output
        #expect(statistics.duplicate <= UInt64(before), "seed \(seed), host \(host): \(statistics.duplicate)")
        #expect(output.isContiguous && output.readings.count > 700, "seed \(seed), host \(host)")
      }
      #expect(stage.strings.allSatisfy { $0.gaps.allSatisfy { $0.time < .seconds(2) } })
    }
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `on lossy links is repaired from each stripe's parent at once`(seed: UInt64) throws {
    let stage = try stripes(Nothing.self, seed: seed, loss: 0.05)
    stage.run(for: .seconds(12))
    let first = try #require(stage.broadcast.published.first { $0.time >= .seconds(3) }).chunk
    let last = try #require(stage.broadcast.published.last { $0.time <= .seconds(10) }).chunk
    for host in 5..<stage.hosts.count {
      let output = stage.hosts[host].output
      let needed = try #require(output.delay(for: 0.999, of: first...last))
      let duplicate = Double(stage.statistics(host).duplicate) / Double(stage.statistics(host).chunksIn)
      print(
        "seed \(seed), host \(host): 99.9 % within \(needed.milliseconds) ms, duplicates \(duplicate)",
        "asked \(stage.requests(of: host).count)"
      )
      // The farthest stripe takes 130 ms, and a second try as long again and its round trip.
      #expect(output.isContiguous && needed < .milliseconds(700), "seed \(seed), host \(host)")
      #expect(duplicate < 0.05, "seed \(seed), host \(host)")
    }
  }
}
