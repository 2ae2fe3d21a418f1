public import Integrity
public import PluginKit
public import Wire

/// Where a swarm can be joined, and all that a peer must know before its first HANDSHAKE.
///
/// `ppspp://HOST:PORT[,HOST:PORT…]/SWARM-ID?cs=1316&cam=2&cipm=2&lsa=13&ldw=12000` is the link of a stream,
/// `ppspp://HOST:PORT/ROOT-HASH?cs=1024&cam=2&cipm=1&mhf=2` that of content. With cipm=0 nothing protects the chunks of a
/// stream (section 5); its id is a key all the same, and names the swarm. With cs=4294967295 the chunks of a stream vary in
/// length (section 7.11). RFC 7574 section 10.1 leaves the form of
/// links open; the parameters are its options 9, 6, 3, 5, 7 and 4. Absent ones have the RFC's defaults (table 8):
/// 1,024-byte chunks, 32-bit chunk ranges, SHA-256; the algorithm of a stream stands in its swarm id.
public struct Link: Hashable, Sendable {
  /// Where a peer listens, as a link says it.
  public enum Endpoint: Hashable, Sendable {
    /// An IP address with its port.
    case address(Address)
    /// A host name that has still to be looked up.
    case name(String, port: UInt16)
  }

  /// The port of a link that names none.
  public static let defaultPort: UInt16 = 7574
  /// The longest link that is read, in bytes.
  public static let maximumLength = 8192
  /// The most endpoints of one link.
  public static let maximumEndpoints = 32
  /// What a chunk of a link may have, in bytes; the greatest still leaves room for the headers of a UDP datagram.
  public static let chunkSizes = 1...65_000

  /// Who to ask, in the order of trying; never empty.
  public let endpoints: [Endpoint]
  public let name: SwarmName
  /// Bytes of every chunk but the last, or ``WireFormat/variableChunkSize``.
  public let chunkSize: Int
  public let addressing: ChunkAddressing
  public let integrity: IntegrityMethod
  /// How many chunks the broadcaster keeps; `UInt64.max` when it keeps all, or the link does not say.
  public let window: UInt64

  /// The link of a live stream.
  ///
  /// - Precondition: there are 1 to `maximumEndpoints` endpoints, the chunk size is one of `chunkSizes` or variable, the
  ///   integrity method is not that of static content, and a window has at least one chunk.
  public init(
    endpoints: [Endpoint],
    swarmID: SwarmID,
    chunkSize: Int = 1316,
    addressing: ChunkAddressing = .chunkRanges32,
    integrity: IntegrityMethod = .signAll,
    window: UInt64 = .max
  ) {
    precondition(1...Self.maximumEndpoints ~= endpoints.count, "a link names 1 to 32 endpoints")
    precondition(
      Self.chunkSizes.contains(chunkSize)
        || chunkSize == WireFormat.variableChunkSize && addressing != .byteRanges64,
      "a chunk has 1 to 65,000 bytes, or a length that varies and that byte ranges cannot name"
    )
    precondition(window > 0, "a window holds at least one chunk")
    self.endpoints = endpoints
    name = .live(swarmID)
    self.chunkSize = chunkSize
    self.addressing = addressing
    self.integrity = integrity
    self.window = addressing.windowSize == 4 && window >= UInt64(UInt32.max) ? .max : window
  }

  /// The link of content that does not change.
  ///
  /// - Precondition: there are 1 to `maximumEndpoints` endpoints, and the chunk size is one of `chunkSizes`.
  public init(
    endpoints: [Endpoint],
    root: RootHash,
    chunkSize: Int = 1024,
    addressing: ChunkAddressing = .chunkRanges32
  ) {
    precondition(1...Self.maximumEndpoints ~= endpoints.count, "a link names 1 to 32 endpoints")
    precondition(Self.chunkSizes.contains(chunkSize), "a chunk has 1 to 65,000 bytes")
    self.endpoints = endpoints
    name = .content(root)
    self.chunkSize = chunkSize
    self.addressing = addressing
    integrity = .merkleTree
    window = .max
  }

  /// What a stream is named by; nil for content.
  public var swarmID: SwarmID? {
    if case .live(let id) = name { id } else { nil }
  }

  /// What content is named by; nil for a stream.
  public var root: RootHash? {
    if case .content(let root) = name { root } else { nil }
  }

