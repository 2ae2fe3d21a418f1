internal import COpenSSL

/// A private key that signs.
///
/// Signing reuses its contexts, so it belongs to one thread at a time.
@safe package struct SigningKey: ~Copyable {
  package let scheme: Scheme
  /// The length of every signature, in bytes.
  package let signatureLength: Int
  package let publicMaterial: PublicKeyMaterial
  let key: PKey
  private let operation: Operation
  private var message: [UInt8] = []

  private init(
    _ scheme: Scheme,
    signatureLength: Int,
    _ publicMaterial: PublicKeyMaterial,
    _ key: consuming PKey,
    _ operation: consuming Operation
  ) {
    self.scheme = scheme
    self.signatureLength = signatureLength
    self.publicMaterial = publicMaterial
    self.key = key
    self.operation = operation
  }

  /// Makes a key from the system's randomness.
  ///
  /// `bits` is the length of an RSA modulus.
  package static func generate(_ scheme: Scheme, bits: Int = 2048) throws(CryptoError) -> SigningKey {
    try make(scheme, PKey.generate(scheme, bits: bits))
  }

  /// Makes an Ed25519 key of its 32-byte seed.
  package static func ed25519(seed: RawSpan) throws(CryptoError) -> SigningKey {
    try make(.ed25519, PKey.ed25519(seed: seed))
  }

  /// Reads the first private key of a PEM text.
  ///
  /// `sha1` tells whether a RSA key signs with SHA-1, which the text cannot say. Throws when there is no key, it
  /// needs a password, is of an unknown kind, or its halves do not match.
  package static func read(pem: RawSpan, sha1: Bool) throws(CryptoError) -> SigningKey {
    let key = try PKey.read(pem: pem)
    var scheme = try key.scheme()
    if sha1, scheme == .rsaSHA256 { scheme = .rsaSHA1 }
    var signer = try make(scheme, key)
    var verifier = try VerifyingKey.make(scheme, signer.publicMaterial)
    // A file may hold a public half that belongs to another key.
    var signature: [UInt8] = []
    try signer.sign(prefix: RawSpan(), payload: RawSpan(), into: &signature)
    guard unsafe verifier.verify(prefix: RawSpan(), payload: RawSpan(), signature: signature.span.bytes)
    else {
      throw .unusableKey("its public half does not belong to its private half")
    }
    return signer
  }

  private static func make(_ scheme: Scheme, _ key: consuming PKey) throws(CryptoError) -> SigningKey {
    let material = try key.publicMaterial(scheme)
    if let length = scheme.edwardsLength {
      let context = try MessageContext.make()
      guard unsafe EVP_DigestSignInit(context.pointer, nil, nil, nil, key.pointer) == 1 else {
        throw .signingFailed
      }
      return SigningKey(scheme, signatureLength: 2 * length, material, key, .whole(context))
    }
    let context = try PKeyContext.make(key)
    guard let hash = scheme.hash, unsafe EVP_PKEY_sign_init(context.pointer) == 1, context.configure(scheme)
    else { throw .signingFailed }
    let length = scheme.coordinateLength.map { 2 * $0 } ?? Int(unsafe EVP_PKEY_get_size(key.pointer))
    return SigningKey(
      scheme,
      signatureLength: length,
      material,
      key,
      .hashed(HashedOperation(context: context, hash: hash))
    )
  }

  /// The private key as PKCS #8 in PEM, without a password.
  package func pem() throws(CryptoError) -> [UInt8] { try key.pem() }

  /// Appends the signature of `prefix` ‖ `payload`, which has `signatureLength` bytes.
  package mutating func sign(
    prefix: RawSpan,
    payload: RawSpan,
    into signature: inout [UInt8]
  ) throws(CryptoError) {
    let start = signature.count
    let done: Bool
    switch operation {
    case .whole(let context):
      // A context is good for one message; setting it up again with the same key is cheap.
      guard unsafe EVP_DigestSignInit(context.pointer, nil, nil, nil, nil) == 1 else { throw .signingFailed }
      message.removeAll(keepingCapacity: true)
      unsafe prefix.withUnsafeBytes { unsafe message.append(contentsOf: $0) }
      unsafe payload.withUnsafeBytes { unsafe message.append(contentsOf: $0) }
      signature.append(contentsOf: repeatElement(0, count: signatureLength))
      var length = signatureLength
      let pointer = unsafe context.pointer
      let result = unsafe signature.withUnsafeMutableBufferPointer { signature in
        unsafe EVP_DigestSign(
          pointer,
          signature.baseAddress?.advanced(by: start),
          &length,
          message,
          message.count
        )
      }
      done = result == 1 && length == signatureLength
    case .hashed(let operation):
      let digest = operation.hash.digest(prefix, payload)
      if let coordinateLength = scheme.coordinateLength {
        var der = [104 of UInt8](repeating: 0)
        var output = der.mutableSpan
        let length = unsafe output.withUnsafeMutableBufferPointer { output in
          unsafe Self.sign(operation, digest, into: output.baseAddress, capacity: output.count)
        }
        done =
          if let length {
            unsafe ECDSASignature.decode(
              der.span.bytes.extracting(first: length),
              coordinateLength: coordinateLength,
              into: &signature
            )
          } else {
            false
          }
      } else {
        signature.append(contentsOf: repeatElement(0, count: signatureLength))
        let capacity = signatureLength
        let length = unsafe signature.withUnsafeMutableBufferPointer { signature in
          unsafe Self.sign(
            operation,
            digest,
            into: signature.baseAddress?.advanced(by: start),
            capacity: capacity
          )
        }
        done = length == signatureLength
      }
    }
    guard done else {
      ERR_clear_error()
      signature.removeSubrange(start...)
      throw .signingFailed
    }
  }

  private static func sign(
    _ operation: borrowing HashedOperation,
    _ digest: [64 of UInt8],
    into output: UnsafeMutablePointer<UInt8>?,
    capacity: Int
  ) -> Int? {
    var length = capacity
    let pointer = unsafe operation.context.pointer
    let hashLength = operation.hash.length
    let result = unsafe digest.span.withUnsafeBufferPointer { digest in
      unsafe EVP_PKEY_sign(pointer, output, &length, digest.baseAddress, hashLength)
    }
    return result == 1 && length <= capacity ? length : nil
  }
}
