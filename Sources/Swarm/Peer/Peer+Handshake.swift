import Integrity
import PluginKit
import Wire

// Opening and closing channels (RFC 7574, sections 3.1.1 and 12.1).
extension Peer {
  /// The messages that we understand; what is not here must not be sent to us.
  private func spoken(plainly isPlain: Bool) -> MessageSet {
    var set = MessageSet([
      MessageType.handshake, MessageType.data, MessageType.ack, MessageType.have, MessageType.request,
      MessageType.cancel, MessageType.choke, MessageType.unchoke,
    ])
    if plainFormat.signatureLength > 0 { set.insert(MessageType.signedIntegrity) }
    if unified != nil { set.insert(MessageType.integrity) }
    if exchangePolicy != .off {
      for type in [MessageType.pexRequest, MessageType.pexResponse4, MessageType.pexResponse6] {
        set.insert(type)
      }
    }
    if configuration.membership != nil { set.insert(MessageType.pexCertificate) }
    if !isPlain { set.insert(Message.extensionType) }
    if content != nil { set.insert(MessageType.integrity) }
    return set
  }

  private func options(_ role: HandshakeRole, plainly isPlain: Bool) -> HandshakeOptions {
    var options = HandshakeOptions(
      minimumVersion: role == .initiator ? 1 : nil,
      swarmID: role == .initiator ? configuration.name.bytes : nil,
      addressing: configuration.addressing,
      supported: spoken(plainly: isPlain),
      chunkSize: configuration.chunkSize
    )
    switch configuration.name {
    case .live(let id):
      options.integrity = configuration.integrity
      options.merkleHash = unified == nil ? nil : configuration.merkleHash
      options.signatureAlgorithm = configuration.integrity.isSigned ? id.algorithm.rawValue : nil
      options.discardWindow = plainFormat.discardWindow(chunks: window.size)
    case .content(let root):
      options.integrity = .merkleTree
      options.merkleHash = root.function
    }
    return options
  }

  /// Whether what a peer says of the swarm is what we know of it; any doubt means no.
  private func agrees(_ view: borrowing HandshakeView, as role: HandshakeRole) -> Bool {
    guard !view.isClosing, view.missingOption(from: role) == nil, let version = view.version,
      version >= 1, (view.minimumVersion ?? 1) <= 1, view.addressing == configuration.addressing,
      view.chunkSize == configuration.chunkSize
    else { return false }
    switch configuration.name {
    case .live(let id):
      // Where nothing is signed the algorithm need not be said; it stands in the swarm id all the same.
      let algorithm =
        view.signatureAlgorithm ?? (configuration.integrity.isSigned ? nil : id.algorithm.rawValue)
      guard view.integrity == configuration.integrity, algorithm == id.algorithm.rawValue,
        unified == nil || view.merkleHash ?? .sha256 == configuration.merkleHash,
        let window = view.discardWindow, window > 0
      else { return false }
    case .content(let root):
      guard view.integrity == .merkleTree, view.merkleHash == root.function else { return false }
    }
    guard let id = view.swarmID else { return role == .responder }
    return id.equals(configuration.name.bytes)
  }

  mutating func read(_ datagram: Span<UInt8>, from address: Address) {
    var local: UInt32?
    do throws(DecodeError) {
      var reader = try DatagramReader(datagram)
      if reader.destination == 0 {
        try greet(&reader, from: address)
        return
      }
      guard !isBanned(address), let index = channel(reader.destination, from: address) else { return }
      switch channels[index].phase {
      case .free: return
      case .opening:
        guard try readAnswer(index, &reader) else { return }
      case .open: heard(index)
      }
      local = channels[index].local
      if content != nil {
        try readContentMessages(index, &reader)
      } else {
        try readMessages(index, &reader, datagram)
      }
    } catch {
      counters.rejected += 1
      if let index = local.flatMap({ byLocal[$0] }) { noteMalformed(index) }
    }
  }

