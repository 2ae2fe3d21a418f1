import Testing
import Wire

/// What RFC 7574 says of datagrams beyond the layout of each message.
@Suite struct DatagramTests {
  static let format = WireFormat(signatureLength: 4, hashLength: 2, chunkSize: 8)
  static let header: [UInt8] = [0, 0, 0, 7]

  func read(_ bytes: [UInt8], _ format: WireFormat = format) throws -> OwnedDatagram {
    try OwnedDatagram(reading: Self.header + bytes, format)
  }

  @Test func `a channel number alone is a keep-alive`() throws {
    var bytes: [UInt8] = []
    WireFormat.appendKeepAlive(0xDEAD_BEEF, to: &bytes)
    #expect(bytes == [0xDE, 0xAD, 0xBE, 0xEF])
    let reader = try DatagramReader(bytes.span)
    let alive = reader.isKeepAlive
    let destination = reader.destination
    #expect(alive && destination == 0xDEAD_BEEF)
    let more = try DatagramReader((bytes + [6]).span).isKeepAlive
    #expect(!more)
  }

  @Test(arguments: (14...255).map { UInt8($0) })
  func `an unknown type ends the datagram and what came before stands`(type: UInt8) throws {
    let datagram = try read([10, type, 11])
    #expect(datagram.messages == [.choke])
    #expect(datagram.error == .unknownMessage(type, offset: 5))
  }

  @Test func `an extension is read only where it was agreed on`() throws {
    let bytes: [UInt8] = [Message.extensionType, 0, 2, 9, 0xAA, 0xBB, 10]
    #expect(try read(bytes).error == .unknownMessage(Message.extensionType, offset: 4))
    var format = Self.format
    format.allowsExtensions = true
    #expect(try read(bytes, format).messages == [.extensionMessage(kind: 9, body: [0xAA, 0xBB]), .choke])
    #expect(!(14...20).contains(Message.extensionType))
  }

  @Test func `nothing is read behind an error`() throws {
    let bytes = Self.header + [3, 0, 0, 0, 2, 0, 0, 0, 1, 10]
    var reader = try DatagramReader(bytes.span)
    var error: DecodeError?
    do throws(DecodeError) { _ = try reader.next(Self.format) } catch let thrown { error = thrown }
    #expect(error == .reversedRange(first: 2, last: 1))
    let ended = try reader.next(Self.format) == nil
    #expect(ended)
  }

  @Test func `a handshake is the first message or none`() throws {
    let datagram = try read([10, 0, 0, 0, 0, 1, 255])
    #expect(datagram.messages == [.choke])
    #expect(datagram.error == .handshakeNotFirst(offset: 5))
  }

  @Test func `hashes and signatures of no known length are refused`() throws {
    let plain = WireFormat(chunkSize: 8)
    #expect(try read([4, 0, 0, 0, 1, 0, 0, 0, 1], plain).error == .unexpectedMessage(4, offset: 4))
    #expect(try read([7, 0, 0, 0, 1, 0, 0, 0, 1], plain).error == .unexpectedMessage(7, offset: 4))
  }

  @Test func `a range over all numbers is read and counted without overflow`() throws {
    let format = WireFormat(addressing: .chunkRanges64)
    let all = try read([3] + [UInt8](repeating: 0, count: 8) + [UInt8](repeating: 0xFF, count: 8), format)
    #expect(all.messages == [.have(0...(.max))])
    #expect((0...UInt64.max).chunkCount == .max)
    #expect((5...UInt64(5)).chunkCount == 1)
  }

  // MARK: DATA (section 8.6)

  /// DATA for one chunk with this payload.
  func data(_ chunk: UInt8, _ payload: [UInt8]) -> [UInt8] {
    [1, 0, 0, 0, chunk, 0, 0, 0, chunk, 0, 0, 0, 0, 0, 0, 0, 1] + payload
  }

