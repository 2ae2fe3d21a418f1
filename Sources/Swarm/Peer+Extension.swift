import Integrity
import PluginKit
import Wire

// What Freshet peers say to each other: who they are, what the swarm runs, who feeds whom.
extension Peer {
  /// How often a hello is repeated before the other side counts as plain.
  private static let helloLimit = 12

  mutating func sendHello(_ index: Int, isReply: Bool = false) {
    let channel = channels[index]
    let message = HelloMessage(
      isReply: isReply || channel.hello != nil,
      wantsDescriptor: descriptor == nil && channel.isInitiator,
      hello: Hello(
        id: me.id,
        capacity: ownCapacity,
        isAttached: isAttached,
        depth: depth,
        address: configuration.address
      )
    )
    guard let body = message.encode(configuration.identity, from: channel.local, to: channel.remote) else {
      return
    }
    channels[index].helloTries += 1
    let wait = max(Duration.milliseconds(60), channel.congestion.timeout * 2)
    channels[index].nextHello = now + min(wait * (1 << min(channels[index].helloTries - 1, 3)), .seconds(1))
    sendExtension(index, .hello, body)
  }

  var ownCapacity: Capacity {
    var capacity = configuration.capacity
    capacity.uptime = now - began
    if configuration.role == .leaf { capacity.upload = 0 }
    return capacity
  }

  /// Nothing came back to our hellos.
  mutating func repeatHello(_ index: Int) {
    if channels[index].speech == .proven, descriptor != nil || !channels[index].isInitiator {
      channels[index].nextHello = nil
    } else if channels[index].helloTries < Self.helloLimit {
      sendHello(index)
    } else if channels[index].speech == .unknown {
      channels[index].nextHello = nil
      becomePlain(index)
    } else {
      // It proved who it is, but never said what the swarm runs.
      channels[index].helloTries = 0
      channels[index].nextHello = now + .seconds(1)
    }
  }

  mutating func readExtension(_ index: Int, _ kind: UInt8, _ body: RawSpan) {
    guard let kind = Extension.Kind(rawValue: kind) else { return }
    if kind == .hello {
      readHello(index, body)
      return
    }
    guard channels[index].speech == .proven else { return }
    switch kind {
    case .hello, .note: break
    case .descriptor: readDescriptor(body)
    case .ask: readAsk(index, body)
    case .answer: readAnswer(index, body)
    case .stop:
      var reader = ByteReader(body)
      guard let stripes = try? reader.read(UInt64.self) else { return }
      channels[index].routes.removeAll { StripeSet(rawValue: stripes).contains(stripe: $0.stripe) }
    case .goodbye:
      var reader = ByteReader(body)
      guard let bytes = reader.rest() else { return }
      var offset = 0
      guard let list = Extension.Suggestion.decode(bytes, at: &offset) else { return }
      channels[index].farewell = candidates(list)
    case .message:
      var reader = ByteReader(body)
      guard let epoch = try? reader.read(UInt32.self), reader.remaining <= TopologyContext.messageLimit,
        let bytes = reader.rest(), topology != nil
      else { return }
      events.append(.message(channels[index].peer, epoch: epoch, bytes: bytes))
    case .ping:
      guard let ping = Extension.Ping(body) else { return }
      note(index, ping)
      sendExtension(index, .pong, state(token: ping.token).encode())
    case .pong:
      guard let pong = Extension.Ping(body) else { return }
      note(index, pong)
      let trip = now.microseconds &- Int64(bitPattern: pong.token)
      guard trip >= 0, trip < 60_000_000 else { return }
      channels[index].congestion.measured(.microseconds(trip))
    }
  }

  mutating func sendPing(_ index: Int) {
    channels[index].nextPing = now + .seconds(1)
    sendExtension(index, .ping, state(token: UInt64(bitPattern: now.microseconds)).encode())
  }

  private func state(token: UInt64) -> Extension.Ping {
    Extension.Ping(token: token, isAttached: isAttached, depth: depth.map { UInt16(clamping: $0) } ?? .max)
  }

  private mutating func note(_ index: Int, _ ping: Extension.Ping) {
    channels[index].hello?.isAttached = ping.isAttached
    channels[index].hello?.depth = ping.depth == .max ? nil : Int(ping.depth)
    directory[channels[index].peer]?.isAttached = ping.isAttached
  }

