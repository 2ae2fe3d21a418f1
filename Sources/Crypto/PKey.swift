internal import COpenSSL

/// A key of OpenSSL, freed with its last use.
@safe struct PKey: ~Copyable {
  let pointer: OpaquePointer

  private init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }

  deinit { unsafe EVP_PKEY_free(pointer) }

  /// Makes a private key from the system's randomness.
  ///
  /// `bits` is the length of an RSA modulus; other schemes have one length.
  static func generate(_ scheme: Scheme, bits: Int) throws(CryptoError) -> PKey {
    let context = try PKeyContext.make(named: scheme.keyName)
    guard unsafe EVP_PKEY_keygen_init(context.pointer) == 1 else { throw .generationFailed }
    if let group = scheme.groupName {
      guard unsafe EVP_PKEY_CTX_set_group_name(context.pointer, group) == 1 else { throw .generationFailed }
    }
    if scheme.isRSA {
      guard let bits = Int32(exactly: bits),
        unsafe EVP_PKEY_CTX_set_rsa_keygen_bits(context.pointer, bits) == 1
      else { throw .generationFailed }
    }
    var key: OpaquePointer?
    guard unsafe EVP_PKEY_generate(context.pointer, &key) == 1, let key = unsafe key else {
      ERR_clear_error()
      throw .generationFailed
    }
    return unsafe PKey(adopting: key)
  }

  /// Makes an Ed25519 private key of its 32-byte seed (RFC 8032).
  static func ed25519(seed: RawSpan) throws(CryptoError) -> PKey {
    guard seed.byteCount == 32 else { throw .invalidSeed(length: seed.byteCount) }
    let key = unsafe seed.withUnsafeBytes { seed in
      unsafe EVP_PKEY_new_raw_private_key(
        EVP_PKEY_ED25519,
        nil,
        seed.baseAddress?.assumingMemoryBound(to: UInt8.self),
        seed.count
      )
    }
    guard let key = unsafe key else { throw .outOfMemory }
    return unsafe PKey(adopting: key)
  }

  /// Makes a public key; points that are not on their curve are refused.
  static func publicKey(_ scheme: Scheme, _ material: PublicKeyMaterial) throws(CryptoError) -> PKey {
    let key: OpaquePointer?
    switch material {
    case .edwards(let bytes):
      guard bytes.count == scheme.edwardsLength else { throw .invalidPublicKey(scheme) }
      let kind = scheme == .ed448 ? EVP_PKEY_ED448 : EVP_PKEY_ED25519
      unsafe key = unsafe EVP_PKEY_new_raw_public_key(kind, nil, bytes, bytes.count)
    case .point(let coordinates):
      guard let length = scheme.coordinateLength, coordinates.count == 2 * length,
        let group = scheme.groupName
      else { throw .invalidPublicKey(scheme) }
      // 4: the uncompressed form of SEC 1.
      let point = [4] + coordinates
      unsafe key = try unsafe fromParameters(scheme, freshet_point_parameters(group, point, point.count))
    case .rsa(let exponent, let modulus):
      guard scheme.isRSA else { throw .invalidPublicKey(scheme) }
      let exponent = try BigNumber.make(exponent)
      let modulus = try BigNumber.make(modulus)
      unsafe key = try unsafe fromParameters(
        scheme,
        freshet_rsa_parameters(modulus.pointer, exponent.pointer)
      )
    }
    guard let key = unsafe key else {
      ERR_clear_error()
      throw .invalidPublicKey(scheme)
    }
    return unsafe PKey(adopting: key)
  }

  /// Makes a public key of OpenSSL's parameters, which are freed.
  private static func fromParameters(
    _ scheme: Scheme,
    _ parameters: UnsafeMutablePointer<OSSL_PARAM>?
  ) throws(CryptoError) -> OpaquePointer? {
    guard let parameters = unsafe parameters else { throw .outOfMemory }
    defer { unsafe OSSL_PARAM_free(parameters) }
    let context = try PKeyContext.make(named: scheme.keyName)
    guard unsafe EVP_PKEY_fromdata_init(context.pointer) == 1 else { throw .outOfMemory }
    var key: OpaquePointer?
    guard unsafe EVP_PKEY_fromdata(context.pointer, &key, freshet_EVP_PKEY_PUBLIC_KEY, parameters) == 1 else {
      return nil
    }
    return unsafe key
  }

  /// Reads the first private key of a PEM text.
  static func read(pem: RawSpan) throws(CryptoError) -> PKey {
    let memory = unsafe pem.withUnsafeBytes { bytes in
      unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count))
    }
    guard let memory = unsafe memory else { throw .notAPrivateKey }
    defer { unsafe BIO_free(memory) }
    let key = unsafe PEM_read_bio_PrivateKey(memory, nil, freshet_no_password, nil)
    guard let key = unsafe key else {
      let encrypted = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_BAD_PASSWORD_READ
      ERR_clear_error()
      throw encrypted ? .encrypted : .notAPrivateKey
    }
    return unsafe PKey(adopting: key)
  }

  /// The private key as PKCS #8 in PEM, without a password.
  func pem() throws(CryptoError) -> [UInt8] {
    guard let memory = unsafe BIO_new(BIO_s_secmem()) else { throw .outOfMemory }
    defer { unsafe BIO_free(memory) }
    guard unsafe PEM_write_bio_PKCS8PrivateKey(memory, pointer, nil, nil, 0, nil, nil) == 1 else {
      throw .outOfMemory
    }
    var start: UnsafeMutablePointer<CChar>?
    let length = unsafe freshet_BIO_get_mem_data(memory, &start)
    return unsafe Array(UnsafeRawBufferPointer(start: start, count: Int(length)))
  }

  /// The scheme that this key signs with; a RSA key says nothing of its hash and gets SHA-256.
  func scheme() throws(CryptoError) -> Scheme {
    let name = unsafe EVP_PKEY_get0_type_name(pointer).map { unsafe String(cString: $0) } ?? "unknown"
    switch name {
    case "ED25519": return .ed25519
    case "ED448": return .ed448
    case "RSA": return .rsaSHA256
    case "EC":
      var buffer = [CChar](repeating: 0, count: 80)
      var length = 0
      guard unsafe EVP_PKEY_get_group_name(pointer, &buffer, buffer.count, &length) == 1 else {
        ERR_clear_error()
        throw .unknownKind("EC with its own parameters")
      }
      let group = String(decoding: buffer.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
      switch group {
      case "prime256v1": return .ecdsaP256SHA256
      case "secp384r1": return .ecdsaP384SHA384
      default: throw .unknownKind("EC on the curve \(group)")
      }
    default: throw .unknownKind(name)
    }
  }

  /// The public half.
  func publicMaterial(_ scheme: Scheme) throws(CryptoError) -> PublicKeyMaterial {
    switch scheme {
    case .ed25519, .ed448:
      var bytes = [UInt8](repeating: 0, count: scheme.edwardsLength ?? 0)
      var length = bytes.count
      guard unsafe EVP_PKEY_get_raw_public_key(pointer, &bytes, &length) == 1, length == bytes.count else {
        throw .invalidPublicKey(scheme)
      }
      return .edwards(bytes)
    case .ecdsaP256SHA256, .ecdsaP384SHA384:
      let length = scheme.coordinateLength
      return .point(
        try number(OSSL_PKEY_PARAM_EC_PUB_X, length: length, scheme)
          + number(OSSL_PKEY_PARAM_EC_PUB_Y, length: length, scheme)
      )
    case .rsaSHA1, .rsaSHA256:
      return .rsa(
        exponent: try number(OSSL_PKEY_PARAM_RSA_E, length: nil, scheme),
        modulus: try number(OSSL_PKEY_PARAM_RSA_N, length: nil, scheme)
      )
    }
  }

  private func number(_ name: String, length: Int?, _ scheme: Scheme) throws(CryptoError) -> [UInt8] {
    var value: OpaquePointer?
    guard unsafe EVP_PKEY_get_bn_param(pointer, name, &value) == 1, let value = unsafe value else {
      ERR_clear_error()
      throw .invalidPublicKey(scheme)
    }
    defer { unsafe BN_free(value) }
    let length = length ?? Int((unsafe BN_num_bits(value) + 7) / 8)
    var bytes = [UInt8](repeating: 0, count: length)
    guard unsafe BN_bn2binpad(value, &bytes, Int32(length)) == Int32(length) else {
      throw .invalidPublicKey(scheme)
    }
    return bytes
  }
}

extension Scheme {
  /// The kind of key, in OpenSSL's words.
  fileprivate var keyName: String {
    switch self {
    case .rsaSHA1, .rsaSHA256: "RSA"
    case .ecdsaP256SHA256, .ecdsaP384SHA384: "EC"
    case .ed25519: "ED25519"
    case .ed448: "ED448"
    }
  }

  /// The curve, in OpenSSL's words.
  fileprivate var groupName: String? {
    switch self {
    case .ecdsaP256SHA256: "prime256v1"
    case .ecdsaP384SHA384: "secp384r1"
    case .rsaSHA1, .rsaSHA256, .ed25519, .ed448: nil
    }
  }
}
