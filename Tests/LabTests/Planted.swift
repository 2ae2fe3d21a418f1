import PluginKit

/// What is wrong with a ``Planted`` topology.
protocol Flaw {
  static var name: String { get }
}

/// Nothing is.
enum Sound: Flaw { static let name = "sound" }
/// Who loses its parent asks one of its own children, which takes it.
enum Looping: Flaw { static let name = "looping" }
/// A full peer takes one child more.
enum Crowded: Flaw { static let name = "crowded" }
/// Who loses its parent waits for ever.
enum Waiting: Flaw { static let name = "waiting" }
/// Names others in the order of a hash table.
enum Unordered: Flaw { static let name = "unordered" }
/// Ends the process when a child goes.
enum Trapping: Flaw { static let name = "trapping" }
/// Does not come back from the event when a child goes.
enum Endless: Flaw { static let name = "endless" }

/// A plain tree with a flaw.
///
/// Whoever is fed feeds others; who cannot names those whom it feeds. Who loses its parent lets its children go and asks
/// the source anew.
struct Planted<Kind: Flaw>: Topology {
  static var manifest: Manifest {
    Manifest(
      name: Kind.name,
      version: "1.0.0",
      summary: "A tree to test the tests",
      parameters: [Parameter("fanout", .integer(1...64, default: 2), "how many a peer feeds at most")],
      claims: [.noDuplicates, .noLoops, .fanOut(parameter: "fanout"), .repair(within: .seconds(12))]
    )
  }

  private static var watch: UInt32 { 1 }
  private static var retry: UInt32 { 2 }

  private let fanout: Int
  private var role = Role.leaf
  private var upload: UInt64 = 0
  private var parent: PeerRef?
  private var asked: PeerRef?
  private var children: [PeerRef] = []
  /// The newest chunk, and since when it is that.
  private var newest: UInt64?
  private var since = Duration.zero

  init(parameters: Parameters) { fanout = parameters.integer("fanout") }

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .start(let role):
      self.role = role
      declare(nil, depth: 0, &context)
      if role != .source { context.emit(.discover(limit: 8)) }
      context.emit(.setTimer(Self.watch, at: context.now + .milliseconds(500)))
    case .capacity(let capacity):
      upload = capacity.upload
      while children.count > room(context.stream) {
        context.emit(.disconnect(children.removeLast(), redirect: []))
      }
    case .discovered(let candidates): ask(candidates.map(\.peer), &context)
    case .inbound(let caller): answer(caller, &context)
    case .linkUp(let link) where link.isParent:
      asked = nil
      parent = link.peer
      since = context.now
      declare(link.peer, depth: (link.hello?.depth ?? 0) + 1, &context)
    case .linkDown(let peer, _, let redirect):
      if Kind.self == Trapping.self, children.contains(peer) { preconditionFailure("a child has gone") }
      if Kind.self == Endless.self, children.contains(peer) {
        while newest != 0 { newest = context.now == .zero ? 0 : 1 }
      }
      children.removeAll { $0 == peer }
      if peer == parent { orphaned(&context) }
      if peer == asked {
        asked = nil
        ask(redirect.map(\.peer), &context)
      }
    case .silence(let peer, _): if peer == parent { leave(&context) }
    case .timer(Self.retry): if parent == nil, asked == nil { context.emit(.discover(limit: 8)) }
    case .timer: look(&context)
    default: break
    }
  }

  private mutating func ask(_ peers: [PeerRef], _ context: inout TopologyContext) {
    guard parent == nil, asked == nil else { return }
    guard let peer = peers.randomElement(using: &context.random) else {
      context.emit(.setTimer(Self.retry, at: context.now + .milliseconds(300)))
      return
    }
    asked = peer
    context.emit(.connect(peer, .data, .first(1), from: nil, note: []))
  }

  /// How many it can feed; a quarter of the upload is for repair and for newcomers, who have something to catch up with.
  private func room(_ stream: StreamProperties) -> Int {
    role == .leaf ? 0 : min(fanout, stream.copies(in: upload / 4 * 3))
  }

  private mutating func answer(_ caller: Inbound, _ context: inout TopologyContext) {
    var room = room(context.stream)
    if Kind.self == Crowded.self, room == fanout { room += 1 }
    let isAttached = role == .source || parent != nil || Kind.self == Looping.self
    guard isAttached, caller.purpose == .data, children.contains(caller.peer) || children.count < room else {
      var others = children.filter { $0 != caller.peer }
      if Kind.self == Unordered.self {
        others = Array(Set(others.map { context.contact(of: $0) }).compactMap { $0 }).map {
          context.peer(for: $0)
        }
      }
      context.emit(.refuse(caller.peer, caller.stripes, redirect: Array(others.prefix(8))))
      return
    }
    if !children.contains(caller.peer) { children.append(caller.peer) }
    context.emit(.accept(caller.peer, caller.stripes, note: []))
    context.emit(.route(stripe: 0, to: caller.peer, from: caller.from))
  }

  /// Nothing new has come for long: the parent is of no use.
  private mutating func look(_ context: inout TopologyContext) {
    context.emit(.setTimer(Self.watch, at: context.now + .milliseconds(500)))
    if context.window.last != newest {
      newest = context.window.last
      since = context.now
    } else if parent != nil, context.now - since > .seconds(2) {
      leave(&context)
    }
  }

  private mutating func leave(_ context: inout TopologyContext) {
    guard let parent, Kind.self != Waiting.self else { return }
    context.emit(.disconnect(parent, redirect: []))
    orphaned(&context)
  }

  private mutating func orphaned(_ context: inout TopologyContext) {
    parent = nil
    declare(nil, depth: 0, &context)
    if Kind.self == Waiting.self { return }
    if Kind.self == Looping.self, let child = children.first {
      ask([child], &context)
      return
    }
    for child in children { context.emit(.disconnect(child, redirect: [])) }
    children = []
    context.emit(.discover(limit: 8))
  }

  private func declare(_ parent: PeerRef?, depth: Int, _ context: inout TopologyContext) {
    context.emit(.declareParent(stripe: 0, parent, depth: depth))
  }
}
