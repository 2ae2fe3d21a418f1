import Wire

/// A message that owns its bytes, so that tests can compare and keep it.
enum OwnedMessage: Hashable {
  case handshake(source: UInt32, HandshakeOptions)
  case data(ChunkRange, timestamp: UInt64, payload: [UInt8])
  case ack(ChunkRange, delay: UInt64)
  case have(ChunkRange)
  case integrity(ChunkRange, hash: [UInt8])
  case pexResponse4(address: UInt32, port: UInt16)
  case pexRequest
  case signedIntegrity(ChunkRange, timestamp: UInt64, signature: [UInt8])
  case request(ChunkRange)
  case cancel(ChunkRange)
  case choke
  case unchoke
  case pexResponse6(address: UInt128, port: UInt16)
  case pexCertificate([UInt8])
  case extensionMessage(kind: UInt8, body: [UInt8])

  init(_ message: borrowing Message) {
    switch message {
    case .handshake(let view): self = .handshake(source: view.source, HandshakeOptions(view))
    case .data(let chunks, let timestamp, let payload):
      self = .data(chunks, timestamp: timestamp, payload: Array(copying: payload))
    case .ack(let chunks, let delay): self = .ack(chunks, delay: delay)
    case .have(let chunks): self = .have(chunks)
    case .integrity(let chunks, let hash): self = .integrity(chunks, hash: Array(copying: hash))
    case .pexResponse4(let address, let port): self = .pexResponse4(address: address, port: port)
    case .pexRequest: self = .pexRequest
    case .signedIntegrity(let chunks, let timestamp, let signature):
      self = .signedIntegrity(chunks, timestamp: timestamp, signature: Array(copying: signature))
    case .request(let chunks): self = .request(chunks)
    case .cancel(let chunks): self = .cancel(chunks)
    case .choke: self = .choke
    case .unchoke: self = .unchoke
    case .pexResponse6(let address, let port): self = .pexResponse6(address: address, port: port)
    case .pexCertificate(let certificate): self = .pexCertificate(Array(copying: certificate))
    case .extensionMessage(let kind, let body):
      self = .extensionMessage(kind: kind, body: Array(copying: body))
    }
  }

  /// Writes the message as a sender would.
  func append(to out: inout [UInt8], _ format: WireFormat) {
    switch self {
    case .handshake(0, let options): WireFormat.appendClosingHandshake(version: options.version, to: &out)
    case .handshake(let source, let options): WireFormat.appendHandshake(source: source, options, to: &out)
    case .data(let chunks, let timestamp, let payload):
      format.appendDataHeader(chunks.lowerBound, length: payload.count, timestamp: timestamp, to: &out)
      out += payload
    case .ack(let chunks, let delay): format.appendAck(chunks, delay: delay, to: &out)
    case .have(let chunks): format.appendHave(chunks, to: &out)
    case .integrity(let chunks, let hash):
      format.appendIntegrity(chunks, hash: unsafe hash.span.bytes, to: &out)
    case .pexResponse4(let address, let port):
      WireFormat.appendPexResponse(address: address, port: port, to: &out)
    case .pexRequest: WireFormat.appendPexRequest(to: &out)
    case .signedIntegrity(let chunks, let timestamp, let signature):
      format.appendSignedIntegrity(
        chunks,
        timestamp: timestamp,
        signature: unsafe signature.span.bytes,
        to: &out
      )
    case .request(let chunks): format.appendRequest(chunks, to: &out)
    case .cancel(let chunks): format.appendCancel(chunks, to: &out)
    case .choke: WireFormat.appendChoke(to: &out)
    case .unchoke: WireFormat.appendUnchoke(to: &out)
    case .pexResponse6(let address, let port):
      WireFormat.appendPexResponse(address: address, port: port, to: &out)
    case .pexCertificate(let certificate):
      WireFormat.appendPexCertificate(unsafe certificate.span.bytes, to: &out)
    case .extensionMessage(let kind, let body):
      WireFormat.appendExtension(kind: kind, body: unsafe body.span.bytes, to: &out)
    }
  }
}

extension [UInt8] {
  init(copying bytes: RawSpan) {
    self = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }
}

/// A datagram that owns its messages, and the error that ended it.
struct OwnedDatagram: Hashable {
  var destination: UInt32
  var messages: [OwnedMessage] = []
  var error: DecodeError?

  init(destination: UInt32, _ messages: [OwnedMessage] = [], error: DecodeError? = nil) {
    self.destination = destination
    self.messages = messages
    self.error = error
  }

  /// Reads until the end or the first error.
  init(reading bytes: [UInt8], _ format: WireFormat) throws(DecodeError) {
    var reader = try DatagramReader(bytes.span)
    destination = reader.destination
    do throws(DecodeError) {
      while let message = try reader.next(format) { messages.append(OwnedMessage(message)) }
    } catch {
      self.error = error
    }
  }

  func bytes(_ format: WireFormat) -> [UInt8] {
    var out: [UInt8] = []
    WireFormat.appendChannel(destination, to: &out)
    for message in messages { message.append(to: &out, format) }
    return out
  }
}
