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
  @inlinable public static var handshake: UInt8 { 0 }
  @inlinable public static var data: UInt8 { 1 }
  @inlinable public static var ack: UInt8 { 2 }
  @inlinable public static var have: UInt8 { 3 }
  @inlinable public static var integrity: UInt8 { 4 }
  @inlinable public static var pexResponse4: UInt8 { 5 }
  @inlinable public static var pexRequest: UInt8 { 6 }
  @inlinable public static var signedIntegrity: UInt8 { 7 }
  @inlinable public static var request: UInt8 { 8 }
  @inlinable public static var cancel: UInt8 { 9 }
  @inlinable public static var choke: UInt8 { 10 }
  @inlinable public static var unchoke: UInt8 { 11 }
  @inlinable public static var pexResponse6: UInt8 { 12 }
  @inlinable public static var pexCertificate: UInt8 { 13 }
}

extension Message {
  /// The type byte of the extension message, from the unassigned range.
  ///
  /// The highest type whose bit still fits three bytes of a supported-messages bitmap, so that saying we speak it
  /// costs one byte, and away from the next numbers to be assigned.
  @inlinable
  public static var extensionType: UInt8 { 23 }
}