  /// Who goes on sending what cannot be read is not talked to any more (RFC 7574, section 3).
  ///
  /// It is no liar for that, and may come again: who sees the number of a channel can forge what comes on it, as it can
  /// forge the HANDSHAKE that closes it, and must not get anybody banned.
  private mutating func noteMalformed(_ index: Int) {
    channels[index].malformed += 1
    guard channels[index].malformed >= Channel.malformedLimit else { return }
    sayGoodbye(index, redirect: [])
    lose(index, .closed)
  }

  /// The channel that a datagram is for; a newcomer's begins here.
  private mutating func channel(_ local: UInt32, from address: Address) -> Int? {
    if let index = byLocal[local] { return channels[index].address == address ? index : nil }
    guard let newcomer = newcomers.take(local, from: address) else { return nil }
    makeRoom()
    guard
      let index = makeChannel(
        local,
        address: address,
        peer: directory.peer(at: address),
        isInitiator: false
      )
    else {
      numbers.release(local)
      return nil
    }
    channels[index].remote = newcomer.remote
    channels[index].supported = newcomer.supported
    channels[index].theirWindow = newcomer.window
    channels[index].member = newcomer.member
    channels[index].opened = newcomer.since
    open(index)
    // Whether a plain peer is served is decided before its first words are read: they may ask for chunks.
    settle()
    return byLocal[local] == index ? index : nil
  }

  /// A first handshake.
  ///
  /// Nothing is answered to one that fails a check, as it may be spoofed.
  private mutating func greet(_ reader: inout DatagramReader, from address: Address) throws(DecodeError) {
    guard leaving == nil, !isBanned(address), reader.nextType == MessageType.handshake,
      case .handshake(let view)? = try reader.next(plainFormat), agrees(view, as: .initiator)
    else { return }
    let member = try configuration.membership == nil ? nil : readMember(&reader, from: address)
    guard configuration.membership == nil || member != nil else { return }
    let length = reader.offset
    // What else a first datagram may carry is little and can wait; the rest is heavy and must not be there.
    let known = channels.indices.first { index in
      !channels[index].isFree && !channels[index].isInitiator && channels[index].address == address
        && channels[index].remote == view.source
    }
    if let local = known.map({ channels[$0].local }) ?? newcomers.local(of: address, view.source) {
      sendAnswer(from: local, to: address, view.source, within: length)
      return
    }
    let local = numbers.take(using: &random)
    let evicted = newcomers.insert(
      Newcomers.Newcomer(
        address: address,
        remote: view.source,
        local: local,
        supported: view.understood,
        window: plainFormat.chunks(inDiscardWindow: view.discardWindow ?? .max),
        member: member,
        since: now
      )
    )
    if let evicted { numbers.release(evicted) }
    sendAnswer(from: local, to: address, view.source, within: length)
  }

  /// Where strangers hold all channels that they can, the one that has been of no use for longest makes room.
  private mutating func makeRoom() {
    let inbound = channels.indices.filter { !channels[$0].isFree && !channels[$0].isInitiator }
    guard inbound.count >= Self.inboundLimit else { return }
    let useless = inbound.filter { index in
      let channel = channels[index]
      return !channel.isChild && !channel.isParent && !channel.isUsed
    }
    guard let index = useless.min(by: { channels[$0].lastHeard < channels[$1].lastHeard }) else { return }
    sayGoodbye(index, redirect: [])
    free(index)
  }

  /// Answers a first handshake; our certificate goes along where the answer is no longer than what came.
  private mutating func sendAnswer(
    from local: UInt32,
    to address: Address,
    _ remote: UInt32,
    within limit: Int
  ) {
    outbox.begin()
    WireFormat.appendChannel(remote, to: &outbox.heads)
    WireFormat.appendHandshake(source: local, options(.responder, plainly: speaksPlain), to: &outbox.heads)
    if outbox.pending + certificateLength <= limit { appendCertificate(to: &outbox.heads) }
    counters.bytesOut &+= UInt64(outbox.pending)
    outbox.end(to: address)
  }

