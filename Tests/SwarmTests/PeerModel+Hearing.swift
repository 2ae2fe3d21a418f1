import PluginKit
import Wire

// What the words of others do.
extension PeerModel {
  /// A datagram for channel `channel`.
  mutating func hear(_ words: [Word], to channel: UInt32, from address: Address) {
    guard !hasLeft, !isBanned(address) else { return }
    if channel == 0 { return greet(words, address) }
    if lines[channel] == nil {
      guard let (origin, newcomer) = newcomers.first(where: { $0.value.local == channel }),
        origin.address == address
      else { return }
      newcomers[origin] = nil
      // Who comes once more is done with the channel that it had.
      for (old, line) in lines.sorted(by: { $0.key < $1.key }) where line.origin == address && !line.isDialled
      {
        say(old, .close)
        lose(old)
      }
      var line = Line(
        origin: address,
        isDialled: false,
        heard: now,
        sent: now,
        dialled: newcomer.since,
        used: now,
        asked: now
      )
      line.remote = origin.channel
      line.supported = newcomer.supported
      line.isOpen = true
      lines[channel] = line
      expectMunro(channel)
      consider(channel)
    }
    guard let line = lines[channel], line.origin == address else { return }
    var words = words[...]
    if !line.isOpen {
      guard readAnswer(channel, words.popFirst()) else { return }
    }
    lines[channel]?.heard = now
    lines[channel]?.unheard = []
    var signature: (number: UInt64, timestamp: UInt64, signature: [UInt8])?
    mayHaveSent = false
    var hashed: UInt64?
    for word in words {
      if word == .strange { break }
      switch word {
      case .hash(let node, let bytes):
        keepHash(node, bytes, channel)
        hashed = node.lowerBound
      case .signature(let chunks, let timestamp, let bytes) where rules.width > 0:
        readMunro(chunks, timestamp, bytes, channel)
      case .data(let number, let sent, let payload) where rules.width > 0:
        takeProven(number, sent: sent, payload, channel)
      case .signature(let chunks, let timestamp, let bytes):
        signature = (chunks.lowerBound, timestamp, bytes)
      case .data(let number, let sent, let payload):
        var proof = signature
        if proof?.number == number {
          signature = nil
        } else {
          let place = lines[channel]?.early.lastIndex { $0.number == number }
          proof = place.flatMap { lines[channel]?.early.remove(at: $0) }
        }
        guard let proof else { continue }
        let chunk = Chunk(
          number: number,
          timestamp: proof.timestamp,
          payload: payload,
          signature: proof.signature
        )
        take(chunk, sent: sent, channel)
      case .choke:
        // Who chokes is not waited for any more, even for what follows in the same datagram.
        awaited = awaited.filter { $0.local != channel }
        read(word, channel)
      default: read(word, channel)
      }
      guard lines[channel] != nil else { return }
    }
    if let hashed, !words.contains(.strange) { learn(from: hashed, channel) }
    // A datagram that ends in what cannot be read leaves nothing for later ones.
    if let signature, !words.contains(.strange), isAsked(channel, signature.number),
      held[signature.number] == nil
    {
      lines[channel]?.early.append(signature)
    }
  }

  mutating func greet(_ words: [Word], _ address: Address) {
    guard case .handshake(let source, isRight: true, let supported)? = words.first else { return }
    due[Origin(address: address, channel: source), default: []].append(.answer(supported))
  }

  /// A first handshake was right; the peer must have answered with the number that it gave before, or a new one.
  mutating func gave(_ local: UInt32, to origin: Origin, _ supported: MessageSet) {
    let open = lines.first { _, line in
      !line.isDialled && line.origin == origin.address && line.remote == origin.channel
    }
    if let known = open?.key ?? newcomers[origin]?.local {
      if known != local {
        complain("answers a resent handshake from \(local)", "it was given \(known) before")
      }
    } else if lines[local] != nil || newcomers.values.contains(where: { $0.local == local }) {
      complain("gives out channel \(local)", "another has that number")
    } else {
      newcomers[origin] = Newcomer(local: local, supported: supported, since: now)
    }
  }

