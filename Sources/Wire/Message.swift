/// One message, read in place (RFC 7574, section 8).
///
/// It cannot outlive the datagram that it was read from.
public enum Message: ~Escapable {
  case handshake(HandshakeView)
  /// A chunk; the range is always one chunk, the timestamp the sender's clock in microseconds.
  case data(chunks: ChunkRange, timestamp: UInt64, payload: RawSpan)
  /// An acknowledgement with a one-way delay sample in microseconds, which wraps around.
  case ack(chunks: ChunkRange, delay: UInt64)
  case have(ChunkRange)
  case integrity(chunks: ChunkRange, hash: RawSpan)
  case pexResponse4(address: UInt32, port: UInt16)
  case pexRequest
  /// A signature over one chunk or subtree; the timestamp is the injector's, in NTP format.
  case signedIntegrity(chunks: ChunkRange, timestamp: UInt64, signature: RawSpan)
  case request(ChunkRange)
  case cancel(ChunkRange)
  case choke
  case unchoke
  case pexResponse6(address: UInt128, port: UInt16)
  /// An X.509v3 certificate in DER.
  case pexCertificate(RawSpan)
  /// Our one message outside the RFC: a kind, and a body that the kind explains.
  case extensionMessage(kind: UInt8, body: RawSpan)
}

/// The type bytes of messages (RFC 7574, table 7).
public enum MessageType {
  public static let handshake: UInt8 = 0
  public static let data: UInt8 = 1
  public static let ack: UInt8 = 2
  public static let have: UInt8 = 3
  public static let integrity: UInt8 = 4
  public static let pexResponse4: UInt8 = 5
  public static let pexRequest: UInt8 = 6
  public static let signedIntegrity: UInt8 = 7
  public static let request: UInt8 = 8
  public static let cancel: UInt8 = 9
  public static let choke: UInt8 = 10
  public static let unchoke: UInt8 = 11
  public static let pexResponse6: UInt8 = 12
  public static let pexCertificate: UInt8 = 13
}

extension Message {
  /// The type byte of the extension message, from the unassigned range.
  ///
  /// The highest type whose bit still fits three bytes of a supported-messages bitmap, so that saying we speak it
  /// costs one byte, and away from the next numbers to be assigned.
  @inlinable
  public static var extensionType: UInt8 { 23 }
}
