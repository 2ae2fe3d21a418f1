import Support
import Testing
import Wire

@Suite struct RoundTripTests {
  @Test(arguments: 0..<32 as Range<UInt64>)
  func `what is written is read back`(seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    for format in WireFormat.samples {
      for _ in 0..<20 {
        let datagram = OwnedDatagram.random(format, using: &generator)
        let bytes = datagram.bytes(format)
        try #require(try OwnedDatagram(reading: bytes, format) == datagram, "seed \(seed), \(format)")
      }
    }
  }

  @Test(arguments: 0..<32 as Range<UInt64>)
  func `a datagram cut anywhere ends at the cut`(seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    for format in WireFormat.samples {
      try expectTruncation(OwnedDatagram.random(format, using: &generator).bytes(format), format)
    }
  }

  @Test(arguments: 0..<32 as Range<UInt64>)
  func `altered bytes are read as themselves or refused`(seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    for format in WireFormat.samples {
      let original = OwnedDatagram.random(format, using: &generator).bytes(format)
      for _ in 0..<16 {
        var bytes = original
        for _ in 0...Int.random(in: 0..<4, using: &generator) {
          let index = Int.random(in: 0..<bytes.count, using: &generator)
          bytes[index] = .random(in: 0...(.max), using: &generator)
        }
        for format in WireFormat.samples { try expectFaithful(bytes, format, "seed \(seed)") }
      }
    }
  }

  @Test(arguments: 0..<32 as Range<UInt64>)
  func `noise is read as itself or refused`(seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    for _ in 0..<50 {
      let bytes = [UInt8].random(.random(in: 4...200, using: &generator), using: &generator)
      for format in WireFormat.samples { try expectFaithful(bytes, format, "seed \(seed)") }
    }
  }

  @Test func `a datagram of 65,535 bytes is read like any other`() throws {
    let format = WireFormat(addressing: .chunkRanges64)
    var chunk = OwnedDatagram(destination: 1, [.data(9...9, timestamp: 2, payload: [])])
    let header = chunk.bytes(format).count
    chunk.messages = [
      .data(9...9, timestamp: 2, payload: [UInt8](repeating: 8, count: 65_535 - header))
    ]
    #expect(try OwnedDatagram(reading: chunk.bytes(format), format) == chunk)
    let haves = OwnedDatagram(destination: 1, [OwnedMessage](repeating: .have(1...2), count: 3_854))
    #expect(try OwnedDatagram(reading: haves.bytes(format), format) == haves)
    let handshake = OwnedDatagram(
      destination: 0,
      [.handshake(source: 1, HandshakeOptions(swarmID: [UInt8](repeating: 4, count: 65_500)))]
    )
    #expect(try OwnedDatagram(reading: handshake.bytes(format), format) == handshake)
  }

  /// What can be read of `bytes` writes to the same bytes.
  ///
  /// Lost are zeros at the end of a bitmap, messages about no chunks, and that a byte range ends inside its last chunk.
  func expectFaithful(_ bytes: [UInt8], _ format: WireFormat, _ comment: Comment) throws {
    let datagram = try OwnedDatagram(reading: bytes, format)
    let again = datagram.bytes(format)
    if bytes.starts(with: again), datagram.error != nil || again.count == bytes.count { return }
    let hasBitmap =
      if case .handshake(_, let options)? = datagram.messages.first { options.supported != nil } else {
        false
      }
    let ones = [UInt8](repeating: 0xFF, count: format.addressing.specificationSize)
    let namesNone = format.addressing.usesBins && !bytes.ranges(of: ones).isEmpty
    guard hasBitmap || namesNone || format.addressing == .byteRanges64 else {
      Issue.record("changed on the way: \(bytes) under \(format), \(comment)")
      return
    }
    var expected = datagram
    expected.error = nil
    #expect(try OwnedDatagram(reading: again, format) == expected, comment)
  }
}

/// Cuts a well-formed datagram at every length: what stands before the cut is read, and nothing else.
func expectTruncation(_ bytes: [UInt8], _ format: WireFormat) throws {
  let whole = try OwnedDatagram(reading: bytes, format)
  try #require(whole.error == nil)
  var ends: [Int] = [WireFormat.channelSize]
  var reader = try DatagramReader(bytes.span)
  while let _ = try reader.next(format) { ends.append(reader.offset) }

  for length in 0..<bytes.count {
    let cut = Array(bytes.prefix(length))
    guard length >= WireFormat.channelSize else {
      #expect(throws: DecodeError.truncated(offset: 0, needed: 4, available: length)) {
        try OwnedDatagram(reading: cut, format)
      }
      continue
    }
    let read = try OwnedDatagram(reading: cut, format)
    let complete = ends.count { $0 <= length } - 1
    try #require(read.destination == whole.destination)
    try #require(read.messages.prefix(complete) == whole.messages.prefix(complete))
    if ends[complete] == length {
      try #require(read.messages.count == complete && read.error == nil)
    } else if case .data(let chunks, let timestamp, let payload) = whole.messages[complete],
      length >= ends[complete] + format.dataHeaderSize
    {
      // DATA has no length on the wire, unless it names its bytes: a shorter one is a shorter chunk.
      let shorter = Array(payload.prefix(length - ends[complete] - format.dataHeaderSize))
      if format.addressing == .byteRanges64 {
        let named = UInt64(payload.count)
        try #require(read.error == .dataOfOtherLength(length: shorter.count, named: named))
        continue
      }
      try #require(read.messages.last == .data(chunks, timestamp: timestamp, payload: shorter))
      try #require(read.error == nil)
    } else {
      try #require(read.messages.count == complete)
      guard case .truncated(let offset, let needed, let available)? = read.error else {
        Issue.record("cut at \(length): \(String(describing: read.error))")
        return
      }
      try #require(offset > ends[complete] && offset + available == length && needed > available)
    }
  }
}
