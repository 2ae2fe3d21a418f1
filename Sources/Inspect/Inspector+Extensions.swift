internal import Integrity
internal import PluginKit
internal import Swarm
internal import Wire

// Our own messages: what Freshet peers say to each other beside the RFC.
extension Inspector {
  mutating func describeExtension(
    _ number: UInt8,
    _ body: RawSpan,
    on name: ChannelName,
    in datagram: DatagramDescription
  ) -> MessageDescription {
    guard let kind = Extension.Kind(rawValue: number) else {
      return opaque(
        .extension,
        [Field("kind", .unsigned(UInt64(number)), "of the unknown kind \(number)")],
        body
      )
    }
    var said = MessageDescription(kind: MessageKind(kind), offset: 0, length: 0)
    let fields: [Field]?
    switch kind {
    case .hello:
      (fields, said.verdict) = hello(body, on: name, in: datagram)
    case .descriptor:
      (fields, said.verdict) = descriptor(body, on: name)
    case .ask: fields = Extension.Ask(body).map(self.fields)
    case .answer: fields = Extension.Answer(body).map(self.fields)
    case .stop: fields = Extension.Stop(body).map { [epoch($0.epoch), stripes($0.stripes)] }
    case .part: fields = Extension.Part(body).map { [epoch($0.epoch), suggestions($0.redirect)] }
    case .goodbye:
      var offset = 0
      fields = Extension.Suggestion.decode(copy(body), at: &offset).map { [suggestions($0)] }
    case .message:
      fields = integer(body, UInt32.self).map { epoch in
        [Field("epoch", .unsigned(UInt64(epoch)), "of the topology, epoch \(epoch)"), rest(body, after: 4)]
      }
    case .ping, .pong: fields = Extension.Ping(body).map(self.fields)
    case .note:
      fields = integer(body, UInt64.self).map {
        [Field("note", .unsigned($0), "note \($0) for the next chunk")]
      }
    }
    guard let fields else {
      return opaque(said.kind, [Field("broken", .flag(true), "cannot be read")], body)
    }
    said.fields = fields
    return said
  }

  private func opaque(_ kind: MessageKind, _ fields: [Field], _ body: RawSpan) -> MessageDescription {
    MessageDescription(kind: kind, offset: 0, length: 0, fields: fields + [rest(body, after: 0)])
  }

  /// The bytes that only the peers understand.
  private func rest(_ body: RawSpan, after start: Int) -> Field {
    let bytes = copy(body.extracting(min(start, body.byteCount)..<body.byteCount))
    let hex = Figures.hex(bytes.prefix(16))
    let phrase =
      bytes.isEmpty ? nil : Figures.count(bytes.count, "byte") + " \(hex)\(bytes.count > 16 ? "…" : "")"
    return Field("bytes", .text(Figures.hex(bytes)), phrase)
  }

  private func integer<Integer: FixedWidthInteger & BitwiseCopyable>(
    _ body: RawSpan,
    _: Integer.Type
  ) -> Integer? {
    var reader = ByteReader(body)
    return try? reader.read(Integer.self)
  }

  private func hello(
    _ body: RawSpan,
    on name: ChannelName,
    in datagram: DatagramDescription
  ) -> ([Field]?, Verdict?) {
    let observed = datagram.source ?? Address(ipv4: 0, port: 0)
    guard let claimed = HelloMessage.read(body, observed: observed) else { return (nil, nil) }
    let message = claimed.message
    let hello = message.hello
    var fields = [
      Field("peer_id", .text(Figures.hex(hello.id.bytes)), "I am \(hello.id) at \(hello.address)"),
      Field("address", .text(hello.address.description)),
      Field("is_reply", .flag(message.isReply), message.isReply ? "in reply" : nil),
      Field("upload_bps", .unsigned(hello.capacity.upload), upload(hello.capacity)),
      Field("download_bps", .unsigned(hello.capacity.download)),
      Field(
        "is_reachable",
        .flag(hello.capacity.isReachable),
        hello.capacity.isReachable ? nil : "not reachable"
      ),
      Field("uptime_s", .signed(hello.capacity.uptime.components.seconds)),
    ]
    fields += state(isAttached: hello.isAttached, depth: hello.depth)
    fields.append(
      Field(
        "wants_descriptor",
        .flag(message.wantsDescriptor),
        message.wantsDescriptor ? "wants the descriptor" : nil
      )
    )
    guard let opposite = datagram.opposite ?? channels[name]?.opposite else {
      return (fields, .unknown("the sender's channel is not known"))
    }
    return (fields, claimed.isProven(from: opposite, to: name.number) ? .genuine : .forged)
  }

  private func upload(_ capacity: Capacity) -> String {
    capacity.upload == 0 ? "relays to nobody" : "gives \(Figures.rate(capacity.upload))"
  }

  private func state(isAttached: Bool, depth: Int?) -> [Field] {
    let attached = Field("is_attached", .flag(isAttached), isAttached ? nil : "not attached")
    guard let depth else { return [attached] }
    return [attached, Field("depth", .signed(Int64(depth)), "depth \(depth)")]
  }