  /// Reads a link that a user gave.
  ///
  /// Never traps. Throws one sentence on what is wrong where, and what to do.
  public init(_ text: String) throws(LinkError) {
    guard text.utf8.count <= Self.maximumLength else {
      throw LinkError("the link is longer than \(Self.maximumLength) bytes; copy it again")
    }
    guard text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
      throw LinkError("the link holds a space or another character that no link has; copy it again")
    }
    guard let colon = text.firstRange(of: "://"), text[..<colon.lowerBound].lowercased() == "ppspp" else {
      throw LinkError("'\(excerpt(text))' is no link: a link begins with ppspp://")
    }
    let rest = text[colon.upperBound...]
    guard !rest.contains("#") else {
      throw LinkError("a link has no part behind a '#'; copy it again")
    }
    let mark = rest.firstIndex(of: "?")
    let path = rest[..<(mark ?? rest.endIndex)]
    guard let slash = path.firstIndex(of: "/") else {
      throw LinkError("the link has no swarm id: after HOST:PORT come '/' and the id; copy it again")
    }
    let endpoints = try Self.endpoints(path[..<slash])
    let values = try Values(mark.map { rest[rest.index(after: $0)...] } ?? "")
    let swarmID: SwarmID
    do throws(IntegrityError) {
      let text = path[path.index(after: slash)...]
      switch try SwarmName(base64URL: text, values.integrity, values.function) {
      case .live(let id): swarmID = id
      case .content(let root):
        self.init(
          endpoints: endpoints,
          root: root,
          chunkSize: values.chunkSize,
          addressing: values.addressing
        )
        return
      }
    } catch {
      throw LinkError(error.description)
    }
    if let algorithm = values.algorithm, algorithm != UInt64(swarmID.algorithm.rawValue) {
      throw LinkError(
        "the link says lsa=\(algorithm), but its swarm id is a key for \(swarmID.algorithm); copy it again"
      )
    }
    self.init(
      endpoints: endpoints,
      swarmID: swarmID,
      chunkSize: values.chunkSize,
      addressing: values.addressing,
      integrity: values.integrity,
      window: values.window
    )
  }

  private static func endpoints(_ text: Substring) throws(LinkError) -> [Endpoint] {
    guard !text.isEmpty else {
      throw LinkError("the link names no host: write ppspp://HOST:PORT/…")
    }
    guard !text.contains("@") else {
      throw LinkError("the link holds an '@', but no user name belongs into a link")
    }
    var endpoints: [Endpoint] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let endpoint = try Endpoint(part)
      guard !endpoint.isUnspecified else {
        throw LinkError(
          "nobody can be reached at \(part): put the broadcaster's own address there "
            + "(it can print it with --advertise HOST:PORT)"
        )
      }
      if endpoints.contains(endpoint) { continue }
      guard endpoints.count < maximumEndpoints else {
        throw LinkError("the link names more than \(maximumEndpoints) hosts; leave some out")
      }
      endpoints.append(endpoint)
    }
    return endpoints
  }
}

/// Why a text is no link or no endpoint, as a sentence for the one who gave it.
public struct LinkError: Error, Hashable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
}

extension Link: CustomStringConvertible {
  /// The link as a user copies it; reading it gives an equal value.
  public var description: String {
    let start =
      "ppspp://" + endpoints.map(\.description).joined(separator: ",") + "/" + name.base64URL
      + "?cs=\(min(chunkSize, Int(UInt32.max)))&cam=\(addressing.rawValue)&cipm=\(integrity.rawValue)"
    switch name {
    case .content(let root): return start + "&mhf=\(root.function.rawValue)"
    case .live(let id):
      let widest = addressing.windowSize == 4 ? UInt64(UInt32.max) : .max
      let algorithm = integrity.isSigned ? "&lsa=\(id.algorithm.rawValue)" : ""
      return start + algorithm + "&ldw=\(min(window, widest))"
    }
  }
}

/// The parameters of a link, checked.
private struct Values {
  var chunkSize = 1024
  var addressing = ChunkAddressing.chunkRanges32
  var integrity = IntegrityMethod.signAll
  var function = HashFunction.sha256
  var algorithm: UInt64?
  var window = UInt64.max

