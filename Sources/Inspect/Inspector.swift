public import PluginKit
public import Swarm
internal import Text
internal import Wire

/// Reads captured datagrams, one after the other, and says what each means.
///
/// It learns from the HANDSHAKEs that it sees how the rest is read (RFC 7574, section 7). What it remembers
/// of strangers' bytes is bounded.
public struct Inspector {
  /// What there is to say about a captured frame.
  public enum Finding {
    case datagram(DatagramDescription)
    /// Nothing, as it is none of what is looked for.
    case skipped
  }

  package internal(set) var tally = Tally()
  var channels: Channels
  /// How many ends of channels are remembered.
  package var channelCount: Int { channels.ends.count }
  var sightings = Sightings()
  private let port: UInt16?
  private let keepsBytes: Bool
  /// What the datagram at hand has said so far of the chunk that is next.
  var signature: ChannelEnd.Signature?
  /// A chunk for which the datagram at hand has brought hashes.
  var hashed: UInt64?

  /// - Parameters:
  ///   - link: says how to read channels whose HANDSHAKEs are not in the capture.
  ///   - port: what is neither from nor to this UDP port is skipped.
  ///   - keepsBytes: whether descriptions have all bytes.
  public init(link: Swarm.Link? = nil, port: UInt16? = nil, keepsBytes: Bool = false) {
    channels = Channels(link: link)
    self.port = port
    self.keepsBytes = keepsBytes
  }

  /// Describes the datagram in a frame.
  public mutating func inspect(frame: Span<UInt8>, _ layer: LinkLayer, at time: Duration?) -> Finding {
    let found: Frame
    do throws(SkipReason) {
      found = try Frame.read(frame, layer)
    } catch {
      tally.skip(error.reason)
      return .skipped
    }
    switch found.content {
    case .datagram(let payload, let length):
      guard port == nil || found.source.port == port || found.destination.port == port else {
        tally.skip(.otherPort)
        return .skipped
      }
      return .datagram(
        inspect(
          datagram: frame.extracting(payload),
          at: time,
          from: found.source,
          to: found.destination,
          length: length,
          isFragment: found.isFirstFragment
        )
      )
    case .fragment(let length):
      var description = begin(time, found.source, found.destination, length, captured: 0)
      description.problem = Problem(
        kind: .fragment,
        reason: "a later piece of an IP packet, which is not put together",
        offset: 0,
        rest: []
      )
      tally.add(description)
      return .datagram(description)
    }
  }

  /// Describes what was pasted as text: a datagram, or the frame that holds one.
  public mutating func inspect(_ piece: HexText.Piece) -> Finding {
    if let layer = LinkLayer.allCases.first(where: { Frame.fits(piece, $0) }) {
      return inspect(frame: piece.bytes.span, layer, at: piece.time)
    }
    if let port, let source = piece.source, let destination = piece.destination,
      source.port != port, destination.port != port
    {
      tally.skip(.otherPort)
      return .skipped
    }
    return .datagram(
      inspect(datagram: piece.bytes.span, at: piece.time, from: piece.source, to: piece.destination)
    )
  }

  /// Describes a datagram; `length` is that of the whole when `bytes` are only its beginning.
  public mutating func inspect(
    datagram bytes: Span<UInt8>,
    at time: Duration? = nil,
    from source: Address? = nil,
    to destination: Address? = nil,
    length: Int? = nil,
    isFragment: Bool = false
  ) -> DatagramDescription {
    var description = begin(
      time,
      source,
      destination,
      max(length ?? 0, bytes.count),
      captured: bytes.count
    )
    if keepsBytes { description.bytes = copy(unsafe bytes.bytes) }
    read(bytes, into: &description)
    // What seems to be wrong is so only because the end is not there.
    if bytes.count < description.length, description.problem?.kind ?? .malformed == .malformed {
      let there = "\(UInt64(bytes.count).grouped) of \(Figures.count(description.length, "byte"))"
      description.problem = Problem(
        kind: isFragment ? .fragment : .cut,
        reason: isFragment
          ? "the first piece of an IP packet, \(there); the pieces are not put together"
          : "the capture holds only \(there)",
        offset: description.problem?.offset ?? bytes.count,
        rest: []
      )
    }
    tally.add(description)
    return description
  }