  private func descriptor(_ body: RawSpan, on name: ChannelName) -> ([Field]?, Verdict?) {
    let swarm = channels[name]?.swarm.map { channels.swarms[$0] }
    guard let length = swarm?.signatureLength else {
      return ([rest(body, after: 0)], .unknown("the swarm is not known"))
    }
    guard body.byteCount > length else { return (nil, nil) }
    let end = body.byteCount - length
    let statement = body.extracting(0..<end)
    guard let descriptor = SwarmDescriptor(statement) else { return (nil, nil) }
    let parameters = descriptor.parameters.isEmpty ? "" : ":\(descriptor.parameters)"
    let fields = [
      Field("epoch", .unsigned(UInt64(descriptor.epoch)), "epoch \(descriptor.epoch)"),
      Field("topology", .text(descriptor.topology), "topology \(descriptor.topology)\(parameters)"),
      Field("parameters", .text(descriptor.parameters)),
      Field("rate_bps", .unsigned(descriptor.rate), Figures.rate(descriptor.rate)),
      Field("stripes", .unsigned(UInt64(descriptor.stripes)), Figures.count(descriptor.stripes, "stripe")),
      Field(
        "capture_start",
        .text(NTPTimestamp(rawValue: descriptor.captureStart).description),
        "began \(NTPTimestamp(rawValue: descriptor.captureStart))"
      ),
      Field("valid_from", .unsigned(descriptor.validFrom), "from chunk \(descriptor.validFrom)"),
    ]
    switch swarm?.key {
    case .success(let key):
      let isGenuine = key.verify(statement: statement, signature: body.extracting(end..<body.byteCount))
      return (fields, isGenuine ? .genuine : .forged)
    case .failure(let error): return (fields, .unknown("\(error)"))
    case nil: return (fields, .unknown("the swarm is not known"))
    }
  }

  private func fields(_ ask: Extension.Ask) -> [Field] {
    let verb =
      switch ask.purpose {
      case .data: "asks to be fed"
      case .control: "asks for a control link"
      case .spare: "asks for a spare link"
      @unknown default: "asks"
      }
    return [
      Field("ask", .unsigned(UInt64(ask.number)), "#\(ask.number) \(verb)"),
      epoch(ask.epoch), Field("purpose", .text("\(ask.purpose)")),
      stripes(ask.stripes),
    ] + from(ask.from) + note(ask.note)
  }

  private func fields(_ answer: Extension.Answer) -> [Field] {
    [
      Field("ask", .unsigned(UInt64(answer.number)), "#\(answer.number)"),
      Field("accepted", .flag(answer.isAccepted), answer.isAccepted ? "accepted" : "refused"),
      stripes(answer.stripes),
    ] + from(answer.from) + [suggestions(answer.redirect)] + note(answer.note)
  }

  private func fields(_ ping: Extension.Ping) -> [Field] {
    [Field("token", .unsigned(ping.token))]
      + state(isAttached: ping.isAttached, depth: ping.depth == .max ? nil : Int(ping.depth))
      + [epoch(ping.epoch)] + seen(ping.swap)
  }

  private func epoch(_ number: UInt32) -> Field {
    Field("epoch", .unsigned(UInt64(number)), number == 0 ? "no epoch yet" : "epoch \(number)")
  }

  /// What a peer saw of a swap.
  private func seen(_ swap: Extension.Ping.Seen) -> [Field] {
    guard swap.epoch != 0 else { return [] }
    return [
      Field("swap_epoch", .unsigned(UInt64(swap.epoch)), "the swap to epoch \(swap.epoch)"),
      Field("swap_gap_ms", .unsigned(UInt64(swap.gap)), "gap \(swap.gap) ms"),
      Field("swap_lost", .unsigned(UInt64(swap.lost)), "\(swap.lost) lost"),
      Field("swap_duplicate", .unsigned(UInt64(swap.duplicates)), "\(swap.duplicates) came again"),
    ]
  }

  private func stripes(_ set: StripeSet) -> Field {
    let numbers = set.stripes.map { Field.Value.unsigned(UInt64($0)) }
    return Field("stripes", .list(numbers), "stripes \(Figures.stripes(set))")
  }

  private func from(_ chunk: UInt64?) -> [Field] {
    chunk.map { [Field("from_chunk", .unsigned($0), "from chunk \($0)")] } ?? []
  }

  private func note(_ bytes: [UInt8]) -> [Field] {
    guard !bytes.isEmpty else { return [] }
    let hex = Figures.hex(bytes)
    return [Field("note", .text(hex), "note \(hex.prefix(32))\(hex.count > 32 ? "…" : "")")]
  }

  private func suggestions(_ list: [Extension.Suggestion]) -> Field {
    let values = list.map { suggestion in
      Field.Value.object([
        Field("peer_id", .text(Figures.hex(suggestion.contact.id.bytes))),
        Field("address", .text(suggestion.contact.address.description)),
        Field("is_attached", .flag(suggestion.isAttached)),
      ])
    }
    let names = list.map { "\($0.contact.id) at \($0.contact.address)" }
    return Field("try", .list(values), list.isEmpty ? nil : "try " + names.joined(separator: ", "))
  }
}
