import Integrity
import Lab
import PluginKit
import Swarm
import Testing
import Wire

// A source and viewers of which each asks those before it to be connected, for a purpose or not at all; everybody accepts.
private func linked<Wants: Wanting>(
  _ wants: Wants.Type = Everything.self,
  seed: UInt64 = 1,
  viewers: Int,
  key: StreamKey? = nil,
  integrity: IntegrityMethod = .signAll,
  path: @escaping (_ from: Int, _ to: Int) -> Path = { _, _ in Path(delay: .milliseconds(5)) },
  configure: (inout PeerConfiguration) -> Void = { _ in },
  purpose: @escaping (_ from: Int, _ to: Int) -> Purpose? = { _, _ in .data },
  react: @escaping (_ host: Int, TopologyEvent, inout TopologyContext) -> Void = { _, _, _ in }
) throws -> PuppetStage {
  try PuppetStage(
    wants,
    seed: seed,
    viewers: viewers,
    key: key,
    integrity: integrity,
    path: path,
    configure: configure,
    react: { host, event, context in
      switch event {
      case .start(let role): if role != .source { context.emit(.discover(limit: 9)) }
      case .discovered(let candidates):
        guard candidates.count == viewers + 1 else { return }
        for other in 0..<host {
          guard let purpose = purpose(host, other) else { continue }
          context.emit(.connect(candidates[other].peer, purpose, .first(1), from: nil, note: []))
        }
      case .inbound(let ask): context.emit(.accept(ask.peer, ask.stripes, note: []))
      default: break
      }
      react(host, event, &context)
    }
  )
}

/// Pushes every chunk that arrives at one host to all of some others.
private func relay(
  from host: Int,
  to others: [PeerRef],
  _ event: TopologyEvent,
  _ context: inout TopologyContext,
  note: (UInt64) -> UInt64 = { _ in 0 }
) {
  guard case .chunks(let arrivals) = event else { return }
  for arrival in arrivals {
    for other in others where other != arrival.from {
      context.emit(.push(chunk: arrival.chunk, to: other, note: note(arrival.chunk)))
    }
  }
}

@Suite struct `A pushed chunk` {
  @Test(arguments: [0, 1, 2])
  func `arrives once with its note, whether its signature fits beside it or not`(variant: Int) throws {
    // With P-384 what proves a chunk goes ahead of it; under a Unified Merkle Tree the hashes of many do.
    var links: [PeerRef] = []
    let stage = try linked(
      viewers: 1,
      key: variant == 1 ? try StreamKey.generate(.ecdsaP384SHA384) : nil,
      integrity: variant == 2 ? .unifiedMerkleTree : .signAll,
      react: { host, event, context in
        guard host == 0 else { return }
        if case .linkUp(let link) = event { links.append(link.peer) }
        relay(from: 0, to: links, event, &context, note: { $0 << 32 | 0xABCD })
      }
    )
    stage.run(for: .seconds(3))
    let arrivals = stage.strings[1].arrivals
    #expect(arrivals.count > 200)
    #expect(arrivals.allSatisfy { $0.note == $0.chunk << 32 | 0xABCD })
    #expect(Set(arrivals.map(\.chunk)).count == arrivals.count)
    #expect(stage.statistics(1).duplicate == 0 && stage.requests == 0)
  }

  @Test func `is taken over connections of any purpose and from either side`() throws {
    for purpose in [Purpose.data, .control, .spare] {
      var links: [PeerRef] = []
      let stage = try linked(
        viewers: 1,
        purpose: { _, _ in purpose },
        react: { host, event, context in
          guard host == 0 else { return }
          if case .linkUp(let link) = event { links.append(link.peer) }
          relay(from: host, to: links, event, &context)
        }
      )
      stage.run(for: .seconds(2))
      #expect(stage.strings[1].arrivals.count > 150, "\(purpose): \(stage.strings[1].arrivals.count)")
    }
    // Against the direction of the asking: host 2 has asked host 1, and pushes to it what it gets from the source.
    var target: PeerRef?
    var source: PeerRef?
    let stage = try linked(
      viewers: 2,
      purpose: { from, to in from == 2 ? .control : nil },
      react: { host, event, context in
        if host == 0, case .linkUp(let link) = event { source = link.peer }
        if host == 0, let source { relay(from: 0, to: [source], event, &context) }
        if host == 2, case .linkUp(let link) = event, link.hello?.depth == nil { target = link.peer }
        if host == 2, let target { relay(from: 2, to: [target], event, &context) }
      }
    )
    stage.run(for: .seconds(3))
    #expect(stage.strings[1].arrivals.count > 200, "\(stage.strings[1].arrivals.count)")
    #expect(stage.strings[1].arrivals.allSatisfy { $0.from == stage.strings[1].links.first?.peer })
  }

