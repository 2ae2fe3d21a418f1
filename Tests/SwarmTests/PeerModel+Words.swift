import Wire

extension PeerModel {
  /// A message, as both sides see it.
  enum Word: Equatable {
    case handshake(from: UInt32, isRight: Bool, MessageSet)
    case close
    case hash(ChunkRange, [UInt8])
    case signature(ChunkRange, timestamp: UInt64, [UInt8])
    case data(UInt64, sent: UInt64, [UInt8])
    case ack(ChunkRange, delay: UInt64)
    case have(ChunkRange)
    case request(ChunkRange)
    case cancel(ChunkRange)
    case choke
    case unchoke
    /// One that means nothing here.
    case idle
    /// One of no known type, which ends what is read of its datagram.
    case strange
  }

  /// What must be said next on a way.
  enum Due: Equatable {
    case dial
    case answer(MessageSet)
    case keepAlive
    case word(Word)
  }

  static func text(_ chunks: ChunkRange) -> String {
    chunks.lowerBound == chunks.upperBound
      ? "\(chunks.lowerBound)" : "\(chunks.lowerBound)-\(chunks.upperBound)"
  }

  static func text(_ ranges: [ChunkRange]) -> String {
    ranges.isEmpty ? "nothing" : ranges.map { text($0) }.joined(separator: " ")
  }
}

extension PeerModel.Word: CustomStringConvertible {
  var description: String {
    switch self {
    case .handshake(let channel, let isRight, _): "HANDSHAKE from \(channel)\(isRight ? "" : ", wrong")"
    case .close: "HANDSHAKE, closing"
    case .hash(let chunks, let bytes): "INTEGRITY \(PeerModel.text(chunks)) (\(Self.digits(bytes)))"
    case .signature(let chunks, _, let bytes):
      "SIGNED_INTEGRITY \(PeerModel.text(chunks)) (\(Self.digits(bytes)))"
    case .data(let number, _, let payload): "DATA \(number) (\(payload.count) bytes, \(Self.digits(payload)))"
    case .ack(let chunks, let delay): "ACK \(PeerModel.text(chunks)) after \(delay) us"
    case .have(let chunks): "HAVE \(PeerModel.text(chunks))"
    case .request(let chunks): "REQUEST \(PeerModel.text(chunks))"
    case .cancel(let chunks): "CANCEL \(PeerModel.text(chunks))"
    case .choke: "CHOKE"
    case .unchoke: "UNCHOKE"
    case .idle: "PEX_REQ"
    case .strange: "a message of no known type"
    }
  }

  /// Enough of some bytes to tell them from others.
  private static func digits(_ bytes: [UInt8]) -> String {
    bytes.prefix(8).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}

extension PeerModel.Due: CustomStringConvertible {
  var description: String {
    switch self {
    case .dial: "a first HANDSHAKE"
    case .answer: "the answer to a HANDSHAKE"
    case .keepAlive: "an empty datagram"
    case .word(let word): "\(word)"
    }
  }
}