  private func begin(
    _ time: Duration?,
    _ source: Address?,
    _ destination: Address?,
    _ length: Int,
    captured: Int
  ) -> DatagramDescription {
    DatagramDescription(
      number: tally.datagrams + 1,
      time: time,
      source: source,
      destination: destination,
      length: length,
      captured: captured
    )
  }

  private mutating func read(_ bytes: Span<UInt8>, into description: inout DatagramDescription) {
    guard var reader = try? DatagramReader(bytes) else {
      let reason =
        bytes.isEmpty
        ? "an empty datagram" : "\(Figures.count(bytes.count, "byte")), too few for a channel number"
      description.problem = problem(.malformed, reason, bytes, at: 0)
      return
    }
    let name = ChannelName(owner: description.destination, number: reader.destination)
    description.channel = name.number
    signature = nil
    hashed = nil
    defer { if let hashed { channels.learn(hashed, for: name) } }
    if name.number == 0 {
      guard reader.nextType == MessageType.handshake else {
        let reason = "channel 0 is only for a HANDSHAKE (RFC 7574, section 8.4); this may be no PPSPP"
        description.problem = problem(.unreadable, reason, bytes, at: reader.offset)
        return
      }
    } else {
      channels.hear(name, from: description.source, bytes: description.length)
      description.opposite = channels[name]?.opposite
    }
    if reader.isKeepAlive {
      description.messages = [MessageDescription(kind: .keepAlive, offset: 0, length: 4)]
      return
    }
    // A HANDSHAKE for channel 0 says itself how the rest is read.
    var format = channels[name]?.format
    while true {
      let start = reader.offset
      let type = reader.nextType
      if format == nil, let type, MessageKind.dependsOnFormat(type: type) {
        let kind = MessageKind(type: type)?.label ?? "a message"
        let isSilent = name.number == 0 || channels[name]?.offer != nil
        let reason =
          isSilent
          ? "\(kind) cannot be read: the HANDSHAKE does not say how chunks are named"
          : "\(kind) cannot be read: the HANDSHAKE of this channel was not seen"
        description.problem = problem(.unreadable, reason, bytes, at: start)
        return
      }
      do throws(DecodeError) {
        guard let message = try reader.next(format ?? WireFormat(allowsExtensions: true)) else { return }
        var said = describe(message, on: name, in: description)
        said.offset = start
        said.length = reader.offset - start
        description.messages.append(said)
        if case .handshake(let view) = message {
          let sender = ChannelName(owner: description.source, number: view.source)
          format = channels[sender]?.format ?? format
          if !view.isClosing, name.number != 0 { description.opposite = view.source }
        }
      } catch {
        // Of a channel that nobody knows it is not even sure that it is one.
        // So is one whose end was not captured.
        let isKnown =
          format != nil || type == MessageType.handshake || description.captured < description.length
        let reason = isKnown ? error.description : "\(error); the HANDSHAKE of this channel was not seen"
        description.problem = problem(isKnown ? .malformed : .unreadable, reason, bytes, at: start)
        return
      }
    }
  }

  private func problem(
    _ kind: Problem.Kind,
    _ reason: String,
    _ bytes: Span<UInt8>,
    at offset: Int
  ) -> Problem {
    let rest = unsafe bytes.bytes.extracting(min(offset, bytes.count)..<bytes.count)
    return Problem(kind: kind, reason: reason, offset: offset, rest: copy(rest, atMost: Problem.restLimit))
  }
}

/// The first bytes of borrowed ones.
func copy(_ bytes: RawSpan, atMost limit: Int = .max) -> [UInt8] {
  unsafe bytes.extracting(first: min(limit, bytes.byteCount)).withUnsafeBytes { unsafe [UInt8]($0) }
}
