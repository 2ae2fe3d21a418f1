package import Integrity
package import PluginKit
package import Wire

/// How a host that does not play fair changes the chunks that it passes on.
package enum Lie: CaseIterable, Sendable {
  /// Other bytes under the same signature.
  case alterPayload
  /// The same bytes under a broken signature.
  case alterSignature
  /// Other bytes, signed with a key of the liar's own.
  case resign
  /// Fewer bytes under the same signature.
  case truncate
  /// A chunk far ahead that nobody published.
  case invent
  /// The bytes and the signature of an older chunk under a new number.
  case renumber
  /// Each chunk many times over; no lie, since all is true, but a load.
  case repeatChunks
}

/// Tells lies: set as a host's `rewrite`.
package final class Liar {
  package let lie: Lie
  /// Lies told so far, by whom they were told to.
  package private(set) var told: [Address: Int] = [:]
  /// Nothing is changed before.
  package var begins: Duration
  /// Only each so many chunks is changed.
  package var every: Int

  private let format: WireFormat
  private let signer: SignAll.Signer?
  private var old: (timestamp: UInt64, signature: [UInt8], payload: [UInt8])?
  private var seen = 0

  package init(
    _ lie: Lie,
    against broadcast: Broadcast,
    addressing: ChunkAddressing = .chunkRanges32,
    begins: Duration = .zero,
    every: Int = 1
  ) throws(IntegrityError) {
    self.lie = lie
    self.begins = begins
    self.every = every
    format = WireFormat(
      addressing: addressing,
      signatureLength: broadcast.key.signatureLength,
      chunkSize: broadcast.chunkSize,
      allowsExtensions: true
    )
    guard lie == .resign else {
      signer = nil
      return
    }
    signer = try SignAll.Signer(StreamKey.generate(broadcast.key.algorithm), addressing: addressing)
  }

  /// The datagrams to be sent instead of one.
  package func rewrite(_ datagram: [UInt8], to: Address, now: Duration) -> [[UInt8]] {
    guard now >= begins, let lies = try? changed(datagram) else { return [datagram] }
    told[to, default: 0] += lies.count
    return lies
  }

  private func changed(_ datagram: [UInt8]) throws -> [[UInt8]]? {
    var reader = try DatagramReader(datagram.span)
    var head: [UInt8] = []
    WireFormat.appendChannel(reader.destination, to: &head)
    var timestamp: UInt64 = 0
    var signature: [UInt8] = []
    while let message = try reader.next(format) {
      switch message {
      case .signedIntegrity(_, let time, let bytes):
        timestamp = time
        signature = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
      case .data(let chunks, let sent, let bytes):
        seen += 1
        guard seen.isMultiple(of: every) else { return nil }
        let payload = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
        return try lies(head, chunks.lowerBound, sent, timestamp, signature, payload)
      default:
        format.append(message, to: &head)
      }
    }
    return nil
  }

  private func lies(
    _ head: [UInt8],
    _ chunk: UInt64,
    _ sent: UInt64,
    _ timestamp: UInt64,
    _ signature: [UInt8],
    _ payload: [UInt8]
  ) throws -> [[UInt8]] {
    var chunk = chunk
    var timestamp = timestamp
    var signature = signature
    var payload = payload
    var copies = 1
    switch lie {
    case .alterPayload: payload[payload.count / 2] ^= 0x10
    case .alterSignature: signature[signature.count / 2] ^= 0x10
    case .resign:
      payload[0] ^= 1
      signature = []
      try unsafe signer?.sign(
        chunk: chunk,
        timestamp: timestamp,
        payload: payload.span.bytes,
        into: &signature
      )
    case .truncate: payload.removeLast(payload.count / 2)
    case .invent:
      chunk += 2_000
      timestamp &+= 5 << 32
    case .renumber:
      let current = (timestamp, signature, payload)
      if let old { (timestamp, signature, payload) = old }
      self.old = current
    case .repeatChunks: copies = 5
    }
    var bytes = head
    unsafe format.appendSignedIntegrity(
      chunk...chunk,
      timestamp: timestamp,
      signature: signature.span.bytes,
      to: &bytes
    )
    format.appendDataHeader(chunk, timestamp: sent, to: &bytes)
    bytes += payload
    return Array(repeating: bytes, count: copies)
  }
}
