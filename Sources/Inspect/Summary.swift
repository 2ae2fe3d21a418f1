internal import PluginKit
internal import Wire

/// What a whole capture held.
public struct Summary {
  struct Channel {
    /// The end that opened it, where that was seen.
    var first: ChannelName
    var second: ChannelName?
    var swarm: String?
    var datagrams: UInt64
    var bytesToFirst: UInt64
    var bytesToSecond: UInt64
    var isClosed: Bool
  }

  /// The most channels that are listed.
  static let channelLimit = 100

  let tally: Tally
  /// Those with the most bytes first.
  let channels: [Channel]
  /// How many channels there are beside those.
  let otherChannels: Int
  /// Frames that the kernel threw away before they were looked at.
  public var dropped: UInt64 = 0

  init(tally: Tally, channels: [Channel], otherChannels: Int) {
    self.tally = tally
    self.channels = channels
    self.otherChannels = otherChannels
  }

  /// How long it took from the first datagram to the last.
  var duration: Duration? {
    guard let first = tally.first, let last = tally.last else { return nil }
    return last - first
  }

  /// For programs.
  var fields: [Field] {
    var fields = [
      Field("type", .text("summary")),
      Field("datagrams", .unsigned(tally.datagrams)),
      Field("bytes", .unsigned(tally.bytes)),
      Field("chunk_bytes", .unsigned(tally.payload)),
    ]
    if let duration { fields.append(Field("duration_us", .signed(duration.inMicroseconds))) }
    fields += [
      Field("genuine", .unsigned(tally.genuine)),
      Field("false", .unsigned(tally.forged)),
      Field("unknown", .unsigned(tally.unknown)),
      Field("duplicate", .unsigned(tally.duplicates)),
      Field("false_statements", .unsigned(tally.forgedStatements)),
      Field("messages", .object(counts(MessageKind.allCases.map { ($0.rawValue, tally.messages[$0]) }))),
      Field("problems", .object(counts(Problem.Kind.allCases.map { ($0.rawValue, tally.problems[$0]) }))),
      Field("skipped", .object(counts(Skipped.allCases.map { ($0.rawValue, tally.skipped[$0]) }))),
      Field("dropped", .unsigned(dropped)),
    ]
    for (name, times) in delays where times.count > 0 {
      let values = [
        Field("count", .unsigned(times.count)), Field("least", .signed(times.least)),
        Field("mean", .signed(times.mean)), Field("most", .signed(times.most)),
      ]
      fields.append(Field(name.lowercased().replacing(" ", with: "_") + "_us", .object(values)))
    }
    fields.append(Field("channels", .list(channels.map { .object($0.fields) })))
    fields.append(Field("other_channels", .unsigned(UInt64(otherChannels))))
    return fields
  }

  var delays: [(name: String, times: Tally.Times)] {
    [
      ("ACK", tally.ackDelay), ("REQUEST to DATA", tally.requestTrip),
      ("HANDSHAKE to answer", tally.handshakeTrip),
    ]
  }

  private func counts(_ pairs: [(String, UInt64?)]) -> [Field] {
    pairs.compactMap { name, count in count.map { Field(name, .unsigned($0)) } }
  }
}

extension Summary.Channel {
  fileprivate var fields: [Field] {
    var fields: [Field] = []
    for (prefix, end) in [("first", first), ("second", second)] {
      guard let end else { continue }
      if let owner = end.owner { fields.append(Field("\(prefix)_address", .text(owner.description))) }
      fields.append(Field("\(prefix)_channel", .text(Figures.channel(end.number))))
    }
    if let swarm { fields.append(Field("swarm_id", .text(swarm))) }
    return fields + [
      Field("datagrams", .unsigned(datagrams)),
      Field("bytes_to_first", .unsigned(bytesToFirst)),
      Field("bytes_to_second", .unsigned(bytesToSecond)),
      Field("closed", .flag(isClosed)),
    ]
  }
}

extension Inspector {
  /// What was seen so far.
  public var summary: Summary {
    var rows: [Summary.Channel] = []
    for (name, end) in channels.ends {
      let other = channels.opposite(of: name)
      let otherEnd = other.flatMap { channels[$0] }
      // Of two ends one stands for both.
      if let other, let otherEnd, otherEnd.opposite == name.number, otherEnd.remote == name.owner {
        if otherEnd.isInitiator != end.isInitiator {
          if otherEnd.isInitiator { continue }
        } else if (other.number, other.owner?.description ?? "") < (
          name.number, name.owner?.description ?? ""
        ) {
          continue
        }
      }
      rows.append(
        Summary.Channel(
          first: name,
          second: other,
          swarm: end.swarm.map { HandshakeFields.text(of: channels.swarms[$0].terms.id) },
          datagrams: end.datagrams + (otherEnd?.datagrams ?? 0),
          bytesToFirst: end.bytes,
          bytesToSecond: otherEnd?.bytes ?? 0,
          isClosed: end.isClosed
        )
      )
    }
    rows.sort { left, right in
      let (a, b) = (left.bytesToFirst + left.bytesToSecond, right.bytesToFirst + right.bytesToSecond)
      return a != b ? a > b : left.first.number < right.first.number
    }
    return Summary(
      tally: tally,
      channels: Array(rows.prefix(Summary.channelLimit)),
      otherChannels: max(0, rows.count - Summary.channelLimit)
    )
  }
}
