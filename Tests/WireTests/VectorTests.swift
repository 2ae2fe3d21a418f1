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

  @Test func `the example cut anywhere ends at the cut`() throws {
    for bytes in try Vectors.read("rfc7574-example.txt") { try expectTruncation(bytes, Self.merkle) }
  }

  @Test func `signed chunks read and write as recorded`() throws {
    let vectors = try Vectors.signAll()
    #expect(vectors.count == 8)
    for vector in vectors {
      let chunkSize = vector.chunk.count
      let format = WireFormat(
        addressing: vector.addressing,
        signatureLength: vector.signature.count,
        chunkSize: chunkSize
      )
      let datagram = OwnedDatagram(
        destination: 0xDEAD_BEEF,
        [
          .signedIntegrity(7...7, timestamp: vector.timestamp, signature: vector.signature),
          .data(7...7, timestamp: 1_700_000_000_500_000, payload: vector.chunk),
        ]
      )
      #expect(try OwnedDatagram(reading: vector.datagram, format) == datagram)
      #expect(datagram.bytes(format) == vector.datagram)
      try expectTruncation(vector.datagram, format)

      var signed: [UInt8] = []
      format.appendChunkSpecification(7, to: &signed)
      #expect(signed.count == vector.addressing.specificationSize)
      signed.appendInteger(vector.timestamp)
      signed += vector.chunk
      #expect(signed.count == vector.signedCount)
      #expect(signed.starts(with: vector.signedPrefix))
    }
  }

  @Test func `a chunk longer than the swarm's is refused`() throws {
    for vector in try Vectors.signAll() {
      let format = WireFormat(
        addressing: vector.addressing,
        signatureLength: vector.signature.count,
        chunkSize: vector.chunk.count - 1
      )
      let read = try OwnedDatagram(reading: vector.datagram, format)
      #expect(read.messages.count == 1)
      #expect(read.error == .dataTooLong(length: vector.chunk.count, chunkSize: vector.chunk.count - 1))
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

  /// One signed chunk of `sign-all.txt`.
  struct SignAll {
    var addressing: ChunkAddressing
    var chunk: [UInt8]
    var timestamp: UInt64 = 0
    var signedCount = 0
    var signedPrefix: [UInt8] = []
    var signature: [UInt8] = []
    var datagram: [UInt8] = []
  }

  static func signAll() throws -> [SignAll] {
    var vectors: [SignAll] = []
    for line in try lines("sign-all.txt") {
      let words = line.split(separator: " ")
      switch words.first {
      case "--":
        // -- chunk addressing 2, chunk 7, 1024-byte chunk
        let addressing = try #require(UInt8(words[3].dropLast()).flatMap { ChunkAddressing(rawValue: $0) })
        let chunk = words[6].hasPrefix("1024") ? chunk : Array("last short chunk".utf8)
        vectors.append(SignAll(addressing: addressing, chunk: chunk))
      case "ntp": vectors[vectors.count - 1].timestamp = try #require(UInt64(words[2], radix: 16))
      case "to-be-signed":
        vectors[vectors.count - 1].signedCount = try #require(Int(words[2]))
        vectors[vectors.count - 1].signedPrefix = try bytes(words[4])
      case "signature": vectors[vectors.count - 1].signature = try bytes(words[2])
      case "datagram":
        vectors[vectors.count - 1].datagram = try bytes(words[2])
        try #require(vectors[vectors.count - 1].datagram.count == Int(words[1]))
      default: continue
      }
    }
    return vectors
  }
}