  @Test func `is not taken from strangers, nor by a topology that wants no chunks from whom it did not ask`()
    throws
  {
    // The source has refused host 1, and pushes to it all the same.
    var one: PeerRef?
    let strangers = try linked(
      viewers: 1,
      react: { host, event, context in
        guard host == 0 else { return }
        if case .inbound(let ask) = event {
          one = ask.peer
          context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
        }
        if let one { relay(from: 0, to: [one], event, &context) }
      }
    )
    strangers.run(for: .seconds(2))
    #expect(one != nil && strangers.strings[1].arrivals.isEmpty && strangers.statistics(1).bytesIn < 20_000)

    for purpose in [Purpose.data, .control] {
      var links: [PeerRef] = []
      var last: UInt64 = 0
      let stage = try linked(
        Nothing.self,
        viewers: 1,
        purpose: { _, _ in purpose },
        react: { host, event, context in
          guard host == 0 else { return }
          if case .linkUp(let link) = event {
            links.append(link.peer)
            context.emit(.setTimer(1, at: context.now))
          }
          if case .timer(1) = event {
            let newest = context.window.last ?? 0
            for link in links where last < newest {
              for chunk in (last + 1)...newest { context.emit(.push(chunk: chunk, to: link, note: 0)) }
            }
            last = newest
            context.emit(.setTimer(1, at: context.now + .milliseconds(20)))
          }
        }
      )
      stage.run(for: .seconds(2))
      let taken = stage.statistics(1).chunksIn
      #expect(purpose == .data ? taken > 150 : taken == 0, "\(purpose): \(taken)")
    }
  }

  @Test func `is dropped and counted when its deadline has passed, or too many wait`() throws {
    var links: [PeerRef] = []
    let stage = try linked(
      viewers: 1,
      configure: {
        // A fifth of what is pushed.
        if $0.role == .source { $0.capacity = Capacity(upload: 250_000) }
        $0.patience = .milliseconds(500)
      },
      react: { host, event, context in
        guard host == 0 else { return }
        if case .linkUp(let link) = event { links.append(link.peer) }
        relay(from: 0, to: links, event, &context, note: { _ in 1 })
      }
    )
    stage.run(for: .seconds(10))
    let late = stage.statistics(0).late
    let delays = stage.strings[1].heard.compactMap { entry -> Duration? in
      // What was asked for has no note.
      guard case .chunks(let batch) = entry.event, let pushed = batch.first(where: { $0.note == 1 }),
        let made = stage.broadcast[pushed.chunk]
      else { return nil }
      return entry.time - made.time
    }
    #expect(late > 500)
    // Half a second in the queue, and the way.
    #expect(delays.count > 20 && delays.allSatisfy { $0 < .milliseconds(700) }, "\(delays.max() ?? .zero)")
    #expect(stage.statistics(0).bytesOut < 10 * 250_000 / 8 * 13 / 10)

    // A topology that pushes one chunk for ever fills its own queue and nothing else.
    let flood = try linked(
      viewers: 1,
      configure: { if $0.role == .source { $0.capacity = Capacity(upload: 1) } }
    )
    flood.run(for: .seconds(1))
    let link = try #require(flood.strings[0].links.first)
    let chunk = try #require(flood.hosts[0].seats[0].broadcast.published.last?.chunk)
    flood.strings[0].wishes = (0..<20_000).map { .push(chunk: chunk, to: link.peer, note: UInt64($0) + 1) }
    flood.run(for: .milliseconds(100))
    #expect(flood.statistics(0).late > 3500)
  }

  @Test func `without a note is left out when the other side says that it has it`() throws {
    var links: [PeerRef] = []
    let stage = try linked(
      viewers: 1,
      configure: { if $0.role == .source { $0.capacity.upload = 2_000_000 } },
      react: { host, event, context in
        if host == 0, case .linkUp(let link) = event { links.append(link.peer) }
        if host == 0 { relay(from: 0, to: links + links, event, &context) }
      }
    )
    stage.run(for: .seconds(6))
    // The second of each pair was on its way when the first was acknowledged, or was not sent.
    let statistics = stage.statistics(1)
    #expect(statistics.duplicate > 0 && statistics.chunksIn > 500)
    let duplicates = stage.strings[1].duplicates
    #expect(duplicates.count == Int(statistics.duplicate))
    #expect(duplicates.allSatisfy { $0.from == stage.strings[1].links.first?.peer })
  }

  @Test func `that nobody answers to is told as silence, and its end too`() throws {
    var links: [PeerRef] = []
    var isCut = false
    let stage = try linked(
      viewers: 1,
      path: { _, to in isCut && to == 0 ? .cut : Path(delay: .milliseconds(20)) },
      react: { host, event, context in
        guard host == 0 else { return }
        if case .linkUp(let link) = event { links.append(link.peer) }
        relay(from: 0, to: links, event, &context)
      }
    )
    func silences() -> [Duration] {
      stage.strings[0].heard.compactMap { if case .silence = $0.event { $0.time } else { nil } }
    }
    stage.run(for: .seconds(4))
    #expect(silences().isEmpty)
    isCut = true
    let cut = stage.world.now
    stage.run(for: .seconds(1))
    let first = try #require(silences().first)
    #expect(first - cut < .milliseconds(400), "\(first - cut)")
    #expect((2...6).contains(silences().count))
    isCut = false
    stage.run(for: .milliseconds(500))
    let count = silences().count
    stage.run(for: .seconds(2))
    #expect(silences().count == count)
  }
}

