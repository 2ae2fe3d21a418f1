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
      wantsDescriptor: lacksDescriptor && channel.isInitiator,
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
    // Who answered us may not have had room for its certificate; so the answering side shows it here too.
    let certificate = channel.isInitiator ? nil : configuration.membership?.certificate.der
    send(index) { bytes in
      if let certificate { unsafe WireFormat.appendPexCertificate(certificate.span.bytes, to: &bytes) }
      unsafe WireFormat.appendExtension(
        kind: Extension.Kind.hello.rawValue,
        body: body.span.bytes,
        to: &bytes
      )
    }
  }

  var ownCapacity: Capacity {
    var capacity = capacity
    capacity.uptime = now - began
    if configuration.role == .leaf { capacity.upload = 0 }
    return capacity
  }

  /// Nothing came back to our hellos.
  mutating func repeatHello(_ index: Int) {
    if channels[index].speech == .proven, !lacksDescriptor || !channels[index].isInitiator {
      channels[index].nextHello = nil
    } else if channels[index].helloTries < Self.helloLimit {
      sendHello(index)
    } else if channels[index].speech == .unknown {
      channels[index].nextHello = nil
      // Who says nothing at all since then is gone, and not a plain peer.
      if channels[index].sentSinceHeard >= Self.helloLimit {
        lose(index, .unreachable)
        return
      }
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
    guard channels[index].speech == .proven, content == nil || kind == .ping || kind == .pong else { return }
    switch kind {
    case .hello, .note: break
    case .descriptor: readDescriptor(index, body)
    case .ask: readAsk(index, body)
    case .answer: readAnswer(index, body)
    case .stop:
      guard let stop = Extension.Stop(body), let course = course(ofEpoch: stop.epoch) else { return }
      endRoutes(to: index, in: course) { stop.stripes.contains(stripe: $0) }
    case .part: readPart(index, body)
    case .goodbye:
      var reader = ByteReader(body)
      let bytes = reader.rest()
      var offset = 0
      guard let list = Extension.Suggestion.decode(bytes, at: &offset) else { return }
      channels[index].farewell = candidates(list, from: channels[index].address)
    case .message:
      var reader = ByteReader(body)
      guard let epoch = try? reader.read(UInt32.self), reader.remaining <= TopologyContext.messageLimit
      else { return }
      guard let course = course(ofEpoch: epoch) else { return }
      courses[course].events.append(.message(channels[index].peer, epoch: epoch, bytes: reader.rest()))
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
    Extension.Ping(
      token: token,
      isAttached: isAttached,
      depth: depth.map { UInt16(clamping: $0) } ?? .max,
      epoch: descriptor?.epoch ?? 0,
      swap: lastSwap.map { Extension.Ping.Seen($0) } ?? Extension.Ping.Seen()
    )
  }

  private mutating func note(_ index: Int, _ ping: Extension.Ping) {
    channels[index].hello?.isAttached = ping.isAttached
    channels[index].hello?.depth = ping.depth == .max ? nil : Int(ping.depth)
    directory[channels[index].peer]?.isAttached = ping.isAttached
    channels[index].swap = ping.swap
    // Who knows of none asks by its hello.
    if ping.epoch != 0, ping.epoch != descriptor?.epoch { tellNews(index) }
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
    guard let isMember = isMember(index, message.hello.id) else { return }
    guard isMember else {
      counters.rejected += 1
      lose(index, .unreachable)
      return
    }
    if channel.speech == .proven {
      channels[index].hello?.capacity = message.hello.capacity
      directory[channel.peer]?.capacity = message.hello.capacity
      if !message.isReply { sendHello(index, isReply: true) }
      if message.wantsDescriptor { sendDescriptor(index) }
      if !lacksDescriptor || !channel.isInitiator { channels[index].nextHello = nil }
      return
    }
    let reference = directory.prove(channel.peer, id: message.hello.id, address: message.hello.address)
    if reference != channel.peer {
      adopt(index, as: reference, instead: channel.peer)
      guard channels[index].local == channel.local, !channels[index].isFree else { return }
    }
    let other = directory[reference]?.channel.flatMap { $0 == index || channels[$0].isFree ? nil : $0 }
    // A plain leaf asks for news beside the channel that it pulls from.
    let isBeside = other.map { channels[$0].isOpen && channels[$0].speech == .plain } ?? false
    if let other, !isBeside {
      guard resolve(index, against: other, with: message.hello.id) else { return }
    }
    if !isBeside { directory[reference]?.channel = index }
    directory[reference]?.capacity = message.hello.capacity
    directory[reference]?.isAttached = message.hello.isAttached
    channels[index].speech = .proven
    channels[index].hello = message.hello
    channels[index].congestion.floorRate = liveFloor
    if !lacksDescriptor || !channel.isInitiator { channels[index].nextHello = nil }
    if !message.isReply { sendHello(index, isReply: true) }
    if message.wantsDescriptor { sendDescriptor(index) }
    sendPing(index)
    if content != nil { meet(index) } else { sendAsks(index) }
  }

  /// Whether it is still to be said what the swarm runs; one of content runs nothing.
  private var lacksDescriptor: Bool { descriptor == nil && content == nil }

  /// The peer behind a channel is one that is known under another number.
  private mutating func adopt(_ index: Int, as reference: PeerRef, instead old: PeerRef) {
    if directory[old]?.channel == index { directory[old]?.channel = nil }
    channels[index].peer = reference
    if directory[reference]?.heardAt == nil { directory[reference]?.hintedBy = directory[old]?.hintedBy }
    directory[reference]?.heardAt = channels[index].address
    for course in courses.indices where channels[index].roles[course].pendingAsk != nil {
      channels[index].roles[course].pendingAsk = nil
      courses[course].events.append(.linkDown(old, .unreachable, redirect: [candidate(reference)]))
    }
  }

  /// Two channels lead to one peer: both sides keep the one that the lower id opened, if it is open.
  ///
  /// False when `index` is the one that goes.
  private mutating func resolve(_ index: Int, against other: Int, with id: PeerID) -> Bool {
    let lower = me.id < id
    let keepsNew =
      !channels[other].isOpen
      ? true
      : channels[index].isInitiator == channels[other].isInitiator
        ? now - channels[other].lastHeard > .seconds(1)
        : channels[index].isInitiator == lower
    let (kept, gone) = keepsNew ? (index, other) : (other, index)
    takeAsks(of: channels[gone], to: kept)
    if channels[gone].isLink, keepsNew {
      lose(gone, .closed)
    } else {
      sayGoodbye(gone, redirect: [])
      free(gone)
    }
    if !keepsNew { sendAsks(kept) }
    return keepsNew
  }

  /// Says what the swarm runs; in a swap first what it runs until the turn, for who comes before that.
  private mutating func sendDescriptor(_ index: Int) {
    if courses.count == 2, swap?.turned == nil { sendExtension(index, .descriptor, courses[0].signed) }
    if !signedDescriptor.isEmpty { sendExtension(index, .descriptor, signedDescriptor) }
  }

  /// How often one peer is told what the swarm runs without having asked.
  private static let toldInterval: Duration = .milliseconds(500)

  /// Tells somebody who runs something else what the swarm runs; whoever knows better says so in the same way.
  mutating func tellNews(_ index: Int) {
    guard !signedDescriptor.isEmpty, channels[index].toldNews.map({ now - $0 >= Self.toldInterval }) ?? true
    else { return }
    channels[index].toldNews = now
    sendExtension(index, .descriptor, signedDescriptor)
  }

  /// What a neighbour that has proven itself says that the swarm runs: passed on when it is new and the stream's key signed it.
  ///
  /// What is not newer costs nothing; of what seems to be, some a second are looked at, and who goes on sending what is
  /// not signed is a liar.
  private mutating func readDescriptor(_ index: Int, _ body: RawSpan) {
    guard let verifier else { return }
    let length = verifier.signatureLength
    guard configuration.role != .source, body.byteCount > length else { return }
    let statement = body.extracting(0..<(body.byteCount - length))
    guard let found = SwarmDescriptor(statement), found.supersedes(descriptor), !speaksPlain(index),
      channels[index].hellos < Channel.helloLimit
    else { return }
    channels[index].hellos += 1
    let signature = body.extracting((body.byteCount - length)..<body.byteCount)
    guard verifier.key.verify(statement: statement, signature: signature) else {
      lied(index)
      return
    }
    let signed = unsafe body.withUnsafeBytes { unsafe Array($0) }
    if speaksPlain { return rejoin(found, signed: signed) }
    do throws(ParameterError) {
      try adopt(found, signed: signed)
    } catch {
      lack(found, signed: signed, "\(error)")
    }
    // Of the first that we hear of the others know.
    guard courses.count == 2 || lacking != nil else { return }
    for other in channels.indices
    where other != index && channels[other].isOpen && channels[other].speech == .proven {
      tellNews(other)
    }
  }

  /// The swarm runs something that we lack, or will: then we attach as a plain RFC 7574 leaf.
  private mutating func lack(_ found: SwarmDescriptor, signed: [UInt8], _ reason: String) {
    guard !courses.isEmpty else {
      goPlain("\(reason); watching as a plain leaf, which relays to nobody")
      return
    }
    descriptor = found
    signedDescriptor = signed
    lacking = found.validFrom
    notices.append(
      .sentence(
        "\(reason), and the swarm changes to it; from then on this is a plain leaf, which relays to nobody"
      )
    )
  }

  /// The turn has come to what we lack: nothing is pushed to us any more.
  mutating func reviewLacking() {
    guard let lacking, let seen = channels.lazy.filter(\.isOpen).compactMap(\.available.highest).max(),
      max(seen, window.newest ?? 0) >= lacking
    else { return }
    self.lacking = nil
    goPlain(nil)
  }

  /// The most neighbours that one who becomes plain tries to pull from, beside the link's peers.
  private static let plainTries = 8

  /// Attaches as a plain leaf to the peers of the link, and to those that were neighbours until now.
  private mutating func goPlain(_ sentence: String?) {
    if let sentence { notices.append(.sentence(sentence)) }
    speaksPlain = true
    nextNews = now + Self.newsInterval
    descriptor = nil
    var addresses = bootstrap
    for index in channels.indices where channels[index].isOpen && channels[index].speech == .proven {
      guard !courses.isEmpty, addresses.count < bootstrap.count + Self.plainTries,
        channels[index].hello?.capacity.upload != 0, !addresses.contains(channels[index].address)
      else { continue }
      addresses.append(channels[index].address)
    }
    courses = []
    swap = nil
    for index in channels.indices where !channels[index].isFree {
      sayGoodbye(index, redirect: [])
      free(index)
    }
    for address in addresses { connect(to: directory.peer(at: address)) }
  }
}

extension Extension.Ping.Seen {
  /// What a ping has room for.
  fileprivate init(_ report: SwapReport) {
    self.init(
      epoch: report.epoch,
      gap: UInt16(clamping: Int64(report.gap / .milliseconds(1))),
      lost: UInt16(clamping: report.lost),
      duplicates: UInt16(clamping: report.duplicates)
    )
  }
}
