import Testing
import Wire

@Suite struct HandshakeTests {
  /// Everything that an initiator of a live swarm says.
  static let live = HandshakeOptions(
    minimumVersion: 1,
    swarmID: [13, 1, 2, 3],
    integrity: .signAll,
    signatureAlgorithm: 13,
    addressing: .chunkRanges32,
    discardWindow: 12_000,
    chunkSize: 1316
  )

  /// Reads a handshake from channel 1 with these option bytes.
  func read(_ options: [UInt8], source: UInt8 = 1) throws -> OwnedDatagram {
    try OwnedDatagram(reading: [0, 0, 0, 0, 0, 0, 0, 0, source] + options, WireFormat())
  }

  func options(_ bytes: [UInt8]) throws -> HandshakeOptions? {
    guard case .handshake(_, let options)? = try read(bytes).messages.first else { return nil }
    return options
  }

  func write(_ options: HandshakeOptions) -> [UInt8] {
    var out: [UInt8] = []
    WireFormat.appendHandshake(source: 1, options, to: &out)
    return out
  }

  func missing(_ options: HandshakeOptions, _ role: HandshakeRole) throws -> HandshakeOption? {
    let bytes = [0, 0, 0, 0] + write(options)
    var reader = try DatagramReader(bytes.span)
    guard case .handshake(let view)? = try reader.next(WireFormat()) else { return .end }
    return view.missingOption(from: role)
  }

