import Lab
import PluginKit
import Swarm
import Testing
import Wire

// Two viewers that asked the source for a connection. Host 2 has every chunk from it by a route; host 1, which asked host
// 2 for a connection too, must ask for chunks.
private func stage(
  seed: UInt64 = 1,
  purpose: Purpose = .data,
  patience: Duration = .seconds(2),
  path: @escaping (_ from: Int, _ to: Int) -> Path = { _, _ in Path(delay: .milliseconds(10)) },
  react: @escaping (_ host: Int, TopologyEvent, inout TopologyContext) -> Void = { _, _, _ in }
) throws -> PuppetStage {
  try PuppetStage(
    Everything.self,
    seed: seed,
    viewers: 2,
    path: path,
    configure: { $0.patience = patience },
    react: { host, event, context in
      switch event {
      case .start(let role): if role != .source { context.emit(.discover(limit: 9)) }
      case .discovered(let candidates):
        guard candidates.count == 3, host > 0 else { return }
        context.emit(
          .connect(candidates[0].peer, host == 1 ? purpose : .data, .first(1), from: nil, note: [])
        )
        if host == 1 { context.emit(.connect(candidates[2].peer, purpose, .first(1), from: nil, note: [])) }
      case .inbound(let ask):
        context.emit(.accept(ask.peer, ask.stripes, note: [UInt8(host)]))
        if host == 0, context.peer(for: context.me) != ask.peer, isSecond(ask) {
          context.emit(.route(stripe: 0, to: ask.peer, from: nil))
        }
      default: break
      }
      react(host, event, &context)
    }
  )
}

/// Whether host 2 asks, by its address.
private func isSecond(_ ask: Inbound) -> Bool {
  ask.hello.map { PuppetStage.number($0.address) == 2 } ?? false
}

/// Who accepted with the note of a host.
private func accepted(by host: UInt8, _ stage: PuppetStage) throws -> PeerRef {
  try #require(stage.strings[1].links.first { $0.note == [host] }).peer
}

