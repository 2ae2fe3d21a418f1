import Integrity
import PluginKit
import Support
import Wire

@testable import Swarm

/// A peer and its model hear the same from a handful of plain peers, who say anything at any time, over a network that
/// loses, doubles and reorders.
///
/// Each event is made from a number of its own and from what has happened so far, so that events can be left out.
struct PeerSchedule {
  typealias Word = PeerModel.Word

  /// One of the others.
  private struct Remote {
    let address: Address
    var channel: UInt32
    /// The peer's channel, as it was told; and before the last restart.
    var theirs: UInt32?
    var former: UInt32?
    var supported = MessageSet.rfc7574
  }

  private struct Flying {
    var bytes: [UInt8]
    var channel: UInt32
    var words: [Word]
    var from: Address
  }

  private let rules: PeerModel.Rules
  private let key: StreamKey
  private let signer: SignAll.Signer
  private let made = Made()
  private let format: WireFormat
  private var peer: Peer
  private var model: PeerModel
  private var remotes: [Remote] = []
  private var flying: [Flying] = []
  private var now: Duration = .zero
  private var head: UInt64 = 10
  private var nextChannel: UInt32 = 1000
  private var lastRead: UInt64?
  /// What happened, for people.
  private(set) var story: [String] = []

  /// Chunks under the stream's key, by signature.
  private final class Made { var chunks: [[UInt8]: PeerModel.Chunk] = [:] }

  init(_ rules: PeerModel.Rules, seed: UInt64) throws {
    self.rules = rules
    key = try Foe.key()
    signer = try SignAll.Signer(key, addressing: .chunkRanges32)
    format = WireFormat(signatureLength: key.signatureLength, chunkSize: rules.chunkSize)
    peer = try Self.peer(rules, seed: seed)
    model = PeerModel(rules) { [made] in made.chunks[$0.signature] == $0 }
    for number in 0..<7 as Range<UInt32> {
      nextChannel += 1
      var remote = Remote(address: Address(ipv4: 0x0A01_0001 + number, port: 7), channel: nextChannel)
      if number == 2 || number == 0 { remote.supported.remove(MessageType.ack) }
      if number == 3 { remote.supported.remove(MessageType.have) }
      if number == 4 { remote.supported.remove(MessageType.choke) }
      remotes.append(remote)
    }
    begin()
  }

  private static func peer(_ rules: PeerModel.Rules, seed: UInt64, now: Duration = .zero) throws -> Peer {
    try Foe.victim(rules.isSource ? .source : .relay, now: now) { configuration in
      configuration.chunkSize = rules.chunkSize
      configuration.window = rules.window
      configuration.patience = rules.patience
      configuration.seed = seed
      configuration.exchange = .off
      configuration.rate = rules.isCalm ? 1 << 40 : 1_000_000
      configuration.capacity.upload = rules.upload
      configuration.makeTopology = { _, _ in Gate(slots: rules.slots) }
      if rules.isCalm {
        configuration.congestion = CongestionProfile(
          target: .milliseconds(100),
          initialWindow: 1 << 30,
          floorLimit: .seconds(1 << 40)
        )
      }
    }
  }

  private mutating func begin() {
    let addresses = rules.isSource ? [] : remotes.prefix(2).map(\.address)
    peer.start(bootstrap: addresses, now: now)
    model.start(addresses)
    compare()
  }

  /// The first thing in which both differ after these events, and after how many.
  mutating func run(_ events: some Sequence<UInt64>) throws -> (count: Int, complaint: String)? {
    for (count, event) in events.enumerated() {
      var random = SplitMix64(seed: event)
      try step(&random)
      if let complaint = model.complaint { return (count + 1, complaint) }
    }
    note("it leaves")
    peer.leave(now: now)
    model.leave()
    compare()
    return model.complaint.map { (.max, $0) }
  }

  private mutating func note(_ text: String) {
    if story.count > 400 { story.removeFirst(200) }
    story.append("\(now): \(text)".replacing("SwarmTests.PeerModel.Word.", with: ""))
  }

  // MARK: - Events

  private mutating func step(_ random: inout SplitMix64) throws {
    switch Int.random(in: 0..<10_000, using: &random) {
    case 0..<3300: try speak(&random)
    case 3300..<7000: deliver(&random)
    case 7000..<9300: try wait(&random)
    case 9300..<9870: try publish(&random)
    case 9870..<9930:
      let index = Int.random(in: remotes.indices, using: &random)
      note("\(remotes[index].address) restarts")
      nextChannel += 1
      remotes[index].channel = nextChannel
      remotes[index].former = remotes[index].theirs
      remotes[index].theirs = nil
    case 9930..<9934: try restart(seed: random.next())
    default: try read()
    }
  }