  private mutating func readHello(_ index: Int, _ body: RawSpan) {
    let channel = channels[index]
    guard channel.hellos < Channel.helloLimit else { return }
    channels[index].hellos += 1
    guard
      let message = HelloMessage(body, from: channel.remote, to: channel.local, observed: channel.address)
    else {
      counters.rejected += 1
      return
    }
    guard message.hello.id != me.id else {
      sayGoodbye(index, redirect: [])
      lose(index, .unreachable)
      return
    }
    if channel.speech == .proven {
      channels[index].hello?.capacity = message.hello.capacity
      channels[index].wantsDescriptor = message.wantsDescriptor
      if !message.isReply { sendHello(index, isReply: true) }
      if message.wantsDescriptor { sendDescriptor(index) }
      if descriptor != nil || !channel.isInitiator { channels[index].nextHello = nil }
      return
    }
    let reference = directory.prove(channel.peer, id: message.hello.id, address: message.hello.address)
    if reference != channel.peer {
      adopt(index, as: reference, instead: channel.peer)
      guard channels[index].local == channel.local, !channels[index].isFree else { return }
    }
    if let other = directory[reference]?.channel, other != index, !channels[other].isFree {
      guard resolve(index, against: other, with: message.hello.id) else { return }
    }
    directory[reference]?.channel = index
    directory[reference]?.capacity = message.hello.capacity
    directory[reference]?.isAttached = message.hello.isAttached
    channels[index].speech = .proven
    channels[index].hello = message.hello
    channels[index].wantsDescriptor = message.wantsDescriptor
    channels[index].congestion.floorRate = liveFloor
    if descriptor != nil || !channel.isInitiator { channels[index].nextHello = nil }
    if !message.isReply { sendHello(index, isReply: true) }
    if message.wantsDescriptor { sendDescriptor(index) }
    sendPing(index)
    sendAsk(index)
  }

  /// The peer behind a channel is one that is known under another number.
  private mutating func adopt(_ index: Int, as reference: PeerRef, instead old: PeerRef) {
    if directory[old]?.channel == index { directory[old]?.channel = nil }
    channels[index].peer = reference
    if channels[index].pendingAsk != nil {
      channels[index].pendingAsk = nil
      events.append(.linkDown(old, .unreachable, redirect: [candidate(reference)]))
    }
  }

  /// Two channels lead to one peer: both sides keep the one that the lower id opened.
  ///
  /// False when `index` is the one that goes.
  private mutating func resolve(_ index: Int, against other: Int, with id: PeerID) -> Bool {
    let lower = me.id < id
    let keepsNew =
      channels[index].isInitiator == channels[other].isInitiator
      ? now - channels[other].lastHeard > .seconds(1)
      : channels[index].isInitiator == lower
    let (kept, gone) = keepsNew ? (index, other) : (other, index)
    if let ask = channels[gone].pendingAsk {
      channels[kept].pendingAsk = Channel.PendingAsk(ask: ask.ask, next: now)
    }
    let isUsed = channels[gone].claimed != nil || channels[gone].purpose != nil
    if isUsed, keepsNew {
      lose(gone, .closed)
    } else {
      sayGoodbye(gone, redirect: [])
      free(gone)
    }
    if !keepsNew { sendAsk(kept) }
    return keepsNew
  }

  private mutating func sendDescriptor(_ index: Int) {
    guard !signedDescriptor.isEmpty else { return }
    channels[index].wantsDescriptor = false
    sendExtension(index, .descriptor, signedDescriptor)
  }

  private mutating func readDescriptor(_ body: RawSpan) {
    let length = verifier.signatureLength
    guard configuration.role != .source, body.byteCount > length else { return }
    let statement = body.extracting(0..<(body.byteCount - length))
    guard let found = SwarmDescriptor(statement), found.epoch > descriptor?.epoch ?? 0, !speaksPlain else {
      return
    }
    let signature = body.extracting((body.byteCount - length)..<body.byteCount)
    guard verifier.key.verify(statement: statement, signature: signature) else {
      counters.rejected += 1
      return
    }
    signedDescriptor = unsafe body.withUnsafeBytes { unsafe Array($0) }
    do throws(ParameterError) {
      try adopt(found)
    } catch {
      goPlain("\(error); watching as a plain leaf, which relays to nobody")
    }
  }

