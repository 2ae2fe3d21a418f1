internal import Inspect
internal import Integrity
internal import JSON5
internal import Swarm
internal import Text
internal import Wire

internal import struct PluginKit.Parameters

/// Reads values as users write them.
enum Read {
  static func boolean(_ text: String) throws(UsageError) -> Bool {
    switch text.lowercased() {
    case "yes", "true", "on", "1": return true
    case "no", "false", "off", "0": return false
    default: throw UsageError("'\(text)' is neither yes nor no")
    }
  }

  /// A file's name, which `-` is not.
  static func file(_ text: String) throws(UsageError) -> String {
    guard !text.isEmpty, text != "-", !text.utf8.contains(0) else {
      throw UsageError("'\(text)' is not the name of a file")
    }
    return text
  }

  /// A time within `range`: `500ms`, `30s`, `2m`, `1h`; a number alone is in seconds.
  static func duration(
    _ range: ClosedRange<Duration>
  ) -> @Sendable (String) throws(UsageError) -> Duration {
    { text throws(UsageError) in
      guard let value = Parameters.duration(text) else {
        throw UsageError("'\(text)' is no time: write it like 500ms, 30s, 2m or 1h")
      }
      guard range.contains(value) else {
        throw UsageError(
          "'\(text)' is out of range: it takes \(brief(range.lowerBound)) to \(brief(range.upperBound))"
        )
      }
      return value
    }
  }

  /// Bits per second: `800k`, `20M`, `1.5G`.
  static func rate(_ text: String) throws(UsageError) -> UInt64 {
    let factor: Double
    switch text.last {
    case "k", "K": factor = 1e3
    case "M", "m": factor = 1e6
    case "G", "g": factor = 1e9
    default: factor = 1
    }
    let digits = factor == 1 ? text[...] : text.dropLast()
    guard let value = decimal(digits), 1...1e12 ~= value * factor else {
      throw UsageError("'\(text)' is no rate: write bits per second like 800k, 20M or 1G")
    }
    return UInt64((value * factor).rounded())
  }

  /// The chunk size of an own broadcast: whole MPEG-TS packets that fit a datagram with their signature.
  static func chunkSize(_ text: String) throws(UsageError) -> Int {
    if text == "variable" { return WireFormat.variableChunkSize }
    guard let value = Int(text), 188...1316 ~= value, value % 188 == 0 else {
      throw UsageError(
        "'\(text)' is no chunk size: it is a multiple of 188 up to 1316, such as 1316 or 1128, or variable"
      )
    }
    return value
  }

  /// The chunk size of content: it has to leave room for hashes beside it, and must not look like two of them.
  static func contentChunkSize(_ text: String) throws(UsageError) -> Int {
    guard let value = Int(text), 256...1400 ~= value else {
      throw UsageError(
        "'\(text)' is no chunk size of content, which all its chunks have: it is 256 to 1400 bytes, such as 1024"
      )
    }
    return value
  }

  static func hash(_ text: String) throws(UsageError) -> MerkleHash {
    switch text.lowercased() {
    case "sha-1": return .sha1
    case "sha-224": return .sha224
    case "sha-256": return .sha256
    case "sha-384": return .sha384
    case "sha-512": return .sha512
    default:
      throw UsageError("'\(text)' is no hash function: write sha-1, sha-224, sha-256, sha-384 or sha-512")
    }
  }

  static func integrity(_ text: String) throws(UsageError) -> IntegrityChoice {
    if text == "sign-all" { return IntegrityChoice(method: .signAll) }
    if text == "none" { return IntegrityChoice(method: .none) }
    let colon = text.firstIndex(of: ":") ?? text.endIndex
    guard text[..<colon] == "unified-merkle" else {
      throw UsageError(
        "'\(text)' is no integrity method for a stream: write sign-all, unified-merkle or none"
      )
    }
    guard colon < text.endIndex else { return IntegrityChoice(method: .unifiedMerkleTree) }
    guard let width = Int(text[colon...].dropFirst()), UnifiedMerkle.isWidth(width) else {
      throw UsageError(
        "'\(text)' covers no number of chunks that can be: write 2, 4, 8, 16 or 32 behind the colon"
      )
    }
    return IntegrityChoice(method: .unifiedMerkleTree, chunksPerSignature: width)
  }

  static func addressing(_ text: String) throws(UsageError) -> ChunkAddressing {
    switch text {
    case "bins-32": return .bins32
    case "byte-ranges-64": return .byteRanges64
    case "chunk-ranges-32": return .chunkRanges32
    case "bins-64": return .bins64
    case "chunk-ranges-64": return .chunkRanges64
    default:
      throw UsageError(
        "'\(text)' is no way to name chunks: write chunk-ranges-32, chunk-ranges-64, bins-32, bins-64 or byte-ranges-64"
      )
    }
  }

