internal import Integrity
internal import PluginKit
internal import Wire

extension Inspector {
  /// Says what a message means, and learns from it.
  mutating func describe(
    _ message: borrowing Message,
    on name: ChannelName,
    in datagram: DatagramDescription
  ) -> MessageDescription {
    switch message {
    case .handshake(let view): return describeHandshake(view, on: name, in: datagram)
    case .data(let chunks, let timestamp, let payload):
      return describeData(chunks, timestamp, payload, on: name, in: datagram)
    case .ack(let chunks, let delay):
      let delay = Int64(bitPattern: delay)
      tally.ackDelay.add(delay)
      let phrase = "one-way delay \(Figures.microseconds(delay))"
      return said(.ack, chunks, [Field("delay_us", .signed(delay), phrase)])
    case .have(let chunks): return said(.have, chunks, [count(chunks)])
    case .integrity(let chunks, let hash):
      channels.keep(chunks, hash, for: name)
      hashed = chunks.lowerBound
      let hex = Figures.hex(copy(hash))
      return said(.integrity, chunks, [Field("hash", .text(hex), "hash \(hex.prefix(16))…")])
    case .signedIntegrity(let chunks, let timestamp, let signature):
      return describeSignature(chunks, timestamp, signature, on: name, in: datagram)
    case .request(let chunks):
      if let time = datagram.time, let other = channels.opposite(of: name) {
        channels.update(other) { end in end.keep(ChannelEnd.Request(chunks: chunks, time: time)) }
      }
      return said(.request, chunks, [count(chunks)])
    case .cancel(let chunks): return said(.cancel, chunks, [count(chunks)])
    case .choke: return said(.choke, nil, [meaning("requests are not answered")])
    case .unchoke: return said(.unchoke, nil, [meaning("requests are answered again")])
    case .pexRequest: return said(.pexRequest, nil, [meaning("asks for addresses of peers")])
    case .pexResponse4(let host, let port):
      return said(.pexResponse4, nil, [peer(Address(ipv4: host, port: port))])
    case .pexResponse6(let host, let port):
      let (high, low) = (UInt64(truncatingIfNeeded: host >> 64), UInt64(truncatingIfNeeded: host))
      return said(.pexResponse6, nil, [peer(Address(ipv6: high, low, port: port))])
    case .pexCertificate(let certificate):
      let size = certificate.byteCount
      let phrase = "X.509 certificate of \(Figures.count(size, "byte"))"
      return said(.pexCertificate, nil, [Field("certificate_bytes", .unsigned(UInt64(size)), phrase)])
    case .extensionMessage(let kind, let body):
      return describeExtension(kind, body, on: name, in: datagram)
    }
  }

  private func said(_ kind: MessageKind, _ chunks: ChunkRange?, _ fields: [Field]) -> MessageDescription {
    MessageDescription(kind: kind, offset: 0, length: 0, chunks: chunks, fields: fields)
  }

  private func meaning(_ text: String) -> Field { Field("meaning", .text(text), text) }

  private func count(_ chunks: ChunkRange) -> Field {
    let count = chunks.chunkCount
    return Field("count", .unsigned(count), count == 1 ? nil : Figures.count(count, "chunk"))
  }

  private func peer(_ address: Address) -> Field {
    Field("address", .text(address.description), "peer \(address)")
  }

  private mutating func describeHandshake(
    _ view: HandshakeView,
    on name: ChannelName,
    in datagram: DatagramDescription
  ) -> MessageDescription {
    let options = HandshakeOptions(view)
    guard !view.isClosing else {
      channels.close(name)
      let meaning = Field("closes", .flag(true), "closes the channel")
      return said(.handshake, nil, [meaning] + HandshakeFields.fields(options))
    }
    let sender = ChannelName(owner: datagram.source, number: view.source)
    let trip = channels.handshake(options, from: sender, to: name, at: datagram.time)
    let number = Figures.channel(view.source)
    let verb = name.number == 0 ? "opens" : "answers as"
    var fields = [Field("source_channel", .text(number), "\(verb) channel \(number)")]
    if let trip {
      let time = trip.inMicroseconds
      tally.handshakeTrip.add(time)
      fields.append(Field("answers_after_us", .signed(time), "after \(Figures.microseconds(time))"))
    }
    fields += HandshakeFields.fields(options)
    if let missing = view.missingOption(from: name.number == 0 ? .initiator : .responder) {
      let phrase = "lacks the \(HandshakeFields.name(missing))"
      fields.append(Field("lacks", .text(HandshakeFields.key(missing)), phrase))
    }
    return said(.handshake, nil, fields)
  }

  private mutating func describeSignature(
    _ chunks: ChunkRange,
    _ timestamp: UInt64,
    _ bytes: RawSpan,
    on name: ChannelName,
    in datagram: DatagramDescription
  ) -> MessageDescription {
    let time = NTPTimestamp(rawValue: timestamp)
    var phrase = "signed \(time)"
    var fields: [Field] = []
    if let now = datagram.time, case let age = (now - time.sinceUnixEpoch).inMicroseconds,
      age.magnitude < 3_600_000_000
    {
      phrase =
        age < 0 ? "signed \(Figures.microseconds(-age)) later" : "signed \(Figures.microseconds(age)) ago"
      fields.append(Field("signed_us_ago", .signed(age)))
    }
    fields.insert(Field("signed_at", .text(time.description), phrase), at: 0)
    fields.append(Field("signature_bytes", .unsigned(UInt64(bytes.byteCount))))
    if chunks.lowerBound == chunks.upperBound {
      let kept = ChannelEnd.Signature(chunk: chunks.lowerBound, timestamp: timestamp, bytes: copy(bytes))
      signature = kept
      channels.update(name) { end in end.keep(kept) }
    }
    var message = said(.signedIntegrity, chunks, fields)
    message.verdict = channels.verdict(munro: chunks, timestamp: timestamp, signature: bytes, for: name)
    return message
  }

  private mutating func describeData(
    _ chunks: ChunkRange,
    _ timestamp: UInt64,
    _ payload: RawSpan,
    on name: ChannelName,
    in datagram: DatagramDescription
  ) -> MessageDescription {
    let chunk = chunks.lowerBound
    let size = payload.byteCount
    var data = said(
      .data,
      chunks,
      [
        Field("chunk_bytes", .unsigned(UInt64(size)), Figures.count(size, "byte")),
        Field("sent_us", .unsigned(timestamp)),
      ]
    )
    let end = channels[name]
    let own = signature?.chunk == chunk ? signature : nil
    data.verdict =
      datagram.captured < datagram.length
      ? .unknown("the capture holds only a part of it")
      : channels.verdict(chunk, payload, for: name, signature: own ?? end?.signature(of: chunk))
    data.isDuplicate = !sightings.insert(
      Sightings.Sighting(
        receiver: name.owner,
        channel: name.owner == nil ? name.number : 0,
        swarm: end?.swarm ?? -1,
        chunk: chunk
      )
    )
    if let now = datagram.time, let asked = end?.requested(chunk), !data.isDuplicate {
      let trip = (now - asked).inMicroseconds
      tally.requestTrip.add(trip)
      let phrase = "\(Figures.microseconds(trip)) after its REQUEST"
      data.fields.append(Field("answers_request_after_us", .signed(trip), phrase))
    }
    signature = nil
    return data
  }
}

extension Duration {
  /// Whole microseconds, as many as fit.
  var inMicroseconds: Int64 {
    let (seconds, attoseconds) = components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
    guard !overflow else { return seconds < 0 ? .min : .max }
    return whole.addingReportingOverflow(attoseconds / 1_000_000_000_000).partialValue
  }
}
