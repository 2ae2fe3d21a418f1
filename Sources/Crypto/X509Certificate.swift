internal import COpenSSL

/// An X.509v3 certificate (RFC 5280), freed with its last use.
///
/// Belongs to one thread at a time.
@safe package struct X509Certificate: ~Copyable {
  /// What a certificate says, beside whose key it is and who signed it.
  package struct Contents {
    package var name: String
    /// The URI of the critical subject alternative name.
    package var uri: String
    /// Seconds since 1970; until 2049 they are written as UTCTime.
    package var notBefore: Int64
    package var notAfter: Int64
    package var isAuthority: Bool

    package init(name: String, uri: String, notBefore: Int64, notAfter: Int64, isAuthority: Bool) {
      self.name = name
      self.uri = uri
      self.notBefore = notBefore
      self.notAfter = notAfter
      self.isAuthority = isAuthority
    }
  }

  private let pointer: OpaquePointer

  private init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }

  deinit { unsafe X509_free(pointer) }

  /// Reads exactly one certificate in DER; nil when the bytes are anything else.
  package static func read(der: RawSpan) -> X509Certificate? {
    unsafe der.withUnsafeBytes { bytes in
      var next = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      let end = unsafe next.map { unsafe $0 + bytes.count }
      guard bytes.count > 0, let pointer = unsafe d2i_X509(nil, &next, bytes.count) else {
        ERR_clear_error()
        return nil
      }
      // What follows would be shown to nobody and hashed by everybody.
      let certificate = unsafe X509Certificate(adopting: pointer)
      guard unsafe next == end else { return nil }
      return certificate
    }
  }

  /// As DER.
  package func der() -> [UInt8] {
    let count = unsafe i2d_X509(pointer, nil)
    guard count > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: Int(count))
    unsafe bytes.withUnsafeMutableBufferPointer { buffer in
      var next = buffer.baseAddress
      _ = unsafe i2d_X509(pointer, &next)
    }
    return bytes
  }

  /// Reads a certificate of a PEM text, counted from 0; nil when there are not so many.
  package static func read(pem: RawSpan, number: Int) -> X509Certificate? {
    let memory = unsafe pem.withUnsafeBytes { bytes in
      unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count))
    }
    guard let memory = unsafe memory else { return nil }
    defer {
      unsafe BIO_free(memory)
      ERR_clear_error()
    }
    for place in 0...number {
      guard let pointer = unsafe PEM_read_bio_X509(memory, nil, freshet_no_password, nil) else { return nil }
      let certificate = unsafe X509Certificate(adopting: pointer)
      if place == number { return certificate }
    }
    return nil
  }

  /// As PEM.
  package func pem() -> [UInt8] {
    guard let memory = unsafe BIO_new(BIO_s_mem()) else { return [] }
    defer { unsafe BIO_free(memory) }
    guard unsafe PEM_write_bio_X509(memory, pointer) == 1 else { return [] }
    var start: UnsafeMutablePointer<CChar>?
    let length = unsafe freshet_BIO_get_mem_data(memory, &start)
    return unsafe Array(UnsafeRawBufferPointer(start: start, count: Int(length)))
  }

  // MARK: - Reading

  /// The URI of the subject alternative name, if that is critical and has no other names; at most `limit` bytes.
  package func uri(limit: Int) -> [UInt8]? {
    var text = [CChar](repeating: 0, count: limit)
    let count = unsafe freshet_X509_uri(pointer, &text, Int32(limit))
    ERR_clear_error()
    return count < 0 ? nil : text.prefix(Int(count)).map { UInt8(bitPattern: $0) }
  }

  /// Seconds since 1970.
  package var validity: ClosedRange<Int64>? {
    var (from, until): (Int64, Int64) = (0, 0)
    guard unsafe freshet_ASN1_TIME_unix(X509_get0_notBefore(pointer), &from) == 1,
      unsafe freshet_ASN1_TIME_unix(X509_get0_notAfter(pointer), &until) == 1, from <= until
    else {
      ERR_clear_error()
      return nil
    }
    return from...until
  }

  /// The subject's key, if it is an Ed25519 key.
  package var ed25519Key: [UInt8]? {
    guard let key = unsafe X509_get0_pubkey(pointer), unsafe EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 else {
      ERR_clear_error()
      return nil
    }
    var bytes = [UInt8](repeating: 0, count: 32)
    var count = bytes.count
    return unsafe EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1 && count == 32 ? bytes : nil
  }

  package var isAuthority: Bool { unsafe X509_get_extension_flags(pointer) & freshet_EXFLAG_CA != 0 }

  /// Whether `issuer` signed this certificate, and nothing critical in it is unknown.
  ///
  /// Only SHA-256 with ECDSA, and Ed25519, count.
  package func isIssued(by issuer: borrowing X509Certificate) -> Bool {
    defer { ERR_clear_error() }
    let algorithm = unsafe X509_get_signature_nid(pointer)
    guard algorithm == NID_ecdsa_with_SHA256 || algorithm == NID_ED25519,
      unsafe X509_get_extension_flags(pointer) & freshet_EXFLAG_UNFIT == 0,
      unsafe X509_check_issued(issuer.pointer, pointer) == X509_V_OK,
      let key = unsafe X509_get0_pubkey(issuer.pointer)
    else { return false }
    return unsafe X509_verify(pointer, key) == 1
  }

  /// Whether a private key is the one that this certificate is about.
  package func belongs(to key: borrowing SigningKey) -> Bool {
    defer { ERR_clear_error() }
    return unsafe X509_check_private_key(pointer, key.key.pointer) == 1
  }

  // MARK: - Issuing

  /// Makes the certificate of an authority, signed by itself.
  package static func makeAuthority(
    _ contents: Contents,
    _ key: borrowing SigningKey
  ) throws(CryptoError) -> X509Certificate {
    let certificate = try make(contents, key.key)
    let isComplete =
      unsafe X509_set_issuer_name(
        certificate.pointer,
        X509_get_subject_name(certificate.pointer)
      ) == 1
    guard isComplete, unsafe certificate.extend(contents, issuer: certificate.pointer), certificate.sign(key)
    else {
      ERR_clear_error()
      throw .signingFailed
    }
    return certificate
  }

  /// Makes a certificate for the holder of an Ed25519 key.
  package static func make(
    _ contents: Contents,
    ed25519 subject: [UInt8],
    issuer: borrowing X509Certificate,
    _ key: borrowing SigningKey
  ) throws(CryptoError) -> X509Certificate {
    let certificate = try make(contents, PKey.publicKey(.ed25519, .edwards(subject)))
    let isComplete =
      unsafe X509_set_issuer_name(certificate.pointer, X509_get_subject_name(issuer.pointer)) == 1
    guard isComplete, unsafe certificate.extend(contents, issuer: issuer.pointer), certificate.sign(key)
    else {
      ERR_clear_error()
      throw .signingFailed
    }
    return certificate
  }

  private static func make(_ contents: Contents, _ subject: borrowing PKey) throws(CryptoError)
    -> X509Certificate
  {
    guard let pointer = unsafe X509_new() else { throw .outOfMemory }
    let certificate = unsafe X509Certificate(adopting: pointer)
    // Positive, and never the same twice (RFC 5280, section 4.1.2.2).
    let serial = UInt64.random(in: 1...UInt64(Int64.max))
    let name = Array(contents.name.utf8)
    let isWhole =
      unsafe X509_set_version(pointer, 2) == 1
      && ASN1_INTEGER_set_uint64(X509_get_serialNumber(pointer), serial) == 1
      && X509_NAME_add_entry_by_txt(
        X509_get_subject_name(pointer),
        "CN",
        Int32(freshet_MBSTRING_UTF8),
        name,
        Int32(name.count),
        -1,
        0
      ) == 1
      && ASN1_TIME_set(X509_getm_notBefore(pointer), time_t(contents.notBefore)) != nil
      && ASN1_TIME_set(X509_getm_notAfter(pointer), time_t(contents.notAfter)) != nil
      && X509_set_pubkey(pointer, subject.pointer) == 1
    guard isWhole else {
      ERR_clear_error()
      throw .signingFailed
    }
    return certificate
  }

  private func extend(_ contents: Contents, issuer: OpaquePointer) -> Bool {
    var context = unsafe X509V3_CTX()
    unsafe X509V3_set_ctx(&context, issuer, pointer, nil, nil, 0)
    let extensions: [(Int32, String)] = [
      (NID_basic_constraints, contents.isAuthority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE"),
      (NID_key_usage, contents.isAuthority ? "critical,keyCertSign" : "critical,digitalSignature"),
      (NID_subject_alt_name, "critical,URI:" + contents.uri),
      (NID_subject_key_identifier, "hash"),
      (NID_authority_key_identifier, "keyid:always"),
    ]
    for (kind, value) in extensions {
      guard let made = unsafe X509V3_EXT_conf_nid(nil, &context, kind, value) else { return false }
      defer { unsafe X509_EXTENSION_free(made) }
      guard unsafe X509_add_ext(pointer, made, -1) == 1 else { return false }
    }
    return true
  }

  private func sign(_ key: borrowing SigningKey) -> Bool {
    let hash = unsafe key.scheme == .ed25519 ? nil : EVP_sha256()
    return unsafe X509_sign(pointer, key.key.pointer, hash) > 0
  }
}
