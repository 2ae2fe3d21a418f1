import PluginKit

/// What an open channel to another peer is like at a moment.
public struct LinkReading: Hashable, Sendable {
  /// Who is there, written as ``Statistics/id`` is; its address while that is unknown.
  public var peer: String
  /// `nil` while it was not measured.
  public var roundTrip: Duration?
  /// Bytes of chunks that were sent through the channel since it was opened, and those of them that were lost.
  public var sent: UInt64
  public var lost: UInt64
  /// What the other says that it can upload, in bits per second; `nil` while it said nothing.
  public var upload: UInt64?
}

extension Peer {
  /// The open channels to peers that say who they are.
  public var links: [LinkReading] {
    channels.filter(\.isOpen).map { channel in
      let known = directory[channel.peer]
      return LinkReading(
        peer: known?.id?.description ?? channel.address.description,
        roundTrip: channel.congestion.roundTrip,
        sent: channel.congestion.sentBytes,
        lost: channel.congestion.lostBytes,
        upload: known?.capacity?.upload
      )
    }
  }

  /// Bits per second that the stream takes, as declared or as it comes, whichever is more; 0 while neither is known.
  public var rate: UInt64 { streamRate }
}
