import Integrity
import PluginKit
import Wire

// Peer exchange, and what keeps it from being turned against us or others (RFC 7574, sections 3.10, 8.13 and 12.2).
extension Peer {
  var exchangePolicy: PeerExchange {
    configuration.exchange ?? (configuration.role == .source ? .off : .privateNetworks)
  }

  // MARK: - Answering

  /// Names some of those that we talk to, in one datagram.
  mutating func readPeerRequest(_ index: Int) {
    guard exchangePolicy != .off else { return }
    if let last = channels[index].exchange.answered, now - last < Exchange.answerInterval { return }
    channels[index].exchange.answered = now
    var named: [Address] = []
    var answer: [UInt8] = []
    for other in channels.indices.filter({ mayName($0, to: index) }).shuffled(using: &random) {
      let address = channels[other].address
      guard named.count < Exchange.answerLimit, !named.contains(address) else { continue }
      let before = answer.count
      if let der = channels[other].certificateOfPlace {
        unsafe WireFormat.appendPexCertificate(der.span.bytes, to: &answer)
      } else {
        address.appendExchanged(to: &answer)
      }
      if answer.count + WireFormat.channelSize > configuration.datagramLimit {
        answer.removeSubrange(before...)
        break
      }
      named.append(address)
    }
    guard !named.isEmpty else { return }
    send(index) { $0 += answer }
  }

  /// Whether a peer is live, of use, and no secret to the one who asks.
  private func mayName(_ other: Int, to asker: Int) -> Bool {
    let channel = channels[other]
    guard other != asker, channel.isOpen, channel.address != channels[asker].address,
      now - channel.lastHeard <= Exchange.freshness, channel.hello?.capacity.upload != 0
    else { return false }
    if channel.certificateOfPlace != nil {
      return channels[asker].understands(MessageType.pexCertificate)
        && channel.address.mayBeTold(to: channels[asker].address)
    }
    let type = channel.address.tag == Address.ipv4 ? MessageType.pexResponse4 : MessageType.pexResponse6
    return isAdmitted(other) && channels[asker].understands(type)
      && isExchangeable(channel.address, channels[asker].address)
  }

  /// Whether a bare address may be told between us and a peer.
  private func isExchangeable(_ address: Address, _ other: Address) -> Bool {
    guard address.mayBeTold(to: other) else { return false }
    return exchangePolicy == .everywhere || address.network != .internet
  }

  // MARK: - Asking

  /// Asks a few of those that we talk to for others.
  mutating func askForPeers() {
    guard exchangePolicy != .off, leaving == nil else { return }
    let willing = channels.indices.filter { index in
      let channel = channels[index]
      return channel.isOpen && channel.speech != .unknown && channel.understands(MessageType.pexRequest)
        && channel.exchange.asked.map { now - $0 >= Exchange.askInterval } ?? true
    }
    for index in willing.shuffled(using: &random).prefix(Exchange.askLimit) {
      channels[index].exchange.asked = now
      channels[index].exchange.taken = 0
      channels[index].exchange.defective = 0
      send(index) { bytes in WireFormat.appendPexRequest(to: &bytes) }
    }
  }

  /// Takes in an address that was asked for; it is a hint until a handshake has shown that it is more.
  mutating func readPeerHint(_ index: Int, _ address: Address) {
    guard isAwaitedHint(index) else { return }
    guard isExchangeable(address, channels[index].address) else { return }
    note(hint: address, from: index)
  }

  /// Whether a name answers our question, and is not one too many.
  mutating func isAwaitedHint(_ index: Int) -> Bool {
    let side = channels[index].exchange
    guard exchangePolicy != .off, let asked = side.asked, now - asked <= Exchange.patience,
      side.taken < Exchange.answerLimit, side.defective < Exchange.defectiveLimit
    else { return false }
    channels[index].exchange.taken += 1
    return true
  }