  init(_ query: Substring) throws(LinkError) {
    var given: [String: UInt64] = [:]
    for pair in query.split(separator: "&") {
      let equals = pair.firstIndex(of: "=") ?? pair.endIndex
      let name = String(pair[..<equals])
      guard ["cs", "cam", "cipm", "mhf", "lsa", "ldw"].contains(name) else {
        throw LinkError(
          "the link has a parameter '\(excerpt(name))' that is not known; only cs, cam, cipm, mhf, lsa and ldw are"
        )
      }
      guard given[name] == nil else { throw LinkError("the link says \(name) twice; copy it again") }
      guard let value = number(pair[equals...].dropFirst()) else {
        throw LinkError("'\(excerpt(String(pair)))' in the link is no number; copy the link again")
      }
      given[name] = value
    }

    if given["cs"] == UInt64(UInt32.max) {
      chunkSize = WireFormat.variableChunkSize
    } else if let size = given["cs"] {
      guard size <= UInt64(Link.chunkSizes.upperBound), size > 0 else {
        throw LinkError(
          "the link says cs=\(size), but chunks of 1 to \(Link.chunkSizes.upperBound) bytes are supported"
        )
      }
      chunkSize = Int(size)
    }
    if let method = given["cam"] {
      guard let known = UInt8(exactly: method).flatMap(ChunkAddressing.init(rawValue:)) else {
        throw LinkError("the link says cam=\(method), but chunk addressing methods are 0 to 4; copy it again")
      }
      addressing = known
    }
    switch given["cipm"] {
    case 0: integrity = .none
    case 1: integrity = .merkleTree
    case 2: integrity = .signAll
    case 3: integrity = .unifiedMerkleTree
    case nil:
      throw LinkError(
        "the link does not say how its chunks are protected (cipm); "
          + "if the shell cut the link at an '&', put it in quotes"
      )
    case let method?:
      throw LinkError(
        "the link says cipm=\(method), but only content with cipm=1 (Merkle tree) and streams with cipm=2 (Sign All), "
          + "3 (Unified Merkle Tree) or 0 (no protection) can be had"
      )
    }
    guard chunkSize != WireFormat.variableChunkSize || integrity != .merkleTree else {
      throw LinkError(
        "the link says cs=4294967295, but content (cipm=1) has chunks of one size; copy it again"
      )
    }
    guard chunkSize != WireFormat.variableChunkSize || addressing != .byteRanges64 else {
      throw LinkError(
        "the link says cs=4294967295, but byte ranges (cam=1) cannot name chunks that vary in length; copy it again"
      )
    }
    if let name = integrity == .merkleTree ? ["lsa", "ldw"].first(where: { given[$0] != nil }) : nil {
      throw LinkError(
        "the link says \(name), which only streams have, and cipm=1, which they have not; copy it again"
      )
    }
    if let number = given["mhf"] {
      guard let known = UInt8(exactly: number).flatMap(HashFunction.init(rawValue:)) else {
        throw LinkError("the link says mhf=\(number), but hash functions are 0 to 4; copy it again")
      }
      guard integrity == .merkleTree || known == .sha256 else {
        throw LinkError("the link says mhf=\(number), but the trees of streams are of SHA-256 (mhf=2)")
      }
      function = known
    }
    algorithm = given["lsa"]
    if let chunks = given["ldw"] {
      guard chunks > 0 else { throw LinkError("the link says ldw=0, but a window holds at least one chunk") }
      guard addressing.windowSize == 8 || chunks <= UInt64(UInt32.max) else {
        throw LinkError("the link says ldw=\(chunks), which 32-bit chunk ranges (cam=2) cannot count")
      }
      window = chunks
    }
  }
}