  mutating func readAnswer(_ local: UInt32, _ word: Word?) -> Bool {
    switch word {
    case .handshake(let source, let isRight, let supported):
      lines[local]?.remote = source
      guard isRight else {
        say(local, .close)
        lose(local)
        return false
      }
      lines[local]?.isOpen = true
      lines[local]?.supported = supported
      lines[local]?.nextDial = nil
      expectMunro(local)
      due[Origin(address: lines[local]?.origin ?? Address(ipv4: 0, port: 0), channel: source), default: []]
        .append(.keepAlive)
      return true
    case .close: lose(local)
    default: break
    }
    return false
  }

  mutating func read(_ word: Word, _ local: UInt32) {
    guard let line = lines[local] else { return }
    switch word {
    case .close: lose(local)
    case .choke: lines[local]?.isChokingUs = true
    case .unchoke: lines[local]?.isChokingUs = false
    case .have(let chunks):
      let limit = newest.map { $0 + rules.window } ?? UInt64(UInt32.max) - 1
      guard chunks.lowerBound <= limit else { return }
      let believed = chunks.lowerBound...min(chunks.upperBound, limit)
      lines[local]?.available = Self.union(line.available, believed)
      lines[local]?.possible = Self.union(line.possible, believed)
      withdraw(believed, local)
    case .cancel(let chunks): withdraw(chunks, local)
    case .request(let chunks): request(chunks, local)
    case .ack(let chunks, _): acknowledge(chunks, local)
    default: break
    }
  }

  /// Of something that was sent, or may have been just now; what is under way twice need not go again.
  mutating func acknowledge(_ chunks: ChunkRange, _ local: UInt32) {
    guard let line = lines[local] else { return }
    let found = line.lastSent.keys.filter { chunks.contains($0) }
    let isPossible = mayHaveSent && line.wanted.contains { chunks.contains($0.number) }
    guard !found.isEmpty || isPossible else { return }
    mayHaveSent = true
    for number in found { lines[local]?.lastSent[number] = nil }
    lines[local]?.used = now
    if let newest, chunks.lowerBound <= newest {
      let believed = chunks.lowerBound...min(chunks.upperBound, newest)
      lines[local]?.possible = Self.union(line.possible, believed)
    }
    for place in line.wanted.indices where chunks.contains(line.wanted[place].number) {
      lines[local]?.wanted[place].isCertain = false
    }
  }

  /// What was asked for must not go any more, if nothing before it in the same datagram has let it go.
  mutating func withdraw(_ chunks: ChunkRange, _ local: UInt32) {
    guard let line = lines[local] else { return }
    for place in line.wanted.indices where chunks.contains(line.wanted[place].number) {
      lines[local]?.wanted[place].isCertain = false
      lines[local]?.wanted[place].isWithdrawn = true
    }
    lines[local]?.wanted.removeAll { $0.isWithdrawn && !mayHaveSent }
  }

  mutating func request(_ chunks: ChunkRange, _ local: UInt32) {
    guard let line = lines[local] else { return }
    if line.weChoke {
      if line.supported.contains(MessageType.choke) { say(local, .choke) }
      return
    }
    guard line.isServed else { return }
    mayHaveSent = true
    lines[local]?.used = now
    lines[local]?.asked = now
    for number in held.keys.sorted() where chunks.contains(number) {
      guard !line.wanted.contains(where: { $0.number == number && $0.isCertain }) else { continue }
      lines[local]?.wanted.append(
        Wanted(number: number, until: now + rules.patience, isCertain: line.lastSent[number] == nil)
      )
    }
  }

  static func union(_ ranges: [ChunkRange], _ added: ChunkRange) -> [ChunkRange] {
    var (low, high) = (added.lowerBound, added.upperBound)
    var apart: [ChunkRange] = []
    for range in ranges {
      if range.lowerBound <= high + 1, low <= range.upperBound + 1 {
        (low, high) = (min(low, range.lowerBound), max(high, range.upperBound))
      } else {
        apart.append(range)
      }
    }
    return (apart + [low...high]).sorted { $0.lowerBound < $1.lowerBound }
  }
}