  /// The peer forgets everything; the others do not know.
  private mutating func restart(seed: UInt64) throws {
    note("the peer restarts")
    peer = try Self.peer(rules, seed: seed, now: now)
    model = PeerModel(rules, began: now) { [made] in made.chunks[$0.signature] == $0 }
    lastRead = nil
    begin()
  }

  private mutating func wait(_ random: inout SplitMix64) throws {
    let span: Duration =
      switch Int.random(in: 0..<6000, using: &random) {
      case 0: .seconds(Int.random(in: 60...200, using: &random))
      case 1..<15: .milliseconds(Int.random(in: 1000...15_000, using: &random))
      case 15..<300: .milliseconds(Int.random(in: 50...400, using: &random))
      default: .microseconds(Int.random(in: 0...8000, using: &random))
      }
    let end = now + span
    var turns = 0
    while let time = peer.nextTimeout, time <= end, model.complaint == nil {
      turns = time > now ? 0 : turns + 1
      guard turns < 100 else { return model.complain("wants to be woken again and again at \(time)") }
      now = max(now, time)
      peer.timeout(now: now)
      model.advance(to: now)
      try read()
    }
    guard model.complaint == nil else { return }
    now = end
    model.advance(to: now)
    compare(isIdle: true)
  }

  private mutating func publish(_ random: inout SplitMix64) throws {
    head += Int.random(in: 0..<50, using: &random) == 0 ? 7 : 1
    guard rules.isSource, model.lastChunk == nil else { return }
    let isLast = Int.random(in: 0..<4000, using: &random) == 0
    let payload = [UInt8](
      repeating: UInt8(truncatingIfNeeded: head),
      count: rules.chunkSize / (isLast ? 2 : 1)
    )
    let chunk = try sign(head, NTPTimestamp(sinceUnixEpoch: now).rawValue, payload)
    note("publishes \(head)")
    try unsafe peer.publish(
      chunk: head,
      payload: payload.span.bytes,
      isEntry: true,
      isLast: isLast,
      now: now
    )
    model.publish(chunk)
    compare()
  }

  private mutating func read() throws {
    var wrong: String?
    let model = model
    var last = lastRead
    peer.read(now: now) { number, payload, _, _, _ in
      if let last, number <= last { wrong = "puts out chunk \(number) after \(last)" }
      if !payload.equals(model.held[number]?.payload ?? []) { wrong = "puts out a false chunk \(number)" }
      last = number
    }
    lastRead = last
    if let wrong { self.model.complain(wrong) }
    compare()
  }

  private func sign(_ number: UInt64, _ timestamp: UInt64, _ payload: [UInt8]) throws -> PeerModel.Chunk {
    var signature: [UInt8] = []
    try unsafe signer.sign(chunk: number, timestamp: timestamp, payload: payload.span.bytes, into: &signature)
    let chunk = PeerModel.Chunk(number: number, timestamp: timestamp, payload: payload, signature: signature)
    made.chunks[signature] = chunk
    return chunk
  }

  // MARK: - What others say

  private mutating func speak(_ random: inout SplitMix64) throws {
    let remote = remotes.randomElement(using: &random) ?? remotes[0]
    var target = remote.theirs
    if Int.random(in: 0..<12, using: &random) == 0 { target = remote.former ?? target }
    if Int.random(in: 0..<60, using: &random) == 0 { target = UInt32.random(in: 1...(.max), using: &random) }
    guard let target, Int.random(in: 0..<60, using: &random) > 0 else {
      return knock(remote, &random)
    }
    // Somebody else may have seen the number.
    let isForeign = Int.random(in: 0..<40, using: &random) == 0
    let from = isForeign ? remotes.randomElement(using: &random)?.address : nil
    var bytes: [UInt8] = []
    WireFormat.appendChannel(target, to: &bytes)
    var words: [Word] = []
    for _ in 0..<Int.random(in: 0...3, using: &random) { append(&words, &bytes, &random) }
    if Int.random(in: 0..<3, using: &random) == 0 { try appendChunk(&words, &bytes, &random) }
    if Int.random(in: 0..<150, using: &random) == 0, words.isEmpty {
      WireFormat.appendClosingHandshake(to: &bytes)
      words = [.close]
    }
    flying.append(Flying(bytes: bytes, channel: target, words: words, from: from ?? remote.address))
  }

