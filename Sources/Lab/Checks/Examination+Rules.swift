internal import Glibc
internal import PluginKit
internal import Text

// What has to hold, and how it is told that it does not.
extension Examination {
  /// Looks at a peer at which something has just happened.
  mutating func look(at peer: Int) -> Violation? {
    for claim in claims {
      let found: String? =
        switch claim {
        case .noDuplicates: duplicate(at: peer)
        case .noLoops: loop(at: peer)
        case .fanOut(let parameter): tooMany(parameters.integer(parameter), at: peer, "\(parameter)=")
        case .children(let count): tooMany(count, at: peer, "")
        case .repair(let time): unrepaired(after: time.nanoseconds, at: peer)
        case .logarithmicDepth: nil
        @unknown default: nil
        }
      if let found { return Violation(Self.rule(claim), at: world.now, found) }
    }
    return nil
  }

  private static func rule(_ claim: Claim) -> Violation.Rule {
    switch claim {
    case .noDuplicates: .duplicates
    case .noLoops: .loops
    case .fanOut, .children: .children
    case .repair: .repair
    case .logarithmicDepth: .depth
    @unknown default: .convergence
    }
  }

  /// When nobody has moved for so long, all are at rest.
  private static let rest: Int64 = 2_000_000_000

  private mutating func duplicate(at peer: Int) -> String? {
    defer { duplicates = world.measurement.duplicates }
    guard world.measurement.duplicates > duplicates, world.now >= world.measured.lowerBound,
      world.now - lastMove > Self.rest
    else { return nil }
    return
      "\(name) claims that nobody hears a chunk twice while all are at rest, and \(Self.who(peer)) has just heard one "
      + "that it had"
  }

  // MARK: Who feeds whom

  /// Follows those who feed a peer, and whom it takes for its parents, upwards.
  private func loop(at peer: Int) -> String? {
    for parent in world.peers[peer].parents {
      var path = [peer]
      var at = peer
      while path.count <= plan.peers.count,
        let next = world.peers[at].parents.first(where: { $0.stripe == parent.stripe })?.peer,
        feeds(Int(next), at, parent.stripe)
      {
        at = Int(next)
        if at == peer {
          let words = (path + [peer]).map(Self.who).joined(separator: ", which is fed by ")
          return "\(name) claims that there are no loops, and \(words)"
        }
        path.append(at)
      }
    }
    return nil
  }

  private func isChild(_ child: Int, of parent: Int) -> Bool {
    world.reaches(parent, child)
      && world.link(child, to: UInt32(parent)).map {
        world.peers[child].links[$0].parentStripes.rawValue != 0
      } == true
  }

  private func feeds(_ parent: Int, _ child: Int, _ stripe: UInt16) -> Bool {
    guard world.peers[parent].state == .running,
      let link = world.link(parent, to: UInt32(child))
    else { return false }
    return world.peers[parent].routes.contains { Int($0.link) == link && $0.stripe == stripe }
  }

  /// One who takes the place of a child that did not answer may be there beside it for so long.
  private static let overlap: Int64 = 1_000_000_000

  /// A child counts from the time on at which it knows.
  private mutating func tooMany(_ limit: Int, at peer: Int, _ parameter: String) -> String? {
    // Who pushes chunk by chunk feeds those to whom it gives the same one.
    var pushed: [UInt64: Set<PeerRef>] = [:]
    for case (peer, .push(let chunk, let child, _)) in world.said ?? [] {
      pushed[chunk, default: []].insert(child)
    }
    let routed = Set(world.peers[peer].routes.map { world.peers[peer].linkPeers[Int($0.link)] })
    let children = routed.count > limit ? routed.filter { isChild(Int($0), of: peer) } : []
    let count = max(children.count, pushed.values.map(\.count).max() ?? 0)
    guard count > limit else {
      crowdedSince[peer] = nil
      return nil
    }
    let since = crowdedSince[peer] ?? world.now
    crowdedSince[peer] = since
    guard world.now - since > Self.overlap || children.isEmpty else { return nil }
    let names = children.sorted().map { Self.who(Int($0)) }.joined(separator: ", ")
    return
      "\(name) claims that nobody feeds more than \(parameter)\(limit), and \(Self.who(peer)) feeds \(count)"
      + (names.isEmpty ? "" : ": \(names)")
  }

  // MARK: Who is fed

  /// Looks at all peers whenever the source has made a chunk.
  private mutating func unrepaired(after limit: Int64, at peer: Int) -> String? {
    let time = world.view.newest(peer)
    if time > newest[peer] {
      newest[peer] = time
      lastNews[peer] = world.now
    }
    guard isAmple, peer == 0, !isStormy else { return nil }
    for index in world.peers.indices.dropFirst() {
      guard world.peers[index].state == .running, lastNews[index] != ChunkPeer.never else { continue }
      let since = max(lastNews[index], lastFault)
      guard world.now - since > limit else { continue }
      let place = lastNews[index] < lastFault ? "the last fault" : "its last chunk"
      return
        "\(name) claims to repair within \(Self.time(limit)), and \(Self.time(world.now - since)) after \(place) "
        + "\(Self.who(index)) has heard nothing new"
    }
    return nil
  }

  /// Looks at what there is when all is quiet.
  func lookAtEnd() -> Violation? {
    let running = world.peers.indices.dropFirst().filter { world.peers[$0].state != .gone }
    if isAmple {
      for index in running {
        let peer = world.peers[index]
        guard peer.inTimeCount < peer.expectedCount else { continue }
        return Violation(
          .convergence,
          at: world.measured.upperBound,
          "\(Self.time(Plan.convergence.nanoseconds)) after the last that happened everybody must be fed, and "
            + "\(Self.who(index)) gets \(peer.inTimeCount) of \(peer.expectedCount) chunks in time"
            + (peer.declaresParents && peer.parents.isEmpty ? ": it has no parent" : "")
        )
      }
    }
    guard claims.contains(.logarithmicDepth), plan.isForking else { return nil }
    let limit = Int(2 * log2(Double(running.count + 1)) + 2)
    for index in running {
      guard let depth = world.depth(of: index), depth > limit else { continue }
      return Violation(
        .depth,
        at: world.now,
        "\(name) claims logarithmic depth, and of \(running.count) peers that can feed two each \(Self.who(index)) stands "
          + "at depth \(depth); 2 log2(n + 1) + 2 is \(limit)"
      )
    }
    return nil
  }

  /// `15 s`, `1.25 s`.
  static func time(_ nanoseconds: Int64) -> String {
    Number.text(Double(nanoseconds) / 1e9, decimals: 3) + " s"
  }
}
