/// Checks a transport stream packet by packet: sync bytes, continuity counters, tables, clock.
///
/// For tests and diagnosis. Total over any bytes.
public struct StreamChecker: Sendable {
  /// What was found.
  public struct Findings: Sendable, Equatable {
    public var packets = 0
    public var nullPackets = 0
    public var tables = 0
    public var randomAccessPoints = 0
    /// Packets whose continuity counter does not follow.
    public var discontinuities = 0
    /// Packets without a sync byte, or bytes that make no whole packet.
    public var malformed = 0
  }

  public private(set) var findings = Findings()
  /// The last counter of each packet identifier: at most 8,192 entries.
  private var continuity: [UInt16: UInt8] = [:]

  public init() {}

  /// Takes the next bytes of the stream, in whole packets.
  public mutating func append(_ bytes: RawSpan) {
    var offset = 0
    while offset < bytes.byteCount {
      defer { offset += TransportStream.packetSize }
      guard let header = PacketHeader(bytes, at: offset) else {
        findings.malformed += 1
        continue
      }
      findings.packets += 1
      if header.identifier == TransportStream.nullPacketIdentifier {
        findings.nullPackets += 1
        continue
      }
      if header.identifier == TransportStream.programAssociationTable { findings.tables += 1 }
      if header.isRandomAccess { findings.randomAccessPoints += 1 }
      if let last = continuity[header.identifier], !header.isDiscontinuity {
        let expected = header.payload.isEmpty ? last : (last + 1) & 0x0f
        if header.continuity != expected { findings.discontinuities += 1 }
      }
      continuity[header.identifier] = header.continuity
    }
  }
}
