/// Reads the messages of one datagram in place (RFC 7574, section 8.2).
///
/// The reader and what it returns cannot outlive the bytes. After an error there is nothing more to read.
public struct DatagramReader: ~Escapable {
  /// The channel that the datagram is for; 0 opens a handshake.
  public let destination: UInt32
  @usableFromInline let bytes: RawSpan
  @usableFromInline var position: Int
  /// Whether a DATA message was read that is not the last.
  @usableFromInline var expectsData = false

  /// - Throws: `DecodeError.truncated` for less than the four bytes of a channel number.
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: Span<UInt8>) throws(DecodeError) {
    var reader = ByteReader(bytes)
    destination = try reader.read()
    self.bytes = reader.bytes
    position = reader.position
  }

  /// Whether the datagram is a channel number and nothing else (section 8.14).
  @inlinable
  public var isKeepAlive: Bool { bytes.byteCount == WireFormat.channelSize }

  /// How many bytes have been read, the channel number included.
  @inlinable
  public var offset: Int { position }

  /// The type byte of the next message, unless the datagram is at its end.
  @inlinable
  public var nextType: UInt8? {
    position < bytes.byteCount ? unsafe bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self) : nil
  }

  /// Reads the next message, or nil at the end.
  ///
  /// A HANDSHAKE reads the same whatever the format, so that the format can be chosen by what it says: the messages
  /// behind it are read with the format of the next call.
  /// Messages about no chunks, which only bins can name, are passed over where they mean nothing.
  @inlinable
  @_lifetime(copy self)
  public mutating func next(_ format: WireFormat) throws(DecodeError) -> Message? {
    if format.addressing.usesBins { skipNoChunks(format) }
    var reader = ByteReader(bytes, at: position)
    guard reader.remaining > 0 else {
      if expectsData {
        expectsData = false
        throw .dataTooShort(length: 0, chunkSize: format.chunkSize)
      }
      return nil
    }
    // Should anything below throw, the rest of the datagram is discarded.
    let start = position
    position = bytes.byteCount
    let expectedData = expectsData
    expectsData = false

    let message: Message
    let type = try reader.read(UInt8.self)
    switch type {
    case MessageType.handshake:
      guard start == WireFormat.channelSize else { throw .handshakeNotFirst(offset: start) }
      message = .handshake(try HandshakeView(from: &reader))
    case MessageType.data:
      let chunks = try reader.readChunks(format)
      guard chunks.lowerBound == chunks.upperBound else {
        throw .notOneChunk(first: chunks.lowerBound, last: chunks.upperBound)
      }
      let timestamp = try reader.read(UInt64.self)
      let length = try reader.dataLength(format, isLastOfSeveral: expectedData)
      if format.addressing == .byteRanges64 { try checkByteRange(at: start &+ 1, length: length) }
      let payload = try reader.read(count: length)
      message = .data(chunks: chunks, timestamp: timestamp, payload: payload)
    case MessageType.ack:
      message = .ack(chunks: try reader.readChunks(format), delay: try reader.read())
    case MessageType.have:
      message = .have(try reader.readChunks(format))
    case MessageType.integrity:
      guard format.hashLength > 0 else { throw .unexpectedMessage(type, offset: start) }
      let chunks = try reader.readChunks(format)
      message = .integrity(chunks: chunks, hash: try reader.read(count: format.hashLength))
    case MessageType.pexResponse4:
      message = .pexResponse4(address: try reader.read(), port: try reader.read())
    case MessageType.pexRequest:
      message = .pexRequest
    case MessageType.signedIntegrity:
      guard format.signatureLength > 0 else { throw .unexpectedMessage(type, offset: start) }
      let chunks = try reader.readChunks(format)
      let timestamp = try reader.read(UInt64.self)
      let signature = try reader.read(count: format.signatureLength)
      message = .signedIntegrity(chunks: chunks, timestamp: timestamp, signature: signature)
    case MessageType.request:
      message = .request(try reader.readChunks(format))
    case MessageType.cancel:
      message = .cancel(try reader.readChunks(format))
    case MessageType.choke:
      message = .choke
    case MessageType.unchoke:
      message = .unchoke
    case MessageType.pexResponse6:
      message = .pexResponse6(address: try reader.read(), port: try reader.read())
    case MessageType.pexCertificate:
      let size = try reader.read(UInt16.self)
      message = .pexCertificate(try reader.read(count: Int(size)))
    case Message.extensionType where format.allowsExtensions:
      let size = try reader.read(UInt16.self)
      let kind = try reader.read(UInt8.self)
      message = .extensionMessage(kind: kind, body: try reader.read(count: Int(size)))
    default:
      throw .unknownMessage(type, offset: start)
    }
    // What stands behind DATA is there for the sake of another DATA, which must come.
    expectsData = type == MessageType.data ? reader.remaining > 0 : expectedData
    position = reader.position
    return message
  }

  /// Passes over HAVE, REQUEST, CANCEL and ACK for the bin that stands for no chunks (section 4.2).
  @usableFromInline
  mutating func skipNoChunks(_ format: WireFormat) {
    let size = format.addressing.specificationSize
    while true {
      let length: Int
      switch nextType {
      case MessageType.have, MessageType.request, MessageType.cancel: length = format.haveSize
      case MessageType.ack: length = format.ackSize
      default: return
      }
      guard bytes.byteCount &- position >= length else { return }
      for index in 1...size {
        guard unsafe bytes.unsafeLoad(fromByteOffset: position &+ index, as: UInt8.self) == 0xFF else {
          return
        }
      }
      position &+= length
    }
  }

  /// Refuses DATA whose byte range at `offset` says another length than its datagram.
  @usableFromInline
  func checkByteRange(at offset: Int, length: Int) throws(DecodeError) {
    var reader = ByteReader(bytes, at: offset)
    let first = try reader.read(UInt64.self)
    let named = try reader.read(UInt64.self) &- first &+ 1
    guard named == UInt64(length) else { throw .dataOfOtherLength(length: length, named: named) }
  }
}

extension ByteReader {
  /// How many of the remaining bytes are the chunk of a DATA message (RFC 7574, section 8.6).
  ///
  /// Its length is not on the wire. One DATA ends its datagram; of several, each has exactly the chunk size.
  @inlinable
  func dataLength(_ format: WireFormat, isLastOfSeveral: Bool) throws(DecodeError) -> Int {
    let chunkSize = format.chunkSize
    if remaining == chunkSize { return chunkSize }
    if remaining < chunkSize {
      guard !isLastOfSeveral else { throw .dataTooShort(length: remaining, chunkSize: chunkSize) }
      return remaining
    }
    // More bytes than a chunk: they must begin with what another DATA needs, and have room for that DATA.
    guard remaining &- chunkSize &- format.dataHeaderSize >= chunkSize else {
      throw .dataTooLong(length: remaining, chunkSize: chunkSize)
    }
    switch unsafe bytes.unsafeLoad(fromByteOffset: position &+ chunkSize, as: UInt8.self) {
    case MessageType.data, MessageType.integrity, MessageType.signedIntegrity: return chunkSize
    default: throw .dataTooLong(length: remaining, chunkSize: chunkSize)
    }
  }
}
