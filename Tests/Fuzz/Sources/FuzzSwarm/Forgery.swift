import FuzzSupport
import Integrity
import PluginKit
import Wire

/// Well-formed messages with the fields of somebody who means harm, even of one who owns the stream's key.
struct Forgery {
  private static let edges: [UInt64] = [
    0, 1, 31, 32, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFD, 0xFFFF_FFFE, 0xFFFF_FFFF,
  ]

  /// Whether something was signed that the broadcaster never published.
  var isSigned = false
  let stage: Stage
  let format: WireFormat
  /// The stream's key, and one that is not.
  let keys: [StreamKey]

  init(_ stage: Stage) throws {
    self.stage = stage
    format = stage.variant.format
    keys = [try Stage.key(), try StreamKey(ed25519Seed: [UInt8](repeating: 8, count: 32).span.bytes)]
  }

  /// A chunk number: one at an edge, or one near the newest.
  func number(_ script: inout Script) -> UInt64 {
    let byte = Int(script.byte())
    if byte < Self.edges.count { return min(Self.edges[byte], format.lastChunk) }
    if byte < 12 { return format.lastChunk - UInt64(byte - Self.edges.count) }
    return UInt64(max(0, stage.payloads.count + byte - 128))
  }

  func range(_ script: inout Script) -> ChunkRange {
    let (first, last) = (number(&script), number(&script))
    return min(first, last)...max(first, last)
  }

  /// Any number of 64 bits, for fields that no addressing limits.
  func wide(_ script: inout Script) -> UInt64 {
    let byte = script.byte()
    if byte & 0x80 != 0 { return .max - UInt64(byte & 0x0F) }
    return byte & 0x40 != 0 ? 1 << UInt64(byte & 0x3F) : number(&script)
  }

  /// Appends one message that the script chooses.
  mutating func append(_ script: inout Script, to out: inout [UInt8]) {
    let kind = script.byte()
    switch kind >> 4 {
    case 14: appendTree(&script, to: &out)
    case 15: appendExchange(&script, to: &out)
    default: appendUsual(&script, kind, to: &out)
    }
  }

  /// What one specification can name of a range.
  func nameable(_ chunks: ChunkRange) -> ChunkRange { format.widest(around: chunks.lowerBound, in: chunks) }

  private mutating func appendUsual(_ script: inout Script, _ kind: UInt8, to out: inout [UInt8]) {
    switch kind & 15 {
    case 0: format.appendHave(range(&script), to: &out)
    case 1: format.appendRequest(range(&script), to: &out)
    case 2: format.appendCancel(range(&script), to: &out)
    case 3: format.appendAck(nameable(range(&script)), delay: wide(&script), to: &out)
    case 4: WireFormat.appendChoke(to: &out)
    case 5: WireFormat.appendUnchoke(to: &out)
    case 6: appendChunk(&script, to: &out)
    default: appendExtension(&script, kind & 15, to: &out)
    }
  }

  private mutating func appendChunk(_ script: inout Script, to out: inout [UInt8]) {
    let chunk = number(&script)
    let size = script.byte() & 3 == 0 ? Int(script.byte()) % Stage.chunkSize : Stage.chunkSize
    let timestamp = wide(&script)
    let payload = [UInt8](repeating: script.byte(), count: size)
    // A range of bytes cannot be empty.
    guard size > 0 || format.addressing != .byteRanges64 else { return }
    if format.signatureLength > 0 {
      guard appendSignature(chunk, timestamp, payload, to: &out) else { return }
    }
    format.appendDataHeader(chunk, length: size, timestamp: wide(&script), to: &out)
    out += payload
  }

  /// Appends SIGNED_INTEGRITY by the stream's key; false for a chunk that cannot be signed.
  private mutating func appendSignature(
    _ chunk: UInt64,
    _ timestamp: UInt64,
    _ payload: [UInt8],
    to out: inout [UInt8]
  ) -> Bool {
    var signature: [UInt8] = []
    do throws(IntegrityError) {
      let signer = try SignAll.Signer(
        keys[0],
        addressing: format.addressing,
        chunkSize: format.chunkSize
      )
      try signer.sign(chunk: chunk, timestamp: timestamp, payload: payload.span.bytes, into: &signature)
    } catch { return false }
    isSigned = true
    format.appendSignedIntegrity(
      chunk...chunk,
      length: payload.count,
      timestamp: timestamp,
      signature: signature.span.bytes,
      to: &out
    )
    return true
  }

  private func appendExtension(_ script: inout Script, _ kind: UInt8, to out: inout [UInt8]) {
    var body: [UInt8] = []
    let name: UInt8
    switch kind {
    case 7:
      // An ask: number, purpose, stripes, from, note.
      name = 3
      body.appendInteger(UInt16(script.byte()))
      body.append(script.byte() & 3)
      body.appendInteger(script.byte() & 1 == 0 ? 1 : wide(&script))
      body.append(script.byte() & 1)
      body.appendInteger(wide(&script))
    case 8, 9:
      // An answer: number, flags, stripes, from, redirect.
      name = 4
      body.appendInteger(UInt16(script.byte() & 7))
      body.append(script.byte() & 3)
      body.appendInteger(script.byte() & 1 == 0 ? 1 : wide(&script))
      body.appendInteger(wide(&script))
      appendContacts(&script, to: &body)
    case 10:
      name = 5
      body.appendInteger(wide(&script))
    case 11:
      name = 6
      appendContacts(&script, to: &body)
    case 12:
      name = 7
      body.appendInteger(UInt32(1))
      body += script.take(Int(script.byte()))
    case 13, 14:
      name = kind - 5
      body.appendInteger(wide(&script))
      body.append(script.byte() & 1)
      body.appendInteger(UInt16(truncatingIfNeeded: wide(&script)))
    default:
      name = 10
      body.appendInteger(wide(&script))
    }
    WireFormat.appendExtension(kind: name, body: body.span.bytes, to: &out)
  }

  private func appendContacts(_ script: inout Script, to body: inout [UInt8]) {
    let count = script.byte() & 7
    body.append(count)
    for _ in 0..<count {
      let number = script.byte()
      body.append(number & 1)
      body += [UInt8](repeating: number, count: 32)
      body += number & 2 == 0 ? [4, 6, 10, 1, 0, number, 0, 9] : [number, 1, number]
    }
  }
}
