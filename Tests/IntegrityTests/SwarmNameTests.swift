import Integrity
import Testing
import Wire

@Suite struct SwarmNameTests {
  @Test(arguments: HashFunction.allCases)
  func `A root hash survives its two forms`(_ function: HashFunction) throws {
    let bytes = function.hash([1, 2, 3])
    let name = try SwarmName(bytes, .merkleTree, function)
    #expect(name == .content(try RootHash(bytes, function)))
    #expect(name.bytes == bytes)
    #expect(try SwarmName(base64URL: name.base64URL, .merkleTree, function) == name)
    for wrong in [[], Array(bytes.dropLast()), bytes + [1]] {
      #expect(throws: IntegrityError.wrongHashLength(wrong.count, expected: function.length)) {
        try SwarmName(wrong, .merkleTree, function)
      }
    }
    #expect(throws: IntegrityError.self) {
      try SwarmName(base64URL: name.base64URL + "A", .merkleTree, function)
    }
  }

  @Test(arguments: [IntegrityMethod.none, .signAll, .unifiedMerkleTree])
  func `A stream is named by its key`(_ integrity: IntegrityMethod) throws {
    let id = try StreamKey.generate().swarmID
    #expect(try SwarmName(id.bytes, integrity) == .live(id))
    #expect(try SwarmName(base64URL: id.base64URL, integrity) == .live(id))
    #expect(SwarmName.live(id).bytes == id.bytes && SwarmName.live(id).base64URL == id.base64URL)
    #expect(throws: IntegrityError.self) { try SwarmName([UInt8](repeating: 1, count: 32), integrity) }
  }
}