  mutating func note(hint address: Address, from index: Int) {
    guard address != me.address, address != configuration.address, !isBanned(address),
      exchange.hints.count < Exchange.hintLimit
    else { return }
    let isNew = !directory.knows(address)
    let peer = directory.peer(at: address)
    if isNew { directory[peer]?.hintedBy = channels[index].address }
    guard directory[peer]?.channel == nil, !exchange.hints.contains(peer) else { return }
    exchange.hints.append(peer)
  }

  /// What came of asking goes to the topology, where there is one.
  mutating func flushHints() {
    guard !courses.isEmpty, !exchange.hints.isEmpty else { return }
    tell(.discovered(exchange.hints.map(candidate)))
    exchange.hints.removeAll(keepingCapacity: true)
  }

  /// A plain peer looks after its links itself, once a second.
  mutating func reviewExchange() {
    guard exchangePolicy != .off, leaving == nil, courses.isEmpty, configuration.role != .source,
      channels.contains(where: { $0.isOpen && ($0.speech == .plain || $0.isPulled) })
    else { return }
    feedLikeMinded()
    for index in channels.indices where isHinted(channels[index]) && channels[index].isOpen {
      guard now - channels[index].lastProgress >= Exchange.idleLimit else { continue }
      sayGoodbye(index, redirect: [])
      lose(index, .silent)
    }
    guard channels.count(where: { !$0.isFree && $0.isInitiator }) < Exchange.linkTarget else {
      exchange.hints.removeAll()
      return
    }
    if exchange.hints.isEmpty {
      askForPeers()
    } else {
      let peer = exchange.hints.remove(at: Int.random(in: exchange.hints.indices, using: &random))
      connect(to: peer)
    }
  }

  /// Freshet peers that found each other in a swarm without a descriptor feed each other as plain peers do.
  private mutating func feedLikeMinded() {
    for index in channels.indices where channels[index].isOpen && channels[index].speech == .proven {
      if !channels[index].isPulled { pull(index, purpose: .data, stripes: .first(1), 0) }
      if !channels[index].isServed, !channels[index].weChoke { consider(index) }
    }
  }

  // MARK: - Dialling

  /// Whether we opened a channel only because exchange named it.
  private func isHinted(_ channel: Channel) -> Bool {
    !channel.isFree && channel.isInitiator && directory[channel.peer]?.hintedBy != nil
  }

  /// When a peer may be dialled; nil when it is not to be.
  mutating func dialTime(_ entry: Directory.Entry) -> Duration? {
    if let source = entry.hintedBy?.host {
      var (all, told, near) = (0, 0, 0)
      for channel in channels where isHinted(channel) {
        all += 1
        if directory[channel.peer]?.hintedBy?.host == source { told += 1 }
        if let prefix = entry.address.prefix, channel.address.prefix == prefix { near += 1 }
      }
      guard all < Exchange.hintedLimit, told < Exchange.sourceLimit, near < Exchange.prefixLimit else {
        return nil
      }
    }
    if entry.heardAt == entry.address || bootstrap.contains(entry.address) { return now }
    return exchange.dials.take(now: now)
  }
}

extension Channel {
  /// The certificate that vouches for the other side's address.
  fileprivate var certificateOfPlace: [UInt8]? { member?.address == address ? member?.certificate.der : nil }
}

extension Address {
  /// Appends the message that names this address.
  fileprivate func appendExchanged(to bytes: inout [UInt8]) {
    guard let port else { return }
    func number<Integer: FixedWidthInteger>(_: Integer.Type, _ count: Int) -> Integer {
      (0..<count).reduce(0) { $0 << 8 | Integer(self[$1]) }
    }
    if tag == Self.ipv4 {
      WireFormat.appendPexResponse(address: number(UInt32.self, 4), port: port, to: &bytes)
    } else {
      WireFormat.appendPexResponse(address: number(UInt128.self, 16), port: port, to: &bytes)
    }
  }
}
