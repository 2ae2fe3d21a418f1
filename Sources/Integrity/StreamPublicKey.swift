internal import Crypto

/// The public key of a stream, which checks what its broadcaster signed.
///
/// May be used from any thread; checks are done one after the other.
public final class StreamPublicKey: Sendable {
  public let swarmID: SwarmID
  public var algorithm: SignatureAlgorithm { swarmID.algorithm }
  /// The length of each signature, in bytes.
  public var signatureLength: Int { swarmID.signatureLength }
  private let checker: Guarded<Checker>

  private struct Checker: ~Copyable {
    var key: VerifyingKey
    var seen: SeenSignatures?
  }

  /// Makes the key that a swarm is named after.
  ///
  /// - Throws: `invalidPublicKey` when the id's point is not on its curve.
  public convenience init(_ swarmID: SwarmID) throws(IntegrityError) { try self.init(swarmID, seen: nil) }

  /// One that recognises what it has found genuine before, for the peers of a simulated world to share.
  package init(_ swarmID: SwarmID, seen: SeenSignatures?) throws(IntegrityError) {
    let material = try swarmID.material
    do throws(CryptoError) {
      let key = try VerifyingKey.make(swarmID.algorithm.scheme, material)
      checker = Guarded(Checker(key: key, seen: seen))
    } catch {
      throw .invalidPublicKey(swarmID.algorithm)
    }
    self.swarmID = swarmID
  }

  /// Makes checking twice as fast, where that is known how: for ECDSA P-256.
  ///
  /// Takes about 20 ms and 150 KB, once. May run on another thread while this one checks; answers stay the same.
  public func accelerate() {
    guard case .point(let point) = try? swarmID.material, algorithm == .ecdsaP256SHA256 else { return }
    // Without a table, checking goes on as before.
    var table = try? P256Table.make(point)
    guard table != nil else { return }
    checker.withLock { $0.key.use(table.take()) }
  }

  /// Whether `signature` is this stream's of `prefix` ‖ `payload`.
  ///
  /// A signature of the wrong length is refused like any other that does not fit.
  public func verify(prefix: RawSpan, payload: RawSpan, signature: RawSpan) -> Bool {
    checker.withLock { checker in
      let checksum = checker.seen?.checksum(prefix: prefix, payload: payload, signature: signature)
      if let checksum, checker.seen?.contains(checksum) == true { return true }
      let isGenuine = checker.key.verify(prefix: prefix, payload: payload, signature: signature)
      if let checksum, isGenuine { checker.seen?.insert(checksum) }
      return isGenuine
    }
  }

  /// Whether `signature` is this stream's of a statement that is no chunk.
  public func verify(statement: RawSpan, signature: RawSpan) -> Bool {
    let prefix = statementPrefix
    return unsafe verify(prefix: prefix.span.bytes, payload: statement, signature: signature)
  }
}

/// What a signed statement begins with and no signed chunk can.
///
/// The bytes of a chunk or a subtree begin with its specification (RFC 7574 sections 6.1.1 and 6.1.2.2). As ranges of
/// 32 or 64 bits this is one that ends before it starts, and as a 32-bit bin no chunk; as a 64-bit bin it is a chunk
/// that `SignAll` leaves out.
let statementPrefix: [16 of UInt8] = [
  0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0,
  UInt8(ascii: "F"), UInt8(ascii: "r"), UInt8(ascii: "e"), UInt8(ascii: "s"),
  UInt8(ascii: "h"), UInt8(ascii: "e"), UInt8(ascii: "t"), 0,
]