  /// The swarm runs something that we lack: we attach as a plain RFC 7574 leaf.
  private mutating func goPlain(_ sentence: String) {
    notices.append(.sentence(sentence))
    speaksPlain = true
    descriptor = nil
    for index in channels.indices where !channels[index].isFree {
      sayGoodbye(index, redirect: [])
      free(index)
    }
    for address in bootstrap { connect(to: directory.peer(at: address)) }
  }

  // MARK: - Asking and answering

  mutating func ask(_ peer: PeerRef, _ purpose: Purpose, _ stripes: StripeSet, from: UInt64?, note: [UInt8]) {
    guard let index = connect(to: peer) else {
      events.append(.linkDown(peer, .unreachable, redirect: []))
      return
    }
    if channels[index].speech == .plain {
      pull(index, purpose: purpose, stripes: stripes)
      return
    }
    lastAskNumber &+= 1
    let ask = Extension.Ask(number: lastAskNumber, purpose: purpose, stripes: stripes, from: from, note: note)
    channels[index].pendingAsk = Channel.PendingAsk(ask: ask, next: now)
    sendAsk(index)
  }

  /// How often an ask is repeated before the peer counts as unreachable.
  private static let askLimit = 10

  mutating func sendAsk(_ index: Int) {
    guard var pending = channels[index].pendingAsk, channels[index].speech == .proven, channels[index].isOpen
    else {
      return
    }
    guard pending.tries < Self.askLimit else {
      channels[index].pendingAsk = nil
      if channels[index].claimed == nil, channels[index].purpose == nil {
        sayGoodbye(index, redirect: [])
        free(index)
      }
      events.append(.linkDown(channels[index].peer, .unreachable, redirect: []))
      return
    }
    pending.tries += 1
    pending.next = now + max(.milliseconds(50), channels[index].congestion.timeout * 2)
    channels[index].pendingAsk = pending
    sendExtension(index, .ask, pending.ask.encode())
  }

  private mutating func readAsk(_ index: Int, _ body: RawSpan) {
    guard let ask = Extension.Ask(body), let hello = channels[index].hello else { return }
    if let answer = channels[index].lastAnswer, answer.number == ask.number {
      sendExtension(index, .answer, answer.encode())
      return
    }
    // An ask that was overtaken by a later one asks for what is not wanted any more.
    if let last = channels[index].lastAnswer?.number, Int16(bitPattern: ask.number &- last) < 0 { return }
    channels[index].verdict = Extension.Answer(number: ask.number, isAccepted: false, stripes: ask.stripes)
    guard topology != nil else {
      sendExtension(
        index,
        .answer,
        Extension.Answer(number: ask.number, isAccepted: false, stripes: ask.stripes).encode()
      )
      return
    }
    events.append(
      .inbound(
        Inbound(
          peer: channels[index].peer,
          hello: hello,
          purpose: ask.purpose,
          stripes: ask.stripes,
          from: ask.from,
          note: ask.note
        )
      )
    )
  }

  /// The topology has had its say on an inbound: the other side hears of it.
  mutating func answer(_ inbound: Inbound) {
    guard let index = directory[inbound.peer]?.channel, channels[index].isOpen else { return }
    if channels[index].speech == .plain {
      if channels[index].isServed {
        events.append(
          .linkUp(link(index, purpose: inbound.purpose, stripes: inbound.stripes, isParent: false))
        )
      } else if !channels[index].weChoke {
        chokePlain(index)
      }
      return
    }
    guard var verdict = channels[index].verdict else { return }
    channels[index].verdict = nil
    if verdict.isAccepted {
      channels[index].purpose = inbound.purpose
      channels[index].wantsHaves = inbound.purpose != .control
      if inbound.purpose == .data {
        verdict.from = channels[index].routes.map(\.from).min()
      } else {
        channels[index].routes.removeAll()
        channels[index].queue.removeAll()
      }
    }
    channels[index].lastAnswer = verdict
    sendExtension(index, .answer, verdict.encode())
    guard verdict.isAccepted else { return }
    if inbound.purpose == .data {
      // Whom we feed receives the stream; its next ping would say so too late for a redirect.
      directory[inbound.peer]?.isAttached = true
      channels[index].hello?.isAttached = true
    }
    events.append(.linkUp(link(index, purpose: inbound.purpose, stripes: verdict.stripes, isParent: false)))
    pump(index)
  }

