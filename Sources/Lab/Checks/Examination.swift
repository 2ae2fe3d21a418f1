package import PluginKit

/// One topology in one world, watched for what it claims and for what every topology must do.
///
/// The world ends where the first thing goes wrong.
package struct Examination {
  /// What went wrong first; nil when nothing did.
  package private(set) var violation: Violation?
  /// A hash over all that happened.
  package private(set) var trace: UInt64 = 0
  /// What the peers said to each other about who feeds whom, in the order of time; for a story.
  package private(set) var scenes: [Scene] = []

  /// Something that a peer did.
  package struct Scene: Hashable, Sendable {
    /// In nanoseconds.
    package var time: Int64
    package var peer: Int
    package var text: String

    package init(time: Int64, peer: Int, text: String) {
      self.time = time
      self.peer = peer
      self.text = text
    }
  }

  /// More events than these come only of a topology that never rests.
  private static let eventLimit = 5_000_000
  /// Those who are told of, at most.
  private static let sceneLimit = 4000

  let plan: Plan
  let claims: [Claim]
  let parameters: Parameters
  /// The name and the parameters that it was made with.
  let name: String
  var world: ChunkWorld
  /// Whether everybody can be fed.
  let isAmple: Bool
  /// For each peer, when its newest chunk came; ``ChunkPeer/never`` for those without one.
  var lastNews: [Int64]
  var newest: [UInt32]
  /// When something went wrong last.
  var lastFault: Int64 = 0
  var isStormy = false
  /// Who feeds whom, and when that changed last, or something was lost.
  var parents: [[ChunkPeer.Parent]]
  var lastMove: Int64 = 0
  var losses: UInt64 = 0
  var duplicates: UInt64 = 0
  /// Since when a peer has had more children than it may.
  var crowdedSince: [Int: Int64] = [:]

  /// Runs a world to its end, or until something is wrong.
  ///
  /// - Throws: ``ParameterError`` when the topology cannot be made.
  package init(
    _ plan: Plan,
    _ part: Composition.Part,
    makeTopology: @escaping (_ name: String, _ parameters: String) throws(ParameterError) -> any Topology
  ) throws(ParameterError) {
    let manifest = type(of: try makeTopology(part.topology, part.parameters)).manifest
    self.plan = plan
    claims = manifest.claims
    parameters = try Parameters(part.parameters, declared: manifest.parameters)
    name = manifest.name
    isAmple = plan.isAmple
    let composition = Composition(name: part.topology, parts: [part])
    world = try ChunkWorld(plan, composition, makeTopology: makeTopology)
    world.said = []
    lastNews = [Int64](repeating: ChunkPeer.never, count: plan.peers.count)
    parents = [[ChunkPeer.Parent]](repeating: [], count: plan.peers.count)
    newest = [UInt32](repeating: 0, count: plan.peers.count)
    run()
    trace = world.trace
  }

  private mutating func run() {
    var faults = faultTimes[...]
    var events = 0
    while let peer = world.step(until: .max) {
      while let fault = faults.first, fault <= world.now {
        lastFault = fault
        isStormy = world.loss > 0 || world.peers.contains(where: \.isCut)
        faults.removeFirst()
      }
      note(peer)
      // Who hears nothing any more when the stream has ended is right to look for somebody else.
      if world.now < world.measured.upperBound { violation = look(at: peer) }
      events += 1
      if violation == nil, events > Self.eventLimit {
        violation = Violation(
          .rest,
          at: world.now,
          "there were more than \(Self.eventLimit / 1_000_000) million events, the last of them at \(Self.who(peer)): "
            + "something is repeated without need"
        )
      }
      world.said?.removeAll(keepingCapacity: true)
      guard violation == nil else { return }
    }
    if let peer = world.spinning {
      violation = Violation(.rest, at: world.now, Spinning(peer: peer, time: world.now).description)
    } else {
      violation = lookAtEnd()
    }
  }

  private var faultTimes: [Int64] {
    (plan.peers.compactMap(\.goes) + plan.changes.map(\.at)).map(\.nanoseconds).sorted()
  }

  private mutating func note(_ peer: Int) {
    let lost = world.tally.lost + world.measurement.overflowed
    if lost > losses || world.peers[peer].parents != parents[peer] { lastMove = world.now }
    losses = lost
    parents[peer] = world.peers[peer].parents
    if isStormy { lastFault = world.now }
    guard let said = world.said, !said.isEmpty, scenes.count < Self.sceneLimit else { return }
    for (peer, action) in said {
      guard let text = describe(action, of: peer) else { continue }
      // Who asks each of sixty stripes of the same peer says so once.
      guard scenes.last?.text != text || scenes.last?.peer != peer else { continue }
      scenes.append(Scene(time: world.now, peer: peer, text: text))
    }
  }

  // MARK: Words

  static func who(_ peer: Int) -> String { peer == 0 ? "the source" : "peer \(peer)" }

  private func who(_ peer: PeerRef, at host: Int) -> String {
    let index = world.view.peer(peer, at: host)
    return Int(index) < plan.peers.count ? Self.who(Int(index)) : "a stranger"
  }

  private func describe(_ action: TopologyAction, of host: Int) -> String? {
    switch action {
    case .connect(let peer, let purpose, _, _, _):
      switch purpose {
      case .data: "asks \(who(peer, at: host)) to feed it"
      case .spare: "asks \(who(peer, at: host)) to be its spare"
      case .control: nil
      @unknown default: nil
      }
    case .accept(let peer, _, _): "accepts \(who(peer, at: host))"
    case .refuse(let peer, _, let others):
      "refuses \(who(peer, at: host))"
        + (others.isEmpty
          ? "" : " and names " + others.map { who($0, at: host) }.joined(separator: ", "))
    case .disconnect(let peer, _): "parts from \(who(peer, at: host))"
    case .route(let stripe, let peer, _): "feeds \(who(peer, at: host))" + of(stripe)
    case .stop(let stripe, let peer): "ends what goes between it and \(who(peer, at: host))" + of(stripe)
    case .declareParent(let stripe, let peer?, let depth):
      "says that \(who(peer, at: host)) is its parent, and its depth \(depth)" + of(stripe)
    case .declareParent(let stripe, nil, _): host == 0 ? nil : "has no parent" + of(stripe)
    default: nil
    }
  }

  private func of(_ stripe: Int) -> String { world.stripes > 1 ? " (stripe \(stripe))" : "" }
}
