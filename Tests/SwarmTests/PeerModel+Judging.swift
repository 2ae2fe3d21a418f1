import PluginKit
import Wire

// Whether what a peer says, and does not say, is what it must.
extension PeerModel {
  /// A datagram that left for channel `channel` of somebody.
  mutating func judge(_ words: [Word], to channel: UInt32, at address: Address) {
    let origin = Origin(address: address, channel: channel)
    if case .handshake(let local, let isRight, _)? = words.first {
      guard isRight, words.count == 1 else {
        return complain("a handshake that is not as it must be: \(words)")
      }
      return channel == 0 ? judgeDial(local, address) : judgeAnswer(local, origin)
    }
    let local = lines.first { $0.value.origin == address && $0.value.remote == channel }?.key
    if let local {
      lines[local]?.sent = now
      if lines[local]?.unheard.count ?? 0 < 3 { lines[local]?.unheard.append(now) }
    }
    if words.isEmpty { return judgeKeepAlive(local, origin) }
    var words = words[...]
    while let word = words.popFirst() {
      if case .signature(let number, let timestamp, let signature) = word,
        case .data(number, let sent, let payload)? = words.first
      {
        words.removeFirst()
        let chunk = Chunk(number: number, timestamp: timestamp, payload: payload, signature: signature)
        judgeChunk(chunk, sent, local)
      } else if due[origin]?.first == .word(word) {
        due[origin]?.removeFirst()
      } else {
        judgeChoice(word, local)
      }
    }
  }

  private mutating func judgeDial(_ local: UInt32, _ address: Address) {
    let origin = Origin(address: address, channel: 0)
    guard due[origin]?.first == .dial else { return complain("dials \(address) unasked") }
    due[origin]?.removeFirst()
    if lines[local] == nil {
      guard !lines.values.contains(where: { $0.isDialled && $0.origin == address }) else {
        return complain("dials \(address) twice")
      }
      lines[local] = Line(
        origin: address,
        isDialled: true,
        heard: now,
        sent: now,
        dialled: now,
        used: now,
        asked: now
      )
    }
    let tries = lines[local]?.tries ?? 0
    lines[local]?.tries = tries + 1
    lines[local]?.nextDial = now + .milliseconds(100) * (1 << min(tries, 3))
  }

  private mutating func judgeAnswer(_ local: UInt32, _ origin: Origin) {
    guard case .answer(let supported)? = due[origin]?.first else {
      return complain("answers a handshake that did not come")
    }
    due[origin]?.removeFirst()
    gave(local, to: origin, supported)
  }

  private mutating func judgeKeepAlive(_ local: UInt32?, _ origin: Origin) {
    if due[origin]?.first == .keepAlive {
      due[origin]?.removeFirst()
    } else if local == nil {
      complain("says nothing to a channel that is not open")
    }
  }

  private mutating func judgeChunk(_ chunk: Chunk, _ sent: UInt64, _ local: UInt32?) {
    guard let local, let line = lines[local], line.isServed else {
      return complain("sends chunk \(chunk.number) to who is not served")
    }
    guard held[chunk.number] == chunk else {
      return complain("chunk \(chunk.number) is not as it was signed")
    }
    guard sent == clock else { return complain("chunk \(chunk.number) went with another time than now") }
    let wanted = line.wanted.filter { $0.until > now && held[$0.number] != nil }
    guard let place = wanted.firstIndex(where: { $0.number == chunk.number }) else {
      return complain("sends chunk \(chunk.number), which nobody asked for, or not any more")
    }
    if let before = wanted[..<place].first(where: \.isCertain) {
      complain("sends chunk \(chunk.number) before \(before.number), which was asked for first")
    }
    lines[local]?.wanted = Array(wanted[(place + 1)...])
    lines[local]?.lastSent[chunk.number] = now
  }

  /// What the peer may decide by itself.
  private mutating func judgeChoice(_ word: Word, _ local: UInt32?) {
    guard let local, let line = lines[local], line.isOpen else {
      return complain("says \(word) where no channel is open")
    }
    switch word {
    case .have(let chunks):
      guard runs.contains(chunks) else { return complain("says to have \(chunks), but has \(runs)") }
      guard line.wantsHaves, line.supported.contains(MessageType.have) else {
        return complain("says HAVE to who does not want it")
      }
      lines[local]?.told = chunks.upperBound
      lines[local]?.toldAt = now
    case .request(let chunks):
      guard line.isDialled || !rules.isSource, !line.isChokingUs else {
        return complain("asks \(local), who chokes it or is not to be asked")
      }
      let isLacking = chunks.allSatisfy { held[$0] == nil && $0 >= first && $0 <= lastChunk ?? .max }
      guard isLacking else { return complain("asks for some of \(chunks) that it has or cannot use") }
      guard
        line.possible.contains(where: {
          $0.lowerBound <= chunks.lowerBound && chunks.upperBound <= $0.upperBound
        })
      else { return complain("asks \(local) for \(chunks), which that one does not have") }
    case .choke: chokes(local)
    case .unchoke:
      guard line.supported.contains(MessageType.unchoke) else {
        return complain("says UNCHOKE to who cannot hear it")
      }
      unchokes(local)
    default: complain("says \(word) to \(local) out of turn")
    }
  }

  /// A slot is taken from who does not use it.
  mutating func chokes(_ local: UInt32) {
    let isIdle = lines[local].map { $0.isServed && now - $0.asked >= .seconds(10) } ?? false
    let somebodyWaits = lines.values.contains { $0.isOpen && $0.weChoke }
    guard let line = lines[local], isIdle, somebodyWaits, newest != nil, lastChunk == nil else {
      return complain("chokes \(local), who uses its slot or keeps it from nobody")
    }
    lines[local]?.isServed = false
    lines[local]?.weChoke = true
    lines[local]?.chokedAt = now
    lines[local]?.wanted = []
    places.remove(line.origin)
  }

  mutating func unchokes(_ local: UInt32) {
    guard let line = lines[local], line.weChoke, mayServe(line) else {
      return complain("unchokes \(local), for whom there is no slot")
    }
    serve(local)
  }

  /// All that was to be said has been said.
  mutating func finish(isIdle: Bool) {
    for (origin, left) in due where !left.isEmpty { complain("does not say \(left) to \(origin)") }
    due = [:]
    for local in lines.keys.sorted() {
      lines[local]?.wanted.removeAll { $0.until <= now || held[$0.number] == nil || $0.isWithdrawn }
      guard let line = lines[local], line.isOpen else { continue }
      if rules.isCalm, let wanted = line.wanted.first(where: \.isCertain) {
        complain("does not send chunk \(wanted.number), which \(local) asked for")
      }
      guard isIdle else { continue }
      if line.wantsHaves, line.supported.contains(MessageType.have), let newest, line.told != newest,
        line.toldAt.map({ now - $0 > .milliseconds(100) }) ?? false
      {
        complain("does not tell \(local) of chunk \(newest)")
      }
      if now - line.sent > .seconds(26) { complain("does not keep channel \(local) alive") }
      if isDead(line, slack: .seconds(1)) { complain("keeps channel \(local), which is dead") }
      let isMissed = lines.values.contains { $0.isOpen && $0.weChoke && now - $0.chokedAt > .seconds(2) }
      if line.isServed, isMissed, newest != nil, lastChunk == nil, now - line.used > .seconds(12) {
        complain("leaves a slot to \(local), who does not use it")
      }
    }
  }
}