@Suite struct `What a topology asks for` {
  @Test
  func
    `is told to it by who accepted, over data and spare connections, and over others when it is advertised`()
    throws
  {
    for purpose in [Purpose.data, .spare, .control] {
      let stage = try stage(purpose: purpose)
      stage.run(for: .seconds(2))
      let source = try accepted(by: 0, stage)
      let told = stage.strings[1].haves.filter { $0.peer == source }
      #expect(purpose == .control ? told.isEmpty : told.count > 10, "\(purpose): \(told.count)")
      let newest = stage.broadcast.published.last?.chunk ?? 0
      let asker = try #require(
        stage.strings[0].links.first { $0.hello.map { PuppetStage.number($0.address) } == 1 }
      )
      stage.strings[0].wishes = [.advertise(newest - 20...newest - 5, to: asker.peer)]
      stage.run(for: .milliseconds(60))
      #expect(
        stage.strings[1].haves.contains(Advertisement(peer: source, chunks: newest - 20...newest - 5)),
        "\(purpose)"
      )
      // And the other way round, from who asked to who accepted.
      stage.strings[1].wishes = [.advertise(newest - 3...newest - 2, to: source)]
      stage.run(for: .milliseconds(60))
      #expect(
        stage.strings[0].haves.contains(Advertisement(peer: asker.peer, chunks: newest - 3...newest - 2))
      )
    }
  }

  @Test func `comes, whichever side opened the connection, and is asked for once`() throws {
    for purpose in [Purpose.data, .spare] {
      let stage = try stage(purpose: purpose)
      stage.run(for: .seconds(2))
      let source = try accepted(by: 0, stage)
      let newest = stage.broadcast.published.last?.chunk ?? 0
      stage.strings[1].wishes = [
        .request(newest - 20...newest - 11, from: source), .request(newest - 15...newest - 9, from: source),
        .request(newest - 6...newest - 6, from: source),
      ]
      stage.run(for: .milliseconds(100))
      let arrived = stage.strings[1].arrivals.filter { $0.chunk <= newest - 6 && $0.chunk >= newest - 20 }
      #expect(arrived.map(\.chunk) == Array(newest - 20...newest - 9) + [newest - 6], "\(purpose)")
      #expect(
        stage.requests(of: 1).filter { $0 <= newest - 6 }.count == 13 && stage.statistics(1).duplicate == 0
      )
      #expect(stage.strings[1].failures.isEmpty)
      // Host 2 opened no connection to host 1, and asks it all the same for what it was given.
      let asker = try #require(stage.strings[2].links.first { !$0.isParent }?.peer)
      let before = stage.statistics(1).chunksOut
      // Only what host 2 lacks is asked for: nothing here.
      stage.strings[2].wishes = [.request(newest - 20...newest - 11, from: asker)]
      stage.run(for: .milliseconds(100))
      #expect(stage.statistics(1).chunksOut == before && stage.strings[2].failures.isEmpty)
    }
  }

  @Test func `and does not get fails with the reason`() throws {
    var isCut = false
    let stage = try stage(path: { _, to in isCut && to == 0 ? .cut : Path(delay: .milliseconds(10)) })
    stage.run(for: .seconds(2))
    let source = try accepted(by: 0, stage)
    let other = try accepted(by: 2, stage)
    func newest() -> UInt64 { stage.broadcast.published.last?.chunk ?? 0 }
    func failures(_ peer: PeerRef, _ reason: RequestFailure) -> [ClosedRange<UInt64>] {
      stage.strings[1].failures.filter { $0.peer == peer && $0.reason == reason }.map(\.chunks)
    }

    // Too far ahead, and nobody known.
    let far = newest() + 1_000_000
    let stranger = PeerRef(77_777)
    stage.strings[1].wishes = [
      .request(newest() - 2...newest() - 1, from: source), .request(far...far + 5, from: source),
      .request(1...2, from: stranger),
    ]
    stage.run(for: .milliseconds(60))
    #expect(failures(source, .unavailable) == [far...far + 5])
    #expect(failures(stranger, .linkDown) == [1...2])

    // Nothing comes back.
    isCut = true
    let wanted = newest() - 4...newest() - 2
    stage.strings[1].wishes = [.request(wanted, from: source)]
    stage.run(for: .seconds(1))
    #expect(failures(source, .timeout) == [wanted])
    // The topology says nothing to that: the host asks who has it by itself, in time.
    stage.run(for: .milliseconds(900))
    #expect(
      wanted.allSatisfy { chunk in
        stage.strings[1].arrivals.contains { $0.chunk == chunk && $0.from == other }
      }
    )
    isCut = false
    stage.run(for: .milliseconds(500))

    // A CHOKE of the other side, while it is asked and when it is asked then.
    var channel: [UInt8] = []
    stage.hosts[2].rewrite = { datagram, to, _ in
      guard to == stage.hosts[1].address, channel.isEmpty else { return [datagram] }
      channel = Array(datagram.prefix(4))
      return [datagram, channel + [MessageType.choke]]
    }
    stage.run(for: .milliseconds(200))
    #expect(stage.strings[1].count { if case .choked(other) = $0 { true } else { false } } == 1)
    let late = newest() - 2...newest() - 1
    stage.strings[1].wishes = [.request(late, from: other)]
    stage.run(for: .milliseconds(30))
    #expect(failures(other, .choked) == [late])
    stage.hosts[2].rewrite = { datagram, to, _ in
      guard to == stage.hosts[1].address, !channel.isEmpty else { return [datagram] }
      defer { channel = [] }
      return [datagram, channel + [MessageType.unchoke]]
    }
    stage.run(for: .milliseconds(200))
    #expect(stage.strings[1].count { if case .unchoked(other) = $0 { true } else { false } } == 1)

    // A goodbye while the answer is on its way.
    let gone = newest() - 2...newest() - 1
    stage.strings[1].wishes = [.request(gone, from: other)]
    stage.run(for: .milliseconds(11))
    stage.strings[1].wishes = [.disconnect(other, redirect: [])]
    stage.run(for: .milliseconds(10))
    #expect(failures(other, .linkDown) == [gone])
  }

  @Test func `is taken from who was asked first, also when it comes after somebody else was asked`() throws {
    var isSlow = false
    let stage = try stage(path: { _, to in Path(delay: .milliseconds(isSlow && to == 1 ? 1800 : 10)) })
    stage.run(for: .seconds(2))
    let source = try accepted(by: 0, stage)
    let newest = stage.broadcast.published.last?.chunk ?? 0
    let wanted = newest - 4...newest - 2
    let before = stage.statistics(2).chunksOut
    isSlow = true
    stage.strings[1].wishes = [.request(wanted, from: source)]
    stage.run(for: .milliseconds(2500))
    let arrivals = stage.strings[1].arrivals.filter { wanted.contains($0.chunk) }
    #expect(arrivals.map(\.chunk) == Array(wanted) && arrivals.allSatisfy { $0.from == source })
    // Somebody else had been asked by then.
    stage.run(for: .seconds(2))
    #expect(stage.statistics(2).chunksOut > before)
  }

  @Test func `and takes back is not sent, and asked for elsewhere only when it stays away`() throws {
    var delay = Duration.milliseconds(10)
    let stage = try stage(path: { _, _ in Path(delay: delay) })
    stage.run(for: .seconds(2))
    let source = try accepted(by: 0, stage)
    let newest = stage.broadcast.published.last?.chunk ?? 0
    delay = .milliseconds(10)
    stage.strings[1].wishes = [
      .request(newest - 8...newest - 1, from: source), .cancel(newest - 6...newest - 3, from: source),
    ]
    stage.run(for: .milliseconds(800))
    let arrived = stage.strings[1].arrivals.map(\.chunk).filter { $0 < newest }
    // Both were in one turn: the source hears of the cancel before it has answered all or after; what it sent came.
    #expect(arrived.contains(newest - 8) && arrived.contains(newest - 1))
    #expect(stage.strings[1].failures.isEmpty)
    stage.run(for: .milliseconds(600))
    for chunk in newest - 8...newest - 1 {
      #expect(stage.strings[1].arrivals.contains { $0.chunk == chunk }, "\(chunk) of \(newest)")
    }
  }
}