  static func algorithm(_ text: String) throws(UsageError) -> SignatureAlgorithm {
    guard let algorithm = UInt8(text).flatMap(SignatureAlgorithm.init(rawValue:)) else {
      let known = SignatureAlgorithm.allCases.map(\.description).joined(separator: ", ")
      throw UsageError("'\(text)' is no signature algorithm: write the number of \(known)")
    }
    return algorithm
  }

  static func plugin(_ text: String) throws(UsageError) -> PluginChoice {
    let colon = text.firstIndex(of: ":") ?? text.endIndex
    let name = text[..<colon]
    guard !name.isEmpty, name.utf8.allSatisfy({ 0x61...0x7A ~= $0 || 0x30...0x39 ~= $0 || $0 == 0x2D }) else {
      throw UsageError(
        "'\(text)' names no plugin: write NAME or NAME:parameter=value,… ('freshet plugins' lists them)"
      )
    }
    return PluginChoice(name: String(name), parameters: String(text[colon...].dropFirst()))
  }

  static func listen(_ text: String) throws(UsageError) -> ListenAddress {
    var transport: String?
    var rest = text[...]
    if let mark = text.firstRange(of: "://") {
      transport = try plugin(String(text[..<mark.lowerBound])).name
      rest = text[mark.upperBound...]
    }
    return ListenAddress(transport: transport, endpoint: try endpoint(rest, port: Link.defaultPort))
  }

  /// One or more places, without a port where that of the socket is meant (0).
  static func advertised(_ text: String) throws(UsageError) -> [Link.Endpoint] {
    var endpoints: [Link.Endpoint] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let endpoint = try endpoint(part, port: 0)
      guard !endpoint.isUnspecified else {
        throw UsageError("nobody can be reached at '\(part)': write the address that viewers see")
      }
      endpoints.append(endpoint)
    }
    guard endpoints.count <= Link.maximumEndpoints else {
      throw UsageError("a link names at most \(Link.maximumEndpoints) hosts")
    }
    return endpoints
  }

  static func output(_ text: String) throws(UsageError) -> Output {
    text == "-" ? .standardOutput : .file(try file(text))
  }

  static func link(_ text: String) throws(UsageError) -> Link {
    do throws(LinkError) {
      return try Link(text)
    } catch {
      throw UsageError(error.description)
    }
  }

  static func port(_ text: String) throws(UsageError) -> UInt16 {
    guard text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let port = UInt16(text), port > 0 else {
      throw UsageError("'\(text)' is no port: it is a number of 1 to 65535")
    }
    return port
  }

  static func interface(_ text: String) throws(UsageError) -> String {
    guard 1...64 ~= text.utf8.count, text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
      throw UsageError("'\(text)' is not the name of a network interface: 'ip link' lists them")
    }
    return text
  }

  /// A channel number as `inspect` shows it: up to eight hexadecimal digits.
  static func channel(_ text: String) throws(UsageError) -> UInt32 {
    let digits = text.hasPrefix("0x") ? text.dropFirst(2) : text[...]
    guard 1...8 ~= digits.utf8.count, digits.allSatisfy(\.isHexDigit), let channel = UInt32(digits, radix: 16)
    else { throw UsageError("'\(text)' is no channel number: write it as it is shown, like 5b1e02c7") }
    return channel
  }

  /// Names of messages with commas between them.
  static func messages(_ text: String) throws(UsageError) -> [String] {
    let names = text.lowercased().split(separator: ",").map(String.init)
    do throws(Filter.UnknownName) {
      _ = try Filter(only: names)
    } catch {
      let guess = Suggestion.phrase(error.name, among: Filter.names)
      throw UsageError(
        "'\(error.name)' is no message"
          + (guess.isEmpty ? ": write \(Filter.names.joined(separator: ", "))" : guess)
      )
    }
    guard !names.isEmpty else { throw UsageError("'\(text)' names no message: write it like data,have") }
    return names
  }

  private static func endpoint(_ text: Substring, port: UInt16) throws(UsageError) -> Link.Endpoint {
    do throws(LinkError) {
      return try Link.Endpoint(text, defaultPort: port, allowsPortZero: true)
    } catch {
      throw UsageError(error.description)
    }
  }

  /// Digits and at most one point: no sign, exponent, infinity or hexadecimal.
  private static func decimal(_ text: Substring) -> Double? {
    guard text.utf8.allSatisfy({ 0x30...0x39 ~= $0 || $0 == 0x2E }) else { return nil }
    return Double(text)
  }

  /// A time as a user would write it.
  static func brief(_ duration: Duration) -> String {
    let milliseconds = duration / .milliseconds(1)
    switch milliseconds {
    case 3_600_000...: return Number.text(milliseconds / 3_600_000, decimals: 1) + "h"
    case 60_000...: return Number.text(milliseconds / 60_000, decimals: 1) + "m"
    case 1000...: return Number.text(milliseconds / 1000, decimals: 1) + "s"
    default: return Number.text(milliseconds, decimals: 0) + "ms"
    }
  }
}
