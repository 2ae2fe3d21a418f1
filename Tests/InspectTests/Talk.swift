import Glibc
import Inspect
import Integrity
import PluginKit
import Support
import Swarm
import Testing
import Wire

/// What two peers say to each other, as a capture holds it.
struct Talk {
  static let viewer = Address(ipv4: 0xC000_0201, port: 40_000)
  static let source = Address(ipv4: 0xC000_0202, port: 7574)
  static let viewerChannel: UInt32 = 0x1111_1111
  static let sourceChannel: UInt32 = 0x2222_2222
  static let chunkSize = 64

  let key: StreamKey
  let format: WireFormat
  var time = Duration.seconds(1_700_000_000)

  init(addressing: ChunkAddressing = .chunkRanges32) throws {
    let seed = [UInt8](repeating: 7, count: 32)
    key = try unsafe StreamKey(ed25519Seed: seed.span.bytes)
    format = WireFormat(
      addressing: addressing,
      signatureLength: key.signatureLength,
      chunkSize: Self.chunkSize,
      allowsExtensions: true
    )
  }

  var link: Swarm.Link {
    Swarm.Link(
      endpoints: [.address(Self.source)],
      swarmID: key.swarmID,
      chunkSize: Self.chunkSize,
      addressing: format.addressing
    )
  }

  private func options(_ role: HandshakeRole) -> HandshakeOptions {
    HandshakeOptions(
      minimumVersion: role == .initiator ? 1 : nil,
      swarmID: role == .initiator ? key.swarmID.bytes : nil,
      integrity: .signAll,
      signatureAlgorithm: key.swarmID.algorithm.rawValue,
      addressing: format.addressing,
      discardWindow: 1000,
      supported: MessageSet([0, 1, 2, 3, 7, 8, 9, 10, 11, Message.extensionType]),
      chunkSize: Self.chunkSize
    )
  }

  /// The viewer's first datagram and the source's answer.
  var opening: [UInt8] {
    datagram(0) { WireFormat.appendHandshake(source: Self.viewerChannel, options(.initiator), to: &$0) }
  }

  var answer: [UInt8] {
    datagram(Self.viewerChannel) {
      WireFormat.appendHandshake(source: Self.sourceChannel, options(.responder), to: &$0)
    }
  }

  func datagram(_ channel: UInt32, _ body: (inout [UInt8]) throws -> Void) rethrows -> [UInt8] {
    var bytes: [UInt8] = []
    WireFormat.appendChannel(channel, to: &bytes)
    try body(&bytes)
    return bytes
  }

  /// A signed chunk for the viewer.
  func data(_ chunk: UInt64, fill: UInt8 = 1) throws -> [UInt8] {
    let payload = [UInt8](repeating: fill, count: Self.chunkSize)
    let timestamp = NTPTimestamp(sinceUnixEpoch: time - .milliseconds(3)).rawValue
    var signature: [UInt8] = []
    try unsafe SignAll.Signer(key, addressing: format.addressing, chunkSize: Self.chunkSize).sign(
      chunk: chunk,
      timestamp: timestamp,
      payload: payload.span.bytes,
      into: &signature
    )
    return datagram(Self.viewerChannel) { bytes in
      unsafe format.appendSignedIntegrity(
        chunk...chunk,
        timestamp: timestamp,
        signature: signature.span.bytes,
        to: &bytes
      )
      format.appendDataHeader(chunk, timestamp: 5, to: &bytes)
      bytes += payload
    }
  }

  /// What the inspector says of a datagram, a millisecond after the last one.
  mutating func say(
    _ bytes: [UInt8],
    toViewer: Bool,
    _ inspector: inout Inspector
  ) -> DatagramDescription {
    time += .milliseconds(1)
    let (from, to) = toViewer ? (Self.source, Self.viewer) : (Self.viewer, Self.source)
    return inspector.inspect(datagram: bytes.span, at: time, from: from, to: to)
  }

  /// An inspector that has seen both handshakes.
  mutating func begun() -> Inspector {
    var inspector = Inspector()
    _ = say(opening, toViewer: false, &inspector)
    _ = say(answer, toViewer: true, &inspector)
    return inspector
  }
}

/// The datagrams of a vector file beside the tests of the wire format.
func vectors(_ name: String) throws -> [[UInt8]] {
  let folder = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
  let text = String(decoding: try contents(of: "/\(folder)/WireTests/Vectors/\(name)"), as: UTF8.self)
  return try text.split(separator: "\n").filter { $0.first?.isHexDigit == true }.flatMap { line in
    var reader = HexText()
    return try (reader.read(Array(line.utf8)) + reader.finish()).map(\.bytes)
  }
}

extension DatagramDescription {
  /// The value of a field of the message of a kind.
  func value(_ kind: MessageKind, _ name: String) -> Field.Value? {
    messages.first { $0.kind == kind }?.fields.first { $0.name == name }?.value
  }
}