  private mutating func knock(_ remote: Remote, _ random: inout SplitMix64) {
    // Those that the peer dials leave it at that.
    guard rules.isSource || remote.address != remotes[0].address && remote.address != remotes[1].address
    else {
      return
    }
    var options = PeerSchedule.options(rules, key, isInitiator: true)
    options.supported = remote.supported == .rfc7574 ? nil : remote.supported
    let isRight = spoil(&options, &random)
    var bytes: [UInt8] = []
    WireFormat.appendChannel(0, to: &bytes)
    WireFormat.appendHandshake(source: remote.channel, options, to: &bytes)
    let word = Word.handshake(from: remote.channel, isRight: isRight, remote.supported)
    flying.append(Flying(bytes: bytes, channel: 0, words: [word], from: remote.address))
  }

  /// Makes a few handshakes wrong; true when this one is still right.
  private func spoil(_ options: inout HandshakeOptions, _ random: inout SplitMix64) -> Bool {
    switch Int.random(in: 0..<60, using: &random) {
    case 0: options.version = 0
    case 1: options.integrity = .unifiedMerkleTree
    case 2: options.addressing = .bins32
    case 3: options.chunkSize = rules.chunkSize + 1
    case 4: options.signatureAlgorithm = 99
    case 5: options.discardWindow = nil
    case 6: options.version = nil
    case 7:
      guard options.swarmID != nil else { return true }
      options.swarmID = [15, 1, 2, 3]
    case 8:
      guard options.minimumVersion != nil else { return true }
      options.minimumVersion = 2
      options.version = 2
    default: return true
    }
    return false
  }

  static func options(_ rules: PeerModel.Rules, _ key: StreamKey, isInitiator: Bool) -> HandshakeOptions {
    HandshakeOptions(
      minimumVersion: isInitiator ? 1 : nil,
      swarmID: isInitiator ? key.swarmID.bytes : nil,
      integrity: .signAll,
      signatureAlgorithm: key.algorithm.rawValue,
      addressing: .chunkRanges32,
      discardWindow: rules.window,
      chunkSize: rules.chunkSize
    )
  }

  private func range(_ random: inout SplitMix64) -> ChunkRange {
    let low = head &- UInt64.random(in: 0...min(head, 100), using: &random)
    switch Int.random(in: 0..<60, using: &random) {
    case 0: return 0...UInt64(UInt32.max)
    case 1: return (head + 1000)...(head + 2000)
    default:
      return
        low...(low + UInt64.random(in: 0...40, using: &random) / UInt64.random(in: 1...20, using: &random))
    }
  }

  private func append(_ words: inout [Word], _ bytes: inout [UInt8], _ random: inout SplitMix64) {
    guard words.last != .strange else { return }
    let chunks = range(&random)
    switch Int.random(in: 0..<40, using: &random) {
    case 0..<12:
      format.appendRequest(chunks, to: &bytes)
      words.append(.request(chunks))
    case 12..<18:
      format.appendHave(chunks, to: &bytes)
      words.append(.have(chunks))
    case 18..<28:
      // What a request in front of it brings is not known before all of the datagram is read.
      guard !words.contains(where: { if case .request = $0 { true } else { false } }) else { return }
      format.appendAck(chunks, delay: UInt64.random(in: 0...100_000, using: &random), to: &bytes)
      words.append(.ack(chunks, delay: 0))
    case 28..<34:
      format.appendCancel(chunks, to: &bytes)
      words.append(.cancel(chunks))
    case 34:
      WireFormat.appendChoke(to: &bytes)
      words.append(.choke)
    case 35..<38:
      WireFormat.appendUnchoke(to: &bytes)
      words.append(.unchoke)
    case 38:
      WireFormat.appendPexRequest(to: &bytes)
      words.append(.idle)
    default:
      bytes.append(0x77)
      words.append(.strange)
    }
  }

