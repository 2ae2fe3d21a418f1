/// Facts of MPEG-TS (ISO/IEC 13818-1) that need no decoder.
public enum TransportStream {
  /// The length of a transport packet in bytes.
  public static let packetSize = 188

  static let syncByte: UInt8 = 0x47
  static let programAssociationTable: UInt16 = 0x0000
  static let serviceDescriptionTable: UInt16 = 0x0011
  static let nullPacketIdentifier: UInt16 = 0x1fff

  /// A packet that carries nothing.
  static let nullPacket: [UInt8] =
    [syncByte, 0x1f, 0xff, 0x10] + [UInt8](repeating: 0xff, count: packetSize - 4)

  /// Tells whether a decoder can begin with this chunk.
  ///
  /// True when the chunk starts with a program association table and a packet in it is marked as a random
  /// access point. A chunk of fewer than four packets has no room for both; there the table decides.
  /// Total over any bytes; reads in place and allocates nothing.
  public static func beginsEntry(_ chunk: RawSpan) -> Bool {
    guard let first = PacketHeader(chunk, at: 0), first.identifier == programAssociationTable,
      first.startsPayload
    else { return false }
    var offset = packetSize
    while let header = PacketHeader(chunk, at: offset) {
      if header.isRandomAccess { return true }
      offset += packetSize
    }
    return chunk.byteCount < 4 * packetSize && chunk.byteCount % packetSize == 0
  }

  /// Tells whether the bytes are whole transport packets, each with its sync byte.
  static func isAligned(_ bytes: RawSpan) -> Bool {
    guard bytes.byteCount % packetSize == 0 else { return false }
    var offset = 0
    while offset < bytes.byteCount {
      guard bytes.byte(at: offset) == syncByte else { return false }
      offset += packetSize
    }
    return true
  }
}

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
