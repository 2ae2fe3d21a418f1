import Glibc
import Integrity
import Testing
import Wire

@Suite struct KeyFileTests {
  @Test(arguments: SignatureAlgorithm.allCases)
  func `A key comes back from its file`(_ algorithm: SignatureAlgorithm) throws {
    let folder = try TemporaryFolder()
    let path = folder.file("stream.key")
    let made = try StreamKey.create(algorithm, at: path)
    #expect(mode(of: path) == 0o600)
    #expect(mode(of: path + ".next") == 0o600)
    #expect(folder.names == ["stream.key", "stream.key.next"])
    let loaded = try StreamKey.load(from: path)
    #expect(loaded.swarmID == made.swarmID)
    #expect(loaded.algorithm == algorithm)
    #expect(loaded.path?.hasSuffix("stream.key") == true)
    var vector = SignAllVector(
      algorithm: algorithm,
      swarmID: [],
      addressing: .chunkRanges32,
      chunk: 1,
      payload: [1, 2, 3]
    )
    try vector.sign(SignAll.Signer(loaded, addressing: .chunkRanges32))
    #expect(
      try vector.verified(by: SignAll.Verifier(StreamPublicKey(made.swarmID), addressing: .chunkRanges32))
    )
  }

  @Test func `The mode does not depend on the umask`() throws {
    let folder = try TemporaryFolder()
    let old = umask(0)
    defer { umask(old) }
    _ = try StreamKey.create(.ed25519, at: folder.file("key"))
    #expect(mode(of: folder.file("key")) == 0o600)
  }

  @Test func `A file is never overwritten`() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("key")
    try writeText("precious", to: path)
    #expect(throws: IntegrityError.keyExists(path: path)) { try StreamKey.create(at: path) }
    #expect(try readText(path) == "precious")
    #expect(folder.names == ["key"])
    #expect(unsafe symlink(folder.file("nowhere"), folder.file("link")) == 0)
    #expect(throws: IntegrityError.keyExists(path: folder.file("link"))) {
      try StreamKey.create(at: folder.file("link"))
    }
    #expect(folder.names == ["key", "link"])
  }

  @Test(arguments: ["", "/"]) func `A folder is no place for a key, and nobody is told to remove it`(
    end: String
  ) throws {
    let folder = try TemporaryFolder()
    let error = #expect(throws: IntegrityError.self) { try StreamKey.create(at: folder.path + end) }
    #expect(error?.description.hasSuffix("cannot be created: it is a folder; name a file in it") == true)
    #expect(folder.names == [])
  }

  @Test func `The ledger of an earlier key is not overwritten either`() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("key")
    _ = try StreamKey.create(.ed25519, at: path)
    let ledger = try readText(path + ".next")
    #expect(unsafe rename(path, folder.file("moved")) == 0)
    let error = #expect(throws: IntegrityError.self) { try StreamKey.create(.ed25519, at: path) }
    #expect(error?.description.contains("belongs to another key") == true)
    #expect(try readText(path + ".next") == ledger)
    #expect(folder.names == ["key.next", "moved"])
  }

  @Test(arguments: [0o644, 0o640, 0o604, 0o660, 0o601] as [mode_t])
  func `A key that others may read is refused`(_ mode: mode_t) throws {
    let folder = try TemporaryFolder()
    let path = folder.file("key")
    _ = try StreamKey.create(.ed25519, at: path)
    #expect(unsafe chmod(path, mode) == 0)
    let error = #expect(throws: IntegrityError.keyExposed(path: path, mode: mode)) {
      try StreamKey.load(from: path)
    }
    #expect(error?.description.hasSuffix("chmod 600 \(path)") == true)
  }

  @Test func `What is no key is refused with the name of the file`() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("key")
    for text in [
      "", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "algorithm: 7\n",
    ] {
      try writeText(text, to: path)
      let error = #expect(throws: IntegrityError.self) { try StreamKey.load(from: path) }
      #expect(error?.description.hasPrefix(path + " is not a stream key: ") == true)
    }
    try writeText(String(repeating: "a", count: 100_000), to: path)
    #expect(throws: IntegrityError.invalidKeyFile(path: path, reason: "it is too long for a key")) {
      try StreamKey.load(from: path)
    }
    for path in [folder.file("missing"), folder.path, "", "a\0b", folder.file("no/such/folder")] {
      #expect(throws: IntegrityError.self) { try StreamKey.load(from: path) }
      #expect(throws: IntegrityError.self) {
        try StreamKey.create(at: path == folder.file("missing") ? "" : path)
      }
    }
    #expect(unsafe mkfifo(folder.file("pipe"), 0o600) == 0)
    #expect(throws: IntegrityError.self) { try StreamKey.load(from: folder.file("pipe")) }
  }

  @Test func `A damaged key file is refused or the same key`() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("key")
    let swarmID = try StreamKey.create(.ecdsaP256SHA256, at: path).swarmID
    let text = Array(try readText(path).utf8)
    for position in stride(from: 0, to: text.count, by: 3) {
      var damaged = text
      damaged[position] ^= 1
      try writeText(String(decoding: damaged, as: UTF8.self), to: path)
      if let key = try? StreamKey.load(from: path) { #expect(key.swarmID == swarmID, "byte \(position)") }
      try writeText(String(decoding: text.prefix(position), as: UTF8.self), to: path)
      #expect((try? StreamKey.load(from: path)) == nil || position > text.count - 30, "\(position) bytes")
    }
  }

  /// Made by `openssl genpkey`, in turn: P-256, P-384, Ed25519, P-521, P-256 with a password.
  @Test func `Other programs' keys are read`() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("key")
    try writeText(ForeignKeys.p256, to: path)
    #expect(try StreamKey.load(from: path).algorithm == .ecdsaP256SHA256)
    try writeText(ForeignKeys.traditionalP256, to: path)
    #expect(try StreamKey.load(from: path).algorithm == .ecdsaP256SHA256)
    try writeText(ForeignKeys.rsa, to: path)
    #expect(try StreamKey.load(from: path).algorithm == .rsaSHA256)
    try writeText("algorithm: 5\n" + ForeignKeys.rsa, to: path)
    #expect(try StreamKey.load(from: path).algorithm == .rsaSHA1)
    for (text, words) in [
      (ForeignKeys.p521, "EC on the curve secp521r1"),
      (ForeignKeys.x25519, "X25519"),
      (ForeignKeys.encrypted, "password"),
      (ForeignKeys.shortRSA, "512 bits"),
      ("algorithm: 15\n" + ForeignKeys.p256, "different algorithms"),
      ("algorithm: 999\n" + ForeignKeys.p256, "algorithm 999"),
    ] {
      try writeText(text, to: path)
      let error = #expect(throws: IntegrityError.self) { try StreamKey.load(from: path) }
      #expect(error?.description.contains(words) == true, "\(error?.description ?? "no error")")
    }
  }
}