  /// Opens a channel to a peer, if there is none yet.
  @discardableResult
  mutating func connect(to peer: PeerRef) -> Int? {
    guard leaving == nil, let entry = directory[peer] else { return nil }
    if let index = entry.channel, !channels[index].isFree { return index }
    guard !isBanned(entry.address), entry.address != me.address, let time = dialTime(entry) else {
      return nil
    }
    let local = numbers.take(using: &random)
    guard let index = makeChannel(local, address: entry.address, peer: peer, isInitiator: true) else {
      numbers.release(local)
      return nil
    }
    directory[peer]?.channel = index
    if time > now {
      channels[index].opened = time
      channels[index].nextHandshake = time
    } else {
      sendHandshake(index)
    }
    return index
  }

  /// Opens one more channel to an address, to hear what the swarm runs.
  mutating func openForNews(to address: Address) {
    guard leaving == nil, !isBanned(address), address != me.address else { return }
    let local = numbers.take(using: &random)
    let peer = directory.peer(at: address)
    guard let index = makeChannel(local, address: address, peer: peer, isInitiator: true) else {
      numbers.release(local)
      return
    }
    channels[index].asksNews = true
    sendHandshake(index)
  }

  mutating func sendHandshake(_ index: Int) {
    let options = options(.initiator, plainly: speaksPlain(index))
    let local = channels[index].local
    let certificate = configuration.membership?.certificate.der
    send(index) { bytes in
      WireFormat.appendHandshake(source: local, options, to: &bytes)
      if let certificate { unsafe WireFormat.appendPexCertificate(certificate.span.bytes, to: &bytes) }
    }
    channels[index].handshakeTries += 1
    let wait = Duration.milliseconds(100) * (1 << min(channels[index].handshakeTries - 1, 3))
    channels[index].nextHandshake = now + wait
  }

  /// The answer to our first handshake; false when it is none, or none that we can agree with.
  private mutating func readAnswer(_ index: Int, _ reader: inout DatagramReader) throws(DecodeError) -> Bool {
    guard reader.nextType == MessageType.handshake, case .handshake(let view)? = try reader.next(plainFormat)
    else {
      return false
    }
    if view.isClosing {
      lose(index, .unreachable)
      return false
    }
    channels[index].remote = view.source
    guard agrees(view, as: .responder) else {
      sendClosing(index)
      lose(index, .incompatible)
      return false
    }
    channels[index].supported = view.understood
    channels[index].theirWindow = plainFormat.chunks(inDiscardWindow: view.discardWindow ?? .max)
    if configuration.membership != nil {
      channels[index].member = try readMember(&reader, from: channels[index].address)
    }
    if channels[index].handshakeTries == 1 {
      channels[index].congestion.measured(now - channels[index].opened)
    }
    heard(index)
    open(index)
    return true
  }

  /// The other side has shown that it really is where it says.
  private mutating func open(_ index: Int) {
    channels[index].phase = .open
    directory[channels[index].peer]?.heardAt = channels[index].address
    channels[index].nextHandshake = nil
    channels[index].nextPing = now + .seconds(1)
    if !hasConnected {
      hasConnected = true
      notices.append(.connected)
    }
    // The third datagram of the handshake shows it already (section 6.1.2.4).
    sendRightmostMunro(index)
    if !speaksPlain(index), channels[index].understands(Message.extensionType) {
      // The responder's hello answers the initiator's, which is about to be read.
      if channels[index].isInitiator {
        sendHello(index)
      } else if isAdmitted(index) {
        channels[index].nextHello = now + .milliseconds(60)
      }
    } else {
      becomePlain(index)
      if channels[index].isInitiator, channels[index].isOpen {
        // The third datagram of the handshake, which opens the other side.
        send(index) { _ in }
      }
    }
  }

  /// A place for a channel with our number `local`, which is opening; nil when all are taken.
  private mutating func makeChannel(_ local: UInt32, address: Address, peer: PeerRef, isInitiator: Bool)
    -> Int?
  {
    let place = channels.firstIndex { $0.isFree }
    guard place != nil || channels.count < Self.channelLimit else { return nil }
    var channel = Channel(local: local, address: address, peer: peer, isInitiator: isInitiator, now: now)
    if unified != nil { channel.hashes = PendingHashes(configuration.merkleHash) }
    channel.congestion = CongestionControl(configuration.congestion)
    if case .content(let root) = configuration.name {
      channel.content = ContentChannel(root.function)
      channel.available = IntervalSet(limit: ContentChannel.availableLimit)
    }
    let index = place ?? channels.count
    if index < channels.count { channels[index] = channel } else { channels.append(channel) }
    byLocal[local] = index
    return index
  }