  @Test func `every option has its place`() {
    var all = Self.live
    all.merkleHash = .sha256
    all.supported = .rfc7574
    #expect(
      write(all) == [
        0, 0, 0, 0, 1,
        0, 1,
        1, 1,
        2, 0, 4, 13, 1, 2, 3,
        3, 2,
        4, 2,
        5, 13,
        6, 2,
        7, 0, 0, 0x2E, 0xE0,
        8, 2, 0xFF, 0xFC,
        9, 0, 0, 0x05, 0x24,
        255,
      ]
    )
  }

  @Test func `options must ascend`() throws {
    #expect(try read([0, 1, 3, 1, 1, 1, 255]).error == .optionOutOfOrder(1, after: 3))
    #expect(try read([1, 1, 0, 1, 255]).error == .optionOutOfOrder(0, after: 1))
  }

  @Test(arguments: [0, 1, 3, 4, 5, 6] as [UInt8])
  func `an option stands once`(code: UInt8) throws {
    #expect(try read([code, 1, code, 1, 255]).error == .optionOutOfOrder(code, after: code))
  }

  @Test(arguments: (10...254).map { UInt8($0) })
  func `an unknown option is refused`(code: UInt8) throws {
    #expect(try read([0, 1, code, 0, 255]).error == .unknownOption(code))
  }

  @Test func `a list without its end is truncated`() throws {
    #expect(try read([0, 1]).error == .truncated(offset: 11, needed: 1, available: 0))
    #expect(try read([0, 1, 2, 0, 9, 1]).error == .truncated(offset: 14, needed: 9, available: 1))
  }

  @Test func `values without a meaning are refused`() throws {
    #expect(try read([3, 4, 255]).error == .invalidOption(.integrity, value: 4))
    #expect(try read([4, 5, 255]).error == .invalidOption(.merkleHash, value: 5))
    #expect(try read([6, 5, 255]).error == .invalidOption(.addressing, value: 5))
    #expect(try read([8, 33, 255]).error == .invalidOption(.supportedMessages, value: 33))
    #expect(try read([9, 0, 0, 0, 0, 255]).error == .invalidOption(.chunkSize, value: 0))
  }

  @Test(arguments: ChunkAddressing.allCases)
  func `the discard window is as wide as the addressing says`(addressing: ChunkAddressing) throws {
    let wide = [ChunkAddressing.byteRanges64, .bins64, .chunkRanges64].contains(addressing)
    let zeros = [UInt8](repeating: 0, count: wide ? 7 : 3)
    let read = try options([6, addressing.rawValue, 7] + zeros + [9, 255])
    #expect(read?.addressing == addressing)
    #expect(read?.discardWindow == 9)
    let ones = [UInt8](repeating: 0xFF, count: wide ? 8 : 4)
    #expect(try options([6, addressing.rawValue, 7] + ones + [255])?.discardWindow == .max)
  }

  @Test func `a discard window needs an addressing before it`() throws {
    #expect(try read([0, 1, 7, 0, 0, 0, 1, 255]).error == .windowWithoutAddressing)
  }

  @Test func `a window that 32 bits cannot say discards nothing`() {
    var options = Self.live
    options.discardWindow = 1 << 40
    let same = options
    options.discardWindow = .max
    #expect(write(same) == write(options))
  }

  @Test func `a chunk size of all ones is variable`() throws {
    #expect(try options([9, 0xFF, 0xFF, 0xFF, 0xFF, 255])?.chunkSize == WireFormat.variableChunkSize)
    #expect(try options([9, 0xFF, 0xFF, 0xFF, 0xFE, 255])?.chunkSize == 0xFFFF_FFFE)
  }

  // MARK: Closing (section 8.4)

  @Test func `a handshake from channel 0 closes, with a version or without`() throws {
    let bare = try read([255], source: 0)
    #expect(bare.messages == [.handshake(source: 0, HandshakeOptions(version: nil))])
    let versioned = try read([0, 1, 255], source: 0)
    #expect(versioned.messages == [.handshake(source: 0, HandshakeOptions(version: 1))])
    var out: [UInt8] = []
    WireFormat.appendClosingHandshake(to: &out)
    #expect(out == [0, 0, 0, 0, 0, 0, 1, 255])
    #expect(try read([0, 1, 3, 2, 255], source: 0).error == .closingWithOption(.integrity))
  }

  // MARK: Mandatory options (section 7)

  @Test func `what an initiator of a live swarm must say`() throws {
    #expect(try missing(Self.live, .initiator) == nil)
    #expect(try missing(with(\.version, nil), .initiator) == .version)
    #expect(try missing(with(\.minimumVersion, nil), .initiator) == .minimumVersion)
    #expect(try missing(with(\.swarmID, nil), .initiator) == .swarmID)
    #expect(try missing(with(\.integrity, nil), .initiator) == .integrity)
    #expect(try missing(with(\.signatureAlgorithm, nil), .initiator) == .signatureAlgorithm)
    #expect(try missing(with(\.discardWindow, nil), .initiator) == .discardWindow)
    #expect(try missing(with(\.chunkSize, nil), .initiator) == .chunkSize)
    var bare = Self.live
    bare.addressing = nil
    bare.discardWindow = nil
    #expect(try missing(bare, .initiator) == .addressing)
  }

  @Test func `a responder needs neither minimum version nor swarm id`() throws {
    var options = Self.live
    options.minimumVersion = nil
    options.swarmID = nil
    #expect(try missing(options, .responder) == nil)
    options.version = nil
    #expect(try missing(options, .responder) == .version)
  }

  @Test func `static content needs a hash function and no window`() throws {
    var options = HandshakeOptions(integrity: .merkleTree, addressing: .chunkRanges32, chunkSize: 1024)
    #expect(try missing(options, .responder) == .merkleHash)
    options.merkleHash = .sha256
    #expect(try missing(options, .responder) == nil)
  }

  func with<Value>(
    _ option: WritableKeyPath<HandshakeOptions, Value>,
    _ value: Value
  ) -> HandshakeOptions {
    var options = Self.live
    options[keyPath: option] = value
    return options
  }

  // MARK: Supported messages (section 7.10)

  @Test func `all but ACK and PEX are the bits that the RFC prints`() throws {
    let set = MessageSet([0, 1, 3, 4, 7, 8, 9, 10, 11])
    var options = HandshakeOptions()
    options.supported = set
    #expect(write(options) == [0, 0, 0, 0, 1, 0, 1, 8, 2, 0b1101_1001, 0b1111_0000, 255])
    #expect(try self.options([8, 2, 0xD9, 0xF0, 255])?.supported == set)
    #expect(try self.options([8, 4, 0xD9, 0xF0, 0, 0, 255])?.supported == set)
  }

  @Test func `a peer that does not say understands the messages of the RFC`() throws {
    let bytes = [0, 0, 0, 0] + write(HandshakeOptions())
    var reader = try DatagramReader(bytes.span)
    guard case .handshake(let view)? = try reader.next(WireFormat()) else {
      Issue.record("no handshake")
      return
    }
    let understood = view.understood
    #expect((0...255).filter { understood.contains($0) } == Array(0...13))
    let says = view.supported != nil
    #expect(!says)
  }

  @Test func `the extension has its bit`() throws {
    var set = MessageSet.rfc7574
    set.insert(Message.extensionType)
    var options = HandshakeOptions()
    options.supported = set
    #expect(write(options) == [0, 0, 0, 0, 1, 0, 1, 8, 3, 0xFF, 0xFC, 0x01, 255])
    #expect(
      try self.options([8, 3, 0xFF, 0xFC, 0x01, 255])?.supported?.contains(Message.extensionType) == true
    )
    set.remove(Message.extensionType)
    #expect(set == .rfc7574)
  }

  @Test func `every type has a bit of its own`() throws {
    for type in UInt8.min...UInt8.max {
      let set = MessageSet(CollectionOfOne(type))
      #expect(set.contains(type))
      #expect((0...255).count { set.contains($0) } == 1)
      var options = HandshakeOptions(version: nil)
      options.supported = set
      let bitmap = [UInt8](repeating: 0, count: Int(type / 8)) + [0x80 >> (type % 8)]
      #expect(write(options) == [0, 0, 0, 0, 1, 8, type / 8 + 1] + bitmap + [255])
      #expect(try self.options([8, type / 8 + 1] + bitmap + [255])?.supported == set)
    }
    #expect(try options([8, 0, 255])?.supported?.isEmpty == true)
  }
}
