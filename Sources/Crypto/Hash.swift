internal import COpenSSL

/// A hash function that works without allocating.
package enum Hash: Sendable {
  case sha1
  case sha224
  case sha256
  case sha384
  case sha512

  /// The longest digest of any of them, in bytes.
  package static let maximumLength = 64

  package var length: Int {
    switch self {
    case .sha1: 20
    case .sha224: 28
    case .sha256: 32
    case .sha384: 48
    case .sha512: 64
    }
  }

  /// Hashes two pieces as if they were one.
  ///
  /// - Returns: the digest in the first `length` bytes, zeros after them.
  package func digest(_ first: RawSpan, _ second: RawSpan) -> [64 of UInt8] {
    var digest = [64 of UInt8](repeating: 0)
    var output = digest.mutableSpan
    unsafe output.withUnsafeMutableBufferPointer { output in
      unsafe first.withUnsafeBytes { first in
        unsafe second.withUnsafeBytes { second in
          switch self {
          case .sha1:
            var context = SHA_CTX()
            unsafe SHA1_Init(&context)
            unsafe SHA1_Update(&context, first.baseAddress, first.count)
            unsafe SHA1_Update(&context, second.baseAddress, second.count)
            unsafe SHA1_Final(output.baseAddress, &context)
          case .sha224:
            var context = SHA256_CTX()
            unsafe SHA224_Init(&context)
            unsafe SHA224_Update(&context, first.baseAddress, first.count)
            unsafe SHA224_Update(&context, second.baseAddress, second.count)
            unsafe SHA224_Final(output.baseAddress, &context)
          case .sha256:
            var context = SHA256_CTX()
            unsafe SHA256_Init(&context)
            unsafe SHA256_Update(&context, first.baseAddress, first.count)
            unsafe SHA256_Update(&context, second.baseAddress, second.count)
            unsafe SHA256_Final(output.baseAddress, &context)
          case .sha384:
            var context = SHA512_CTX()
            unsafe SHA384_Init(&context)
            unsafe SHA384_Update(&context, first.baseAddress, first.count)
            unsafe SHA384_Update(&context, second.baseAddress, second.count)
            unsafe SHA384_Final(output.baseAddress, &context)
          case .sha512:
            var context = SHA512_CTX()
            unsafe SHA512_Init(&context)
            unsafe SHA512_Update(&context, first.baseAddress, first.count)
            unsafe SHA512_Update(&context, second.baseAddress, second.count)
            unsafe SHA512_Final(output.baseAddress, &context)
          }
        }
      }
    }
    return digest
  }
}