  private func appendChunk(_ words: inout [Word], _ bytes: inout [UInt8], _ random: inout SplitMix64) throws {
    guard words.last != .strange else { return }
    let number = max(1, head + 2 - UInt64.random(in: 0...min(head, 30), using: &random))
    let isShort = Int.random(in: 0..<8000, using: &random) == 0
    var timestamp = number << 20
    if Int.random(in: 0..<60, using: &random) == 0 { timestamp = range(&random).lowerBound << 20 }
    let chunk = try sign(
      number,
      timestamp,
      [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: rules.chunkSize / (isShort ? 2 : 1))
    )
    let kind = Int.random(in: 0..<30, using: &random)
    if kind != 0 {
      var signature = chunk.signature
      if kind == 1 { signature[3] ^= 1 }
      unsafe format.appendSignedIntegrity(
        number...number,
        timestamp: timestamp,
        signature: signature.span.bytes,
        to: &bytes
      )
      words.append(.signature(number, timestamp: timestamp, signature))
    }
    if kind == 2 || kind == 3 { return }
    var payload = chunk.payload
    if kind == 4, Bool.random(using: &random) { payload[7] ^= 1 }
    let sent = UInt64.random(in: 0...1_000_000, using: &random)
    format.appendDataHeader(number, timestamp: sent, to: &bytes)
    bytes += payload
    words.append(.data(number, sent: sent, payload))
  }

  /// One of the datagrams that are under way arrives, is lost, or arrives and is still under way.
  private mutating func deliver(_ random: inout SplitMix64) {
    if flying.count > 60 { flying.removeFirst(20) }
    guard let index = flying.indices.randomElement(using: &random) else { return }
    let datagram = flying[index]
    let fate = Int.random(in: 0..<20, using: &random)
    if fate > 0 { flying.remove(at: index) }
    guard fate < 18 else { return }
    note("\(datagram.from) to \(datagram.channel): \(datagram.words)")
    let place = peer.byLocal[datagram.channel]
    var awaited: Set<UInt64> = []
    for word in datagram.words {
      switch word {
      case .data(let number, _, _), .signature(let number, _, _):
        if let place, peer.missing(number)?.source == place { awaited.insert(number) }
      default: break
      }
    }
    peer.receive(datagram.bytes.span, from: datagram.from, now: now)
    model.advance(to: now)
    model.hear(datagram.words, to: datagram.channel, from: datagram.from) { awaited.contains($0) }
    compare()
  }

  // MARK: - Comparing

  /// `isIdle` says that everything was done that is due.
  private mutating func compare(isIdle: Bool = false) {
    for local in model.lines.keys.sorted() where model.lines[local]?.isOpen == true && !isOpen(local) {
      model.parted(local)
    }
    adoptSilentChokes(true)
    for (address, channel, words) in said() {
      note("says to \(address), \(channel): \(words)")
      model.judge(words, to: channel, at: address)
      hear(words, address)
    }
    adoptSilentChokes(false)
    model.finish(isIdle: isIdle)
    if let difference { model.complain(difference) }
  }

  private func isOpen(_ local: UInt32) -> Bool {
    peer.byLocal[local].map { peer.channels[$0].isOpen } ?? false
  }

  /// Who does not understand CHOKE is choked all the same.
  private mutating func adoptSilentChokes(_ isChoked: Bool) {
    for channel in peer.channels where channel.isOpen && !channel.understands(MessageType.choke) {
      guard let line = model.lines[channel.local], line.weChoke != isChoked, channel.weChoke == isChoked,
        line.isOpen
      else { continue }
      if channel.weChoke { model.chokes(channel.local) } else { model.unchokes(channel.local) }
    }
  }

  /// What the state of both differs in.
  private var difference: String? {
    let channels = peer.channels.filter { !$0.isFree }
    guard Set(channels.map(\.local)) == Set(model.lines.keys) else {
      return "has channels \(channels.map(\.local)), not \(model.lines.keys.sorted())"
    }
    for channel in channels {
      guard let line = model.lines[channel.local] else { continue }
      func differ(_ what: String, _ one: Any, _ other: Any) -> String {
        "channel \(channel.local): \(what) is \(one), not \(other)"
      }
      if channel.isOpen != line.isOpen { return differ("open", channel.isOpen, line.isOpen) }
      if channel.isServed != line.isServed { return differ("served", channel.isServed, line.isServed) }
      if channel.weChoke != line.weChoke { return differ("choked", channel.weChoke, line.weChoke) }
      if channel.isChokingUs != line.isChokingUs {
        return differ("choking", channel.isChokingUs, line.isChokingUs)
      }
      if channel.falseChunks != line.lies { return differ("lies", channel.falseChunks, line.lies) }
      let known = channel.available.ranges
      guard line.available.allSatisfy({ isCovered($0, known) }),
        known.allSatisfy({ isCovered($0, line.possible) })
      else { return differ("what it has", known, "\(line.available) to \(line.possible)") }
    }
    if peer.window.held.ranges != model.runs { return "holds \(peer.window.held.ranges), not \(model.runs)" }
    if peer.lastChunk != model.lastChunk { return "takes \(peer.lastChunk as Any) for the last chunk" }
    let banned = Set(peer.banned.filter { $0.until > now }.map(\.address))
    if banned != Set(model.banned.filter { $0.value > now }.keys) { return "banned \(banned)" }
    if let lost = model.newcomers.values.first(where: { !peer.newcomers.contains($0.local) }) {
      return "forgot the newcomer on \(lost.local)"
    }
    return nil
  }