@Suite struct `A gap` {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func `is told first to the topology that wants it, and is its to fill for half the time`(seed: UInt64)
    throws
  {
    for isActive in [true, false] {
      var holder: PeerRef?
      let stage = try stage(
        seed: seed,
        purpose: .spare,
        react: { host, event, context in
          guard host == 1 else { return }
          if case .linkUp(let link) = event {
            if link.note == [2] { holder = link.peer }
            // Every third chunk is asked for, so that the others are gaps.
            context.emit(.setTimer(1, at: context.now + .milliseconds(30)))
          }
          if case .haves(let haves) = event, let have = haves.last, context.now > .seconds(1) {
            let chunk = have.chunks.upperBound
            if chunk % 3 == 0, !context.has(chunk) { context.emit(.request(chunk...chunk, from: have.peer)) }
          }
          if case .gaps(let gaps) = event, isActive, let holder {
            for gap in gaps { context.emit(.request(gap.chunks, from: holder)) }
          }
        }
      )
      stage.run(for: .seconds(8))
      let strings = stage.strings[1]
      let gaps = strings.gaps
      try #require(gaps.count > 20, "seed \(seed)")
      for (time, gap) in gaps where time < .seconds(5) {
        #expect(gap.deadline > time + .seconds(1) && gap.deadline <= time + .seconds(2))
        for chunk in gap.chunks {
          let arrival = strings.heard.first { entry in
            if case .chunks(let batch) = entry.event { batch.contains { $0.chunk == chunk } } else { false }
          }
          let took = try #require(arrival?.time, "seed \(seed): \(chunk)") - time
          // Alone, the host asks when half of the two seconds are over.
          if isActive {
            #expect(took < .milliseconds(40), "seed \(seed): \(took)")
          } else {
            #expect(
              gap.deadline - .seconds(1) - time <= took && took < .milliseconds(1100),
              "seed \(seed): \(took)"
            )
          }
        }
      }
      #expect(strings.failures.isEmpty)
    }
  }
}

@Suite struct `A capacity that changes` {
  @Test func `is told to the topology and to all peers, and bounds what is sent from then on`() throws {
    let stage = try stage()
    stage.run(for: .seconds(2))
    let before = stage.strings[0].count { if case .capacity = $0 { true } else { false } }
    #expect(before == 1)
    let new = Capacity(upload: 400_000, download: 1_000_000)
    stage.hosts[0].setCapacity(new, now: stage.world.now)
    stage.world.poke(stage.hosts[0].address)
    let sent = stage.statistics(0).bytesOut
    stage.run(for: .seconds(10))
    let told = stage.strings[0].heard.compactMap { entry -> Capacity? in
      if case .capacity(let capacity) = entry.event { capacity } else { nil }
    }
    #expect(told.count == 2 && told.last?.upload == new.upload && told.last?.download == new.download)
    #expect((stage.statistics(0).bytesOut - sent) * 8 < 10 * 400_000 * 12 / 10)
    // Others name it as a candidate with what it has now.
    stage.strings[1].wishes = [.discover(limit: 3)]
    stage.run(for: .milliseconds(50))
    let candidate = stage.strings[1].heard.lazy.reversed().compactMap { entry -> Candidate? in
      if case .discovered(let candidates) = entry.event { candidates.first } else { nil }
    }.first
    #expect(candidate?.capacity?.upload == new.upload)
  }

  @Test func `comes to the last chunk, also when the source leaves as soon as it is out`() throws {
    // Nobody else could help host 1.
    let stage = try stage(
      path: { from, to in from + to == 3 ? .cut : Path(delay: .milliseconds(10)) },
      react: { host, event, context in
        guard host == 1, case .haves(let haves) = event else { return }
        for have in haves { context.emit(.request(have.chunks, from: have.peer)) }
      }
    )
    stage.run(for: .seconds(2))
    stage.hosts[0].end(at: stage.world.now)
    stage.run(for: .milliseconds(20))
    #expect(stage.broadcast.hasEnded)
    stage.hosts[0].leave(now: stage.world.now)
    stage.world.poke(stage.hosts[0].address)
    stage.run(for: .seconds(1))
    #expect(stage.hosts[0].hasLeft)
    let last = try #require(stage.broadcast.published.last?.chunk)
    #expect(stage.hosts[1].output.last?.chunk == last)
  }
}
