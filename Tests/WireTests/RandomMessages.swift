import Wire

extension OwnedMessage {
  enum Kind: CaseIterable {
    case handshake, data, ack, have, integrity, pexResponse4, pexRequest, signedIntegrity, request, cancel
    case choke, unchoke, pexResponse6, pexCertificate, extensionMessage
  }

  /// A message that a peer might send under this format.
  static func random(
    _ kind: Kind,
    _ format: WireFormat,
    using generator: inout some RandomNumberGenerator
  ) -> OwnedMessage {
    // What one specification can name, so that it is read as it was given.
    func chunks() -> ChunkRange {
      let ends = (0..<2).map { _ in chunk() }
      let chunks = min(ends[0], ends[1])...max(ends[0], ends[1])
      return format.widest(around: .random(in: chunks, using: &generator), in: chunks)
    }
    func chunk() -> UInt64 {
      switch Int.random(in: 0..<4, using: &generator) {
      case 0: 0
      case 1: format.lastChunk
      default: .random(in: 0...format.lastChunk, using: &generator)
      }
    }
    func number() -> UInt64 { .random(in: 0...(.max), using: &generator) }
    func bytes(_ count: Int) -> [UInt8] { .random(count, using: &generator) }

    switch kind {
    case .handshake:
      return .handshake(
        source: .random(in: 1...(.max), using: &generator),
        .random(using: &generator)
      )
    case .data:
      let chunk = chunk()
      let shortest = format.addressing == .byteRanges64 ? 1 : 0
      let size = Int.random(in: shortest...min(format.chunkSize, 1_500), using: &generator)
      return .data(chunk...chunk, timestamp: number(), payload: bytes(size))
    case .ack: return .ack(chunks(), delay: number())
    case .have: return .have(chunks())
    case .integrity: return .integrity(chunks(), hash: bytes(format.hashLength))
    case .pexResponse4:
      return .pexResponse4(
        address: .random(in: 0...(.max), using: &generator),
        port: .random(in: 0...(.max), using: &generator)
      )
    case .pexRequest: return .pexRequest
    case .signedIntegrity:
      return .signedIntegrity(chunks(), timestamp: number(), signature: bytes(format.signatureLength))
    case .request: return .request(chunks())
    case .cancel: return .cancel(chunks())
    case .choke: return .choke
    case .unchoke: return .unchoke
    case .pexResponse6:
      return .pexResponse6(
        address: .random(in: 0...(.max), using: &generator),
        port: .random(in: 0...(.max), using: &generator)
      )
    case .pexCertificate: return .pexCertificate(bytes(.random(in: 0...900, using: &generator)))
    case .extensionMessage:
      return .extensionMessage(
        kind: .random(in: 0...(.max), using: &generator),
        body: bytes(.random(in: 0...90, using: &generator))
      )
    }
  }
}

extension OwnedDatagram {
  /// A datagram of up to nine messages: a handshake only in front, DATA only at the end.
  static func random(_ format: WireFormat, using generator: inout some RandomNumberGenerator) -> OwnedDatagram
  {
    var datagram = OwnedDatagram(destination: .random(in: 0...(.max), using: &generator))
    if Bool.random(using: &generator) {
      datagram.messages.append(.random(.handshake, format, using: &generator))
    }
    let middle = OwnedMessage.Kind.allCases.filter { kind in
      switch kind {
      case .handshake, .data: false
      case .integrity: format.hashLength > 0
      case .signedIntegrity: format.signatureLength > 0
      case .extensionMessage: format.allowsExtensions
      default: true
      }
    }
    for _ in 0..<Int.random(in: 0..<8, using: &generator) {
      guard let kind = middle.randomElement(using: &generator) else { break }
      datagram.messages.append(.random(kind, format, using: &generator))
    }
    if Bool.random(using: &generator) {
      datagram.messages.append(.random(.data, format, using: &generator))
    }
    return datagram
  }
}

extension HandshakeOptions {
  static func random(using generator: inout some RandomNumberGenerator) -> HandshakeOptions {
    func maybe<Value>(_ value: () -> Value?) -> Value? { Bool.random(using: &generator) ? value() : nil }
    func byte() -> UInt8 { .random(in: 0...(.max), using: &generator) }
    let addressing = maybe { ChunkAddressing.allCases.randomElement(using: &generator) }
    let isVariable = addressing != .byteRanges64 && Bool.random(using: &generator)
    let limit = addressing?.windowSize == 4 ? UInt64(UInt32.max) - 1 : UInt64.max - 1
    return HandshakeOptions(
      version: maybe(byte),
      minimumVersion: maybe(byte),
      swarmID: maybe { .random(.random(in: 0...300, using: &generator), using: &generator) },
      integrity: maybe { IntegrityMethod.allCases.randomElement(using: &generator) },
      merkleHash: maybe { MerkleHash.allCases.randomElement(using: &generator) },
      signatureAlgorithm: maybe(byte),
      addressing: addressing,
      discardWindow: addressing == nil
        ? nil : maybe { Bool.random(using: &generator) ? .max : .random(in: 0...limit, using: &generator) },
      supported: maybe { MessageSet((0..<byte()).map { _ in byte() }) },
      chunkSize: maybe {
        isVariable ? WireFormat.variableChunkSize : .random(in: 1..<0xFFFF_FFFF, using: &generator)
      }
    )
  }
}

extension [UInt8] {
  static func random(_ count: Int, using generator: inout some RandomNumberGenerator) -> [UInt8] {
    (0..<count).map { _ in .random(in: 0...(.max), using: &generator) }
  }
}

extension WireFormat {
  /// Formats that differ in all that a format can differ in.
  static let samples = [
    WireFormat(addressing: .chunkRanges32, signatureLength: 64, hashLength: 32, chunkSize: 1316),
    WireFormat(
      addressing: .chunkRanges64,
      signatureLength: 96,
      hashLength: 20,
      chunkSize: 1024,
      allowsExtensions: true
    ),
    WireFormat(addressing: .chunkRanges32, signatureLength: 256, hashLength: 64, allowsExtensions: true),
    WireFormat(addressing: .chunkRanges64, chunkSize: 512),
    WireFormat(addressing: .bins32, signatureLength: 64, hashLength: 32, chunkSize: 1024),
    WireFormat(addressing: .bins64, signatureLength: 114, hashLength: 28, allowsExtensions: true),
    WireFormat(addressing: .byteRanges64, signatureLength: 64, hashLength: 48, chunkSize: 1024),
  ]
}
