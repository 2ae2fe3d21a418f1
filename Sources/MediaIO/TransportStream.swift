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
