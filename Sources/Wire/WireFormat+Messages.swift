// Each function appends one message, type byte included, and allocates nothing beyond what the array needs to grow.

extension WireFormat {
  /// Appends DATA up to its chunk (RFC 7574, section 8.6), which the caller sends behind it.
  ///
  /// `timestamp` is this peer's clock in microseconds. `length` is that of the chunk; without it, byte ranges take it
  /// for a full one.
  @inlinable
  public func appendDataHeader(
    _ chunk: UInt64,
    length: Int? = nil,
    timestamp: UInt64,
    to out: inout [UInt8]
  ) {
    out.append(MessageType.data)
    appendChunkSpecification(chunk, length: length, to: &out)
    out.appendInteger(timestamp)
  }

  /// Appends ACK with a one-way delay sample in microseconds (section 8.7).
  ///
  /// - Precondition: one specification can name `chunks`; `widest(around:in:)` finds such a range.
  @inlinable
  public func appendAck(_ chunks: ChunkRange, delay: UInt64, to out: inout [UInt8]) {
    out.append(MessageType.ack)
    appendChunkSpecification(chunks, to: &out)
    out.appendInteger(delay)
  }

  /// Appends HAVE (section 8.5), one for each piece of the range that has a name.
  @inlinable
  public func appendHave(_ chunks: ChunkRange, to out: inout [UInt8]) {
    append(MessageType.have, chunks, to: &out)
  }

  /// Appends INTEGRITY (section 8.8).
  ///
  /// - Precondition: the hash has the format's length, and the chunks are those of a node of the tree.
  @inlinable
  public func appendIntegrity(_ chunks: ChunkRange, hash: RawSpan, to out: inout [UInt8]) {
    precondition(hash.byteCount == hashLength, "the hash has another length than the swarm's")
    out.append(MessageType.integrity)
    appendChunkSpecification(chunks, to: &out)
    out.append(bytes: hash)
  }

  /// Appends SIGNED_INTEGRITY with the injector's NTP timestamp (section 8.9).
  ///
  /// `length` is that of the chunk where one chunk is signed by itself; byte ranges take it for a full one without.
  ///
  /// - Precondition: the signature has the format's length, and one specification can name `chunks`.
  @inlinable
  public func appendSignedIntegrity(
    _ chunks: ChunkRange,
    length: Int? = nil,
    timestamp: UInt64,
    signature: RawSpan,
    to out: inout [UInt8]
  ) {
    precondition(signature.byteCount == signatureLength, "the signature has another length than the swarm's")
    out.append(MessageType.signedIntegrity)
    appendChunkSpecification(chunks, length: length, to: &out)
    out.appendInteger(timestamp)
    out.append(bytes: signature)
  }

  /// Appends REQUEST (section 8.10), one for each piece of the range that has a name.
  @inlinable
  public func appendRequest(_ chunks: ChunkRange, to out: inout [UInt8]) {
    append(MessageType.request, chunks, to: &out)
  }

  /// Appends CANCEL (section 8.11), one for each piece of the range that has a name.
  @inlinable
  public func appendCancel(_ chunks: ChunkRange, to out: inout [UInt8]) {
    append(MessageType.cancel, chunks, to: &out)
  }

  /// Appends a message that is a type and a specification.
  @inlinable
  func append(_ type: UInt8, _ chunks: ChunkRange, to out: inout [UInt8]) {
    guard addressing.usesBins else {
      out.append(type)
      return appendChunkSpecification(chunks, to: &out)
    }
    var bins = Bins(chunks)
    while let bin = bins.next() {
      out.append(type)
      appendChunkSpecification(bin.chunks, to: &out)
    }
  }
}

// What reads the same in every swarm.
extension WireFormat {
  /// Appends the channel number that starts a datagram; alone it is a keep-alive (RFC 7574, sections 8.3 and 8.14).
  @inlinable
  public static func appendChannel(_ destination: UInt32, to out: inout [UInt8]) {
    out.appendInteger(destination)
  }

