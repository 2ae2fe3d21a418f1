/// Signatures that were found genuine, by a keyed checksum of them and of all that they sign.
///
/// Where thousands of peers in one process check the same chunk, the first does so with the stream's key and the others
/// by the checksum. It keeps mistakes out, and made-up lies whose author does not know the key; it is no cryptography.
package struct SeenSignatures: Sendable {
  /// The most that are remembered; then all are forgotten.
  static let limit = 1 << 16

  private let key: UInt64
  private var checksums: Set<UInt64> = []

  package init(key: UInt64) { self.key = key }

  func checksum(prefix: RawSpan, payload: RawSpan, signature: RawSpan) -> UInt64 {
    var sum = Checksum(key: key)
    sum.add(prefix)
    sum.add(payload)
    sum.add(signature)
    return sum.value
  }

  func contains(_ checksum: UInt64) -> Bool { checksums.contains(checksum) }

  mutating func insert(_ checksum: UInt64) {
    if checksums.count >= Self.limit { checksums.removeAll(keepingCapacity: true) }
    checksums.insert(checksum)
  }
}

/// A sum over pieces of bytes and their lengths: words are multiplied to twice their width and folded (as Yi's wyhash
/// does), in two lanes that the processor works on at once.
private struct Checksum {
  private static let factors: (UInt64, UInt64) = (0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB)
  private var lanes: (UInt64, UInt64)

  /// A small key would leave the first product what it was, and products know no order: so it is spread first.
  init(key: UInt64) {
    lanes = (
      Self.fold(key ^ Self.factors.0, Self.factors.1), Self.fold(~key ^ Self.factors.1, Self.factors.0)
    )
  }

  mutating func add(_ bytes: RawSpan) {
    var (left, right) = lanes
    var offset = 0
    while offset + 32 <= bytes.byteCount {
      left = Self.fold(Self.word(bytes, offset) ^ Self.factors.0, Self.word(bytes, offset + 8) ^ left)
      right = Self.fold(Self.word(bytes, offset + 16) ^ Self.factors.1, Self.word(bytes, offset + 24) ^ right)
      offset += 32
    }
    while offset + 8 <= bytes.byteCount {
      left = Self.fold(Self.word(bytes, offset) ^ Self.factors.0, left)
      offset += 8
    }
    while offset < bytes.byteCount {
      left = Self.fold(
        UInt64(unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) ^ Self.factors.1,
        left
      )
      offset += 1
    }
    lanes = (Self.fold(left ^ UInt64(bytes.byteCount), Self.factors.0), right)
  }

  var value: UInt64 { Self.fold(lanes.0 ^ Self.factors.0, lanes.1 ^ Self.factors.1) }

  /// Words of zero would end a chain of products: then what was multiplied counts.
  private static func fold(_ one: UInt64, _ other: UInt64) -> UInt64 {
    let product = one.multipliedFullWidth(by: other)
    return product.high ^ product.low ^ (one == 0 || other == 0 ? one &+ other &+ factors.1 : 0)
  }

  private static func word(_ bytes: RawSpan, _ offset: Int) -> UInt64 {
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
  }
}
