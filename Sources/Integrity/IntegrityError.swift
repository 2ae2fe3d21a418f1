internal import Crypto

/// What is wrong with a key, a swarm id or a file beside a key, in a sentence that says what to do.
public enum IntegrityError: Error, Equatable, CustomStringConvertible {
  case invalidText
  case incompleteText(letters: Int)
  case emptySwarmID
  case unknownAlgorithm(UInt8)
  case wrongKeyLength(SignatureAlgorithm, bytes: Int)
  case invalidRSAKey(String)
  case invalidPublicKey(SignatureAlgorithm)
  case variableByteRanges
  case chunkOutOfRange(UInt64)
  case chunkOutOfOrder(UInt64, expected: UInt64)
  case chunkLength(Int)
  case invalidWidth(Int)
  case invalidChunkSize(Int)
  case tooManyChunks(UInt64, limit: UInt64)
  case noContent
  case ambiguousContent(bytes: Int)
  case hashesUnknown
  case wrongHashLength(Int, expected: Int)
  case invalidSnapshot
  case invalidSeed(bytes: Int)
  case crypto(String)
  case keyExists(path: String)
  case keyExposed(path: String, mode: UInt32)
  case invalidKeyFile(path: String, reason: String)
  case file(path: String, action: String, reason: String)
  case keyInUse(path: String)
  case ledgerCorrupt(path: String)
  case ledgerOfAnotherKey(path: String)
  case ledgerMissing(path: String)
  case numbersExhausted(path: String?)
  case numbersGivenOut
  case ledgerClosed
  case notAnAuthority
  case notTheirKey
  case invalidMemberName(String)
  case certificateTooLong(bytes: Int)
  case certificateExpired
  case invalidCertificateFile(path: String, reason: String)

  public var description: String {
    switch self {
    case .invalidText:
      "the swarm id is not base64url text (letters, digits, - and _, no padding); copy the whole link again"
    case .incompleteText(let letters):
      "the swarm id, \(letters) letters, is not whole: it was cut off or altered; copy the whole link again"
    case .emptySwarmID:
      "the swarm id is empty; copy the whole link again"
    case .unknownAlgorithm(let number):
      "the swarm id asks for signature algorithm \(number); this program knows 5, 8 and 13 to 16"
    case .wrongKeyLength(let algorithm, let bytes):
      "the swarm id was cut off or altered: it holds \(bytes) bytes of key, which no \(algorithm) key has; "
        + "copy the whole link again"
    case .invalidRSAKey(let reason):
      "the RSA key cannot be used: \(reason)"
    case .invalidPublicKey(let algorithm):
      "the swarm id is no valid \(algorithm) key; copy the whole link again"
    case .variableByteRanges:
      "byte ranges (chunk addressing method 1) need chunks of one size; name the size, or use method 2 or 4"
    case .chunkOutOfRange(let chunk):
      "chunk \(chunk) is past what the chunk addressing can name; use chunk addressing method 4"
    case .chunkOutOfOrder(let chunk, let expected):
      "chunk \(chunk) cannot be added to its subtree, which goes on with \(expected)"
    case .chunkLength(let bytes):
      "byte ranges (chunk addressing method 1) cannot name a chunk of \(bytes) bytes"
    case .invalidWidth(let width):
      "a signature cannot cover \(width) chunks, but 2, 4, 8, 16 or 32"
    case .invalidChunkSize(let bytes):
      "content cannot be cut into chunks of \(bytes) bytes, the length of two hashes or no fixed size; use 1024"
    case .tooManyChunks(let count, let limit):
      "\(count) chunks are more than the \(limit) that there is memory for; cut the content into larger chunks"
    case .noContent:
      "there is nothing in it to be shared"
    case .ambiguousContent(let bytes):
      "content of \(bytes) bytes, as many as two hashes have, could be taken for hashes; make it a byte longer"
    case .hashesUnknown:
      "the hashes inside the only subtree are not known; verify one of its chunks first"
    case .wrongHashLength(let bytes, let expected):
      "a hash of \(bytes) bytes stands where one of \(expected) belongs; copy the whole link again"
    case .invalidSnapshot:
      "the file of hashes is damaged or of other content; remove it, and they are fetched again"
    case .invalidSeed(let bytes):
      "the seed of an Ed25519 key has 32 bytes, not \(bytes)"
    case .crypto(let reason):
      reason
    case .keyExists(let path):
      "\(path) exists and will not be overwritten; choose another name, or remove it if nobody needs its stream"
    case .keyExposed(let path, let mode):
      "\(path) is open to others (mode \(String(mode, radix: 8))); run: chmod 600 \(path)"
    case .invalidKeyFile(let path, let reason):
      "\(path) is not a stream key: \(reason)"
    case .file(let path, let action, let reason):
      "\(path) cannot be \(action): \(reason)"
    case .keyInUse(let path):
      "another broadcast is using the key \(path); end it first, or use another key"
    case .ledgerCorrupt(let path):
      "\(path) is damaged, so the chunk numbers that its key has signed are unknown; "
        + "restore it from a copy, or generate a new key"
    case .ledgerOfAnotherKey(let path):
      "\(path) belongs to another key; move it to where that key is, or remove it if that key is gone"
    case .ledgerMissing(let path):
      "\(path) is missing, so the chunk numbers that its key has signed are unknown; "
        + "restore it beside the key, or generate a new key"
    case .numbersExhausted(let path):
      "the key\(path.map { " " + $0 } ?? "") has signed every chunk number there is; "
        + "broadcast with chunk addressing method 4, or generate a new key"
    case .numbersGivenOut:
      "this key has no file to keep its chunk numbers in, and they were given out before; use a key file"
    case .ledgerClosed:
      "the chunk numbers of this key were given back; open them again"
    case .notAnAuthority:
      "the certificate is not that of a swarm's authority"
    case .notTheirKey:
      "the membership certificate is for another identity; give the file of the key that it was issued for"
    case .invalidMemberName(let name):
      "'\(name)' cannot be a member's name: use 1 to 48 letters, digits and signs of ASCII"
    case .certificateTooLong(let bytes):
      "a membership certificate of this stream would have \(bytes) bytes and 1,024 fit; "
        + "use a shorter stream key: freshet key generate FILE"
    case .certificateExpired:
      "the certificate would be over before it began; check this machine's clock and the authority's age"
    case .invalidCertificateFile(let path, let reason):
      "\(path) cannot be used: \(reason)"
    }
  }

  /// Refuses a path that C would read differently.
  static func checkPath(_ path: String) throws(IntegrityError) {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw .file(path: path, action: "used", reason: "this is not the name of a file")
    }
  }

  /// Runs `body` and puts what OpenSSL refused into this module's words.
  static func converting<Result: ~Copyable>(
    _ body: () throws(CryptoError) -> sending Result
  ) throws(IntegrityError) -> sending Result {
    do throws(CryptoError) {
      return try body()
    } catch {
      throw .crypto(error.description)
    }
  }
}