  /// Appends a whole keep-alive datagram (section 8.14).
  @inlinable
  public static func appendKeepAlive(_ destination: UInt32, to out: inout [UInt8]) {
    appendChannel(destination, to: &out)
  }

  /// Appends CHOKE (section 8.12).
  @inlinable
  public static func appendChoke(to out: inout [UInt8]) {
    out.append(MessageType.choke)
  }

  /// Appends UNCHOKE (section 8.12).
  @inlinable
  public static func appendUnchoke(to out: inout [UInt8]) {
    out.append(MessageType.unchoke)
  }

  /// Appends PEX_REQ (section 8.13).
  @inlinable
  public static func appendPexRequest(to out: inout [UInt8]) {
    out.append(MessageType.pexRequest)
  }

  /// Appends PEX_RESv4 (section 8.13).
  @inlinable
  public static func appendPexResponse(address: UInt32, port: UInt16, to out: inout [UInt8]) {
    out.append(MessageType.pexResponse4)
    out.appendInteger(address)
    out.appendInteger(port)
  }

  /// Appends PEX_RESv6 (section 8.13).
  @inlinable
  public static func appendPexResponse(address: UInt128, port: UInt16, to out: inout [UInt8]) {
    out.append(MessageType.pexResponse6)
    out.appendInteger(address)
    out.appendInteger(port)
  }

  /// Appends PEX_REScert with an X.509v3 certificate in DER (section 8.13).
  ///
  /// - Precondition: the certificate has at most 65,535 bytes.
  public static func appendPexCertificate(_ certificate: RawSpan, to out: inout [UInt8]) {
    precondition(certificate.byteCount <= 0xFFFF, "a certificate has at most 65,535 bytes")
    out.append(MessageType.pexCertificate)
    out.appendInteger(UInt16(certificate.byteCount))
    out.append(bytes: certificate)
  }

  /// Appends our extension message: type, length of the body, kind, body.
  ///
  /// - Precondition: the body has at most 65,535 bytes.
  public static func appendExtension(kind: UInt8, body: RawSpan, to out: inout [UInt8]) {
    precondition(body.byteCount <= 0xFFFF, "an extension has at most 65,535 bytes")
    out.append(Message.extensionType)
    out.appendInteger(UInt16(body.byteCount))
    out.append(kind)
    out.append(bytes: body)
  }

  /// Appends a message that was read, as it was read, but for the length of a chunk that a byte range only implies.
  public func append(_ message: borrowing Message, to out: inout [UInt8]) {
    switch message {
    case .handshake(let view):
      if view.isClosing {
        Self.appendClosingHandshake(version: view.version, to: &out)
      } else {
        Self.appendHandshake(source: view.source, HandshakeOptions(view), to: &out)
      }
    case .data(let chunks, let timestamp, let payload):
      appendDataHeader(chunks.lowerBound, length: payload.byteCount, timestamp: timestamp, to: &out)
      out.append(bytes: payload)
    case .ack(let chunks, let delay): appendAck(chunks, delay: delay, to: &out)
    case .have(let chunks): appendHave(chunks, to: &out)
    case .integrity(let chunks, let hash): appendIntegrity(chunks, hash: hash, to: &out)
    case .pexResponse4(let address, let port):
      Self.appendPexResponse(address: address, port: port, to: &out)
    case .pexRequest: Self.appendPexRequest(to: &out)
    case .signedIntegrity(let chunks, let timestamp, let signature):
      appendSignedIntegrity(chunks, timestamp: timestamp, signature: signature, to: &out)
    case .request(let chunks): appendRequest(chunks, to: &out)
    case .cancel(let chunks): appendCancel(chunks, to: &out)
    case .choke: Self.appendChoke(to: &out)
    case .unchoke: Self.appendUnchoke(to: &out)
    case .pexResponse6(let address, let port):
      Self.appendPexResponse(address: address, port: port, to: &out)
    case .pexCertificate(let certificate): Self.appendPexCertificate(certificate, to: &out)
    case .extensionMessage(let kind, let body): Self.appendExtension(kind: kind, body: body, to: &out)
    }
  }
}