  private func isCovered(_ chunks: ChunkRange, _ ranges: [ChunkRange]) -> Bool {
    ranges.contains { $0.lowerBound <= chunks.lowerBound && chunks.upperBound <= $0.upperBound }
  }

  /// What has left, as words.
  private mutating func said() -> [(address: Address, channel: UInt32, words: [Word])] {
    var datagrams: [(Address, [UInt8])] = []
    peer.flush { packets, heads, bodies, _ in
      for index in packets.indices {
        var bytes: [UInt8] = []
        bytes.append(bytes: heads.extracting(packets[index].head.range))
        bytes.append(bytes: bodies.extracting(packets[index].body.range))
        datagrams.append((packets[index].address, bytes))
      }
    }
    return datagrams.map { address, bytes in
      var words: [Word] = []
      do throws(DecodeError) {
        var reader = try DatagramReader(bytes.span)
        let channel = reader.destination
        while let message = try reader.next(format) { words.append(word(message, channel)) }
        return (address, channel, words)
      } catch {
        return (address, 0, words + [.strange])
      }
    }
  }

  private func word(_ message: borrowing Message, _ channel: UInt32) -> Word {
    func copy(_ bytes: RawSpan) -> [UInt8] { unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
    switch message {
    case .handshake(let view):
      if view.isClosing { return .close }
      var options = Self.options(rules, key, isInitiator: channel == 0)
      options.supported = view.supported
      return .handshake(from: view.source, isRight: options == HandshakeOptions(view), view.understood)
    case .data(let chunks, let sent, let payload): return .data(chunks.lowerBound, sent: sent, copy(payload))
    case .ack(let chunks, let delay): return .ack(chunks, delay: delay)
    case .have(let chunks): return .have(chunks)
    case .signedIntegrity(let chunks, let timestamp, let signature):
      return .signature(chunks.lowerBound, timestamp: timestamp, copy(signature))
    case .request(let chunks): return .request(chunks)
    case .cancel(let chunks): return .cancel(chunks)
    case .choke: return .choke
    case .unchoke: return .unchoke
    default: return .strange
    }
  }

  /// One of the others hears it, sooner or later; handshakes are answered.
  private mutating func hear(_ words: [Word], _ address: Address) {
    guard case .handshake(let local, _, _)? = words.first,
      let index = remotes.firstIndex(where: { $0.address == address })
    else { return }
    var random = SplitMix64(seed: UInt64(local))
    guard Int.random(in: 0..<10, using: &random) > 0 else { return }
    remotes[index].theirs = local
    guard index < 2, !rules.isSource else { return }
    var options = Self.options(rules, key, isInitiator: false)
    options.supported = remotes[index].supported == .rfc7574 ? nil : remotes[index].supported
    let isRight = spoil(&options, &random)
    var bytes: [UInt8] = []
    WireFormat.appendChannel(local, to: &bytes)
    WireFormat.appendHandshake(source: remotes[index].channel, options, to: &bytes)
    let word = Word.handshake(from: remotes[index].channel, isRight: isRight, remotes[index].supported)
    flying.append(Flying(bytes: bytes, channel: local, words: [word], from: address))
  }
}

/// Takes so many plain peers, and nobody else.
private struct Gate: Topology {
  static let manifest = Manifest(name: "gate", version: "1.0.0", summary: "Takes a few plain peers")

  private var slots = 0
  private var inside: Set<PeerRef> = []

  init(slots: Int) { self.slots = slots }
  init(parameters: Parameters) throws(ParameterError) {}

  mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {
    switch event {
    case .inbound(let ask):
      if inside.contains(ask.peer) || inside.count < slots {
        inside.insert(ask.peer)
        context.emit(.accept(ask.peer, ask.stripes, note: []))
      } else {
        context.emit(.refuse(ask.peer, ask.stripes, redirect: []))
      }
    case .linkDown(let peer, _, _): inside.remove(peer)
    default: break
    }
  }
}
