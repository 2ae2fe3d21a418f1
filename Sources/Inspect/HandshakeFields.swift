internal import Integrity
internal import Wire

/// The options of a HANDSHAKE by name, with what they mean (RFC 7574, section 7).
enum HandshakeFields {
  static func fields(_ options: HandshakeOptions) -> [Field] {
    var fields: [Field] = []
    if let version = options.version {
      let least = options.minimumVersion.map { $0 == version ? "" : " (at least \($0))" } ?? ""
      fields.append(Field(key(.version), .unsigned(UInt64(version)), "version: \(version)\(least)"))
    }
    if let least = options.minimumVersion {
      let phrase = options.version == nil ? "\(name(.minimumVersion)): \(least)" : nil
      fields.append(Field(key(.minimumVersion), .unsigned(UInt64(least)), phrase))
    }
    if let id = options.swarmID {
      let text = self.text(of: id)
      let short = text.count > 20 ? "\(text.prefix(16))…" : text
      fields.append(Field(key(.swarmID), .text(text), "\(name(.swarmID)): \(short)"))
    }
    if let method = options.integrity {
      fields.append(coded(.integrity, method.rawValue, meaning(method)))
    }
    if let hash = options.merkleHash {
      fields.append(coded(.merkleHash, hash.rawValue, meaning(hash)))
    }
    if let number = options.signatureAlgorithm {
      let meaning = SignatureAlgorithm(rawValue: number)?.description ?? "unknown (\(number))"
      fields.append(coded(.signatureAlgorithm, number, meaning))
    }
    if let method = options.addressing {
      fields.append(coded(.addressing, method.rawValue, meaning(method)))
    }
    if let window = options.discardWindow {
      let unit = options.addressing == .byteRanges64 ? "byte" : "chunk"
      let phrase = window == .max ? "none, all is kept" : Figures.count(window, unit)
      fields.append(Field(key(.discardWindow), .unsigned(window), "\(name(.discardWindow)): \(phrase)"))
    }
    if let set = options.supported {
      let types = (UInt8.min...UInt8.max).filter { set.contains($0) }
      let value = Field.Value.list(types.map { .unsigned(UInt64($0)) })
      fields.append(Field(key(.supportedMessages), value, "messages: \(meaning(types))"))
    }
    if let size = options.chunkSize {
      let phrase = size == WireFormat.variableChunkSize ? "variable" : Figures.count(size, "byte")
      let value = size == WireFormat.variableChunkSize ? UInt64(UInt32.max) : UInt64(size)
      fields.append(Field(key(.chunkSize), .unsigned(value), "\(name(.chunkSize)): \(phrase)"))
    }
    return fields
  }

  /// A live swarm's id as in a link, that of a static one as the hexadecimal digits of its root hash.
  static func text(of swarmID: [UInt8]) -> String {
    (try? SwarmID(swarmID))?.base64URL ?? Figures.hex(swarmID)
  }

  /// The option for programs.
  static func key(_ option: HandshakeOption) -> String {
    switch option {
    case .version: "version"
    case .minimumVersion: "minimum_version"
    case .swarmID: "swarm_id"
    case .integrity: "content_integrity"
    case .merkleHash: "merkle_hash"
    case .signatureAlgorithm: "signature_algorithm"
    case .addressing: "chunk_addressing"
    case .discardWindow: "discard_window"
    case .supportedMessages: "supported_messages"
    case .chunkSize: "chunk_size"
    case .end: "end"
    }
  }

  /// The option for a person.
  static func name(_ option: HandshakeOption) -> String {
    switch option {
    case .swarmID: "swarm ID"
    case .merkleHash: "Merkle hash"
    default: key(option).replacing("_", with: " ")
    }
  }

  private static func coded(_ option: HandshakeOption, _ code: UInt8, _ meaning: String) -> Field {
    let value = Field.Value.object([
      Field("code", .unsigned(UInt64(code))), Field("meaning", .text(meaning)),
    ])
    return Field(key(option), value, "\(name(option)): \(meaning)")
  }

  private static func meaning(_ method: IntegrityMethod) -> String {
    switch method {
    case .none: "none"
    case .merkleTree: "Merkle hash tree"
    case .signAll: "Sign All"
    case .unifiedMerkleTree: "Unified Merkle Tree"
    }
  }

  private static func meaning(_ hash: MerkleHash) -> String {
    switch hash {
    case .sha1: "SHA-1"
    case .sha224: "SHA-224"
    case .sha256: "SHA-256"
    case .sha384: "SHA-384"
    case .sha512: "SHA-512"
    }
  }

  private static func meaning(_ method: ChunkAddressing) -> String {
    switch method {
    case .bins32: "32-bit bins"
    case .byteRanges64: "64-bit byte ranges"
    case .chunkRanges32: "32-bit chunk ranges"
    case .bins64: "64-bit bins"
    case .chunkRanges64: "64-bit chunk ranges"
    }
  }

  /// `all of RFC 7574 but INTEGRITY, CANCEL; and ours`.
  private static func meaning(_ types: [UInt8]) -> String {
    let standard = MessageType.handshake...MessageType.pexCertificate
    let lacking = standard.filter { !types.contains($0) }
    let others = types.filter { !standard.contains($0) && $0 != Message.extensionType }
    var text = lacking.count == standard.count ? "none of RFC 7574" : "all of RFC 7574"
    if !lacking.isEmpty, lacking.count < standard.count {
      text += " but " + lacking.compactMap { MessageKind(type: $0)?.label }.joined(separator: ", ")
    }
    if types.contains(Message.extensionType) { text += "; and Freshet's (\(Message.extensionType))" }
    if !others.isEmpty { text += "; and " + others.map { String($0) }.joined(separator: ", ") }
    return text
  }
}
