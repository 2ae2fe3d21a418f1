public import CPluginABI
package import PluginKit

/// For each chunk a tree of its own, drawn by all peers alike from one list and the chunk's number.
///
/// The source keeps the list, and its changes go round as chunks do. Beside each chunk stands the version of the list
/// whose tree it takes, which is one that has had the time to reach everybody.
package struct Seeded: Topology {
  package static let manifest = Manifest(
    name: "seeded",
    version: "1.0.0",
    summary:
      "For each chunk a tree of its own, drawn from one list by the chunk's number; for up to about 200 peers",
    parameters: [
      Parameter("fanout", .integer(2...64, default: 8), "to how many others a peer passes a chunk on"),
      Parameter(
        "burst",
        .duration(.milliseconds(1)...(.seconds(1)), default: .milliseconds(50)),
        "how long sending one chunk to all children may take"
      ),
      Parameter(
        "lead",
        .duration(.milliseconds(50)...(.seconds(5)), default: .milliseconds(250)),
        "how long a change of the list goes round before it counts"
      ),
      Parameter("members", .integer(2...400, default: 256), "how many peers the source takes"),
    ],
    wants: [.chunks, .duplicates, .haves, .gaps],
    claims: [.logarithmicDepth]
  )

  // Bounds on what others can make grow.
  static let treesLimit = 8
  static let historyLimit = 64
  static let askedLimit = 512
  static let heldLimit = 256
  /// How many chunks back it is remembered what was passed on.
  static let passedLimit = 1024
  /// More than the list has, as newcomers are connected to before they are on it.
  static let linksLimit = 440

  /// Nobody is believed to have more upload than for so many copies: a word is cheap.
  private static let copiesLimit: UInt64 = 16

  let fanout: Int
  let burst: Duration
  let lead: Duration
  let limit: Int

  var role = Role.relay
  var isStarted = false
  var isLeaving = false
  var began: Duration = .zero
  /// Kilobits per second.
  var upload: UInt32 = 0
  var awaitedEpoch: UInt32?
  /// The first chunk that is none of ours.
  var retirement: UInt64?

  var roll = Roll()
  /// The newest last.
  var grown: [Grown] = []
  var history: [Roll.Delta] = []
  /// Parts of a list that is on its way.
  var parts: (version: UInt64, parts: [[Roll.Entry]?])?
  var lastWant: Duration?

  /// Only looked up in; whoever has to do with all goes through the list.
  var links: [PeerID: Neighbour] = [:]
  var ids: [PeerRef: PeerID] = [:]
  var asked: [PeerRef: Duration] = [:]
  var source: PeerRef?

  // At the source.
  var registrar = Registrar()
  /// Which version counts from when on.
  var versions: [(version: UInt64, at: Duration)] = []

  /// Chunks whose version of the list is not known yet.
  var held: [(chunk: UInt64, version: UInt64, at: Duration)] = []
  var backlog: ClosedRange<UInt64>?
  var mending = Mending()
  var mendTime: Duration?
  var hasBegun = false
  /// Chunks that were passed on, by their number modulo the limit.
  var passed = [UInt64](repeating: .max, count: passedLimit)

  /// A version of the list with what is drawn from it.
  struct Grown {
    var version: UInt64
    var entries: [Roll.Entry]
    var tree: ChunkTree
    /// Where we stand on it.
    var own: Int?
  }

  /// Somebody who is connected.
  struct Neighbour: Hashable, Sendable {
    var peer: PeerRef
    /// Whether it answers our requests because we asked it to.
    var isSpare = false
    /// Whether we answer its requests because it asked us to.
    var isServed = false
    /// Until when it is not pushed to, as it did not answer.
    var silentUntil: Duration = .zero
    var lastList: Duration?
  }

  enum Clock: UInt32 {
    case tick = 1
    case list = 2
    case backlog = 3
    case mend = 4
  }

  package init(parameters: Parameters) throws(ParameterError) {
    fanout = parameters.integer("fanout")
    burst = parameters.duration("burst")
    lead = parameters.duration("lead")
    limit = parameters.integer("members")
  }

  package mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start(let role): start(role, &context)
    case .stop: leave(&context)
    case .prepare(let epoch, let handover):
      awaitedEpoch = epoch
      start(handover.role, &context)
      register(with: handover.members, &context)
    case .retire(let chunk): retirement = chunk
    case .capacity(let capacity): set(capacity, &context)
    case .discovered(let candidates): register(with: candidates, &context)
    case .inbound(let ask): consider(ask, &context)
    case .linkUp(let link): add(link, &context)
    case .linkDown(let peer, let reason, let redirect): remove(peer, reason, redirect, &context)
    case .silence(let peer, _): notice(silence: peer, &context)
    case .message(let peer, let epoch, let bytes):
      guard epoch == context.epoch, let message = Message(bytes) else { return }
      heard(peer)
      read(message, from: peer, &context)
    case .timer(Clock.tick.rawValue): tick(&context)
    case .timer(Clock.list.rawValue): revise(&context)
    case .timer(Clock.backlog.rawValue): fetchBacklog(&context)
    // What was asked for and came, and then comes down the tree as well, is still to be passed on.
    case .chunks(let arrivals), .duplicates(let arrivals):
      for arrival in arrivals { receive(arrival, &context) }
      setMendTimer(&context)
    case .haves(let haves): for have in haves { note(have) }
    case .requestFailed(_, let chunks, _):
      mending.retry(chunks, now: context.now)
      setMendTimer(&context)
    case .timer(Clock.mend.rawValue):
      mendTime = nil
      mend(&context)
    // Gaps are wanted so that the host leaves it to us to ask; they are seen here before it tells of them.
    case .gaps, .timer, .linkSample, .choked, .unchoked, .windowMoved: break
    @unknown default: break
    }
  }

  // MARK: Drawing

  /// Draws the tree of the list as it is now.
  mutating func grow(_ context: TopologyContext) {
    let rate = max(context.stream.rate / 1000, 1)
    let bits = max(UInt64(context.stream.chunkSize) * 8, 1)
    let seeds = roll.entries.map { entry in
      let upload = min(UInt64(entry.upload), Self.copiesLimit * rate)
      guard entry.number > 0 else {
        // The source is in every tree: it feeds as many as it can feed all the time, but for one that repairs need.
        let carried = Int(clamping: upload / rate)
        return ChunkTree.Seed(weight: 0, fanout: max(1, min(fanout, carried - 1)))
      }
      // How many copies of a chunk go out in the time of a burst.
      let copies = Int(clamping: upload * UInt64(burst / .milliseconds(1)) / bits)
      return ChunkTree.Seed(weight: UInt32(clamping: upload), fanout: max(2, min(fanout, copies)))
    }
    let me = context.me.id
    grown.append(
      Grown(
        version: roll.version,
        entries: roll.entries,
        tree: ChunkTree(seeds: seeds),
        own: roll.entries.firstIndex { $0.contact.id == me }
      )
    )
    if grown.count > Self.treesLimit { grown.removeFirst() }
  }

  /// Those whom we feed in a tree; where one does not answer, those whom it would feed.
  func receivers(of key: UInt64, in grown: Grown, now: Duration) -> [PeerRef] {
    guard let own = grown.own else { return [] }
    let order = grown.tree.order(for: key)
    guard let place = order.places.firstIndex(of: own) else { return [] }
    var found: [PeerRef] = []
    var pending = [order.children(of: place)]
    var next = 0
    while next < pending.count {
      for child in pending[next] {
        let entry = grown.entries[order.places[child]]
        if let link = links[entry.contact.id], link.silentUntil <= now {
          found.append(link.peer)
        } else {
          pending.append(order.children(of: child))
        }
      }
      next += 1
    }
    return found
  }
}

@c(Seeded_plugin)
public func descriptor() -> plugin_descriptor {
  unsafe plugin_describe { unsafe Plugin.retained(Seeded.self) }
}
