import PluginKit

// The list: how the source changes it, and how the others come to know.
extension Seeded {
  /// How often the source looks whether the list is to change.
  static let listInterval: Duration = .milliseconds(100)
  /// Nobody is asked for what is missing of the list more often than this, nor tells all of it to the same peer.
  private static let wantInterval: Duration = .milliseconds(100)
  /// The most changes that are told to who asks; more are told as a whole list.
  private static let toldLimit = 16

  // MARK: At the source

  mutating func revise(_ context: inout TopologyContext) {
    guard role == .source, !isLeaving else { return }
    context.emit(.setTimer(Clock.list.rawValue, at: context.now + Self.listInterval))
    if roll.version == 0 {
      let me = Roll.Entry(number: 0, contact: context.me, upload: upload, isReachable: true)
      roll = Roll(version: 1, entries: [me])
      grow(context)
    }
    let rate = max(context.stream.rate / 1000, 1)
    let copies = max(1, min(fanout, Int(clamping: UInt64(upload) / rate) - 1))
    guard
      let delta = registrar.delta(for: roll, own: upload, rate: rate, copies: copies, now: context.now)
    else { return }
    apply(delta, &context)
    if versions.count >= Self.treesLimit - 2 {
      versions[versions.count - 1] = (roll.version, context.now + lead)
    } else {
      versions.append((roll.version, context.now + lead))
    }
    announce(&context)
  }

  // MARK: Everybody

  /// Takes in what leads on from the own version and passes it on along the tree of that.
  private mutating func apply(_ delta: Roll.Delta, _ context: inout TopologyContext) {
    guard roll.apply(delta) else { return }
    history.append(delta)
    if history.count > Self.historyLimit { history.removeFirst() }
    if let before = grown.last {
      let bytes = Message.delta(delta).encoded
      for peer in receivers(of: delta.version, in: before, now: context.now) {
        context.emit(.send(peer, bytes))
      }
    }
    grow(context)
    connect(to: delta.joined, &context)
  }

  mutating func read(_ message: Message, from peer: PeerRef, _ context: inout TopologyContext) {
    switch message {
    case .want(let version): tell(peer, after: version, &context)
    case .silent(let number):
      guard role == .source, let id = ids[peer] else { return }
      registrar.suspect(number, by: id, isOwn: false, now: context.now)
    case .delta(let delta):
      guard role != .source, !isLeaving, roll.version > 0 else { return }
      if delta.version > roll.version + 1 { want(from: peer, &context) }
      apply(delta, &context)
      release(&context)
    case .part(let version, let part, let count, let entries):
      guard role != .source, !isLeaving, version > roll.version else { return }
      collect(version, part, of: count, entries, &context)
    case .window: break
    }
  }

  /// Asks for what came after the own version.
  mutating func want(from peer: PeerRef, _ context: inout TopologyContext) {
    if let lastWant, context.now - lastWant < Self.wantInterval { return }
    lastWant = context.now
    context.emit(.send(peer, Message.want(roll.version).encoded))
  }

  private mutating func tell(_ peer: PeerRef, after version: UInt64, _ context: inout TopologyContext) {
    guard let id = ids[peer], let link = links[id], version < roll.version else { return }
    let missing = history.filter { $0.version > version }
    if missing.first?.version == version + 1, missing.count <= Self.toldLimit {
      for delta in missing { context.emit(.send(peer, Message.delta(delta).encoded)) }
      return
    }
    if let last = link.lastList, context.now - last < Self.wantInterval { return }
    links[id]?.lastList = context.now
    let entries = roll.entries
    let count = (entries.count + Message.partLimit - 1) / Message.partLimit
    for part in 0..<count {
      let first = part * Message.partLimit
      let some = Array(entries[first..<min(first + Message.partLimit, entries.count)])
      let message = Message.part(version: roll.version, part: part, of: count, some)
      context.emit(.send(peer, message.encoded))
    }
  }

  private mutating func collect(
    _ version: UInt64,
    _ part: Int,
    of count: Int,
    _ entries: [Roll.Entry],
    _ context: inout TopologyContext
  ) {
    var known = parts ?? (version, [])
    if known.version != version || known.parts.count != count {
      known = (version, [[Roll.Entry]?](repeating: nil, count: count))
    }
    known.parts[part] = entries
    parts = known
    let all = known.parts.compactMap { $0 }
    guard all.count == count else { return }
    parts = nil
    let list = all.flatMap { $0 }
    // A list that is in no order is none.
    guard list.first?.number == 0, zip(list, list.dropFirst()).allSatisfy({ $0.number < $1.number }) else {
      return
    }
    roll = Roll(version: version, entries: list)
    history = []
    grow(context)
    connect(to: list, &context)
    release(&context)
    announce(&context)
  }
}