@Suite struct `A peer that is fed without parents` {
  @Test func `is attached while chunks come, and tells everybody`() throws {
    var isCut = false
    var links: [PeerRef] = []
    let stage = try linked(
      viewers: 2,
      path: { from, to in isCut && from == 0 && to == 1 ? .cut : Path(delay: .milliseconds(5)) },
      react: { host, event, context in
        guard host == 0 else { return }
        if case .linkUp(let link) = event, link.hello.map({ PuppetStage.number($0.address) }) == 1 {
          links.append(link.peer)
        }
        relay(from: 0, to: links, event, &context)
      }
    )
    func notices() -> [Notice] {
      stage.hosts[1].seats[0].notices.map(\.notice).filter {
        switch $0 {
        case .attached, .detached: true
        default: false
        }
      }
    }
    stage.run(for: .seconds(2))
    #expect(notices() == [.attached(parent: stage.hosts[0].address.description, depth: nil)])
    func isAttached() -> Bool? {
      // What the other viewer's topology is told of it now.
      stage.strings[2].wishes = [.discover(limit: 2)]
      stage.run(for: .milliseconds(50))
      for entry in stage.strings[2].heard.reversed() {
        if case .discovered(let candidates) = entry.event, candidates.count == 3 {
          return candidates[1].isAttached
        }
      }
      return nil
    }
    #expect(isAttached() == true)
    isCut = true
    stage.run(for: .seconds(3))
    #expect(notices().last == .detached && isAttached() == false)
    isCut = false
    stage.run(for: .seconds(1))
    #expect(notices().count == 3 && isAttached() == true)
  }

  @Test func `hears of its window as it moves, and of its own chunks at the source`() throws {
    let stage = try linked(
      viewers: 1,
      react: { host, event, context in
        if host == 0, case .linkUp(let link) = event {
          context.emit(.route(stripe: 0, to: link.peer, from: link.peer == link.peer ? nil : 0))
        }
      }
    )
    stage.run(for: .seconds(3))
    for host in [0, 1] {
      let windows = stage.strings[host].heard.compactMap { entry -> WindowState? in
        if case .windowMoved(let state) = entry.event { state } else { nil }
      }
      #expect(windows.count > 200 && zip(windows, windows.dropFirst()).allSatisfy { $0 != $1 })
      #expect(windows.last?.last == stage.strings[host].arrivals.last?.chunk)
    }
    let own = stage.strings[0].arrivals
    #expect(own.map(\.chunk) == stage.broadcast.published.map(\.chunk))
    #expect(Set(own.map(\.from)).count == 1 && own.first?.from != stage.strings[0].links.first?.peer)
  }

  @Test func `learns how long chunks are overtaken, and asks for what is lost soon after that`() throws {
    // The source pushes every other chunk to each of two relays, which push to host 3; over the second the way is 80 ms
    // longer.
    for seed in [1, 2] as [UInt64] {
      for loss in [0, 0.02] {
        var links: [Int: [Int: PeerRef]] = [:]
        let stage = try linked(
          Arrivals.self,
          seed: seed,
          viewers: 3,
          path: { from, _ in Path(delay: .milliseconds(from == 2 ? 90 : 10), loss: loss) },
          purpose: { from, to in from == 3 && to == 0 ? nil : .data },
          react: { host, event, context in
            if case .linkUp(let link) = event, let address = link.hello?.address {
              links[host, default: [:]][PuppetStage.number(address)] = link.peer
            }
            guard case .chunks(let arrivals) = event else { return }
            for arrival in arrivals {
              let next = host == 0 ? Int(arrival.chunk % 2) + 1 : 3
              // What a relay had to ask for it keeps to itself.
              guard host == 0 || host < 3 && arrival.note == 1, let other = links[host]?[next] else {
                continue
              }
              context.emit(.push(chunk: arrival.chunk, to: other, note: 1))
            }
          }
        )
        stage.run(for: .seconds(10))
        let before = stage.requests(of: 3).count
        let twice = stage.statistics(3).duplicate
        stage.run(for: .seconds(12))
        let asked = stage.requests(of: 3).count - before
        let duplicate = stage.statistics(3).duplicate - twice
        let first = try #require(stage.broadcast.published.first { $0.time >= .seconds(10) }).chunk
        let last = try #require(stage.broadcast.published.last { $0.time <= .seconds(20) }).chunk
        let needed = stage.hosts[3].output.delay(for: 0.999, of: first...last) ?? .seconds(99)
        print(
          "seed \(seed), loss \(loss): \(asked) asked, \(duplicate) twice, 99.9 % in \(needed.milliseconds) ms"
        )
        if loss == 0 {
          #expect(
            asked == 0 && duplicate == 0 && needed < .milliseconds(150),
            "seed \(seed): \(asked), \(needed)"
          )
        } else {
          // What is lost on the way to a relay is asked for there first, and then here.
          #expect(asked > 10 && needed < .milliseconds(1000), "seed \(seed): \(asked), \(needed)")
        }
      }
    }
  }
}
