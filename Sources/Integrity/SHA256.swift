internal import Crypto

/// SHA-256 of bytes at hand (FIPS 180-4).
public enum SHA256 {
  /// The 32-byte digest; does not allocate.
  public static func digest(_ bytes: RawSpan) -> [32 of UInt8] {
    let full = Hash.sha256.digest(bytes, RawSpan())
    return [32 of UInt8] { full[$0] }
  }

  /// The 32-byte digest as an array.
  public static func hash(_ bytes: RawSpan) -> [UInt8] {
    let full = Hash.sha256.digest(bytes, RawSpan())
    return (0..<32).map { full[$0] }
  }

  /// The 32-byte digest as an array.
  public static func hash(_ bytes: [UInt8]) -> [UInt8] {
    unsafe hash(bytes.span.bytes)
  }
}
