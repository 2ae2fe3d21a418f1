internal import Crypto
public import Wire

/// A hash function of Merkle trees, by its number in option 4 (RFC 7574, section 7.6).
public typealias HashFunction = MerkleHash

extension HashFunction {
  /// The digest of bytes, which has `length` bytes.
  public func hash(_ bytes: RawSpan) -> [UInt8] {
    let digest = digest(bytes)
    return (0..<length).map { digest[$0] }
  }

  /// The digest of bytes, which has `length` bytes.
  public func hash(_ bytes: [UInt8]) -> [UInt8] {
    unsafe hash(bytes.span.bytes)
  }

  /// The digest of two pieces as if they were one, in the first `length` bytes; does not allocate.
  public func digest(_ first: RawSpan, _ second: RawSpan = RawSpan()) -> [64 of UInt8] {
    algorithm.digest(first, second)
  }

  private var algorithm: Hash {
    switch self {
    case .sha1: .sha1
    case .sha224: .sha224
    case .sha256: .sha256
    case .sha384: .sha384
    case .sha512: .sha512
    }
  }
}
