/// A HANDSHAKE, read in place (RFC 7574, sections 7 and 8.4).
///
/// What is there is well formed: codes ascend, values are defined. What must be there is for the swarm to judge,
/// with `missingOption(from:)`.
public struct HandshakeView: ~Escapable {
  /// The channel that the sender has allocated; 0 closes the channel.
  public let source: UInt32
  /// The highest protocol version that the sender speaks.
  public private(set) var version: UInt8?
  public private(set) var minimumVersion: UInt8?
  public private(set) var integrity: IntegrityMethod?
  public private(set) var merkleHash: MerkleHash?
  /// A DNSSEC algorithm number.
  public private(set) var signatureAlgorithm: UInt8?
  public private(set) var addressing: ChunkAddressing?
  /// How many chunks (for byte ranges: bytes) the sender keeps; `UInt64.max` when it discards none.
  public private(set) var discardWindow: UInt64?
  /// The messages that the sender says it understands; nil means those of RFC 7574.
  public private(set) var supported: MessageSet?
  /// Bytes of a chunk, or `WireFormat.variableChunkSize`.
  public private(set) var chunkSize: Int?
  private let bytes: RawSpan
  private var swarmIDRange: Range<Int>?

  public var swarmID: RawSpan? {
    @_lifetime(copy self)
    get {
      guard let swarmIDRange else { return nil }
      return bytes.extracting(swarmIDRange)
    }
  }

  /// Whether the sender closes the channel.
  public var isClosing: Bool { source == 0 }

  /// The messages that the sender understands.
  public var understood: MessageSet { supported ?? .rfc7574 }

  /// The first option, by code, that the RFC demands and that is not there.
  ///
  /// Version, integrity method, addressing and chunk size are always demanded; minimum version and swarm id of an
  /// initiator; the Merkle hash for static content; the signature algorithm and the discard window for live content.
  /// A closing handshake lacks nothing.
  public func missingOption(from role: HandshakeRole) -> HandshakeOption? {
    if isClosing { return nil }
    if version == nil { return .version }
    if role == .initiator {
      if minimumVersion == nil { return .minimumVersion }
      if swarmID == nil { return .swarmID }
    }
    guard let integrity else { return .integrity }
    if integrity == .merkleTree && merkleHash == nil { return .merkleHash }
    if integrity.isSigned && signatureAlgorithm == nil { return .signatureAlgorithm }
    if addressing == nil { return .addressing }
    if integrity.isSigned && discardWindow == nil { return .discardWindow }
    return chunkSize == nil ? .chunkSize : nil
  }

  /// Reads what follows the type byte, the End option included.
  @usableFromInline
  @_lifetime(copy reader)
  init(from reader: inout ByteReader) throws(DecodeError) {
    bytes = reader.bytes
    source = try reader.read()
    var previous: HandshakeOption?
    while true {
      let code: UInt8 = try reader.read()
      guard let option = HandshakeOption(rawValue: code) else { throw .unknownOption(code) }
      if option == .end {
        if addressing == .byteRanges64 && chunkSize == WireFormat.variableChunkSize {
          throw .variableByteRanges
        }
        return
      }
      if let previous, previous.rawValue >= code {
        throw .optionOutOfOrder(code, after: previous.rawValue)
      }
      if source == 0 && option != .version { throw .closingWithOption(option) }
      previous = option
      switch option {
      case .version: version = try reader.read()
      case .minimumVersion: minimumVersion = try reader.read()
      case .swarmID:
        let length: UInt16 = try reader.read()
        let start = reader.offset
        _ = try reader.read(count: Int(length))
        swarmIDRange = start..<reader.offset
      case .integrity: integrity = try reader.readOption(option)
      case .merkleHash: merkleHash = try reader.readOption(option)
      case .signatureAlgorithm: signatureAlgorithm = try reader.read()
      case .addressing: addressing = try reader.readOption(option)
      case .discardWindow: discardWindow = try reader.readWindow(addressing)
      case .supportedMessages:
        let length: UInt8 = try reader.read()
        guard length <= MessageSet.maximumBitmapSize else {
          throw .invalidOption(option, value: UInt64(length))
        }
        supported = MessageSet(bitmap: try reader.read(count: Int(length)))
      case .chunkSize:
        let size: UInt32 = try reader.read()
        guard size > 0 else { throw .invalidOption(option, value: 0) }
        chunkSize = size == .max ? WireFormat.variableChunkSize : Int(size)
      case .end: return
      }
    }
  }
}

extension ByteReader {
  /// Reads one byte whose values a table defines.
  fileprivate mutating func readOption<Value: RawRepresentable<UInt8>>(
    _ option: HandshakeOption
  ) throws(DecodeError) -> Value {
    let byte: UInt8 = try read()
    guard let value = Value(rawValue: byte) else { throw .invalidOption(option, value: UInt64(byte)) }
    return value
  }

  fileprivate mutating func readWindow(_ addressing: ChunkAddressing?) throws(DecodeError) -> UInt64 {
    guard let addressing else { throw .windowWithoutAddressing }
    if addressing.windowSize == 8 { return try read() }
    let window: UInt32 = try read()
    return window == .max ? .max : UInt64(window)
  }
}
