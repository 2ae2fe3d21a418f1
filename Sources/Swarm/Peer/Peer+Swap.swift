import Integrity
import PluginKit
import Wire

/// What one peer saw of a swap of topologies.
public struct SwapReport: Hashable, Sendable {
  /// The epoch that began.
  public var epoch: UInt32
  /// The plugin that runs since then, and its parameters.
  public var topology: String
  public var parameters: String
  /// The first chunk that it carries.
  public var from: UInt64
  /// The longest time between two chunks in a row at the output, while both ran.
  public var gap: Duration
  /// Chunks that were missing at the output, and those that came more than once, while both ran.
  public var lost: UInt64
  public var duplicates: UInt64
}

/// What is noted while two courses run.
struct Swap {
  let began: Duration
  let lostBefore: UInt64
  let duplicatesBefore: UInt64
  var gap: Duration = .zero
  /// When the first chunk of the successor was seen, here or with somebody else.
  var turned: Duration?
}

// A swap: two topologies run side by side, the old one for the chunks before a number that the source has chosen, the new
// one for those from it on. The new one makes its links before that number comes; what the old one leaves that the new
// one does not use is closed only when the swap is over.
extension Peer {
  /// How long before its first chunk a new topology is announced, to have its links by then.
  static let swapLead: Duration = .seconds(5)
  /// How long after the turn the old links stay at least, for what is still to be repaired.
  static let swapHold: Duration = .seconds(3)
  /// How long they stay at most where the new topology has not found its place.
  static let swapLimit: Duration = .seconds(15)
  /// The most peers that a topology is told of by its predecessor's host.
  private static let memberLimit = 64

  // MARK: - At the source

  /// Changes the topology of a running swarm; a source only.
  ///
  /// - Returns: how long it will take until the new topology carries the stream, as far as can be said.
  /// - Throws: ``SwarmError`` where it cannot be made, runs already, or the swap before is not over.
  public mutating func swap(to topology: String, parameters: String, now: Duration) throws(SwarmError)
    -> Duration
  {
    self.now = now
    guard let running = courses.last?.descriptor, configuration.key != nil else { throw .noKey }
    guard lastChunk == nil, leaving == nil else { throw .streamEnded }
    guard courses.count == 1 else { throw .swapUnderWay(courses[1].descriptor.topology) }
    guard let newest = window.newest else { throw .nothingPublished }
    guard topology != running.topology || parameters != running.parameters else {
      throw .runsAlready(topology)
    }
    let stripes: Int
    do throws(ParameterError) {
      stripes = try stripeCount(topology, parameters)
    } catch { throw .topology(error) }
    let perSecond = Double(measuredRate > 0 ? measuredRate : running.rate) / (usualLength * 8)
    var ahead = UInt64(max(1, (perSecond * seconds(Self.swapLead)).rounded(.up)))
    // Chunks that one signature covers stay together.
    if unified != nil {
      let width = UInt64(configuration.chunksPerSignature)
      ahead += width - 1 - (newest + ahead) % width
    }
    guard newest < lastNumber - ahead - 1 else { throw .streamEnded }
    let found = SwarmDescriptor(
      epoch: running.epoch &+ 1,
      rate: running.rate,
      stripes: stripes,
      captureStart: running.captureStart,
      validFrom: newest + 1 + ahead,
      topology: topology,
      parameters: parameters
    )
    let signed = try sign(found)
    do throws(ParameterError) {
      try adopt(found, signed: signed)
    } catch { throw .topology(error) }
    settle()
    return .seconds(Double(ahead) / perSecond)
  }

  /// What the neighbours of the source have said about the last swap.
  public var swapReports: [SwapReport] {
    guard let newest = courses.last?.descriptor else { return [] }
    return channels.compactMap { channel in
      guard channel.isOpen, let seen = channel.swap, seen.epoch == newest.epoch else { return nil }
      return SwapReport(
        epoch: seen.epoch,
        topology: newest.topology,
        parameters: newest.parameters,
        from: newest.validFrom,
        gap: .milliseconds(Int64(seen.gap)),
        lost: UInt64(seen.lost),
        duplicates: UInt64(seen.duplicates)
      )
    }
  }

  // MARK: - Beginning

  /// Runs another topology beside the one that runs.
  mutating func prepare(_ found: SwarmDescriptor, signed: [UInt8]) throws(ParameterError) {
    let made = try configuration.makeTopology(found.topology, found.parameters)
    // A third does not wait for the first: nobody runs more than two.
    if courses.count == 2 { retire() }
    let handover = handover()
    topologyRandom = RandomSource(seed: topologyRandom.next())
    descriptor = found
    signedDescriptor = signed
    lacking = nil
    courses.append(Course(found, signed: signed, made, topologyRandom))
    swap = Swap(began: now, lostBefore: counters.lost, duplicatesBefore: counters.duplicate)
    courses[0].events.append(.retire(at: found.validFrom))
    courses[1].events.append(.prepare(epoch: found.epoch, handover))
    courses[1].events.append(.capacity(ownCapacity))
    for index in channels.indices where channels[index].isOpen && channels[index].isServed {
      offerPlain(index, to: 1)
    }
    notices.append(.preparing(topology: found.topology, epoch: found.epoch))
    noteTurn(window.newest)
  }

