import Integrity
import PluginKit
import Support
import Wire

@testable import Swarm

// Streams under a Unified Merkle Tree.
extension PeerSchedule {
  /// A subtree that somebody speaks of; one stream ends in it where `last` says so.
  struct Growth: Hashable {
    var first: UInt64
    var timestamp: UInt64
    var last: UInt64?
  }

  private func payload(_ number: UInt64, isLast: Bool) -> [UInt8] {
    [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: rules.chunkSize / (isLast ? 2 : 1))
  }

  /// Signs a subtree with the stream's key.
  private func sign(_ first: UInt64, _ timestamp: UInt64, _ payloads: [[UInt8]]) throws -> SubtreeModel {
    var signer = try UnifiedMerkle.Signer(
      key,
      addressing: .chunkRanges32,
      chunkSize: rules.chunkSize,
      width: Int(rules.width)
    )
    for (offset, payload) in payloads.enumerated() {
      _ = try unsafe signer.append(first + UInt64(offset), payload.span.bytes)
    }
    let subtree = SubtreeModel(
      first...(first + rules.width - 1),
      timestamp: timestamp,
      signature: try signer.finish(timestamp: timestamp).signature,
      payloads: payloads
    )
    made.munros.insert(
      PeerModel.Munro(
        chunks: subtree.chunks,
        timestamp: timestamp,
        hash: subtree.munro,
        signature: subtree.signature
      )
    )
    return subtree
  }

  private func grow(_ growth: Growth) throws -> SubtreeModel {
    if let subtree = made.subtrees[growth] { return subtree }
    let end = growth.last ?? growth.first + rules.width - 1
    let payloads = (growth.first...end).map { payload($0, isLast: $0 == growth.last) }
    let subtree = try sign(growth.first, growth.timestamp, payloads)
    made.subtrees[growth] = subtree
    return subtree
  }

  // MARK: - The source

  /// Chunks of a subtree follow each other without a gap.
  mutating func publishInTree(_ random: inout SplitMix64) throws {
    if unsigned.isEmpty { firstUnsigned = (head + rules.width - 1) / rules.width * rules.width }
    head = firstUnsigned + UInt64(unsigned.count)
    let isLast = Int.random(in: 0..<4000, using: &random) == 0
    let payload = payload(head, isLast: isLast)
    let number = head
    note("publishes \(number)")
    try unsafe peer.publish(
      chunk: number,
      payload: payload.span.bytes,
      isEntry: true,
      isLast: isLast,
      now: now
    )
    unsigned.append(payload)
    if isLast { model.lastChunk = number }
    if isLast || unsigned.count == Int(rules.width) {
      let subtree = try sign(firstUnsigned, NTPTimestamp(sinceUnixEpoch: now).rawValue, unsigned)
      model.publish(subtree, unsigned)
      unsigned = []
    }
    compare()
  }

  // MARK: - What others say

  /// A chunk with some of what proves it, all of it, or more, which is false now and then.
  func appendProven(_ words: inout [Word], _ bytes: inout [UInt8], _ random: inout SplitMix64) throws {
    guard words.last != .strange else { return }
    let number = max(rules.width, head + 2 - UInt64.random(in: 0...min(head, 30), using: &random))
    let first = number / rules.width * rules.width
    var growth = Growth(first: first, timestamp: first << 20)
    if Int.random(in: 0..<60, using: &random) == 0 { growth.timestamp = range(&random).lowerBound << 20 }
    let isLast = Int.random(in: 0..<4000, using: &random) == 0
    if isLast { growth.last = number }
    let subtree = try grow(growth)
    let lie = Int.random(in: 0..<90, using: &random)
    var hashes: [ChunkRange] = []
    var hasMunro = false
    switch Int.random(in: 0..<20, using: &random) {
    case 0..<10:
      hasMunro = true
      hashes = subtree.uncles(of: number, shown: [])
    case 10..<12: hasMunro = true
    case 12..<15: hashes = subtree.uncles(of: number, shown: [])
    case 15..<17: hashes = subtree.chunks.map { $0...$0 }
    case 17: hashes = subtree.uncles(of: number, shown: []).filter { _ in Bool.random(using: &random) }
    default: break
    }
    if hasMunro {
      append(subtree.chunks, subtree.munro, isFalse: lie == 0, &words, &bytes)
      var signature = subtree.signature
      if lie == 1 { signature[3] ^= 1 }
      unsafe format.appendSignedIntegrity(
        subtree.chunks,
        timestamp: subtree.timestamp,
        signature: signature.span.bytes,
        to: &bytes
      )
      words.append(.signature(subtree.chunks, timestamp: subtree.timestamp, signature))
    }
    for (place, node) in hashes.enumerated() {
      append(node, subtree.known[node] ?? [], isFalse: lie == 2 && place == 0, &words, &bytes)
    }
    if Int.random(in: 0..<7, using: &random) == 0 { return }
    var payload = payload(number, isLast: isLast)
    if lie == 3 { payload[7] ^= 1 }
    let sent = UInt64.random(in: 0...1_000_000, using: &random)
    format.appendDataHeader(number, length: payload.count, timestamp: sent, to: &bytes)
    bytes += payload
    words.append(.data(number, sent: sent, payload))
  }

  private func append(
    _ node: ChunkRange,
    _ hash: [UInt8],
    isFalse: Bool,
    _ words: inout [Word],
    _ bytes: inout [UInt8]
  ) {
    var hash = hash
    if isFalse { hash[5] ^= 1 }
    unsafe format.appendIntegrity(node, hash: hash.span.bytes, to: &bytes)
    words.append(.hash(node, hash))
  }
}
