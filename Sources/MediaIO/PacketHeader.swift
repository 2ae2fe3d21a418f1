/// The header of one transport packet and what its adaptation field says.
struct PacketHeader {
  let identifier: UInt16
  let startsPayload: Bool
  let isDamaged: Bool
  let isRandomAccess: Bool
  let isDiscontinuity: Bool
  let hasClock: Bool
  let isStuffed: Bool
  let continuity: UInt8
  /// Where the payload lies within the packet; empty when the packet has none.
  let payload: Range<Int>

  /// Reads the packet at `offset`; nil when it is not whole or has no sync byte.
  init?(_ bytes: RawSpan, at offset: Int) {
    let size = TransportStream.packetSize
    guard offset >= 0, offset <= bytes.byteCount - size, bytes.byte(at: offset) == TransportStream.syncByte
    else { return nil }
    let second = bytes.byte(at: offset + 1)
    let fourth = bytes.byte(at: offset + 3)
    identifier = UInt16(second & 0x1f) << 8 | UInt16(bytes.byte(at: offset + 2))
    isDamaged = second & 0x80 != 0
    startsPayload = second & 0x40 != 0
    continuity = fourth & 0x0f
    var start = 4
    var flags: UInt8 = 0
    var fieldLength = 0
    let hasField = fourth & 0x20 != 0
    if hasField {
      fieldLength = Int(bytes.byte(at: offset + 4))
      if fieldLength > 0 { flags = bytes.byte(at: offset + 5) }
      start = min(5 + fieldLength, size)
    }
    isDiscontinuity = flags & 0x80 != 0
    isRandomAccess = flags & 0x40 != 0
    hasClock = flags & 0x10 != 0
    // One byte of flags and six of clock reference: what lies beyond is there to fill the packet.
    isStuffed = hasField && (fieldLength == 0 || (flags & 0x0f == 0 && fieldLength > (hasClock ? 7 : 1)))
    payload = fourth & 0x10 != 0 ? start..<size : size..<size
  }
}

extension RawSpan {
  /// The byte at an offset that is known to lie inside.
  func byte(at offset: Int) -> UInt8 {
    precondition(offset >= 0 && offset < byteCount, "offset outside the bytes")
    return unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }
}
