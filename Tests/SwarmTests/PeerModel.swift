import PluginKit
import Wire

/// What one peer must do at its protocol border when all others are plain RFC 7574 peers, under Sign All.
///
/// Written for the tests from the RFC, over sets and lists that are walked each time, with no line of the product. What
/// must be said is predicted word by word (``due``). Where the RFC leaves a choice (whom to ask, when to send what was
/// asked for, who gets a slot), what the peer said is judged and then taken over.
struct PeerModel {
  struct Rules {
    /// Makes the stream, and asks its topology about plain peers; else it pulls from those that it dials.
    var isSource = false
    /// How many plain peers a source's topology takes.
    var slots = 3
    var window: UInt64 = 64
    var chunkSize = 128
    /// Bits per second.
    var upload: UInt64 = 0
    var patience: Duration = .seconds(2)
    /// Whether nothing keeps the peer from sending at once what was asked for.
    var isCalm = false
  }

  /// A chunk under its signature, or under a false one.
  struct Chunk: Hashable {
    var number: UInt64
    var timestamp: UInt64
    var payload: [UInt8]
    var signature: [UInt8]
  }

  /// A message, as both sides see it.
  enum Word: Equatable {
    case handshake(from: UInt32, isRight: Bool, MessageSet)
    case close
    case signature(UInt64, timestamp: UInt64, [UInt8])
    case data(UInt64, sent: UInt64, [UInt8])
    case ack(ChunkRange, delay: UInt64)
    case have(ChunkRange)
    case request(ChunkRange)
    case cancel(ChunkRange)
    case choke
    case unchoke
    /// One that means nothing here.
    case idle
    /// One of no known type, which ends what is read of its datagram.
    case strange
  }

  /// What must be said next on a way.
  enum Due: Equatable {
    case dial
    case answer(MessageSet)
    case keepAlive
    case word(Word)
  }

  /// Where a channel of the other side is.
  struct Origin: Hashable {
    var address: Address
    var channel: UInt32
  }

  struct Newcomer {
    var local: UInt32
    var supported: MessageSet
    var since: Duration
  }

  struct Wanted {
    var number: UInt64
    var until: Duration
    /// False when it may have been sent so lately that asking again changes nothing.
    var isCertain: Bool
    /// Whether it was taken back.
    var isWithdrawn = false
  }

  /// One channel.
  struct Line {
    let origin: Address
    let isDialled: Bool
    var remote: UInt32 = 0
    var supported = MessageSet.rfc7574
    var isOpen = false
    var heard: Duration
    var sent: Duration
    /// When the first three datagrams went out since the last that came.
    var unheard: [Duration] = []
    var dialled: Duration
    var tries = 0
    var nextDial: Duration?

    var isServed = false
    var weChoke = false
    var chokedAt: Duration = .zero
    /// When it last used its slot, and when for certain.
    var used: Duration
    var asked: Duration
    /// What it says to have by HAVE, and by ACK as well, which is not heard when it comes too late.
    var available: [ChunkRange] = []
    var possible: [ChunkRange] = []
    var lies = 0
    var early: [(number: UInt64, timestamp: UInt64, signature: [UInt8])] = []
    var isChokingUs = false

    var owed: ChunkRange?
    var owedDelay: UInt64 = 0
    var owedCount = 0
    var owedUntil: Duration?

    var wanted: [Wanted] = []
    var lastSent: [UInt64: Duration] = [:]
    var wantsHaves = false
    var told: UInt64?
    var toldAt: Duration?
  }

  let rules: Rules
  private(set) var now: Duration = .zero
  /// Whether the stream's key made this chunk.
  let isGenuine: (Chunk) -> Bool
  var held: [UInt64: Chunk] = [:]
  var lastChunk: UInt64?
  var lines: [UInt32: Line] = [:]
  var newcomers: [Origin: Newcomer] = [:]
  var banned: [Address: Duration] = [:]
  var places: Set<Address> = []
  var due: [Origin: [Due]] = [:]
  var bootstrap: [Address] = []
  private var measured: UInt64 = 0
  private var keptThisSecond: UInt64 = 0
  private var nextSecond: Duration = .seconds(1)
  private(set) var hasLeft = false
  /// Whether the datagram that is being read had something that lets chunks go.
  private var mayHaveSent = false
  /// What the peer did that it must not, or did not that it must.
  private(set) var complaint: String?

  init(_ rules: Rules, began: Duration = .zero, isGenuine: @escaping (Chunk) -> Bool) {
    self.rules = rules
    now = began
    nextSecond = began + .seconds(1)
    self.isGenuine = isGenuine
  }

  mutating func complain(_ text: String) { complaint = complaint ?? text }

