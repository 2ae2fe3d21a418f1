public import Wire

/// The name of a static swarm, which is the root hash of its content (RFC 7574, section 5.1).
public struct RootHash: Hashable, Sendable, CustomStringConvertible {
  /// As in option 2 of a HANDSHAKE.
  public let bytes: [UInt8]
  /// As in option 4.
  public let function: HashFunction

  /// Reads a root as a HANDSHAKE carries it.
  ///
  /// - Throws: `wrongHashLength` when the function has no such hash.
  public init(_ bytes: [UInt8], _ function: HashFunction) throws(IntegrityError) {
    guard bytes.count == function.length else {
      throw .wrongHashLength(bytes.count, expected: function.length)
    }
    self.bytes = bytes
    self.function = function
  }

  /// Reads a root as a link carries it: base64url without padding.
  public init(base64URL text: some StringProtocol, _ function: HashFunction) throws(IntegrityError) {
    guard let bytes = Base64URL.decode(text, maximumLength: function.length) else { throw .invalidText }
    try self.init(bytes, function)
  }

  init(_ digest: [64 of UInt8], _ function: HashFunction) {
    bytes = (0..<function.length).map { digest[$0] }
    self.function = function
  }

  /// As in a link.
  public var base64URL: String { Base64URL.encode(bytes) }

  public var description: String { base64URL }

  var digest: [64 of UInt8] { bytes.digest(at: 0, bytes.count) }
}
