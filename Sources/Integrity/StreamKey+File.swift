internal import Crypto
internal import Glibc

/// Key files: PKCS #8 in PEM, readable by the owner only, after lines that say what PEM cannot.
///
/// A key with a file also has a ledger of the numbers it has signed, `<file>.next`; see `ChunkLedger`.
extension StreamKey {
  private static let limit = 65_536
  private static let ledgerLine = "ledger: beside this file, with .next at the end of its name"

  /// Makes a new key and its file, which must not exist.
  ///
  /// The file gets mode 600; nothing is left behind when this fails. Throws `keyExists` rather than overwrite.
  public static func create(
    _ algorithm: SignatureAlgorithm = .standard,
    at path: String
  ) throws(IntegrityError) -> StreamKey {
    try IntegrityError.checkPath(path)
    let key = try generate(algorithm)
    var text = Array(
      """
      Freshet stream key: who has it can broadcast in this stream's name. Keep it to yourself.
      algorithm: \(algorithm.rawValue)
      \(ledgerLine)

      """.utf8
    )
    text += try key.pem()
    try PrivateFile.create(path, text)
    do throws(IntegrityError) {
      let resolved = try PrivateFile.resolve(path)
      try ChunkLedger.create(forKeyAt: resolved, key.swarmID)
      return try load(from: path)
    } catch {
      unsafe unlink(path)
      throw error
    }
  }

  /// Reads a key file, be it from `create` or another program's PEM without a password.
  ///
  /// Throws when others than the owner may read it, or it holds no key that can sign a stream.
  public static func load(from path: String) throws(IntegrityError) -> StreamKey {
    try IntegrityError.checkPath(path)
    guard let file = try PrivateFile.openExisting(path) else {
      throw .file(
        path: path,
        action: "opened",
        reason: "there is no such file; make it with: freshet key generate \(path)"
      )
    }
    let mode = try PrivateFile.status(file, path).st_mode & 0o777
    guard mode & 0o077 == 0 else { throw .keyExposed(path: path, mode: mode) }
    let text = try PrivateFile.read(file, path, limit: limit)
    guard text.count <= limit else { throw .invalidKeyFile(path: path, reason: "it is too long for a key") }
    let header = try Header(text, path)
    let resolved = try PrivateFile.resolve(path)
    do throws(IntegrityError) {
      let key = try IntegrityError.converting { () throws(CryptoError) in
        try unsafe SigningKey.read(pem: text.span.bytes, sha1: header.algorithm == .rsaSHA1)
      }
      guard header.algorithm == nil || header.algorithm == SignatureAlgorithm(key.scheme) else {
        throw .crypto("its first lines and its key are of different algorithms")
      }
      return try StreamKey(key, path: resolved, hasLedger: header.hasLedger)
    } catch {
      throw .invalidKeyFile(path: path, reason: error.description)
    }
  }

  /// The lines before the key.
  private struct Header {
    var algorithm: SignatureAlgorithm?
    var hasLedger = false

    init(_ text: [UInt8], _ path: String) throws(IntegrityError) {
      for line in text.split(separator: UInt8(ascii: "\n")) {
        if line.starts(with: "-----BEGIN".utf8) { return }
        if line.elementsEqual(StreamKey.ledgerLine.utf8) { hasLedger = true }
        guard line.starts(with: "algorithm: ".utf8) else { continue }
        let number = String(decoding: line.dropFirst(11), as: UTF8.self)
        guard let algorithm = UInt8(number).flatMap(SignatureAlgorithm.init(rawValue:)) else {
          throw .invalidKeyFile(
            path: path,
            reason: "it is for algorithm \(number), and only 5, 8 and 13 to 16 are known"
          )
        }
        self.algorithm = algorithm
      }
    }
  }
}
