import CAllocations
import Wire

let format = WireFormat(
  addressing: .chunkRanges32,
  signatureLength: 64,
  hashLength: 32,
  chunkSize: 1316,
  allowsExtensions: true
)

/// Prints what one call of `body` costs: nanoseconds, the best of five rounds, and allocations.
func measure(_ name: String, calls: Int = 1_000_000, _ body: () throws -> UInt64) rethrows {
  var best = Double.infinity
  var sum: UInt64 = 0
  var allocations: UInt64 = 0
  for _ in 0..<5 {
    let before = allocations_of_this_thread()
    let elapsed = try ContinuousClock().measure {
      for _ in 0..<calls { sum &+= try body() }
    }
    allocations = allocations_of_this_thread() - before
    best = min(best, elapsed / .nanoseconds(1) / Double(calls))
  }
  print(
    "\(name): \(Double(Int(best * 10)) / 10) ns, \(Double(allocations) / Double(calls)) allocations (sum \(sum))"
  )
}

/// Adds up what a datagram says, so that nothing of the reading can be left out.
@inline(never)
func consume(_ datagram: borrowing [UInt8]) throws(DecodeError) -> UInt64 {
  var reader = try DatagramReader(datagram.span)
  var sum = UInt64(reader.destination)
  while let message = try reader.next(format) {
    switch message {
    case .handshake(let view): sum &+= UInt64(view.source) &+ UInt64(view.swarmID?.byteCount ?? 0)
    case .data(let chunks, let timestamp, let payload):
      sum &+= chunks.lowerBound &+ timestamp &+ UInt64(payload.byteCount)
    case .ack(let chunks, let delay): sum &+= chunks.upperBound &+ delay
    case .have(let chunks), .request(let chunks), .cancel(let chunks): sum &+= chunks.upperBound
    case .integrity(let chunks, let hash): sum &+= chunks.upperBound &+ UInt64(hash.byteCount)
    case .signedIntegrity(let chunks, let timestamp, let signature):
      sum &+= chunks.upperBound &+ timestamp &+ UInt64(signature.byteCount)
    case .pexResponse4(let address, let port): sum &+= UInt64(address) &+ UInt64(port)
    case .pexResponse6(let address, let port): sum &+= UInt64(truncatingIfNeeded: address) &+ UInt64(port)
    case .pexRequest, .choke, .unchoke: sum &+= 1
    case .pexCertificate(let body), .extensionMessage(_, let body): sum &+= UInt64(body.byteCount)
    }
  }
  return sum
}

func run() throws {
  let signature = [UInt8](repeating: 7, count: 64)
  let chunk = [UInt8](repeating: 0x47, count: 1316)

  var nine: [UInt8] = []
  WireFormat.appendChannel(0xDEAD_BEEF, to: &nine)
  format.appendAck(1_000...1_004, delay: 20_000, to: &nine)
  format.appendHave(900...1_004, to: &nine)
  format.appendHave(1_006...1_010, to: &nine)
  format.appendRequest(1_005...1_005, to: &nine)
  format.appendRequest(1_011...1_011, to: &nine)
  format.appendCancel(800...810, to: &nine)
  WireFormat.appendUnchoke(to: &nine)
  format.appendSignedIntegrity(
    1_012...1_012,
    timestamp: 1 << 63,
    signature: unsafe signature.span.bytes,
    to: &nine
  )
  format.appendDataHeader(1_012, timestamp: 1_700_000_000_000_000, to: &nine)
  nine += chunk
  try measure("read nine messages") { try consume(nine) }

  var signed: [UInt8] = []
  WireFormat.appendChannel(0xDEAD_BEEF, to: &signed)
  format.appendSignedIntegrity(
    1_012...1_012,
    timestamp: 1 << 63,
    signature: unsafe signature.span.bytes,
    to: &signed
  )
  format.appendDataHeader(1_012, timestamp: 1_700_000_000_000_000, to: &signed)
  signed += chunk
  try measure("read a signed chunk") { try consume(signed) }

  var handshake: [UInt8] = []
  let options = HandshakeOptions(
    minimumVersion: 1,
    swarmID: [UInt8](repeating: 13, count: 65),
    integrity: .signAll,
    signatureAlgorithm: 13,
    addressing: .chunkRanges32,
    discardWindow: 12_000,
    supported: .rfc7574,
    chunkSize: 1316
  )
  WireFormat.appendChannel(0, to: &handshake)
  WireFormat.appendHandshake(source: 5, options, to: &handshake)
  try measure("read a handshake") { try consume(handshake) }

  let reversed: [UInt8] = [0, 0, 0, 1, 3, 0, 0, 0, 2, 0, 0, 0, 1]
  measure("refuse a reversed range") { (try? consume(reversed)) ?? 1 }

  var out: [UInt8] = []
  out.reserveCapacity(2_048)
  measure("write the head of a signed chunk") {
    out.removeAll(keepingCapacity: true)
    WireFormat.appendChannel(0xDEAD_BEEF, to: &out)
    format.appendSignedIntegrity(
      1_012...1_012,
      timestamp: 1 << 63,
      signature: unsafe signature.span.bytes,
      to: &out
    )
    format.appendDataHeader(1_012, timestamp: 1_700_000_000_000_000, to: &out)
    return UInt64(out.count)
  }
  measure("write ACK and HAVE") {
    out.removeAll(keepingCapacity: true)
    WireFormat.appendChannel(0xDEAD_BEEF, to: &out)
    format.appendAck(1_000...1_004, delay: 20_000, to: &out)
    format.appendHave(900...1_004, to: &out)
    return UInt64(out.count)
  }
}

do {
  try run()
} catch {
  print("the benchmark's own datagrams cannot be read: \(error)")
}
