/// Finds the end of the first access unit that a decoder can begin with.
struct FirstFrame {
  /// More than any program's tables name.
  private static let streamLimit = 64

  private enum State {
    case awaitingTables
    case awaitingMap(UInt16)
    case awaitingUnit(UInt16)
    case inUnit(UInt16, remaining: Int?)
    case complete
  }

  private var state = State.awaitingTables
  /// The packet identifier of the video, or of the first stream where there is none; nil before the tables came.
  private(set) var stream: UInt16?
  /// Bytes of the access unit, its PES header included.
  private(set) var byteCount = 0

  /// Takes the next bytes of the output, in whole packets.
  ///
  /// - Returns: true once, when the unit has become complete.
  mutating func append(_ bytes: RawSpan) -> Bool {
    if case .complete = state { return false }
    var offset = 0
    while let header = PacketHeader(bytes, at: offset) {
      defer { offset += TransportStream.packetSize }
      if take(header, bytes, at: offset) {
        state = .complete
        return true
      }
    }
    return false
  }

  /// Where the last access unit begins in these bytes, in whole packets; nil when none begins in them.
  func lastUnit(_ bytes: RawSpan) -> Int? {
    guard let stream else { return nil }
    var offset = bytes.byteCount / TransportStream.packetSize * TransportStream.packetSize
    while offset >= TransportStream.packetSize {
      offset -= TransportStream.packetSize
      if let header = PacketHeader(bytes, at: offset), header.identifier == stream, header.startsPayload {
        return offset
      }
    }
    return nil
  }

  private mutating func take(_ header: PacketHeader, _ bytes: RawSpan, at offset: Int) -> Bool {
    let payload = header.payload.lowerBound + offset..<header.payload.upperBound + offset
    switch state {
    case .awaitingTables:
      guard header.identifier == 0, header.startsPayload, let map = Self.map(bytes, payload) else { break }
      state = .awaitingMap(map)
    case .awaitingMap(let map):
      guard header.identifier == map, header.startsPayload, let stream = Self.stream(bytes, payload) else {
        break
      }
      self.stream = stream
      state = .awaitingUnit(stream)
    case .awaitingUnit(let stream):
      guard header.identifier == stream, header.startsPayload, header.isRandomAccess, payload.count >= 6
      else {
        break
      }
      let length =
        Int(bytes.byte(at: payload.lowerBound + 4)) << 8 | Int(bytes.byte(at: payload.lowerBound + 5))
      byteCount = payload.count
      let remaining = length == 0 ? nil : length + 6 - payload.count
      state = .inUnit(stream, remaining: remaining)
      return remaining.map { $0 <= 0 } ?? false
    case .inUnit(let stream, let remaining):
      guard header.identifier == stream else { break }
      if header.startsPayload { return true }
      byteCount += payload.count
      let rest = remaining.map { $0 - payload.count }
      state = .inUnit(stream, remaining: rest)
      // A unit of unknown length ends with a packet that had to be filled up.
      return rest.map { $0 <= 0 } ?? header.isStuffed
    case .complete: break
    }
    return false
  }

  /// The packet identifier of the first program's map.
  private static func map(_ bytes: RawSpan, _ payload: Range<Int>) -> UInt16? {
    guard let section = section(bytes, payload, table: 0) else { return nil }
    var position = section.lowerBound + 8
    while position + 4 <= section.upperBound - 4 {
      let program = UInt16(bytes.byte(at: position)) << 8 | UInt16(bytes.byte(at: position + 1))
      if program != 0 { return identifier(bytes, position + 2) }
      position += 4
    }
    return nil
  }

  /// The packet identifier of the program's video, or of its first stream.
  private static func stream(_ bytes: RawSpan, _ payload: Range<Int>) -> UInt16? {
    guard let section = section(bytes, payload, table: 2), section.count >= 16 else { return nil }
    var position = section.lowerBound + 12 + length(bytes, section.lowerBound + 10)
    var first: UInt16?
    var count = 0
    while position + 5 <= section.upperBound - 4, count < streamLimit {
      let found = identifier(bytes, position + 1)
      switch bytes.byte(at: position) {
      case 0x01, 0x02, 0x10, 0x1b, 0x24, 0x33: return found
      default: first = first ?? found
      }
      position += 5 + length(bytes, position + 3)
      count += 1
    }
    return first
  }

  /// Where the section lies that begins in this payload; nil when it is not whole or another table.
  private static func section(_ bytes: RawSpan, _ payload: Range<Int>, table: UInt8) -> Range<Int>? {
    guard let pointer = payload.first else { return nil }
    let start = pointer + 1 + Int(bytes.byte(at: pointer))
    guard start + 3 <= payload.upperBound, bytes.byte(at: start) == table else { return nil }
    let end = start + 3 + length(bytes, start + 1)
    guard end <= payload.upperBound, end - start >= 12 else { return nil }
    return start..<end
  }

  private static func identifier(_ bytes: RawSpan, _ offset: Int) -> UInt16 {
    UInt16(bytes.byte(at: offset) & 0x1f) << 8 | UInt16(bytes.byte(at: offset + 1))
  }

  private static func length(_ bytes: RawSpan, _ offset: Int) -> Int {
    Int(bytes.byte(at: offset) & 0x0f) << 8 | Int(bytes.byte(at: offset + 1))
  }
}
