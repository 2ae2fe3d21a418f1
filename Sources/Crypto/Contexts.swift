internal import COpenSSL

/// A number of OpenSSL, freed with its last use.
@safe struct BigNumber: ~Copyable {
  let pointer: OpaquePointer

  private init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }

  /// Makes a number of its big-endian bytes.
  static func make(_ bytes: [UInt8]) throws(CryptoError) -> BigNumber {
    guard let pointer = unsafe BN_bin2bn(bytes, Int32(clamping: bytes.count), nil) else { throw .outOfMemory }
    return unsafe BigNumber(adopting: pointer)
  }

  deinit { unsafe BN_free(pointer) }
}

/// What OpenSSL needs for one kind of operation with a key.
///
/// It is set up once and then used for every signature: the setup costs more allocations than the operation.
@safe struct PKeyContext: ~Copyable {
  let pointer: OpaquePointer

  private init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }

  /// For making keys of a kind.
  static func make(named name: String) throws(CryptoError) -> PKeyContext {
    guard let pointer = unsafe EVP_PKEY_CTX_new_from_name(nil, name, nil) else { throw .outOfMemory }
    return unsafe PKeyContext(adopting: pointer)
  }

  /// For operations with a key, which is kept alive.
  static func make(_ key: borrowing PKey) throws(CryptoError) -> PKeyContext {
    guard let pointer = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key.pointer, nil) else { throw .outOfMemory }
    return unsafe PKeyContext(adopting: pointer)
  }

  deinit { unsafe EVP_PKEY_CTX_free(pointer) }

  /// Sets the padding and the hash's name that RSA signatures carry (RFC 8017 section 8.2).
  func configure(_ scheme: Scheme) -> Bool {
    switch scheme {
    case .rsaSHA1:
      unsafe EVP_PKEY_CTX_set_rsa_padding(pointer, RSA_PKCS1_PADDING) == 1
        && EVP_PKEY_CTX_set_signature_md(pointer, EVP_sha1()) == 1
    case .rsaSHA256:
      unsafe EVP_PKEY_CTX_set_rsa_padding(pointer, RSA_PKCS1_PADDING) == 1
        && EVP_PKEY_CTX_set_signature_md(pointer, EVP_sha256()) == 1
    case .ecdsaP256SHA256, .ecdsaP384SHA384, .ed25519, .ed448: true
    }
  }
}

/// What OpenSSL needs to sign whole messages, as Ed25519 and Ed448 do.
@safe struct MessageContext: ~Copyable {
  let pointer: OpaquePointer

  private init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }

  static func make() throws(CryptoError) -> MessageContext {
    guard let pointer = unsafe EVP_MD_CTX_new() else { throw .outOfMemory }
    return unsafe MessageContext(adopting: pointer)
  }

  deinit { unsafe EVP_MD_CTX_free(pointer) }
}

/// An operation on the hash of a message.
struct HashedOperation: ~Copyable {
  let context: PKeyContext
  let hash: Hash
}

/// One operation with one key.
enum Operation: ~Copyable {
  /// On a hash of the message.
  case hashed(HashedOperation)
  /// On the message itself.
  case whole(MessageContext)
}
