/// The options of a HANDSHAKE by their code (RFC 7574, table 2).
public enum HandshakeOption: UInt8, Hashable, Sendable, CaseIterable {
  case version = 0
  case minimumVersion = 1
  case swarmID = 2
  case integrity = 3
  case merkleHash = 4
  case signatureAlgorithm = 5
  case addressing = 6
  case discardWindow = 7
  case supportedMessages = 8
  case chunkSize = 9
  case end = 255
}

/// How content is protected (RFC 7574, section 7.5).
public enum IntegrityMethod: UInt8, Hashable, Sendable, CaseIterable {
  /// For networks in which everybody is trusted (section 5); unassigned by erratum 4880.
  case none = 0
  case merkleTree = 1
  case signAll = 2
  case unifiedMerkleTree = 3

  /// Whether content is signed as it is made.
  public var isSigned: Bool { self == .signAll || self == .unifiedMerkleTree }
}

/// The hash function of a Merkle tree (RFC 7574, section 7.6).
public enum MerkleHash: UInt8, Hashable, Sendable, CaseIterable {
  case sha1 = 0
  case sha224 = 1
  case sha256 = 2
  case sha384 = 3
  case sha512 = 4

  /// Bytes of one hash.
  public var length: Int {
    switch self {
    case .sha1: 20
    case .sha224: 28
    case .sha256: 32
    case .sha384: 48
    case .sha512: 64
    }
  }
}

/// Which end of a channel sent a HANDSHAKE.
public enum HandshakeRole: Hashable, Sendable {
  case initiator
  case responder
}

/// The options of a HANDSHAKE as an owned value, to be written or kept.
public struct HandshakeOptions: Hashable, Sendable {
  /// The highest protocol version that the sender speaks.
  public var version: UInt8?
  public var minimumVersion: UInt8?
  public var swarmID: [UInt8]?
  public var integrity: IntegrityMethod?
  public var merkleHash: MerkleHash?
  /// A DNSSEC algorithm number.
  public var signatureAlgorithm: UInt8?
  public var addressing: ChunkAddressing?
  /// How many chunks (for byte ranges: bytes) the sender keeps; `UInt64.max` when it discards none.
  public var discardWindow: UInt64?
  /// The messages that the sender understands; nil means those of RFC 7574.
  public var supported: MessageSet?
  /// Bytes of a chunk, or `WireFormat.variableChunkSize`.
  public var chunkSize: Int?

  public init(
    version: UInt8? = 1,
    minimumVersion: UInt8? = nil,
    swarmID: [UInt8]? = nil,
    integrity: IntegrityMethod? = nil,
    merkleHash: MerkleHash? = nil,
    signatureAlgorithm: UInt8? = nil,
    addressing: ChunkAddressing? = nil,
    discardWindow: UInt64? = nil,
    supported: MessageSet? = nil,
    chunkSize: Int? = nil
  ) {
    self.version = version
    self.minimumVersion = minimumVersion
    self.swarmID = swarmID
    self.integrity = integrity
    self.merkleHash = merkleHash
    self.signatureAlgorithm = signatureAlgorithm
    self.addressing = addressing
    self.discardWindow = discardWindow
    self.supported = supported
    self.chunkSize = chunkSize
  }

  /// Copies what a peer sent.
  public init(_ view: borrowing HandshakeView) {
    self.init(
      version: view.version,
      minimumVersion: view.minimumVersion,
      integrity: view.integrity,
      merkleHash: view.merkleHash,
      signatureAlgorithm: view.signatureAlgorithm,
      addressing: view.addressing,
      discardWindow: view.discardWindow,
      supported: view.supported,
      chunkSize: view.chunkSize
    )
    if let bytes = view.swarmID { swarmID = unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
  }
}

extension WireFormat {
  /// Appends a HANDSHAKE (RFC 7574, section 8.4), which must be the first message of its datagram.
  ///
  /// A window that its addressing cannot express is written as "discards nothing".
  ///
  /// - Precondition: `source` is not 0, which closes; a swarm id has at most 65,535 bytes; a chunk size is positive and
  ///   below 2³²-1 or variable; a window comes with an addressing.
  public static func appendHandshake(
    source: UInt32,
    _ options: borrowing HandshakeOptions,
    to out: inout [UInt8]
  ) {
    precondition(source != 0, "a handshake from channel 0 closes the channel")
    appendHandshakeMessage(source: source, options, to: &out)
  }

  /// Appends the HANDSHAKE that closes a channel, with our version or without.
  public static func appendClosingHandshake(version: UInt8? = 1, to out: inout [UInt8]) {
    appendHandshakeMessage(source: 0, HandshakeOptions(version: version), to: &out)
  }

  private static func appendHandshakeMessage(
    source: UInt32,
    _ options: borrowing HandshakeOptions,
    to out: inout [UInt8]
  ) {
    out.append(MessageType.handshake)
    out.appendInteger(source)
    func append(_ option: HandshakeOption, _ value: UInt8?) {
      guard let value else { return }
      out.append(option.rawValue)
      out.append(value)
    }
    append(.version, options.version)
    append(.minimumVersion, options.minimumVersion)
    if let swarmID = options.swarmID {
      precondition(swarmID.count <= 0xFFFF, "a swarm id has at most 65,535 bytes")
      out.append(HandshakeOption.swarmID.rawValue)
      out.appendInteger(UInt16(swarmID.count))
      out.append(contentsOf: swarmID)
    }
    append(.integrity, options.integrity?.rawValue)
    append(.merkleHash, options.merkleHash?.rawValue)
    append(.signatureAlgorithm, options.signatureAlgorithm)
    append(.addressing, options.addressing?.rawValue)
    if let window = options.discardWindow {
      guard let addressing = options.addressing else {
        preconditionFailure("a discard window needs a chunk addressing method")
      }
      out.append(HandshakeOption.discardWindow.rawValue)
      if addressing.windowSize == 4 {
        out.appendInteger(UInt32(clamping: window))
      } else {
        out.appendInteger(window)
      }
    }
    if let supported = options.supported {
      out.append(HandshakeOption.supportedMessages.rawValue)
      out.append(UInt8(supported.bitmapSize))
      supported.appendBitmap(to: &out)
    }
    if let chunkSize = options.chunkSize {
      precondition(
        1..<0xFFFF_FFFF ~= chunkSize || chunkSize == WireFormat.variableChunkSize,
        "a chunk size fits 32 bits or is variable"
      )
      out.append(HandshakeOption.chunkSize.rawValue)
      out.appendInteger(UInt32(clamping: chunkSize))
    }
    out.append(HandshakeOption.end.rawValue)
  }
}