extension Link.Endpoint {
  /// Reads `192.0.2.7:7574`, `[2001:db8::7]:7574` or `host.example:7574`.
  ///
  /// Throws one sentence on what is wrong. Addresses that mean "any" are read, and `isUnspecified`; port 0, which
  /// only a listener can ask for, is read when `allowsPortZero`.
  public init(
    _ text: some StringProtocol,
    defaultPort: UInt16 = Link.defaultPort,
    allowsPortZero: Bool = false
  ) throws(LinkError) {
    let text = Substring(text)
    var host = text
    var port = defaultPort
    let bracket = text.first == "[" ? text.firstIndex(of: "]") : nil
    if text.first == "[", bracket == nil {
      throw LinkError("'\(excerpt(text))' has no ']': write [ADDRESS]:PORT")
    }
    if let colon = text[(bracket ?? text.startIndex)...].firstIndex(of: ":") {
      host = text[..<colon]
      let digits = text[text.index(after: colon)...]
      guard !digits.contains(":") else {
        throw LinkError("'\(excerpt(text))' has too many colons: an IPv6 address is written [ADDRESS]:PORT")
      }
      guard let value = number(digits), let given = UInt16(exactly: value), given > 0 || allowsPortZero
      else {
        throw LinkError("'\(excerpt(text))' has no valid port: write HOST:PORT with a port of 1 to 65535")
      }
      port = given
    }
    if let bracket {
      guard text.index(after: bracket) == host.endIndex else {
        throw LinkError("'\(excerpt(text))' has something between ']' and the port: write [ADDRESS]:PORT")
      }
      guard let (high, low) = ipv6(text[text.index(after: text.startIndex)..<bracket]) else {
        throw LinkError("'\(excerpt(host))' is no IPv6 address")
      }
      self = .address(Address(ipv6: high, low, port: port))
      return
    }
    guard host.utf8.contains(where: { !(0x30...0x39 ~= $0 || $0 == 0x2E) }) || host.isEmpty else {
      guard let value = ipv4(host) else { throw LinkError("'\(excerpt(host))' is no IPv4 address") }
      self = .address(Address(ipv4: value, port: port))
      return
    }
    // RFC 1123, and the underscore that some networks use all the same.
    let labels = host.split(separator: ".", omittingEmptySubsequences: false)
    let isName = labels.allSatisfy { label in
      1...63 ~= label.utf8.count && label.first != "-" && label.last != "-"
        && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
    }
    guard isName, host.utf8.count <= 253 else {
      throw LinkError("'\(excerpt(text))' is no HOST:PORT")
    }
    self = .name(host.lowercased(), port: port)
  }

  public var port: UInt16 {
    switch self {
    case .address(let address): address.port ?? 0
    case .name(_, let port): port
    }
  }

  /// Whether it stands for every address of a host and can only be listened at, like `0.0.0.0`.
  public var isUnspecified: Bool {
    guard case .address(let address) = self else { return false }
    return address.bytes.dropLast(2).allSatisfy { $0 == 0 }
  }
}

extension Link.Endpoint: CustomStringConvertible {
  public var description: String {
    switch self {
    case .address(let address): address.description
    case .name(let host, let port): "\(host):\(port)"
    }
  }
}

/// The start of what a user typed, short enough for a sentence.
private func excerpt(_ text: some StringProtocol) -> String {
  text.utf8.count <= 60 ? String(text) : text.prefix(57) + "…"
}

/// Reads a number of digits only: no sign, no spaces, no overflow.
private func number(_ digits: Substring) -> UInt64? {
  guard 1...20 ~= digits.utf8.count, digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
  return UInt64(digits)
}

private func ipv4(_ text: Substring) -> UInt32? {
  let parts = text.split(separator: ".", omittingEmptySubsequences: false)
  guard parts.count == 4 else { return nil }
  var value: UInt32 = 0
  for part in parts {
    // A leading zero means octal to some readers.
    guard part.utf8.count <= 3, part == "0" || part.first != "0", let byte = number(part), byte <= 255 else {
      return nil
    }
    value = value << 8 | UInt32(byte)
  }
  return value
}

/// The halves of an IPv6 address (RFC 4291 section 2.2), without a zone.
private func ipv6(_ text: Substring) -> (UInt64, UInt64)? {
  func groups(_ text: Substring) -> [UInt16]? {
    guard !text.isEmpty else { return [] }
    var groups: [UInt16] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if index == parts.count - 1, part.contains(".") {
        guard let value = ipv4(part) else { return nil }
        groups += [UInt16(value >> 16), UInt16(truncatingIfNeeded: value)]
        continue
      }
      guard 1...4 ~= part.utf8.count, part.first != "+", part.first != "-",
        let group = UInt16(part, radix: 16)
      else { return nil }
      groups.append(group)
    }
    return groups
  }

  var all: [UInt16]
  if let gap = text.firstRange(of: "::") {
    let before = text[..<gap.lowerBound]
    // An IPv4 tail only ends an address.
    guard !before.contains("."), let left = groups(before), let right = groups(text[gap.upperBound...]),
      left.count + right.count <= 7
    else { return nil }
    all = left + Array(repeating: 0, count: 8 - left.count - right.count) + right
  } else {
    guard let groups = groups(text), groups.count == 8 else { return nil }
    all = groups
  }
  func half(_ groups: ArraySlice<UInt16>) -> UInt64 { groups.reduce(0) { $0 << 16 | UInt64($1) } }
  return (half(all[..<4]), half(all[4...]))
}