  let full: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]

  @Test(arguments: 0...8)
  func `one DATA takes the rest of the datagram`(count: Int) throws {
    let payload = Array(full.prefix(count))
    let datagram = try read([10] + data(3, payload))
    #expect(datagram.messages == [.choke, .data(3...3, timestamp: 1, payload: payload)])
    #expect(datagram.error == nil)
  }

  @Test(arguments: 9...40)
  func `DATA with more than a chunk is refused`(count: Int) throws {
    let datagram = try read(data(3, [UInt8](repeating: 5, count: count)))
    #expect(datagram.messages.isEmpty)
    #expect(datagram.error == .dataTooLong(length: count, chunkSize: 8))
  }

  @Test func `DATA of variable length takes whatever there is`() throws {
    let payload = [UInt8](repeating: 1, count: 9_000)
    let datagram = try read(data(3, payload), WireFormat())
    #expect(datagram.messages == [.data(3...3, timestamp: 1, payload: payload)])
  }

  @Test func `several full chunks share a datagram`() throws {
    let signed: [UInt8] = [7, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2, 1, 1, 1, 1]
    let datagram = try read(data(3, full) + data(4, full) + signed + data(5, full))
    #expect(
      datagram.messages == [
        .data(3...3, timestamp: 1, payload: full),
        .data(4...4, timestamp: 1, payload: full),
        .signedIntegrity(5...5, timestamp: 2, signature: [1, 1, 1, 1]),
        .data(5...5, timestamp: 1, payload: full),
      ]
    )
    #expect(datagram.error == nil)
  }

  @Test func `a short chunk cannot be one of several`() throws {
    let bytes = data(3, full) + [4, 0, 0, 0, 4, 0, 0, 0, 4, 9, 9] + data(4, Array(full.dropLast()))
    let datagram = try read(bytes)
    #expect(datagram.messages.count == 2)
    #expect(datagram.error == .dataTooShort(length: 7, chunkSize: 8))
  }

  @Test func `something after DATA that is no DATA is refused`() throws {
    let hash: [UInt8] = [4, 0, 0, 0, 4, 0, 0, 0, 4, 9, 9]
    let datagram = try read(data(3, full) + hash + hash + hash)
    #expect(datagram.messages.count == 4)
    #expect(datagram.error == .dataTooShort(length: 0, chunkSize: 8))
    let have: [UInt8] = [3, 0, 0, 0, 1, 0, 0, 0, 1]
    #expect(
      try read(data(3, full) + have + data(4, full)).error == .dataTooLong(length: 42, chunkSize: 8)
    )
  }

  @Test func `DATA names one chunk`() throws {
    var bytes = data(3, full)
    bytes[8] = 4
    #expect(try read(bytes).error == .notOneChunk(first: 3, last: 4))
  }

  // MARK: Sizes

  @Test func `a signed chunk of seven transport packets keeps the byte budget`() {
    let format = WireFormat(addressing: .chunkRanges32, signatureLength: 64, chunkSize: 7 * 188)
    #expect(format.signedIntegritySize == 81)
    #expect(format.dataHeaderSize == 17)
    func total(_ format: WireFormat) -> Int {
      WireFormat.channelSize + format.signedIntegritySize + format.dataHeaderSize + format.chunkSize
    }
    #expect(total(format) == 1_418)
    #expect(total(WireFormat(addressing: .chunkRanges64, signatureLength: 64, chunkSize: 7 * 188)) == 1_434)
  }

  @Test(arguments: WireFormat.samples)
  func `sizes are those of what is written`(format: WireFormat) {
    func size(_ message: OwnedMessage) -> Int {
      var out: [UInt8] = []
      message.append(to: &out, format)
      return out.count
    }
    #expect(size(.have(2...3)) == format.haveSize)
    #expect(size(.request(2...3)) == format.haveSize)
    #expect(size(.cancel(2...3)) == format.haveSize)
    #expect(size(.have(1...6)) == format.haveSize(1...6))
    #expect(format.haveSize(1...6) == format.haveSize * (format.addressing.usesBins ? 4 : 1))
    #expect(size(.ack(2...3, delay: 3)) == format.ackSize)
    #expect(size(.data(1...1, timestamp: 3, payload: [7])) == format.dataHeaderSize + 1)
    let hash = [UInt8](repeating: 0, count: format.hashLength)
    #expect(size(.integrity(2...3, hash: hash)) == format.integritySize)
    let signature = [UInt8](repeating: 0, count: format.signatureLength)
    #expect(size(.signedIntegrity(2...3, timestamp: 0, signature: signature)) == format.signedIntegritySize)
  }

  // MARK: What we do wrong

  @Test func `a chunk number too large for the addressing ends the process`() async {
    await #expect(processExitsWith: .failure) {
      var out: [UInt8] = []
      WireFormat(addressing: .chunkRanges32).appendHave(0...0x1_0000_0000, to: &out)
    }
    await #expect(processExitsWith: .failure) {
      var out: [UInt8] = []
      WireFormat(addressing: .bins32).appendHave(0...0x8000_0000, to: &out)
    }
  }
}