  private mutating func readAnswer(_ index: Int, _ body: RawSpan) {
    guard let answer = Extension.Answer(body), let pending = channels[index].pendingAsk,
      pending.ask.number == answer.number
    else { return }
    channels[index].pendingAsk = nil
    guard answer.isAccepted else {
      events.append(.linkDown(channels[index].peer, .refused, redirect: candidates(answer.redirect)))
      return
    }
    channels[index].claimed = pending.ask.purpose
    channels[index].lastProgress = now
    channels[index].pushed = nil
    channels[index].isSpare = pending.ask.purpose == .spare
    if pending.ask.purpose == .data {
      channels[index].parentStripes.formUnion(answer.stripes)
      if let from = answer.from { expectFrom(from) }
    } else {
      channels[index].parentStripes = []
    }
    events.append(
      .linkUp(
        link(
          index,
          purpose: pending.ask.purpose,
          stripes: answer.stripes,
          isParent: pending.ask.purpose == .data,
          answer.note
        )
      )
    )
  }

  func link(
    _ index: Int,
    purpose: Purpose,
    stripes: StripeSet,
    isParent: Bool,
    _ note: [UInt8] = []
  ) -> PluginKit.Link {
    let channel = channels[index]
    return PluginKit.Link(
      peer: channel.peer,
      purpose: purpose,
      stripes: stripes,
      hello: channel.hello,
      isParent: isParent,
      roundTrip: channel.congestion.roundTrip ?? .zero,
      age: now - channel.opened,
      note: note
    )
  }

  // MARK: - Plain peers

  /// The other side speaks the RFC and nothing else.
  mutating func becomePlain(_ index: Int) {
    guard channels[index].speech == .unknown else { return }
    channels[index].speech = .plain
    channels[index].nextHello = nil
    let peer = channels[index].peer
    if channels[index].isInitiator {
      if let ask = channels[index].pendingAsk?.ask {
        channels[index].pendingAsk = nil
        pull(index, purpose: ask.purpose, stripes: ask.stripes)
      } else if topology == nil, configuration.role != .source {
        pull(index, purpose: .data, stripes: .first(1))
      }
      return
    }
    directory[peer]?.channel = index
    // It may have what we lack.
    channels[index].isSpare = true
    if topology != nil {
      events.append(
        .inbound(
          Inbound(
            peer: peer,
            hello: nil,
            purpose: .data,
            stripes: .first(descriptor?.stripes ?? 1),
            from: nil
          )
        )
      )
    } else if configuration.role != .leaf, channels.count(where: { $0.isServed && !$0.isFree }) < plainSlots {
      servePlain(index)
    } else {
      chokePlain(index)
    }
  }

  /// How many plain peers are served where there is no topology to decide it.
  private var plainSlots: Int {
    streamRate == 0 ? 1 : Int(clamping: min(configuration.capacity.upload / streamRate, 64))
  }

  private mutating func pull(_ index: Int, purpose: Purpose, stripes: StripeSet) {
    channels[index].claimed = purpose
    channels[index].isSpare = purpose == .spare
    channels[index].isPulled = purpose == .data
    if topology != nil {
      events.append(.linkUp(link(index, purpose: purpose, stripes: stripes, isParent: purpose == .data)))
    }
    if purpose == .data { notices.append(.attached(parent: channels[index].address.description, depth: 1)) }
    extendHorizon()
  }

  mutating func servePlain(_ index: Int) {
    channels[index].isServed = true
    channels[index].wantsHaves = true
    channels[index].congestion.floorRate = liveFloor
    if channels[index].weChoke {
      channels[index].weChoke = false
      send(index) { bytes in WireFormat.appendUnchoke(to: &bytes) }
    }
    for range in window.held.ranges.suffix(16) { sendHave(index, range) }
  }

  mutating func chokePlain(_ index: Int) {
    channels[index].weChoke = true
    guard channels[index].understands(MessageType.choke) else { return }
    send(index) { bytes in WireFormat.appendChoke(to: &bytes) }
  }
}
