public import Wire

/// What names a swarm: the key of a stream, or the root hash of content that does not change.
public enum SwarmName: Hashable, Sendable, CustomStringConvertible {
  case live(SwarmID)
  case content(RootHash)

  /// Reads a name as option 2 of a HANDSHAKE carries it, in the words of options 3 and 4.
  ///
  /// - Throws: one sentence on what is wrong with it.
  public init(
    _ bytes: [UInt8],
    _ integrity: IntegrityMethod,
    _ function: HashFunction = .sha256
  ) throws(IntegrityError) {
    self =
      integrity == .merkleTree ? .content(try RootHash(bytes, function)) : .live(try SwarmID(bytes))
  }

  /// Reads a name as a link carries it.
  ///
  /// - Throws: one sentence on what is wrong with it.
  public init(
    base64URL text: some StringProtocol,
    _ integrity: IntegrityMethod,
    _ function: HashFunction = .sha256
  ) throws(IntegrityError) {
    self =
      integrity == .merkleTree
      ? .content(try RootHash(base64URL: text, function)) : .live(try SwarmID(base64URL: text))
  }

  /// As in option 2 of a HANDSHAKE.
  public var bytes: [UInt8] {
    switch self {
    case .live(let id): id.bytes
    case .content(let root): root.bytes
    }
  }

  /// As in a link.
  public var base64URL: String { Base64URL.encode(bytes) }

  public var description: String { base64URL }
}
