internal import Glibc
public import Wire

/// Gives out chunk numbers so that a key never signs one twice.
///
/// The next number is kept in `<key file>.next`. Numbers are reserved there in blocks before the first of a block
/// is given out, so a crash skips numbers but repeats none; `close` gives the rest of a block back. While it is
/// open the key file is locked, so that no other broadcast can use the key. A key that was made in memory
/// has no file: its numbers begin at 0, once.
///
/// What this cannot see is a key that was copied, or restored together with an older ledger.
public struct ChunkLedger: ~Copyable, Sendable {
  /// How many numbers one write to the disk reserves.
  public static let blockLength: UInt64 = 65_536

  /// The number that `next` will give.
  public private(set) var upcoming: UInt64
  /// The first number that is not reserved.
  private var reserved: UInt64
  /// The last number that is ever given; the one after it is left free for the end of ranges.
  private let last: UInt64
  private let storage: Storage?
  private var isClosed = false

  private struct Storage: ~Copyable, Sendable {
    let keyPath: String
    let path: String
    let swarmID: SwarmID
    /// Holds the lock for as long as it is open.
    let lock: FileDescriptor
  }

  /// How long a lock may be another's, in milliseconds: a process that has just been forked holds our own until its exec.
  private static let lockPatience = 200

  /// Opens the ledger of a key, which nobody else may have open.
  ///
  /// Throws `keyInUse` while another broadcast has it, and otherwise when the ledger is missing, damaged or another
  /// key's. A foreign key file without a ledger begins at 0.
  public static func open(
    for key: StreamKey,
    addressing: ChunkAddressing
  ) throws(IntegrityError) -> ChunkLedger {
    let last = addressing.lastChunk - 1
    guard let keyPath = key.path else {
      guard key.claimNumbers() else { throw .numbersGivenOut }
      return ChunkLedger(upcoming: 0, reserved: last + 1, last: last, storage: nil)
    }
    guard let lock = try PrivateFile.openExisting(keyPath) else {
      throw PrivateFile.failure(keyPath, "opened")
    }
    var patience = lockPatience
    while flock(lock.raw, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw PrivateFile.failure(keyPath, "locked") }
      guard patience > 0 else { throw .keyInUse(path: keyPath) }
      patience -= 10
      usleep(10_000)
    }
    let path = ledgerPath(keyPath)
    let upcoming = try read(path, key.swarmID)
    if upcoming == nil, key.hasLedger { throw .ledgerMissing(path: path) }
    let storage = Storage(keyPath: keyPath, path: path, swarmID: key.swarmID, lock: lock)
    return ChunkLedger(upcoming: upcoming ?? 0, reserved: upcoming ?? 0, last: last, storage: storage)
  }

  private init(upcoming: UInt64, reserved: UInt64, last: UInt64, storage: consuming Storage?) {
    self.upcoming = upcoming
    self.reserved = reserved
    self.last = last
    self.storage = storage
  }

  /// A number that the key has not signed and that is given out only this once.
  ///
  /// Waits for the disk once in `blockLength` calls. Throws `numbersExhausted` after the last number that the
  /// addressing can name; when the disk fails, nothing is given out and the call may be repeated.
  public mutating func next() throws(IntegrityError) -> UInt64 {
    guard !isClosed else { throw .ledgerClosed }
    guard upcoming <= last else { throw .numbersExhausted(path: keyPath) }
    if upcoming >= reserved {
      let room = last - upcoming
      let end = room < Self.blockLength ? last + 1 : upcoming + Self.blockLength
      try write(end)
      reserved = end
    }
    defer { upcoming += 1 }
    return upcoming
  }

  /// Gives back the numbers that were reserved and not used; none is given out afterwards.
  ///
  /// The lock ends with the value itself. Without this, or when it throws, the rest of a block is skipped.
  public mutating func close() throws(IntegrityError) {
    guard !isClosed else { return }
    isClosed = true
    if upcoming < reserved { try write(upcoming) }
  }

  private var keyPath: String? {
    switch storage {
    case .some(let storage): storage.keyPath
    case nil: nil
    }
  }

  private func write(_ next: UInt64) throws(IntegrityError) {
    switch storage {
    case .some(let storage):
      try PrivateFile.replace(storage.path, Self.text(Self.name(storage.swarmID), next))
    case nil: break
    }
  }
}

extension ChunkLedger {
  static func ledgerPath(_ keyPath: String) -> String { keyPath + ".next" }

  /// Writes the first ledger of a new key.
  static func create(forKeyAt keyPath: String, _ swarmID: SwarmID) throws(IntegrityError) {
    do throws(IntegrityError) {
      try PrivateFile.create(ledgerPath(keyPath), text(name(swarmID), 0))
    } catch .keyExists(let path) {
      throw .ledgerOfAnotherKey(path: path)
    }
  }

  /// The next number of a ledger, or nil when there is no ledger.
  private static func read(_ path: String, _ swarmID: SwarmID) throws(IntegrityError) -> UInt64? {
    guard let file = try PrivateFile.openExisting(path) else { return nil }
    let bytes = try PrivateFile.read(file, path, limit: 512)
    let lines = bytes.split(separator: UInt8(ascii: "\n"))
    guard lines.count == 4, lines[1].starts(with: "key ".utf8), lines[2].starts(with: "next ".utf8),
      let next = UInt64(String(decoding: lines[2].dropFirst(5), as: UTF8.self))
    else { throw .ledgerCorrupt(path: path) }
    let owner = String(decoding: lines[1].dropFirst(4), as: UTF8.self)
    guard bytes == text(owner, next) else { throw .ledgerCorrupt(path: path) }
    guard owner == name(swarmID) else { throw .ledgerOfAnotherKey(path: path) }
    return next
  }

  private static func text(_ owner: String, _ next: UInt64) -> [UInt8] {
    let text = Array("freshet chunk ledger 1\nkey \(owner)\nnext \(next)\n".utf8)
    return text + Array("check \(hex(HashFunction.sha256.hash(text).prefix(8)))\n".utf8)
  }

  private static func name(_ swarmID: SwarmID) -> String { hex(HashFunction.sha256.hash(swarmID.bytes)[...]) }

  private static func hex(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
