internal import Glibc
package import Integrity
internal import PluginKit
internal import Swarm
package import Wire

/// A made-up stream: which chunks there are, and what was published when.
///
/// The payload of a chunk follows from the stream's seed and the chunk's number. The first byte of an entry is a marker,
/// so that hosts recognise entries without knowing a container.
package final class Broadcast {
  package let key: StreamKey
  /// Shared by the peers of a world, who check the same chunks: the first to see one does it, the others recognise it.
  package let publicKey: StreamPublicKey
  /// Bits of payload per second.
  package let rate: UInt64
  /// Bytes of a chunk, or `WireFormat.variableChunkSize`: then they have 1 byte to as many as may be.
  package let chunkSize: Int
  package let firstChunk: UInt64
  /// Every so many chunks is an entry.
  package let entryDistance: UInt64
  /// The time between two chunks.
  package let interval: Duration
  /// How chunks are protected, and how many one signature covers.
  package let integrity: IntegrityMethod
  package let chunksPerSignature: Int
  /// What was published so far, the first chunk first.
  package private(set) var published: [Published] = []
  /// Whether the last chunk is out.
  package private(set) var hasEnded = false

  package struct Published {
    package var chunk: UInt64
    package var time: Duration
    package var isEntry: Bool
    package var payload: [UInt8]
  }

  private let seed: UInt64
  /// The most bytes of a chunk.
  private let longest: Int
  private static let entryMarker: UInt8 = 0xE7

  /// A stream that the Ed25519 key of `seed` signs, unless another key is given.
  ///
  /// Ed25519 signatures are the same on every run; those of other keys are not, and neither is the world's trace then.
  package init(
    seed: UInt64,
    rate: UInt64 = 3_800_000,
    chunkSize: Int = 1316,
    firstChunk: UInt64? = nil,
    entryEvery: Duration = .seconds(1),
    key: StreamKey? = nil,
    integrity: IntegrityMethod = .signAll
  ) throws(IntegrityError) {
    self.seed = seed
    self.rate = rate
    self.chunkSize = chunkSize
    self.integrity = integrity
    let isVariable = chunkSize == WireFormat.variableChunkSize
    longest = isVariable ? PeerConfiguration.longestVariableChunk : chunkSize
    let usual = isVariable ? (1 + longest) / 2 : chunkSize
    chunksPerSignature = UnifiedMerkle.width(chunksPerSecond: Double(rate) / Double(usual * 8))
    self.firstChunk = firstChunk ?? (integrity == .unifiedMerkleTree ? UInt64(chunksPerSignature) : 1)
    let nanoseconds = Int64(UInt64(usual) * 8_000_000_000 / rate)
    interval = .nanoseconds(nanoseconds)
    entryDistance = UInt64(max(1, entryEvery.nanoseconds / nanoseconds))
    if let key {
      self.key = key
    } else {
      let bytes = seedBytes(seed, 0x6B65_79)
      self.key = try unsafe StreamKey(ed25519Seed: bytes.span.bytes)
    }
    publicKey = try StreamPublicKey(self.key.swarmID, seen: SeenSignatures(key: seed))
    publicKey.accelerate()
  }

  /// How a host finds out that a decoder can begin with a chunk.
  package static func beginsEntry(_ payload: RawSpan) -> Bool {
    guard payload.byteCount > 0 else { return false }
    return unsafe payload.unsafeLoad(as: UInt8.self) == entryMarker
  }

  /// Makes the next chunk; the last one is short, and empty where sizes vary.
  package func publish(isLast: Bool = false, now: Duration) -> Published {
    let chunk = firstChunk + UInt64(published.count)
    var random = RandomSource(seed: seed ^ chunk &* 0xD134_2543_DE82_EF95)
    var payload: [UInt8] = []
    var size = isLast ? chunkSize / 2 : chunkSize
    if chunkSize == WireFormat.variableChunkSize {
      size = isLast ? 0 : Int.random(in: 1...longest, using: &random)
    }
    let isEntry = size > 0 && (chunk - firstChunk).isMultiple(of: entryDistance)
    payload.reserveCapacity(size + 8)
    while payload.count < size {
      let word = random.next()
      unsafe withUnsafeBytes(of: word) { unsafe payload.append(contentsOf: $0) }
    }
    payload.removeLast(payload.count - size)
    if size > 0 { payload[0] = isEntry ? Self.entryMarker : 0x47 }
    let made = Published(chunk: chunk, time: now, isEntry: isEntry, payload: payload)
    published.append(made)
    hasEnded = isLast
    return made
  }

  /// What was published under a number.
  package subscript(chunk: UInt64) -> Published? {
    guard chunk >= firstChunk, chunk - firstChunk < UInt64(published.count) else { return nil }
    return published[Int(chunk - firstChunk)]
  }

  /// Whether exactly these bytes were published under a number.
  package func isTrue(_ chunk: UInt64, _ payload: RawSpan) -> Bool {
    guard let made = self[chunk], made.payload.count == payload.byteCount else { return false }
    return unsafe made.payload.withUnsafeBytes { original in
      unsafe payload.withUnsafeBytes { copy in
        guard copy.count > 0, let original = original.baseAddress, let bytes = copy.baseAddress else {
          return unsafe copy.isEmpty
        }
        return unsafe memcmp(original, bytes, copy.count) == 0
      }
    }
  }
}

/// Thirty-two bytes that follow from two numbers.
func seedBytes(_ seed: UInt64, _ purpose: UInt64) -> [UInt8] {
  var random = RandomSource(seed: seed ^ purpose &* 0x9E6C_63D0_876A_3F6B)
  var bytes: [UInt8] = []
  for _ in 0..<4 {
    let word = random.next()
    unsafe withUnsafeBytes(of: word) { unsafe bytes.append(contentsOf: $0) }
  }
  return bytes
}
