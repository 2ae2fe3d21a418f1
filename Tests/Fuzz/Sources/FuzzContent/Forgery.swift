import FuzzSupport
import Integrity
import PluginKit
import Swarm
import Wire

/// Well-formed messages of somebody who means harm: the truth about the content, half of it, and lies.
struct Forgery {
  private static let edges: [UInt64] = [
    0, 1, 2, 7, 8, 31, 32, 44, 45, 63, 64, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF,
  ]

  let stage: Stage
  let format: WireFormat

  init(_ stage: Stage) {
    self.stage = stage
    format = stage.variant.format
  }

  /// A chunk number: one of the content, one at an edge, or one of the last that can be named.
  private func number(_ script: inout Script) -> UInt64 {
    let byte = Int(script.byte())
    if byte >= 128 { return UInt64(byte - 128) % stage.chunkCount }
    if byte < Self.edges.count { return min(Self.edges[byte], format.lastChunk) }
    return byte < 64 ? format.lastChunk - UInt64(byte & 3) : UInt64(byte)
  }

  private func range(_ script: inout Script) -> ChunkRange {
    let (first, last) = (number(&script), number(&script))
    return min(first, last)...max(first, last)
  }

  private func nameable(_ chunks: ChunkRange) -> ChunkRange {
    format.widest(around: chunks.lowerBound, in: chunks)
  }

  /// Appends one message, or a chunk with what belongs to it.
  func append(_ script: inout Script, to out: inout [UInt8]) {
    let kind = script.byte()
    switch kind & 15 {
    case 0: format.appendHave(nameable(range(&script)), to: &out)
    case 1: format.appendHave(nameable(0...stage.chunkCount - 1), to: &out)
    case 2: format.appendRequest(nameable(range(&script)), to: &out)
    case 3: format.appendCancel(nameable(range(&script)), to: &out)
    case 4: format.appendAck(nameable(range(&script)), delay: UInt64(script.byte()) << 13, to: &out)
    case 5: if kind & 16 == 0 { WireFormat.appendChoke(to: &out) } else { WireFormat.appendUnchoke(to: &out) }
    case 6: appendHash(&script, to: &out)
    case 7: appendPeaks(&script, to: &out)
    case 8: WireFormat.appendPexRequest(to: &out)
    case 9: WireFormat.appendPexResponse(address: 0x0A00_0000 | UInt32(script.byte()), port: 9, to: &out)
    case 10: if kind & 0xF0 == 0xF0 { WireFormat.appendClosingHandshake(to: &out) }
    case 11: out += script.take(Int(script.byte() & 31))
    default: appendChunk(&script, kind >> 4, to: &out)
    }
  }

  /// A hash of anything, which is a node or is not.
  private func appendHash(_ script: inout Script, to out: inout [UInt8]) {
    let hash = [UInt8](repeating: script.byte(), count: format.hashLength)
    format.appendIntegrity(nameable(range(&script)), hash: hash.span.bytes, to: &out)
  }

  /// The peaks as they are, or the root as the peak of any number of chunks.
  private func appendPeaks(_ script: inout Script, to out: inout [UInt8]) {
    guard script.byte() & 1 == 1 else {
      stage.tree.peaks { format.appendIntegrity($0, hash: $1, to: &out) }
      return
    }
    let root = stage.tree.root.bytes
    let width: UInt64 = 1 << UInt64(script.byte() & 31)
    format.appendIntegrity(0...width - 1, hash: root.span.bytes, to: &out)
  }

  /// A chunk, true or false, with its hashes, some of them or none.
  private func appendChunk(_ script: inout Script, _ flaws: UInt8, to out: inout [UInt8]) {
    let chunk = number(&script)
    let isThere = chunk < stage.chunkCount
    if isThere, flaws & 1 == 0 {
      let skipped = flaws & 2 == 0 ? -1 : Int(script.byte() & 7)
      var height = 0
      stage.tree.uncles(of: chunk, holdsAny: { _ in false }) { chunks, hash in
        if height != skipped { format.appendIntegrity(chunks, hash: hash, to: &out) }
        height += 1
      }
    }
    var payload = isThere ? stage.payload(chunk) : [UInt8](repeating: 1, count: Stage.chunkSize)
    if flaws & 4 != 0 { payload[Int(script.byte()) % payload.count] ^= 1 }
    if flaws & 8 != 0 {
      // Two hashes long is what an inner node is.
      let most = min(2 * format.hashLength, Stage.chunkSize)
      payload = [UInt8](repeating: 2, count: most - Int(script.byte()) % most)
    }
    format.appendDataHeader(chunk, length: payload.count, timestamp: UInt64(script.byte()) << 20, to: &out)
    out += payload
  }
}
