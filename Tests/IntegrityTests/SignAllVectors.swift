import Integrity
import Testing
import Wire

/// One case of the vector file.
struct SignAllVector: CustomTestStringConvertible {
  var algorithm: SignatureAlgorithm
  var swarmID: [UInt8]
  var addressing: ChunkAddressing
  var chunk: UInt64
  var payload: [UInt8]
  var timestamp: UInt64 = 0
  var signature: [UInt8] = []

  var testDescription: String { "\(algorithm), \(addressing), \(payload.count) bytes" }

  /// Those of the file beside the tests.
  static func all() throws -> [SignAllVector] {
    let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
    let text = try readText("/\(folder)/Vectors/sign-all.txt")
    var vectors: [SignAllVector] = []
    var algorithm: SignatureAlgorithm?
    var swarmID: [UInt8] = []
    for line in text.split(separator: "\n") {
      let words = line.split(whereSeparator: { " ,()".contains($0) })
      if line.hasPrefix("=="), let number = words.last.flatMap({ UInt8($0) }) {
        algorithm = SignatureAlgorithm(rawValue: number)
      } else if line.hasPrefix("swarm id"), let hex = words.last {
        swarmID = bytes(hex: hex)
      } else if line.hasPrefix("--"), let algorithm, words.count > 5 {
        let short = Array("last short chunk".utf8)
        vectors.append(
          SignAllVector(
            algorithm: algorithm,
            swarmID: swarmID,
            addressing: words[3] == "2" ? .chunkRanges32 : .chunkRanges64,
            chunk: UInt64(words[5]) ?? 0,
            payload: line.contains("1024-byte") ? (0..<1024).map { UInt8(truncatingIfNeeded: $0) } : short
          )
        )
      } else if line.contains("ntp timestamp"), let hex = words.last {
        vectors[vectors.count - 1].timestamp = UInt64(hex, radix: 16) ?? 0
      } else if line.contains("   signature "), let hex = words.last {
        vectors[vectors.count - 1].signature = bytes(hex: hex)
      }
    }
    return vectors
  }
}

func bytes(hex: some StringProtocol) -> [UInt8] {
  let digits = hex.compactMap { $0.hexDigitValue }
  return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
