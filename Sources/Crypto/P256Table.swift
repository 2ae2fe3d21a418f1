internal import COpenSSL

/// A P-256 public key with a table of its multiples, which checks a signature in half the time.
///
/// OpenSSL keeps such a table for the curve's generator only. Here the key takes the generator's place in a group of
/// its own, so that both products of a check (RFC 6979 section 2, SEC 1 section 4.1.4) are looked up. The table
/// takes about 20 ms to make and 150 KB. Everything here is public, so nothing needs to hide in time.
///
/// Unchecked: it cannot be copied, nothing else holds its pointers, and all that uses them is `mutating`, so it is
/// its owner's lock that guards them.
@safe package struct P256Table: ~Copyable, @unchecked Sendable {
  private let curve: OpaquePointer
  private let keyed: OpaquePointer
  private let context: OpaquePointer
  private let order: OpaquePointer
  private let first: OpaquePointer
  private let second: OpaquePointer
  private let r: BigNumber
  private let s: BigNumber
  private let hash: BigNumber
  private let factor: BigNumber

  /// Makes the table of a key's point x ‖ y, which must be on the curve.
  package static func make(_ point: [UInt8]) throws(CryptoError) -> P256Table {
    guard point.count == 64 else { throw .invalidPublicKey(.ecdsaP256SHA256) }
    let x = try BigNumber.make(Array(point.prefix(32)))
    let y = try BigNumber.make(Array(point.suffix(32)))
    let table = try P256Table()
    let done =
      unsafe EC_POINT_set_affine_coordinates(table.keyed, table.second, x.pointer, y.pointer, table.context)
      == 1
      && EC_GROUP_set_generator(
        table.keyed,
        table.second,
        EC_GROUP_get0_order(table.curve),
        EC_GROUP_get0_cofactor(table.curve)
      ) == 1
      && EC_GROUP_precompute_mult(table.keyed, table.context) == 1
    guard done else {
      ERR_clear_error()
      throw .invalidPublicKey(.ecdsaP256SHA256)
    }
    return table
  }

  private init() throws(CryptoError) {
    let r = try BigNumber.make([])
    let s = try BigNumber.make([])
    let hash = try BigNumber.make([])
    let factor = try BigNumber.make([])
    let curve = unsafe EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)
    let keyed = unsafe EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)
    let context = unsafe BN_CTX_new()
    let first = unsafe curve.flatMap { unsafe EC_POINT_new($0) }
    let second = unsafe keyed.flatMap { unsafe EC_POINT_new($0) }
    guard let curve = unsafe curve, let keyed = unsafe keyed, let context = unsafe context,
      let first = unsafe first, let second = unsafe second, let order = unsafe EC_GROUP_get0_order(curve)
    else {
      unsafe EC_POINT_free(first)
      unsafe EC_POINT_free(second)
      unsafe EC_GROUP_free(curve)
      unsafe EC_GROUP_free(keyed)
      unsafe BN_CTX_free(context)
      throw .outOfMemory
    }
    unsafe self.curve = curve
    unsafe self.keyed = keyed
    unsafe self.context = context
    unsafe self.order = order
    unsafe self.first = first
    unsafe self.second = second
    self.r = r
    self.s = s
    self.hash = hash
    self.factor = factor
  }

  deinit {
    unsafe EC_POINT_free(first)
    unsafe EC_POINT_free(second)
    unsafe EC_GROUP_free(curve)
    unsafe EC_GROUP_free(keyed)
    unsafe BN_CTX_free(context)
  }

  /// Whether r ‖ s is the key's signature of a 32-byte hash.
  package mutating func verify(hash digest: RawSpan, signature: RawSpan) -> Bool {
    guard digest.byteCount == 32, signature.byteCount == 64 else { return false }
    guard r.set(signature.extracting(first: 32)), s.set(signature.extracting(last: 32)), hash.set(digest)
    else { return false }
    guard unsafe BN_is_zero(r.pointer) == 0, unsafe BN_is_zero(s.pointer) == 0,
      unsafe BN_ucmp(r.pointer, order) < 0, unsafe BN_ucmp(s.pointer, order) < 0
    else { return false }
    // first = hash / s times the generator, second = r / s times the key; their sum has r as x, modulo the order.
    let computed =
      unsafe BN_mod_inverse(factor.pointer, s.pointer, order, context) != nil
      && BN_mod_mul(hash.pointer, hash.pointer, factor.pointer, order, context) == 1
      && BN_mod_mul(factor.pointer, r.pointer, factor.pointer, order, context) == 1
      && EC_POINT_mul(curve, first, hash.pointer, nil, nil, context) == 1
      && EC_POINT_mul(keyed, second, factor.pointer, nil, nil, context) == 1
      && EC_POINT_add(curve, first, first, second, context) == 1
      // Fails for the point at infinity, which no signature leads to.
      && EC_POINT_get_affine_coordinates(curve, first, hash.pointer, nil, context) == 1
      && BN_nnmod(hash.pointer, hash.pointer, order, context) == 1
    guard computed else {
      ERR_clear_error()
      return false
    }
    return unsafe BN_ucmp(hash.pointer, r.pointer) == 0
  }
}

extension BigNumber {
  /// Takes the value of big-endian bytes, in the memory that it has.
  fileprivate func set(_ bytes: RawSpan) -> Bool {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe BN_bin2bn(
        bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
        Int32(clamping: bytes.count),
        pointer
      ) != nil
    }
  }
}
