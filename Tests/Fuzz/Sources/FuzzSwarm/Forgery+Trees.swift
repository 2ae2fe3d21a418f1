import FuzzSupport
import Integrity
import Wire

// Trees of hashes and their signatures, right and wrong, and the chunks below them.
extension Forgery {
  mutating func appendTree(_ script: inout Script, to out: inout [UInt8]) {
    guard format.hashLength > 0 else { return }
    let flaws = script.byte()
    switch flaws & 3 {
    case 0:
      // A hash of anything, which is a node or is not.
      let chunks = nameable(range(&script))
      let hash = [UInt8](repeating: script.byte(), count: format.hashLength)
      format.appendIntegrity(chunks, hash: hash.span.bytes, to: &out)
    case 1:
      // A chunk without its hashes: what was published, or not.
      let chunk = number(&script)
      let isTrue = flaws & 4 == 0 && chunk < UInt64(stage.payloads.count)
      let payload =
        isTrue ? stage.payloads[Int(chunk)] : [UInt8](repeating: script.byte(), count: Stage.chunkSize)
      appendData(chunk, payload, &script, to: &out)
    default: appendSubtree(&script, flaws, to: &out)
    }
  }

  private func appendData(_ chunk: UInt64, _ payload: [UInt8], _ script: inout Script, to out: inout [UInt8])
  {
    format.appendDataHeader(chunk, length: payload.count, timestamp: wide(&script), to: &out)
    out += payload
  }

  /// A munro with its signature, hashes below it and one of its chunks.
  private mutating func appendSubtree(_ script: inout Script, _ flaws: UInt8, to out: inout [UInt8]) {
    let width = 2 << Int(script.byte() % 5)
    let first = number(&script) & ~UInt64(width - 1)
    let count = script.byte() & 3 == 0 ? 1 + Int(script.byte()) % width : width
    let filling = script.byte()
    let size = script.byte() & 7 == 0 ? Int(script.byte()) % Stage.chunkSize + 1 : Stage.chunkSize
    var chunks: [[UInt8]] = []
    let subtree: UnifiedMerkle.Subtree
    do throws(IntegrityError) {
      var signer = try UnifiedMerkle.Signer(
        keys[Int(flaws >> 2 & 1)],
        addressing: format.addressing,
        chunkSize: format.chunkSize,
        width: width
      )
      for index in 0..<count {
        let isLast = index == count - 1
        let payload = [UInt8](repeating: filling, count: isLast ? size : Stage.chunkSize)
        _ = try signer.append(first + UInt64(index), payload.span.bytes)
        chunks.append(payload)
      }
      subtree = try signer.finish(timestamp: wide(&script))
    } catch { return }
    let asked = first + UInt64(Int(script.byte()) % count)
    if flaws & 4 == 0, flaws & 16 == 0 { isSigned = true }
    func appendMunro() {
      guard flaws & 8 == 0 else { return }
      subtree.munroHash { format.appendIntegrity($0, hash: $1, to: &out) }
    }
    func appendSignature() {
      guard flaws & 16 == 0 else { return }
      let signature = subtree.signature
      format.appendSignedIntegrity(
        subtree.munro,
        timestamp: subtree.timestamp,
        signature: signature.span.bytes,
        to: &out
      )
    }
    if flaws & 32 == 0 {
      appendMunro()
      appendSignature()
    } else {
      appendSignature()
      appendMunro()
    }
    let altered = flaws & 64 == 0 ? nil : script.byte()
    func append(_ node: ChunkRange, _ hash: RawSpan) {
      var bytes = hash.withUnsafeBytes { Array($0) }
      if let altered { bytes[Int(altered & 31)] ^= altered | 1 }
      format.appendIntegrity(node, hash: bytes.span.bytes, to: &out)
    }
    if flaws & 1 == 0 {
      subtree.leaves { append($0, $1) }
    } else {
      subtree.uncles(of: asked, holdsAny: { _ in false }) { append($0, $1) }
    }
    guard flaws & 128 == 0 else { return }
    appendData(asked, chunks[Int(asked - first)], &script, to: &out)
  }

  // MARK: - Peer exchange

  mutating func appendExchange(_ script: inout Script, to out: inout [UInt8]) {
    let kind = script.byte()
    switch kind & 3 {
    case 0: WireFormat.appendPexRequest(to: &out)
    case 1:
      let network: UInt32 = [0x0A01_0000, 0x7F00_0000, 0xCB00_7100, 0xE000_0000][Int(kind >> 2 & 3)]
      WireFormat.appendPexResponse(
        address: network | UInt32(script.byte()),
        port: UInt16(script.byte()),
        to: &out
      )
    case 2:
      let network: UInt128 = [0x2001_0DB8, 0xFE80_0000, 0xFF02_0000, 0][Int(kind >> 2 & 3)]
      WireFormat.appendPexResponse(address: network << 96 | UInt128(script.byte()), port: 9, to: &out)
    default: appendCertificate(&script, kind, to: &out)
    }
  }

  private func appendCertificate(_ script: inout Script, _ kind: UInt8, to out: inout [UInt8]) {
    let number = script.byte()
    var der: [UInt8]
    do throws(IntegrityError) {
      let own = [UInt8](repeating: number, count: 32)
      let identity = try PeerIdentity(seed: own.span.bytes)
      let place = kind & 4 == 0 ? nil : "10.1.0.\(number):9"
      der = try stage.certificate(of: identity.publicKey, place: place).der
    } catch { return }
    if kind & 8 != 0 { der[Int(script.byte()) % der.count] ^= script.byte() }
    if kind & 16 != 0 { der = script.take(Int(script.byte())) }
    WireFormat.appendPexCertificate(der.span.bytes, to: &out)
  }
}