  mutating func heard(_ index: Int) {
    channels[index].lastHeard = now
    channels[index].sentSinceHeard = 0
    channels[index].silenceReported = nil
    channels[index].unansweredSince = nil
  }

  /// Tells the other side that we are gone, and whom it may try instead.
  mutating func sayGoodbye(_ index: Int, redirect: [PeerRef]) {
    guard channels[index].remote != 0, channels[index].isOpen else { return }
    if channels[index].speech == .proven, !redirect.isEmpty {
      var body: [UInt8] = []
      Extension.Suggestion.encode(suggestions(redirect), to: &body)
      sendExtension(index, .goodbye, body)
    }
    sendClosing(index)
  }

  private mutating func sendClosing(_ index: Int) {
    send(index) { bytes in WireFormat.appendClosingHandshake(to: &bytes) }
  }

  /// A channel ends without our doing: the topology hears of it.
  mutating func lose(_ index: Int, _ reason: LinkDownReason, redirect: [Candidate] = []) {
    let channel = channels[index]
    free(index)
    if reason == .closed, !channel.isLink, channel.isAsked,
      let other = channels.indices.first(where: { !channels[$0].isFree && channels[$0].peer == channel.peer })
    {
      // Both sides dialled at once, and the other side has decided first which channel stays.
      takeAsks(of: channel, to: other)
      directory[channel.peer]?.channel = other
      sendAsks(other)
      return
    }
    for course in courses.indices where channel.roles[course].isUsed || reason == .lied {
      courses[course].events.append(.linkDown(channel.peer, reason, redirect: redirect))
    }
    if channel.isParent { noteParents() }
  }

  /// Gives a channel's place back; requests that went there go elsewhere.
  mutating func free(_ index: Int) {
    let channel = channels[index]
    guard !channel.isFree else { return }
    byLocal[channel.local] = nil
    numbers.release(channel.local)
    channels[index].phase = .free
    abandonParked(of: channel.local)
    if directory[channel.peer]?.channel == index { directory[channel.peer]?.channel = nil }
    for course in courses.indices { courses[course].parents.removeAll { $0.peer == channel.peer } }
    channels[index].roles = [Roles(), Roles()]
    reassign(from: index, .linkDown)
    if content != nil { leaveContent(index) }
  }

  /// Ends a channel to a peer that sends what is false, and does not talk to it again for a while.
  mutating func punish(_ index: Int) {
    if banned.count >= Self.bannedLimit { banned.removeFirst() }
    banned.append((channels[index].address, now + .seconds(600)))
    lose(index, .lied)
  }

  func isBanned(_ address: Address) -> Bool {
    !banned.isEmpty && banned.contains { $0.address == address && $0.until > now }
  }

  /// Sends one datagram without a body to a channel; `write` appends its messages.
  mutating func send(_ index: Int, lane: Lane = .control, _ write: (inout [UInt8]) -> Void) {
    outbox.begin()
    WireFormat.appendChannel(channels[index].remote, to: &outbox.heads)
    write(&outbox.heads)
    counters.bytesOut &+= UInt64(outbox.pending)
    channels[index].lastSent = now
    channels[index].sentSinceHeard += 1
    outbox.end(to: channels[index].address, lane: lane)
  }

  mutating func sendExtension(_ index: Int, _ kind: Extension.Kind, _ body: [UInt8]) {
    guard channels[index].understands(Message.extensionType), body.count <= configuration.datagramLimit - 16
    else {
      return
    }
    send(index) { bytes in
      unsafe WireFormat.appendExtension(kind: kind.rawValue, body: body.span.bytes, to: &bytes)
    }
  }
}

extension RawSpan {
  func equals(_ bytes: [UInt8]) -> Bool {
    unsafe withUnsafeBytes { unsafe $0.elementsEqual(bytes) }
  }
}
