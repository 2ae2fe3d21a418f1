public import CPluginABI
internal import Membership
package import PluginKit

/// Everybody is connected to everybody: the source gives each chunk to one peer, which passes it on to all others.
package struct Mesh: Topology {
  package static let manifest = Manifest(
    name: "mesh",
    version: "1.0.0",
    summary:
      "The source gives each chunk to one peer, which passes it on to all others; for up to about 50 peers",
    parameters: [
      Parameter("members", .integer(2...128, default: 64), "how many others a peer connects to at most")
    ],
    wants: [.chunks, .duplicates, .haves, .gaps],
    claims: [.fanOut(parameter: "members")]
  )

  /// What stands beside a chunk that is to be passed on to all.
  static let passOn: UInt64 = 1
  private static let mendTimer: UInt32 = 2
  /// How long it takes until what nobody seems to have is looked for again.
  private static let mendInterval: Duration = .milliseconds(60)
  /// How many chunks given away are remembered, should the one who got them be gone.
  private static let givenLimit = 512
  private static let givenTime: Duration = .seconds(2)

  private var membership: Membership
  private var shares = Shares()
  private var sharesVersion: UInt64?
  /// What the source gave to whom.
  private var given: [(chunk: UInt64, peer: PeerRef, at: Duration)] = []
  private var mending = Mending()
  private var isMendTimerSet = false

  package init(parameters: Parameters) throws(ParameterError) {
    membership = Membership(limit: parameters.integer("members"))
  }

  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    membership.handle(event, &context)
    switch event {
    case .prepare(let epoch, _): context.emit(.ready(epoch: epoch))
    case .chunks(let arrivals):
      for arrival in arrivals { arrived(arrival, &context) }
    case .duplicates(let arrivals):
      for arrival in arrivals where arrival.note == Self.passOn {
        passOn(arrival.chunk, from: arrival.from, &context)
      }
    case .silence(let peer, let duration): replace(peer, since: context.now - duration, &context)
    case .linkDown(let peer, let reason, _):
      mending.forget(peer)
      if reason != .refused { replace(peer, since: .zero, &context) }
    case .haves(let haves): mending.note(haves)
    case .gaps(let gaps):
      for gap in gaps { mending.look(for: gap) }
      mend(&context)
    case .requestFailed(_, let chunks, _):
      mending.retry(chunks, at: context.now + Self.mendInterval)
      setMendTimer(&context)
    case .timer(Self.mendTimer):
      isMendTimerSet = false
      mend(&context)
    default: break
    }
  }

  // MARK: - Passing on

  private mutating func arrived(_ arrival: ChunkArrival, _ context: inout TopologyContext) {
    if membership.role == .source {
      give(arrival.chunk, &context)
    } else if mending.arrived(arrival.chunk) || arrival.note == Self.passOn {
      passOn(arrival.chunk, from: arrival.from, &context)
    }
  }

  /// To all but the source and the one it came from; each chunk begins with another, so that nobody is always last.
  private func passOn(_ chunk: UInt64, from origin: PeerRef, _ context: inout TopologyContext) {
    let members = membership.members
    for offset in members.indices {
      let member = members[(offset + Int(chunk % UInt64(members.count))) % members.count]
      guard !member.isSource, member.peer != origin, member.silentSince == nil else { continue }
      context.emit(.push(chunk: chunk, to: member.peer, note: 0))
    }
  }

  // MARK: - At the source

  private mutating func give(_ chunk: UInt64, _ context: inout TopologyContext) {
    if sharesVersion != membership.version {
      sharesVersion = membership.version
      shares.divide(
        among: membership.members.map { ($0.peer, $0.silentSince == nil ? $0.upload : 0) },
        rate: context.stream.rate
      )
    }
    given.removeAll { context.now - $0.at > Self.givenTime }
    guard let peer = shares.next() else {
      // What the peers cannot carry the source gives to each of them itself.
      return passOn(chunk, from: context.peer(for: context.me), &context)
    }
    if given.count >= Self.givenLimit { given.removeFirst() }
    given.append((chunk, peer, context.now))
    context.emit(.push(chunk: chunk, to: peer, note: Self.passOn))
  }

  /// Chunks that were given to one who has said nothing since are given to others.
  private mutating func replace(_ peer: PeerRef, since: Duration, _ context: inout TopologyContext) {
    let chunks = given.filter { $0.peer == peer && $0.at >= since }.map(\.chunk)
    given.removeAll { $0.peer == peer }
    for chunk in chunks { give(chunk, &context) }
  }

  // MARK: - What did not come

  private mutating func mend(_ context: inout TopologyContext) {
    let members = membership.members.filter { $0.silentSince == nil }
    let requests = mending.requests(
      among: members,
      me: context.me.id,
      now: context.now,
      next: context.now + Self.mendInterval
    ) { [context] chunk in context.has(chunk) }
    for request in requests { context.emit(.request(request.chunk...request.chunk, from: request.peer)) }
    setMendTimer(&context)
  }

  private mutating func setMendTimer(_ context: inout TopologyContext) {
    guard !isMendTimerSet, let next = mending.next else { return }
    isMendTimerSet = true
    context.emit(.setTimer(Self.mendTimer, at: max(next, context.now + .milliseconds(5))))
  }
}

@c(Mesh_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(Mesh.self) }
}