  /// Microseconds of our clock.
  var clock: UInt64 {
    let (seconds, attoseconds) = now.components
    return UInt64(seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
  }

  // MARK: - What is held

  var newest: UInt64? { held.keys.max() }
  var first: UInt64 { newest.map { $0 >= rules.window ? $0 - rules.window + 1 : 0 } ?? 0 }

  /// All runs of chunks, ascending.
  var runs: [ChunkRange] {
    held.keys.sorted().reduce(into: []) { runs, number in
      if let last = runs.last, last.upperBound + 1 == number {
        runs[runs.count - 1] = last.lowerBound...number
      } else {
        runs.append(number...number)
      }
    }
  }

  func run(around number: UInt64) -> ChunkRange? { runs.first { $0.contains(number) } }

  private mutating func keep(_ chunk: Chunk) {
    held[chunk.number] = chunk
    let first = first
    held = held.filter { $0.key >= first }
    keptThisSecond += 1
  }

  mutating func publish(_ chunk: Chunk) {
    if chunk.payload.count < rules.chunkSize { lastChunk = chunk.number }
    keep(chunk)
  }

  // MARK: - Beginning and ending

  mutating func start(_ addresses: [Address]) {
    bootstrap = addresses
    for address in addresses { expectDial(address) }
  }

  mutating func expectDial(_ address: Address) {
    guard !isBanned(address) else { return }
    due[Origin(address: address, channel: 0), default: []].append(.dial)
  }

  mutating func leave() {
    hasLeft = true
    for line in lines.values where line.isOpen {
      due[Origin(address: line.origin, channel: line.remote), default: []].append(.word(.close))
    }
    lines = [:]
  }

  func isBanned(_ address: Address) -> Bool { banned[address].map { $0 > now } ?? false }

  mutating func lose(_ local: UInt32) {
    guard let line = lines.removeValue(forKey: local) else { return }
    if line.isServed { places.remove(line.origin) }
  }

  mutating func say(_ local: UInt32, _ word: Word) {
    guard let line = lines[local] else { return }
    due[Origin(address: line.origin, channel: line.remote), default: []].append(.word(word))
  }

  // MARK: - Time

  /// Lets what is due by itself become due.
  mutating func advance(to time: Duration) {
    now = time
    for local in lines.keys.sorted() {
      guard let line = lines[local] else { continue }
      if let at = [line.nextDial, line.owedUntil].compactMap(\.self).min(), at < now {
        complain("slept over what was due at \(at)")
      }
      if let at = line.nextDial, at <= now {
        lines[local]?.nextDial = nil
        if now - line.dialled >= .seconds(3) {
          lose(local)
          expectDial(line.origin)
        } else {
          due[Origin(address: line.origin, channel: 0), default: []].append(.dial)
        }
      }
      if let at = line.owedUntil, at <= now { sayAck(local) }
    }
    guard now >= nextSecond else { return }
    measured = (measured * 3 + keptThisSecond * UInt64(rules.chunkSize) * 8) / 4
    keptThisSecond = 0
    nextSecond = now + .seconds(1)
    newcomers = newcomers.filter { now - $0.value.since < .seconds(5) }
    banned = banned.filter { $0.value > now }
  }

  /// Whether a channel's silence has lasted long enough to give it up, and by `slack` longer.
  func isDead(_ line: Line, slack: Duration = .zero) -> Bool {
    let limit: Duration = line.isDialled ? .seconds(10) : .seconds(180)
    guard line.isOpen, line.unheard.count >= 3 else { return false }
    return now >= max(line.heard + limit, line.unheard[2]) + slack
  }

  /// The peer has given a channel up.
  mutating func parted(_ local: UInt32) {
    guard let line = lines[local] else { return }
    guard isDead(line) else { return complain("gave up channel \(local) that is not dead") }
    lose(local)
    if bootstrap.contains(line.origin), !rules.isSource { expectDial(line.origin) }
  }

  // MARK: - Hearing

  /// A datagram for channel `channel`.
  ///
  /// `isAwaited` says of a chunk whether this channel is the one that was asked for it last.
  mutating func hear(_ words: [Word], to channel: UInt32, from address: Address, isAwaited: (UInt64) -> Bool)
  {
    guard !hasLeft, !isBanned(address) else { return }
    if channel == 0 { return greet(words, address) }
    if lines[channel] == nil {
      guard let (origin, newcomer) = newcomers.first(where: { $0.value.local == channel }),
        origin.address == address
      else { return }
      newcomers[origin] = nil
      var line = Line(
        origin: address,
        isDialled: false,
        heard: now,
        sent: now,
        dialled: newcomer.since,
        used: now,
        asked: now
      )
      line.remote = origin.channel
      line.supported = newcomer.supported
      line.isOpen = true
      lines[channel] = line
      consider(channel)
    }
    guard let line = lines[channel], line.origin == address else { return }
    var words = words[...]
    if !line.isOpen {
      guard readAnswer(channel, words.popFirst()) else { return }
    }
    lines[channel]?.heard = now
    lines[channel]?.unheard = []
    var signature: (number: UInt64, timestamp: UInt64, signature: [UInt8])?
    mayHaveSent = false
    for word in words {
      if word == .strange { break }
      switch word {
      case .signature(let number, let timestamp, let bytes): signature = (number, timestamp, bytes)
      case .data(let number, let sent, let payload):
        var proof = signature
        if proof?.number == number {
          signature = nil
        } else {
          let place = lines[channel]?.early.lastIndex { $0.number == number }
          proof = place.flatMap { lines[channel]?.early.remove(at: $0) }
        }
        guard let proof else { continue }
        let chunk = Chunk(
          number: number,
          timestamp: proof.timestamp,
          payload: payload,
          signature: proof.signature
        )
        take(chunk, sent: sent, channel, isAwaited: isAwaited(number))
      default: read(word, channel)
      }
      guard lines[channel] != nil else { return }
    }
    // A datagram that ends in what cannot be read leaves nothing for later ones.
    if let signature, !words.contains(.strange), isAsked(channel, isAwaited(signature.number)),
      held[signature.number] == nil
    {
      lines[channel]?.early.append(signature)
    }
  }

  private mutating func greet(_ words: [Word], _ address: Address) {
    guard case .handshake(let source, isRight: true, let supported)? = words.first else { return }
    due[Origin(address: address, channel: source), default: []].append(.answer(supported))
  }

  /// A first handshake was right; the peer must have answered with the number that it gave before, or a new one.
  mutating func gave(_ local: UInt32, to origin: Origin, _ supported: MessageSet) {
    let open = lines.first { _, line in
      !line.isDialled && line.origin == origin.address && line.remote == origin.channel
    }
    if let known = open?.key ?? newcomers[origin]?.local {
      if known != local { complain("answered a resent handshake with another channel") }
    } else if lines[local] != nil || newcomers.values.contains(where: { $0.local == local }) {
      complain("gave one number to two channels")
    } else {
      newcomers[origin] = Newcomer(local: local, supported: supported, since: now)
    }
  }

  private mutating func readAnswer(_ local: UInt32, _ word: Word?) -> Bool {
    switch word {
    case .handshake(let source, let isRight, let supported):
      lines[local]?.remote = source
      guard isRight else {
        say(local, .close)
        lose(local)
        return false
      }
      lines[local]?.isOpen = true
      lines[local]?.supported = supported
      lines[local]?.nextDial = nil
      due[Origin(address: lines[local]?.origin ?? Address(ipv4: 0, port: 0), channel: source), default: []]
        .append(.keepAlive)
      return true
    case .close: lose(local)
    default: break
    }
    return false
  }

  private mutating func read(_ word: Word, _ local: UInt32) {
    guard let line = lines[local] else { return }
    switch word {
    case .close: lose(local)
    case .choke: lines[local]?.isChokingUs = true
    case .unchoke: lines[local]?.isChokingUs = false
    case .have(let chunks):
      let limit = newest.map { $0 + rules.window } ?? UInt64(UInt32.max) - 1
      guard chunks.lowerBound <= limit else { return }
      let believed = chunks.lowerBound...min(chunks.upperBound, limit)
      lines[local]?.available = Self.union(line.available, believed)
      lines[local]?.possible = Self.union(line.possible, believed)
      withdraw(believed, local)
    case .cancel(let chunks): withdraw(chunks, local)
    case .request(let chunks): request(chunks, local)
    case .ack(let chunks, _):
      // Of something that was sent; what is under way twice need not go again.
      let found = line.lastSent.keys.filter { chunks.contains($0) }
      guard !found.isEmpty else { return }
      mayHaveSent = true
      for number in found { lines[local]?.lastSent[number] = nil }
      lines[local]?.used = now
      if let newest, chunks.lowerBound <= newest {
        let believed = chunks.lowerBound...min(chunks.upperBound, newest)
        lines[local]?.possible = Self.union(line.possible, believed)
      }
      for place in line.wanted.indices where chunks.contains(line.wanted[place].number) {
        lines[local]?.wanted[place].isCertain = false
      }
    default: break
    }
  }

  /// What was asked for must not go any more, if nothing before it in the same datagram has let it go.
  private mutating func withdraw(_ chunks: ChunkRange, _ local: UInt32) {
    guard let line = lines[local] else { return }
    for place in line.wanted.indices where chunks.contains(line.wanted[place].number) {
      lines[local]?.wanted[place].isCertain = false
      lines[local]?.wanted[place].isWithdrawn = true
    }
    lines[local]?.wanted.removeAll { $0.isWithdrawn && !mayHaveSent }
  }

  private mutating func request(_ chunks: ChunkRange, _ local: UInt32) {
    guard let line = lines[local] else { return }
    if line.weChoke {
      if line.supported.contains(MessageType.choke) { say(local, .choke) }
      return
    }
    guard line.isServed else { return }
    mayHaveSent = true
    lines[local]?.used = now
    lines[local]?.asked = now
    for number in held.keys.sorted() where chunks.contains(number) {
      guard !line.wanted.contains(where: { $0.number == number && $0.isCertain }) else { continue }
      lines[local]?.wanted.append(
        Wanted(number: number, until: now + rules.patience, isCertain: line.lastSent[number] == nil)
      )
    }
  }

  static func union(_ ranges: [ChunkRange], _ added: ChunkRange) -> [ChunkRange] {
    var (low, high) = (added.lowerBound, added.upperBound)
    var apart: [ChunkRange] = []
    for range in ranges {
      if range.lowerBound <= high + 1, low <= range.upperBound + 1 {
        (low, high) = (min(low, range.lowerBound), max(high, range.upperBound))
      } else {
        apart.append(range)
      }
    }
    return (apart + [low...high]).sorted { $0.lowerBound < $1.lowerBound }
  }

  // MARK: - Chunks that come

  private func isAsked(_ local: UInt32, _ isAwaited: Bool) -> Bool {
    lines[local]?.isDialled == true || isAwaited
  }

  private mutating func take(_ chunk: Chunk, sent: UInt64, _ local: UInt32, isAwaited: Bool) {
    let number = chunk.number
    if held[number] != nil { return owe(number, sent, local) }
    guard isAsked(local, isAwaited), number >= first, number <= lastChunk ?? UInt64(UInt32.max) - 1 else {
      return
    }
    guard isGenuine(chunk) else {
      lines[local]?.lies += 1
      guard let line = lines[local], line.lies >= 3 else { return }
      banned[line.origin] = now + .seconds(600)
      return lose(local)
    }
    let below = held.keys.filter { $0 < number }.max().flatMap { held[$0]?.timestamp }
    let above = held.keys.filter { $0 > number }.min().flatMap { held[$0]?.timestamp }
    if let below, chunk.timestamp < below { return }
    if let above, chunk.timestamp > above { return }
    if chunk.payload.count < rules.chunkSize {
      guard number >= newest ?? 0 else { return }
      lastChunk = number
    }
    keep(chunk)
    owe(number, sent, local)
  }

  /// ACK waits for 8 chunks or 10 ms, and says the biggest run around the last (RFC 7574, section 4.3.2).
  private mutating func owe(_ number: UInt64, _ sent: UInt64, _ local: UInt32) {
    guard let run = run(around: number) else { return }
    if let owed = lines[local]?.owed, !run.contains(owed.lowerBound) { sayAck(local) }
    guard lines[local]?.supported.contains(MessageType.ack) == true else { return }
    lines[local]?.owed = run
    let delay = clock &- sent
    lines[local]?.owedDelay = delay
    lines[local]?.owedCount += 1
    if lines[local]?.owedUntil == nil { lines[local]?.owedUntil = now + .milliseconds(10) }
    if lines[local]?.owedCount == 8 { sayAck(local) }
  }

  private mutating func sayAck(_ local: UInt32) {
    guard let line = lines[local], let owed = line.owed else { return }
    say(local, .ack(owed, delay: line.owedDelay))
    lines[local]?.owed = nil
    lines[local]?.owedCount = 0
    lines[local]?.owedUntil = nil
  }

  // MARK: - Who is served

  private var hasSlot: Bool {
    let rate = measured
    let slots = rate == 0 ? 1 : Int(min(rules.upload / rate, 64))
    return lines.values.count { $0.isServed } < slots
  }

  func mayServe(_ line: Line) -> Bool {
    rules.isSource ? places.contains(line.origin) || places.count < rules.slots : hasSlot
  }

  mutating func consider(_ local: UInt32) {
    guard let line = lines[local] else { return }
    if mayServe(line) {
      serve(local)
    } else {
      lines[local]?.weChoke = true
      lines[local]?.chokedAt = now
      if line.supported.contains(MessageType.choke) { say(local, .choke) }
    }
  }

  mutating func serve(_ local: UInt32) {
    guard let line = lines[local] else { return }
    lines[local]?.isServed = true
    lines[local]?.weChoke = false
    lines[local]?.used = now
    lines[local]?.asked = now
    lines[local]?.wantsHaves = true
    places.insert(line.origin)
  }
}
