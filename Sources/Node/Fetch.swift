import Glibc
import Integrity
import MediaIO
import Net
import PluginKit
import Swarm
import Text

/// A running fetch: content on its way into a file, and to others who want it.
package struct Fetch {
  private let settings: FetchSettings
  private let host: Host
  private let bootstrap: [Address]
  private let part: PartialFile
  private var outlets: [ContentOutlet] = []
  private var nextReport: Duration = .zero
  private var hasAnswer = false
  private var isComplete = false
  private var chunksIn: UInt64 = 0
  private var lastProgress: Duration = .zero

  /// Fetches until everything is there, the time is over or a signal comes; serves then, if that was asked for.
  package static func run(_ settings: FetchSettings, _ report: (NodeEvent) -> Void) throws(NodeError) {
    guard let root = settings.link.root else { preconditionFailure("a fetch is of content") }
    if let path = settings.path, unsafe access(path, F_OK) == 0 {
      return try serveWhole(root, path, settings, report)
    }
    var fetch = try Fetch(settings)
    do throws(NodeError) {
      try fetch.start(root, report)
      try fetch.run(report)
    } catch {
      for index in fetch.outlets.indices { fetch.outlets[index].stop() }
      try? fetch.part.save(fetch.host.endpoint.peers[0], fetch.host.clock, isLast: true)
      report(.summary(fetch.host.summary()))
      throw error
    }
    report(.summary(fetch.host.summary()))
  }

  /// The output is there already: nothing is to be fetched, if it is the content.
  private static func serveWhole(
    _ root: RootHash,
    _ path: String,
    _ settings: FetchSettings,
    _ report: (NodeEvent) -> Void
  ) throws(NodeError) {
    do {
      let file = try ContentFile.open(path)
      let tree = try file.tree(root.function, chunkSize: settings.link.chunkSize) {
        report(.hashing(path, $0))
      }
      guard tree.root == root else {
        throw .file("'\(path)' exists and is something else: choose another name with --output FILE")
      }
    }
    report(.sentence("'\(path)' is complete already"))
    let player = settings.plays ? try ContentOutlet.play(path) {} : nil
    defer {
      if !settings.seeds { player?.wait() }
      player?.stop()
    }
    guard settings.seeds else { return }
    var seed = SeedSettings(files: [path], node: settings.node)
    seed.chunkSize = settings.link.chunkSize
    seed.function = root.function
    seed.addressing = settings.link.addressing
    seed.membership = settings.membership
    seed.listen = settings.listen ?? .address(Address(ipv4: 0, port: 0))
    try Seed.run(seed, report)
  }

  private init(_ settings: FetchSettings) throws(NodeError) {
    self.settings = settings
    let found = try Sockets.bootstrap(settings.link)
    let socket = try Sockets.listen(settings.listen, reaching: found, settings.node.transport)
    host = try Host(settings.node, socket, clock: Clock())
    bootstrap = try Sockets.reachable(found, from: host.carrier)
    part = PartialFile(settings.path)
    if settings.output == .standardOutput { outlets.append(ContentOutlet(.standardOutput, host.waker)) }
    if settings.plays { outlets.append(ContentOutlet(.player, host.waker)) }
  }

  private func start(_ root: RootHash, _ report: (NodeEvent) -> Void) throws(NodeError) {
    let bound = host.carrier.address
    let own =
      settings.node.advertised.isEmpty
      ? Sockets.own(bound, towards: bootstrap[0])
      : Sockets.advertised(settings.node.advertised, bound) {
        report(.warning("\($0); others are told where this peer listens"))
      }[0]
    let (chunkSize, order) = (settings.link.chunkSize, settings.order)
    let configuration = try Seed.content(
      settings.link,
      root,
      address: own,
      settings.node,
      host,
      membership: settings.membership
    )
    let content: Content
    if let found = try part.resume(
      root,
      chunkSize: chunkSize,
      order: order,
      { report(.hashing(settings.path ?? "", $0)) }
    ) {
      report(.sentence("going on with \(found.held.grouped) chunks that are here"))
      content = found.content
    } else {
      content = try NodeError.integrity { () throws(IntegrityError) in
        try Content(fetching: root, chunkSize: chunkSize, order: order)
      }
    }
    report(.sentence(settings.path.map { "fetching into '\($0)'" } ?? "fetching to standard output"))
    try host.add(configuration, content, bootstrap: bootstrap)
  }

  private mutating func run(_ report: (NodeEvent) -> Void) throws(NodeError) {
    let began = host.clock.now
    let end = settings.node.duration.map { began + $0 }
    nextReport = began + .seconds(1)
    lastProgress = began
    while host.interruptions == 0 {
      try turn(until: end, report)
      let now = host.clock.now
      if isComplete, !settings.seeds, outlets.allSatisfy(\.isOver) { break }
      if isUnwanted { break }
      if let end, now >= end { break }
      if !isComplete { try checkProgress(began: began, now: now) }
    }
    for index in outlets.indices { outlets[index].stop() }
    if !isComplete { try part.save(host.endpoint.peers[0], host.clock, isLast: true) }
    try Seed.leave(host)
    guard !isComplete, !isUnwanted, let progress = host.endpoint.peers[0].progress else { return }
    guard hasAnswer || host.interruptions > 0 else {
      throw .noAnswer(bootstrap, within: host.clock.now - began)
    }
    throw .incomplete(held: progress.held, count: progress.count, isKept: settings.path != nil)
  }

  /// Whether the only one who was to have it has gone.
  private var isUnwanted: Bool {
    outlets.contains { $0.target == .standardOutput && $0.isOver } && !isComplete
  }

  private mutating func turn(until end: Duration?, _ report: (NodeEvent) -> Void) throws(NodeError) {
    try host.wait(until: min(nextReport, end ?? nextReport))
    try host.timers()
    for notice in host.takeNotices() {
      switch notice {
      case .connected: hasAnswer = true
      case .sentence(let text): report(.sentence(text))
      case .sized(let chunks):
        let memory = try part.create(byteCount: Int(chunks) * settings.link.chunkSize)
        host.endpoint.peers[0].provide(memory, now: host.clock.now)
        host.flush()
      case .length(let bytes):
        report(.sentence("\(bytes.grouped) bytes"))
        try part.truncate(to: bytes)
      case .complete:
        isComplete = true
        try part.finish()
        report(.sentence((settings.path.map { "'\($0)'" } ?? "everything") + " is complete and verified"))
      default: break
      }
    }
    try feedOutlets(report)
    let now = host.clock.now
    guard now >= nextReport else { return }
    if !isComplete { try part.save(host.endpoint.peers[0], host.clock) }
    if let progress = host.endpoint.peers[0].progress { report(.progress(progress, host.statistics())) }
    for warning in host.takeWarnings() { report(.warning(warning)) }
    nextReport = max(nextReport + .seconds(1), now)
  }

  /// Lets those who read have what has come from the first byte on.
  private mutating func feedOutlets(_ report: (NodeEvent) -> Void) throws(NodeError) {
    guard !outlets.isEmpty, let progress = host.endpoint.peers[0].progress else { return }
    let most = progress.length.map { Int($0) } ?? .max
    let byteCount = min(Int(progress.prefix) * settings.link.chunkSize, most)
    for index in outlets.indices where !outlets[index].isOver {
      if isComplete {
        try outlets[index].complete(byteCount, in: part, path: settings.path)
      } else {
        try outlets[index].extend(to: byteCount, in: part)
      }
      for sentence in outlets[index].takeSentences() {
        let goesOn = outlets[index].isOver && outlets[index].target == .player && !isComplete
        report(.sentence(goesOn ? sentence + "; fetching goes on" : sentence))
      }
    }
  }

  /// Gives up when nobody answers, or nothing comes any more.
  private mutating func checkProgress(began: Duration, now: Duration) throws(NodeError) {
    if let held = host.endpoint.peers[0].progress?.held, held > chunksIn {
      chunksIn = held
      lastProgress = now
    }
    if !hasAnswer, now - began >= settings.answerPatience {
      throw .noAnswer(bootstrap, within: settings.answerPatience)
    }
    guard now - lastProgress < settings.contentPatience else {
      throw .noChunks(within: settings.contentPatience, isKept: settings.path != nil)
    }
  }
}
