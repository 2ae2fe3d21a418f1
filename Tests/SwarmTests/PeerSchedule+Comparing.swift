import Integrity
import PluginKit
import Support
import Wire

@testable import Swarm

// Whether both sides do the same.
extension PeerSchedule {
  /// `isIdle` says that everything was done that is due.
  mutating func compare(isIdle: Bool = false) {
    for local in model.lines.keys.sorted() where model.lines[local]?.isOpen == true && !isOpen(local) {
      model.parted(local)
    }
    adoptSilentChokes(true)
    for (address, channel, words) in said() {
      note("says to \(address), \(channel): \(words)")
      model.judge(words, to: channel, at: address)
      hear(words, address)
    }
    adoptSilentChokes(false)
    model.finish(isIdle: isIdle)
    if let difference { model.complain(difference.peer, difference.model) }
  }

  func isOpen(_ local: UInt32) -> Bool {
    peer.byLocal[local].map { peer.channels[$0].isOpen } ?? false
  }

  /// Who does not understand CHOKE is choked all the same.
  mutating func adoptSilentChokes(_ isChoked: Bool) {
    for channel in peer.channels where channel.isOpen && !channel.understands(MessageType.choke) {
      guard let line = model.lines[channel.local], line.weChoke != isChoked, channel.weChoke == isChoked,
        line.isOpen
      else { continue }
      if channel.weChoke { model.chokes(channel.local) } else { model.unchokes(channel.local) }
    }
  }

  /// What the state of both differs in.
  var difference: PeerModel.Difference? {
    let channels = peer.channels.filter { !$0.isFree }
    if let difference = differ("channels", channels.map(\.local).sorted(), model.lines.keys.sorted()) {
      return difference
    }
    for channel in channels {
      guard let line = model.lines[channel.local] else { continue }
      func at() -> String { "on channel \(channel.local)," }
      if let difference = differ("\(at()) open", channel.isOpen, line.isOpen)
        ?? differ("\(at()) served", channel.isServed, line.isServed)
        ?? differ("\(at()) choked", channel.weChoke, line.weChoke)
        ?? differ("\(at()) choking", channel.isChokingUs, line.isChokingUs)
        ?? differ("\(at()) false chunks", channel.falseChunks, line.lies)
      {
        return difference
      }
      let known = channel.available.ranges
      guard line.available.allSatisfy({ isCovered($0, known) }),
        known.allSatisfy({ isCovered($0, line.possible) })
      else {
        return PeerModel.Difference(
          peer: "\(at()) what the other has: \(PeerModel.text(known))",
          model: "at least \(PeerModel.text(line.available)), at most \(PeerModel.text(line.possible))"
        )
      }
    }
    let banned = Set(peer.banned.filter { $0.until > now }.map(\.address))
    let isBanned = Set(model.banned.filter { $0.value > now }.keys)
    let forgotten = model.newcomers.values.filter { !peer.newcomers.contains($0.local) }.map(\.local)
    return differ("held", peer.window.held.ranges, model.runs)
      ?? differ("the last chunk", peer.lastChunk, model.lastChunk)
      ?? differ("banned", banned, isBanned)
      ?? differ("newcomers forgotten", forgotten, [])
  }

  private func differ<Value: Equatable>(_ what: @autoclosure () -> String, _ peer: Value, _ model: Value)
    -> PeerModel.Difference?
  {
    guard peer != model else { return nil }
    return PeerModel.Difference(peer: "\(what()): \(peer)", model: "\(what()): \(model)")
  }

  func isCovered(_ chunks: ChunkRange, _ ranges: [ChunkRange]) -> Bool {
    ranges.contains { $0.lowerBound <= chunks.lowerBound && chunks.upperBound <= $0.upperBound }
  }

  /// What has left, as words.
  mutating func said() -> [(address: Address, channel: UInt32, words: [Word])] {
    var datagrams: [(Address, [UInt8])] = []
    peer.flush { packets, heads, bodies, _ in
      for index in packets.indices {
        var bytes: [UInt8] = []
        bytes.append(bytes: heads.extracting(packets[index].head.range))
        bytes.append(bytes: bodies.extracting(packets[index].body.range))
        datagrams.append((packets[index].address, bytes))
      }
    }
    return datagrams.map { address, bytes in
      var words: [Word] = []
      do throws(DecodeError) {
        var reader = try DatagramReader(bytes.span)
        let channel = reader.destination
        while let message = try reader.next(format) { words.append(word(message, channel)) }
        return (address, channel, words)
      } catch {
        return (address, 0, words + [.strange])
      }
    }
  }

  func word(_ message: borrowing Message, _ channel: UInt32) -> Word {
    func copy(_ bytes: RawSpan) -> [UInt8] { unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
    switch message {
    case .handshake(let view):
      if view.isClosing { return .close }
      var options = Self.options(rules, key, isInitiator: channel == 0)
      options.supported = view.supported
      return .handshake(from: view.source, isRight: options == HandshakeOptions(view), view.understood)
    case .data(let chunks, let sent, let payload): return .data(chunks.lowerBound, sent: sent, copy(payload))
    case .ack(let chunks, let delay): return .ack(chunks, delay: delay)
    case .have(let chunks): return .have(chunks)
    case .signedIntegrity(let chunks, let timestamp, let signature):
      return .signature(chunks, timestamp: timestamp, copy(signature))
    case .integrity(let chunks, let hash): return .hash(chunks, copy(hash))
    case .request(let chunks): return .request(chunks)
    case .cancel(let chunks): return .cancel(chunks)
    case .choke: return .choke
    case .unchoke: return .unchoke
    default: return .strange
    }
  }

  /// One of the others hears it, sooner or later; handshakes are answered.
  mutating func hear(_ words: [Word], _ address: Address) {
    guard case .handshake(let local, _, _)? = words.first,
      let index = remotes.firstIndex(where: { $0.address == address })
    else { return }
    var random = SplitMix64(seed: UInt64(local))
    guard Int.random(in: 0..<10, using: &random) > 0 else { return }
    remotes[index].theirs = local
    guard index < 2, !rules.isSource else { return }
    var options = Self.options(rules, key, isInitiator: false)
    options.supported = remotes[index].supported == .rfc7574 ? nil : remotes[index].supported
    let isRight = spoil(&options, &random)
    var bytes: [UInt8] = []
    WireFormat.appendChannel(local, to: &bytes)
    WireFormat.appendHandshake(source: remotes[index].channel, options, to: &bytes)
    let word = Word.handshake(from: remotes[index].channel, isRight: isRight, remotes[index].supported)
    flying.append(Flying(bytes: bytes, channel: local, words: [word], from: address))
  }
}
