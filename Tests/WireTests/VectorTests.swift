import Glibc
import Testing
import Wire

@Suite struct VectorTests {
  static let merkle = WireFormat(
    addressing: .chunkRanges32,
    hashLength: MerkleHash.sha256.length,
    chunkSize: 1024
  )

  @Test func `the example of RFC 7574 section 8 16 reads and writes as printed`() throws {
    let swarmID: [UInt8] = [
      0x47, 0xA0, 0x13, 0xE6, 0x60, 0xD4, 0x08, 0x61, 0x9D, 0x89,
      0x4B, 0x20, 0x80, 0x6B, 0x1D, 0x50, 0x86, 0xAA, 0xB0, 0x3B,
    ]
    let metadata = HandshakeOptions(
      integrity: .merkleTree,
      merkleHash: .sha256,
      addressing: .chunkRanges32,
      chunkSize: 1024
    )
    var opening = metadata
    opening.minimumVersion = 1
    opening.swarmID = swarmID
    let expected: [OwnedDatagram] = [
      OwnedDatagram(destination: 0, [.handshake(source: 1, opening)]),
      OwnedDatagram(destination: 1, [.handshake(source: 8, metadata), .have(0...0)]),
      OwnedDatagram(destination: 8, [.request(0...0), .pexRequest]),
      OwnedDatagram(
        destination: 1,
        [.data(0...0, timestamp: 0x0004_E941_80B7_DB44, payload: Array("Hello world!\n".utf8))]
      ),
      OwnedDatagram(destination: 8, [.ack(0...0, delay: 100), .have(0...0)]),
      OwnedDatagram(destination: 8, [.handshake(source: 0, HandshakeOptions(version: nil))]),
    ]
    let vectors = try Vectors.read("rfc7574-example.txt")
    try #require(vectors.count == expected.count)
    for (bytes, datagram) in zip(vectors, expected) {
      #expect(try OwnedDatagram(reading: bytes, Self.merkle) == datagram)
      #expect(datagram.bytes(Self.merkle) == bytes)
    }
  }
}

/// The vectors beside the tests.
enum Vectors {
  /// The chunk that the vectors abbreviate.
  static let chunk = [UInt8]((0..<4).flatMap { _ in UInt8.min...UInt8.max })

  static func lines(_ name: String) throws -> [String] {
    let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
    let path = "/\(folder)/Vectors/\(name)"
    let file = try unsafe #require(unsafe fopen(path, "r"), "\(path) cannot be opened")
    defer { unsafe fclose(file) }
    var text: [UInt8] = []
    while case let byte = unsafe fgetc(file), byte != EOF { text.append(UInt8(truncatingIfNeeded: byte)) }
    return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// The datagrams of a file that has each as a line of hex.
  static func read(_ name: String) throws -> [[UInt8]] {
    try lines(name).filter { $0.first?.isHexDigit == true }.map { try bytes($0) }
  }

  /// The bytes of a hex number, which may end in `||chunk`.
  static func bytes(_ hex: some StringProtocol) throws -> [UInt8] {
    let digits = Array(hex.prefix { $0 != "|" })
    try #require(digits.count.isMultiple(of: 2))
    let bytes = try stride(from: 0, to: digits.count, by: 2).map {
      try #require(UInt8(String(digits[$0...($0 + 1)]), radix: 16))
    }
    return hex.hasSuffix("||chunk") ? bytes + chunk : bytes
  }
}