  /// What the old topology leaves to the new one.
  private func handover() -> Handover {
    var links: [PluginKit.Link] = []
    var members: [Candidate] = []
    for index in channels.indices where channels[index].isOpen && channels[index].speech == .proven {
      let roles = channels[index].roles[0]
      if members.count < Self.memberLimit { members.append(candidate(channels[index].peer)) }
      guard let purpose = roles.claimed ?? roles.purpose, links.count < Self.memberLimit else { continue }
      let isParent = roles.claimed == .data
      let stripes =
        isParent
        ? roles.parentStripes : roles.routes.reduce(into: StripeSet()) { $0.formUnion(StripeSet($1.stripe)) }
      links.append(link(index, purpose: purpose, stripes: stripes, isParent: isParent))
    }
    return Handover(role: configuration.role, links: links, members: members)
  }

  // MARK: - Which course carries what

  /// The place of the course that carries a chunk; 0 where there is none.
  func course(of chunk: UInt64) -> Int {
    courses.count < 2 || chunk < courses[1].descriptor.validFrom ? 0 : 1
  }

  /// The place of the course that carries what comes next.
  var carrier: Int { courses.count < 2 ? 0 : course(of: expected ?? 0) }

  /// The course of an epoch; nil where it does not run here.
  func course(ofEpoch epoch: UInt32) -> Int? { courses.lastIndex { $0.descriptor.epoch == epoch } }

  /// The chunks that a course carries.
  func share(of course: Int) -> ChunkRange {
    guard courses.count == 2 else { return 0...(.max) }
    let turn = courses[1].descriptor.validFrom
    // A turn at 0 leaves nothing to the first; chunk 0 does no harm there.
    return course == 1 ? turn...(.max) : 0...(max(turn, 1) - 1)
  }

  /// The part of some chunks that a course carries; nil for none.
  func part(of chunks: ChunkRange, for course: Int) -> ChunkRange? {
    let share = share(of: course)
    return share.overlaps(chunks) ? chunks.clamped(to: share) : nil
  }

  /// The window as a topology sees it: to each of two the stream is its own part.
  func windowState(for course: Int) -> WindowState {
    var state = window.state
    guard courses.count == 2 else { return state }
    let turn = courses[1].descriptor.validFrom
    if course == 1 {
      state.first = max(state.first, turn)
      state.last = state.last.flatMap { $0 < turn ? nil : $0 }
      state.newestEntry = state.newestEntry.flatMap { $0 < turn ? nil : $0 }
    } else if let last = state.last, last >= turn {
      state.last = window.held.highest(below: turn)
      state.newestEntry = state.newestEntry.flatMap { $0 < turn ? $0 : nil }
    }
    return state
  }

  /// What is held of the part that a course carries.
  func held(for course: Int) -> [ChunkRange] {
    guard courses.count == 2 else { return window.held.ranges }
    return window.held.ranges.compactMap { part(of: $0, for: course) }
  }

  // MARK: - The turn, and the end

  /// A chunk was seen, here or with somebody else: it may be the successor's first.
  mutating func noteTurn(_ chunk: UInt64?) {
    guard courses.count == 2, swap?.turned == nil, let chunk, course(of: chunk) == 1 else { return }
    swap?.turned = now
    // From now on the new parents push: what they have not reached is on its way.
    for index in channels.indices {
      for feed in channels[index].roles[1].feeds.indices {
        channels[index].roles[1].feeds[feed].progress = now
      }
    }
  }

  /// Ends the old topology when it has nothing left to do.
  mutating func reviewSwap() {
    guard courses.count == 2, let turned = swap?.turned, now - turned >= Self.swapHold else { return }
    let turn = courses[1].descriptor.validFrom
    // A source reads nothing, and has its place.
    let isDone = configuration.role == .source || courses[1].isReady && (nextRead ?? turn) >= turn
    if isDone || now - turned >= Self.swapLimit { retire() }
  }

  /// Closes what only the old topology used; the new one takes its place.
  mutating func retire() {
    guard courses.count == 2, let swap else { return }
    for index in channels.indices where !channels[index].isFree {
      let old = channels[index].roles[0]
      channels[index].roles = [channels[index].roles[1], Roles()]
      let roles = channels[index].roles[0]
      if channels[index].speech == .plain {
        if old.isServed, !roles.isServed { chokePlain(index) }
        if !channels[index].isPulled || roles.isUsed { continue }
      } else {
        channels[index].wantsHaves = roles.tellsHaves
      }
      guard old.isUsed, !roles.isUsed else { continue }
      sayGoodbye(index, redirect: [])
      free(index)
    }
    courses.removeFirst()
    self.swap = nil
    let new = courses[0].descriptor
    let report = SwapReport(
      epoch: new.epoch,
      topology: new.topology,
      parameters: new.parameters,
      from: new.validFrom,
      gap: swap.gap,
      lost: counters.lost - swap.lostBefore,
      duplicates: counters.duplicate - swap.duplicatesBefore
    )
    lastSwap = report
    counters.swaps += 1
    notices.append(.swapped(report))
  }
}
