import Integrity
import PluginKit
import Support
import Wire

@testable import Swarm

// What others say.
extension PeerSchedule {
  mutating func speak(_ random: inout SplitMix64) throws {
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
    if Int.random(in: 0..<3, using: &random) == 0 {
      if rules.width > 0 {
        try appendProven(&words, &bytes, &random)
      } else {
        try appendChunk(&words, &bytes, &random)
      }
    }
    if Int.random(in: 0..<150, using: &random) == 0, words.isEmpty {
      WireFormat.appendClosingHandshake(to: &bytes)
      words = [.close]
    }
    flying.append(Flying(bytes: bytes, channel: target, words: words, from: from ?? remote.address))
  }

  mutating func knock(_ remote: Remote, _ random: inout SplitMix64) {
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
  func spoil(_ options: inout HandshakeOptions, _ random: inout SplitMix64) -> Bool {
    switch Int.random(in: 0..<60, using: &random) {
    case 0: options.version = 0
    case 1: options.integrity = rules.width > 0 ? .signAll : .unifiedMerkleTree
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
      integrity: rules.width > 0 ? .unifiedMerkleTree : .signAll,
      merkleHash: rules.width > 0 ? .sha256 : nil,
      signatureAlgorithm: key.algorithm.rawValue,
      addressing: .chunkRanges32,
      discardWindow: rules.window,
      chunkSize: rules.chunkSize
    )
  }

  func range(_ random: inout SplitMix64) -> ChunkRange {
    let low = head &- UInt64.random(in: 0...min(head, 100), using: &random)
    switch Int.random(in: 0..<60, using: &random) {
    case 0: return 0...UInt64(UInt32.max)
    case 1: return (head + 1000)...(head + 2000)
    default:
      return
        low...(low + UInt64.random(in: 0...40, using: &random) / UInt64.random(in: 1...20, using: &random))
    }
  }

  func append(_ words: inout [Word], _ bytes: inout [UInt8], _ random: inout SplitMix64) {
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

  func appendChunk(_ words: inout [Word], _ bytes: inout [UInt8], _ random: inout SplitMix64) throws {
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
      words.append(.signature(number...number, timestamp: timestamp, signature))
    }
    if kind == 2 || kind == 3 { return }
    var payload = chunk.payload
    if kind == 4, Bool.random(using: &random) { payload[7] ^= 1 }
    let sent = UInt64.random(in: 0...1_000_000, using: &random)
    format.appendDataHeader(number, timestamp: sent, to: &bytes)
    bytes += payload
    words.append(.data(number, sent: sent, payload))
  }
}
