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
  struct Remote {
    let address: Address
    var channel: UInt32
    /// The peer's channel, as it was told; and before the last restart.
    var theirs: UInt32?
    var former: UInt32?
    var supported = MessageSet.rfc7574
  }

  struct Flying {
    var bytes: [UInt8]
    var channel: UInt32
    var words: [Word]
    var from: Address
  }

  let rules: PeerModel.Rules
  let key: StreamKey
  let signer: SignAll.Signer
  /// What a source has published that is not signed yet.
  var unsigned: [[UInt8]] = []
  var firstUnsigned: UInt64 = 0
  let made = Made()
  let format: WireFormat
  var peer: Peer
  var model: PeerModel
  var remotes: [Remote] = []
  var flying: [Flying] = []
  var now: Duration = .zero
  var head: UInt64 = 10
  var nextChannel: UInt32 = 1000
  var lastRead: UInt64?
  /// Whether that is kept.
  var isTold = false
  /// What happened, for people.
  private(set) var story: [String] = []

  /// What is signed by the stream's key.
  final class Made {
    var chunks: [[UInt8]: PeerModel.Chunk] = [:]
    var munros: Set<PeerModel.Munro> = []
    var subtrees: [Growth: SubtreeModel] = [:]
  }

  init(_ rules: PeerModel.Rules, seed: UInt64) throws {
    self.rules = rules
    key = try Foe.key()
    signer = try SignAll.Signer(key, addressing: .chunkRanges32)
    format = WireFormat(
      signatureLength: key.signatureLength,
      hashLength: rules.width > 0 ? 32 : 0,
      chunkSize: rules.chunkSize
    )
    peer = try Self.peer(rules, seed: seed)
    model = Self.model(rules, made)
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

  private static func model(_ rules: PeerModel.Rules, _ made: Made, began: Duration = .zero) -> PeerModel {
    PeerModel(
      rules,
      began: began,
      isGenuine: { made.chunks[$0.signature] == $0 },
      isSigned: { made.munros.contains($0) }
    )
  }

  private static func peer(_ rules: PeerModel.Rules, seed: UInt64, now: Duration = .zero) throws -> Peer {
    try Foe.victim(rules.isSource ? .source : .relay, now: now) { configuration in
      configuration.chunkSize = rules.chunkSize
      configuration.window = rules.window
      configuration.patience = rules.patience
      configuration.seed = seed
      configuration.exchange = .off
      if rules.width > 0 {
        configuration.integrity = .unifiedMerkleTree
        configuration.chunksPerSignature = Int(rules.width)
      }
      configuration.rate = rules.isCalm ? 1 << 40 : 1_000_000
      configuration.capacity.upload = rules.upload
      configuration.makeTopology = { _, _ in FewSlots(rules.slots) }
      if rules.isCalm {
        configuration.congestion = CongestionProfile(
          target: .milliseconds(100),
          initialWindow: 1 << 30,
          floorLimit: .seconds(1 << 40)
        )
      }
    }
  }

  mutating func begin() {
    let addresses = rules.isSource ? [] : remotes.prefix(2).map(\.address)
    peer.start(bootstrap: addresses, now: now)
    model.start(addresses)
    compare()
  }

  /// The first thing in which both differ after these events, and after how many.
  mutating func run(_ events: some Sequence<UInt64>) throws -> (count: Int, difference: PeerModel.Difference)?
  {
    for (count, event) in events.enumerated() {
      var random = SplitMix64(seed: event)
      try step(&random)
      if let difference = model.difference { return (count + 1, difference) }
    }
    note("it leaves")
    peer.leave(now: now)
    model.leave()
    compare()
    return model.difference.map { (events.underestimatedCount, $0) }
  }

  mutating func note(_ text: @autoclosure () -> String) {
    guard isTold else { return }
    if story.count > 400 { story.removeFirst(200) }
    story.append("\(now): \(text())")
  }

  // MARK: - Events

  mutating func step(_ random: inout SplitMix64) throws {
    switch Int.random(in: 0..<10_000, using: &random) {
    case 0..<3300: try speak(&random)
    case 3300..<7000: deliver(&random)
    case 7000..<9300: try wait(&random)
    case 9300..<9870: try publish(&random)
    case 9870..<9930:
      let index = Int.random(in: remotes.indices, using: &random)
      let address = remotes[index].address
      note("\(address) restarts")
      nextChannel += 1
      remotes[index].channel = nextChannel
      remotes[index].former = remotes[index].theirs
      remotes[index].theirs = nil
    case 9930..<9934: try restart(seed: random.next())
    default: try read()
    }
  }

  /// The peer forgets everything; the others do not know.
  mutating func restart(seed: UInt64) throws {
    note("the peer restarts")
    peer = try Self.peer(rules, seed: seed, now: now)
    model = Self.model(rules, made, began: now)
    lastRead = nil
    unsigned = []
    begin()
  }

  mutating func wait(_ random: inout SplitMix64) throws {
    let span: Duration =
      switch Int.random(in: 0..<6000, using: &random) {
      case 0: .seconds(Int.random(in: 60...200, using: &random))
      case 1..<15: .milliseconds(Int.random(in: 1000...15_000, using: &random))
      case 15..<300: .milliseconds(Int.random(in: 50...400, using: &random))
      default: .microseconds(Int.random(in: 0...8000, using: &random))
      }
    let end = now + span
    var turns = 0
    while let time = peer.nextTimeout, time <= end, model.difference == nil {
      turns = time > now ? 0 : turns + 1
      guard turns < 100 else {
        return model.complain("wants to be woken again and again at \(time)", "what is due is done then")
      }
      now = max(now, time)
      peer.timeout(now: now)
      model.advance(to: now)
      try read()
    }
    guard model.difference == nil else { return }
    now = end
    model.advance(to: now)
    compare(isIdle: true)
  }

  mutating func publish(_ random: inout SplitMix64) throws {
    head += Int.random(in: 0..<50, using: &random) == 0 ? 7 : 1
    guard rules.isSource, model.lastChunk == nil else { return }
    if rules.width > 0 { return try publishInTree(&random) }
    let isLast = Int.random(in: 0..<4000, using: &random) == 0
    let payload = [UInt8](
      repeating: UInt8(truncatingIfNeeded: head),
      count: rules.chunkSize / (isLast ? 2 : 1)
    )
    let chunk = try sign(head, NTPTimestamp(sinceUnixEpoch: now).rawValue, payload)
    note("publishes \(chunk.number)")
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

  mutating func read() throws {
    var wrong: (peer: String, model: String)?
    let model = model
    var last = lastRead
    peer.read(now: now) { number, payload, _, _, _ in
      if let last, number <= last { wrong = ("puts out chunk \(number)", "\(last) was before it") }
      if !payload.equals(model.held[number]?.payload ?? []) {
        wrong = ("puts out chunk \(number)", "it does not hold it so")
      }
      last = number
    }
    lastRead = last
    if let wrong { self.model.complain(wrong.peer, wrong.model) }
    compare()
  }

  func sign(_ number: UInt64, _ timestamp: UInt64, _ payload: [UInt8]) throws -> PeerModel.Chunk {
    var signature: [UInt8] = []
    try unsafe signer.sign(chunk: number, timestamp: timestamp, payload: payload.span.bytes, into: &signature)
    let chunk = PeerModel.Chunk(number: number, timestamp: timestamp, payload: payload, signature: signature)
    made.chunks[signature] = chunk
    return chunk
  }

  /// One of the datagrams that are under way arrives, is lost, or arrives and is still under way.
  mutating func deliver(_ random: inout SplitMix64) {
    if flying.count > 60 { flying.removeFirst(20) }
    guard let index = flying.indices.randomElement(using: &random) else { return }
    let datagram = flying[index]
    let fate = Int.random(in: 0..<20, using: &random)
    if fate > 0 { flying.remove(at: index) }
    guard fate < 18 else { return }
    note("\(datagram.from) to \(datagram.channel): \(datagram.words)")
    for word in datagram.words {
      switch word {
      case .data(let number, _, _): awaits(number, datagram.channel)
      case .signature(let chunks, _, _): awaits(chunks.lowerBound, datagram.channel)
      default: break
      }
    }
    for chunk in model.parked { awaits(chunk.number, chunk.local) }
    peer.receive(datagram.bytes.span, from: datagram.from, now: now)
    model.advance(to: now)
    model.hear(datagram.words, to: datagram.channel, from: datagram.from)
    compare()
  }

  /// Tells the model whether a channel is the one that was asked for a chunk, which is the peer's choice.
  private mutating func awaits(_ number: UInt64, _ local: UInt32) {
    guard let place = peer.byLocal[local], peer.missing(number)?.source == place else { return }
    model.awaited.insert(PeerModel.Asked(local: local, number: number))
  }
}
