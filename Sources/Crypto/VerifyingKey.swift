internal import COpenSSL

/// A public key that checks signatures.
///
/// It is set up once; checking reuses its contexts, so it belongs to one thread at a time.
@safe package struct VerifyingKey: ~Copyable {
  package let scheme: Scheme
  /// The length of every signature, in bytes.
  package let signatureLength: Int
  private let operation: Operation
  private var table: P256Table?
  private var message: [UInt8] = []

  private init(_ scheme: Scheme, signatureLength: Int, _ operation: consuming Operation) {
    self.scheme = scheme
    self.signatureLength = signatureLength
    self.operation = operation
  }

  /// Makes a key of its numbers.
  ///
  /// - Throws: `invalidPublicKey` when they are of another scheme or the point is not on the curve.
  package static func make(
    _ scheme: Scheme,
    _ material: PublicKeyMaterial
  ) throws(CryptoError) -> VerifyingKey {
    let key = try PKey.publicKey(scheme, material)
    if let length = scheme.edwardsLength {
      let context = try MessageContext.make()
      guard unsafe EVP_DigestVerifyInit(context.pointer, nil, nil, nil, key.pointer) == 1 else {
        throw .invalidPublicKey(scheme)
      }
      return VerifyingKey(scheme, signatureLength: 2 * length, .whole(context))
    }
    let context = try PKeyContext.make(key)
    guard let hash = scheme.hash, unsafe EVP_PKEY_verify_init(context.pointer) == 1, context.configure(scheme)
    else { throw .invalidPublicKey(scheme) }
    let length = scheme.coordinateLength.map { 2 * $0 } ?? Int(unsafe EVP_PKEY_get_size(key.pointer))
    return VerifyingKey(
      scheme,
      signatureLength: length,
      .hashed(HashedOperation(context: context, hash: hash))
    )
  }

  /// Checks from now on with a table of this same key.
  package mutating func use(_ table: consuming P256Table?) {
    self.table = table
  }

  /// Whether `signature` is this key's of `prefix` ‖ `payload`.
  package mutating func verify(prefix: RawSpan, payload: RawSpan, signature: RawSpan) -> Bool {
    guard signature.byteCount == signatureLength else { return false }
    let result: Int32
    switch operation {
    case .whole(let context):
      // A context is good for one message; setting it up again with the same key is cheap.
      guard unsafe EVP_DigestVerifyInit(context.pointer, nil, nil, nil, nil) == 1 else { return false }
      message.removeAll(keepingCapacity: true)
      unsafe prefix.withUnsafeBytes { unsafe message.append(contentsOf: $0) }
      unsafe payload.withUnsafeBytes { unsafe message.append(contentsOf: $0) }
      result = unsafe signature.withUnsafeBytes { signature in
        unsafe EVP_DigestVerify(
          context.pointer,
          signature.baseAddress?.assumingMemoryBound(to: UInt8.self),
          signature.count,
          message,
          message.count
        )
      }
    case .hashed(let operation):
      let digest = operation.hash.digest(prefix, payload)
      if table != nil {
        return unsafe table?.verify(hash: digest.span.bytes.extracting(first: 32), signature: signature)
          == true
      }
      if scheme.coordinateLength != nil {
        var der = [104 of UInt8](repeating: 0)
        guard let length = ECDSASignature.encode(signature, into: &der) else { return false }
        result = unsafe Self.verify(operation, der.span.bytes.extracting(first: length), digest)
      } else {
        result = Self.verify(operation, signature, digest)
      }
    }
    if result != 1 { ERR_clear_error() }
    return result == 1
  }

  private static func verify(
    _ operation: borrowing HashedOperation,
    _ signature: RawSpan,
    _ digest: [64 of UInt8]
  ) -> Int32 {
    let pointer = unsafe operation.context.pointer
    let length = operation.hash.length
    return unsafe signature.withUnsafeBytes { signature in
      unsafe digest.span.withUnsafeBufferPointer { digest in
        unsafe EVP_PKEY_verify(
          pointer,
          signature.baseAddress?.assumingMemoryBound(to: UInt8.self),
          signature.count,
          digest.baseAddress,
          length
        )
      }
    }
  }
}
