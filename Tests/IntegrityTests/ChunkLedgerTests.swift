import Glibc
import Integrity
import Support
import Testing
import Wire

@Suite struct ChunkLedgerTests {
  @Test func `Numbers go on after a restart`() throws {
    let folder = try TemporaryFolder()
    _ = try StreamKey.create(.ed25519, at: folder.file("key"))
    var expected: UInt64 = 0
    for count in [3, 0, 1, 100] {
      var ledger = try ChunkLedger.open(
        for: StreamKey.load(from: folder.file("key")),
        addressing: .chunkRanges32
      )
      #expect(ledger.upcoming == expected)
      for _ in 0..<count {
        #expect(try ledger.next() == expected)
        expected += 1
      }
      try ledger.close()
      #expect(throws: IntegrityError.ledgerClosed) { try ledger.next() }
    }
    #expect(folder.names == ["key", "key.next"])
  }

  @Test func `An abandoned ledger skips numbers and repeats none`() throws {
    let folder = try TemporaryFolder()
    let key = try StreamKey.create(.ed25519, at: folder.file("key"))
    for seed in UInt64(1)...20 {
      var random = SplitMix64(seed: seed)
      var given: Set<UInt64> = []
      var highest: UInt64?
      for _ in 0..<10 {
        var ledger = try ChunkLedger.open(for: key, addressing: .chunkRanges64)
        for _ in 0..<Int.random(in: 0...(seed == 1 ? 70_000 : 300), using: &random) {
          let number = try ledger.next()
          #expect(given.insert(number).inserted, "seed \(seed), number \(number)")
          if let highest { try #require(number > highest, "seed \(seed)") }
          highest = number
        }
        if Bool.random(using: &random) { try ledger.close() }
      }
    }
  }

  @Test func `A killed process never makes a number come again`() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("key")
    _ = try StreamKey.create(.ed25519, at: path)
    var next: UInt64 = 0
    for round in 0..<3 {
      await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
        var ledger = try ChunkLedger.open(for: StreamKey.load(from: path), addressing: .chunkRanges32)
        var last: UInt64 = 0
        for _ in 0..<70_000 { last = try ledger.next() }
        try writeText(String(last), to: path + ".seen")
        kill(getpid(), SIGKILL)
      }
      let seen = try #require(UInt64(readText(path + ".seen")), "round \(round)")
      #expect(seen >= next)
      // The lock died with the process.
      let ledger = try ChunkLedger.open(for: StreamKey.load(from: path), addressing: .chunkRanges32)
      #expect(ledger.upcoming > seen)
      #expect(ledger.upcoming <= seen + ChunkLedger.blockLength)
      next = ledger.upcoming
    }
  }

  @Test func `Two broadcasts cannot use one key`() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("key")
    _ = try StreamKey.create(.ed25519, at: path)
    let key = try StreamKey.load(from: path)
    #expect(unsafe symlink(path, folder.file("alias")) == 0)
    do {
      var first = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
      _ = try first.next()
      for name in ["key", "alias"] {
        let error = #expect(throws: IntegrityError.self) {
          _ = try ChunkLedger.open(for: StreamKey.load(from: folder.file(name)), addressing: .chunkRanges32)
        }
        #expect(error?.description.hasPrefix("another broadcast is using the key") == true)
      }
      await #expect(processExitsWith: .exitCode(3)) { [path = path as String] in
        let key = try StreamKey.load(from: path)
        do {
          _ = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
        } catch IntegrityError.keyInUse {
          exit(3)
        }
      }
      try first.close()
      // The numbers are given back, but the key is free only when the ledger is gone.
      #expect(throws: IntegrityError.self) { _ = try ChunkLedger.open(for: key, addressing: .chunkRanges32) }
      _ = first.upcoming
    }
    let second = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
    #expect(second.upcoming == 1)
  }

  @Test func `A damaged, foreign or missing ledger is never begun anew`() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("key")
    let key = try StreamKey.create(.ed25519, at: path)
    do {
      var ledger = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
      for _ in 0..<10 { _ = try ledger.next() }
      try ledger.close()
    }
    let text = try readText(path + ".next")
    let bytes = Array(text.utf8)
    for position in bytes.indices {
      for bit in 0..<7 {
        var damaged = bytes
        damaged[position] ^= 1 << UInt8(bit)
        try writeText(String(decoding: damaged, as: UTF8.self), to: path + ".next")
        #expect(throws: IntegrityError.ledgerCorrupt(path: path + ".next"), "bit \(bit) of byte \(position)")
        {
          _ = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
        }
      }
      try writeText(String(decoding: bytes.prefix(position), as: UTF8.self), to: path + ".next")
      #expect(throws: IntegrityError.ledgerCorrupt(path: path + ".next"), "\(position) bytes") {
        _ = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
      }
    }
    for wrong in [text + "\n", text + text, " " + text, String(repeating: "a", count: 2_000)] {
      try writeText(wrong, to: path + ".next")
      #expect(throws: IntegrityError.ledgerCorrupt(path: path + ".next")) {
        _ = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
      }
    }
    _ = try StreamKey.create(.ed25519, at: folder.file("other"))
    try writeText(readText(folder.file("other.next")), to: path + ".next")
    #expect(throws: IntegrityError.ledgerOfAnotherKey(path: path + ".next")) {
      _ = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
    }
    #expect(unsafe unlink(path + ".next") == 0)
    #expect(throws: IntegrityError.ledgerMissing(path: path + ".next")) {
      _ = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
    }
    try writeText(text, to: path + ".next")
    #expect(try ChunkLedger.open(for: key, addressing: .chunkRanges32).upcoming == 10)
  }

  @Test func `A draft that a crash left behind does no harm`() throws {
    let folder = try TemporaryFolder()
    let key = try StreamKey.create(.ed25519, at: folder.file("key"))
    try writeText("half", to: folder.file("key.next.new"))
    var ledger = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
    #expect(try ledger.next() == 0)
    #expect(folder.names == ["key", "key.next"])
  }

  @Test func `The end of the numbers is an error and no new beginning`() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("key")
    let key = try StreamKey.create(.ed25519, at: path)
    for (addressing, last) in [
      (ChunkAddressing.chunkRanges32, UInt64(UInt32.max) - 1), (.chunkRanges64, UInt64.max - 1),
    ] {
      try setLedger(path, key, next: last - 2)
      do {
        var ledger = try ChunkLedger.open(for: key, addressing: addressing)
        #expect(try ledger.next() == last - 2)
        #expect(try ledger.next() == last - 1)
        #expect(try ledger.next() == last)
        for _ in 0..<2 { #expect(throws: IntegrityError.self) { try ledger.next() } }
      }
      var ledger = try ChunkLedger.open(for: key, addressing: addressing)
      let error = #expect(throws: IntegrityError.self) { try ledger.next() }
      #expect(error?.description.contains("has signed every chunk number") == true)
      try ledger.close()
    }
    // Numbers of 64 bits are beyond those of 32.
    try setLedger(path, key, next: 1 << 40)
    var ledger = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
    #expect(throws: IntegrityError.self) { try ledger.next() }
  }

  @Test func `A key in memory has its numbers once`() throws {
    let key = try StreamKey.generate(.ed25519)
    var ledger = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
    for number in 0..<UInt64(70_000) {
      let given = try ledger.next()
      if given != number { Issue.record("\(given) instead of \(number)") }
    }
    try ledger.close()
    #expect(throws: IntegrityError.numbersGivenOut) {
      _ = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
    }
  }

  @Test func `Another program's key begins a ledger of its own`() throws {
    let folder = try TemporaryFolder()
    try writeText(ForeignKeys.p256, to: folder.file("key"))
    let key = try StreamKey.load(from: folder.file("key"))
    do {
      var ledger = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
      #expect(try ledger.next() == 0)
    }
    #expect(folder.names == ["key", "key.next"])
    #expect(
      try ChunkLedger.open(for: key, addressing: .chunkRanges32).upcoming == ChunkLedger.blockLength
    )
  }

  @Test func `Nothing is given out that could not be written down`() throws {
    let folder = try TemporaryFolder()
    let key = try StreamKey.create(.ed25519, at: folder.file("key"))
    var ledger = try ChunkLedger.open(for: key, addressing: .chunkRanges32)
    // A folder in the place of the draft makes every write fail.
    #expect(unsafe mkdir(folder.file("key.next.new"), 0o700) == 0)
    for _ in 0..<2 { #expect(throws: IntegrityError.self) { try ledger.next() } }
    #expect(unsafe rmdir(folder.file("key.next.new")) == 0)
    #expect(try ledger.next() == 0)
  }

  /// Writes a ledger as if the key had signed all numbers below `next`.
  private func setLedger(_ path: String, _ key: StreamKey, next: UInt64) throws {
    func hex(_ bytes: some Sequence<UInt8>) -> String {
      bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
    let text =
      "freshet chunk ledger 1\nkey \(hex(HashFunction.sha256.hash(key.swarmID.bytes)))\nnext \(next)\n"
    let check = hex(HashFunction.sha256.hash(Array(text.utf8)).prefix(8))
    try writeText(text + "check \(check)\n", to: path + ".next")
  }
}
