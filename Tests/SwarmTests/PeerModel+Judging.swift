import PluginKit
import Wire

// Whether what a peer says, and does not say, is what it must.
extension PeerModel {
  /// A datagram that left for channel `channel` of somebody.
  mutating func judge(_ words: [Word], to channel: UInt32, at address: Address) {
    let origin = Origin(address: address, channel: channel)
    if case .handshake(let local, let isRight, _)? = words.first {
      guard isRight, words.count == 1 else {
        return complain("says \(words) to \(address)", "a handshake stands alone and says what the swarm is")
      }
      return channel == 0 ? judgeDial(local, address) : judgeAnswer(local, origin)
    }
    let isTheirs = { (line: Line) in line.origin == address && line.remote == channel }
    let local = lines.first { isTheirs($0.value) }?.key ?? ended.first { isTheirs($0.value) }?.key
    if let local {
      lines[local]?.sent = now
      if lines[local]?.unheard.count ?? 0 < 3 { lines[local]?.unheard.append(now) }
    }
    if words.isEmpty { return judgeKeepAlive(local, origin) }
    if rules.width > 0, case .data(let number, let sent, let payload)? = words.last {
      return judgeProven(number, sent, payload, Array(words.dropLast()), local)
    }
    var words = words[...]
    while let word = words.popFirst() {
      if case .signature(let chunks, let timestamp, let signature) = word,
        case .data(chunks.lowerBound, let sent, let payload)? = words.first
      {
        words.removeFirst()
        let chunk = Chunk(
          number: chunks.lowerBound,
          timestamp: timestamp,
          payload: payload,
          signature: signature
        )
        judgeChunk(chunk, sent, local)
      } else if due[origin]?.first == .word(word) {
        due[origin]?.removeFirst()
        if case .signature(let chunks, _, _) = word, let local { tellMunro(chunks.lowerBound, local) }
      } else {
        judgeChoice(word, local)
      }
    }
  }

  private mutating func judgeDial(_ local: UInt32, _ address: Address) {
    let origin = Origin(address: address, channel: 0)
    guard due[origin]?.first == .dial else {
      return complain("dials \(address)", "nothing says that it should, or not yet")
    }
    due[origin]?.removeFirst()
    if lines[local] == nil {
      guard !lines.values.contains(where: { $0.isDialled && $0.origin == address }) else {
        return complain("dials \(address) from another channel", "the first is still opening")
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
      return complain("answers a handshake to \(origin)", "none came that is right")
    }
    due[origin]?.removeFirst()
    gave(local, to: origin, supported)
  }

  private mutating func judgeKeepAlive(_ local: UInt32?, _ origin: Origin) {
    if due[origin]?.first == .keepAlive {
      due[origin]?.removeFirst()
    } else if local == nil {
      complain("says nothing to \(origin)", "no such channel is open")
    }
  }

  mutating func judgeChunk(_ chunk: Chunk, _ sent: UInt64, _ local: UInt32?) {
    guard let local, let line = lines[local] ?? ended[local], line.isServed else {
      return complain("sends chunk \(chunk.number)", "who gets it is not served")
    }
    guard held[chunk.number] ?? parting[chunk.number] == chunk else {
      return complain("sends chunk \(chunk.number) with these bytes", "it is not held so, as it was signed")
    }
    guard sent == clock else { return complain("sends chunk \(chunk.number) at \(sent)", "now is \(clock)") }
    let wanted = line.wanted.filter {
      $0.until > now && (held[$0.number] != nil || parting[$0.number] != nil)
    }
    guard let place = wanted.firstIndex(where: { $0.number == chunk.number }) else {
      return complain("sends chunk \(chunk.number) to \(local)", "it did not ask for it, or not any more")
    }
    if let before = wanted[..<place].first(where: { $0.isCertain && mayGo($0.number) }) {
      complain("sends chunk \(chunk.number) to \(local)", "it asked for \(before.number) first")
    }
    // Asked for twice, it may go twice or once.
    let left = wanted[(place + 1)...].map { wanted in
      var wanted = wanted
      if wanted.number == chunk.number { wanted.isCertain = false }
      return wanted
    }
    lines[local]?.wanted = left
    ended[local]?.wanted = left
    lines[local]?.lastSent[chunk.number] = now
  }

  /// What the peer may decide by itself.
  private mutating func judgeChoice(_ word: Word, _ local: UInt32?) {
    guard let local, let line = lines[local] ?? ended[local], line.isOpen else {
      return complain("says \(word)", "no such channel is open")
    }
    switch word {
    case .have(let chunks):
      guard runs.contains(chunks) else { return complain("says \(word)", "it holds \(Self.text(runs))") }
      guard line.wantsHaves, line.supported.contains(MessageType.have) else {
        return complain("says \(word) to \(local)", "that one is not served, or cannot hear it")
      }
      lines[local]?.told = chunks.upperBound
      lines[local]?.toldAt = now
    case .request(let chunks):
      guard line.isDialled || !rules.isSource, !line.isChokingUs else {
        return complain("says \(word) to \(local)", "that one chokes it, or is not to be asked")
      }
      let isLacking = chunks.allSatisfy { held[$0] == nil && $0 >= first && $0 <= lastChunk ?? .max }
      guard isLacking else {
        return complain("says \(word) to \(local)", "it has some of them, or cannot use them")
      }
      guard
        line.possible.contains(where: {
          $0.lowerBound <= chunks.lowerBound && chunks.upperBound <= $0.upperBound
        })
      else { return complain("says \(word) to \(local)", "that one has at most \(Self.text(line.possible))") }
    case .hash, .signature: judgeMunro(word, local)
    case .choke: chokes(local)
    case .unchoke:
      guard line.supported.contains(MessageType.unchoke) else {
        return complain("says UNCHOKE to \(local)", "that one cannot hear it")
      }
      unchokes(local)
    default:
      complain(
        "says \(word) to \(local)",
        due[Origin(address: line.origin, channel: line.remote)]?.first.map { "it must say \($0) first" }
          ?? "it has no reason"
      )
    }
  }

  /// A slot is taken from who does not use it.
  mutating func chokes(_ local: UInt32) {
    let isIdle = lines[local].map { $0.isServed && now - $0.asked >= .seconds(10) } ?? false
    let somebodyWaits = lines.values.contains { $0.isOpen && $0.weChoke }
    guard let line = lines[local], isIdle, somebodyWaits, newest != nil, lastChunk == nil else {
      return complain("chokes \(local)", "it was not idle for 10 s, or nobody waits for its slot")
    }
    lines[local]?.isServed = false
    lines[local]?.weChoke = true
    lines[local]?.chokedAt = now
    lines[local]?.wanted = []
    places.remove(line.origin)
  }

  mutating func unchokes(_ local: UInt32) {
    guard let line = lines[local], line.weChoke, mayServe(line) else {
      return complain("unchokes \(local)", "there is no slot for it, or it was not choked")
    }
    serve(local)
  }

  /// All that was to be said has been said.
  mutating func finish(isIdle: Bool) {
    for (origin, left) in due where !left.isEmpty {
      complain("does not say \(left) to \(origin)", "all of it is due")
    }
    due = [:]
    parting = [:]
    ended = [:]
    displaced = [:]
    awaited = []
    for local in lines.keys.sorted() {
      let available = lines[local]?.available ?? []
      lines[local]?.shown = available
      let wanted = lines[local]?.wanted.filter { $0.until > now && mayGo($0.number) && !$0.isWithdrawn }
      lines[local]?.wanted = wanted ?? []
      guard let line = lines[local], line.isOpen else { continue }
      if rules.isCalm, let wanted = line.wanted.first(where: \.isCertain) {
        complain("does not send chunk \(wanted.number)", "\(local) asked for it, and nothing is in the way")
      }
      guard isIdle else { continue }
      if line.wantsHaves, line.supported.contains(MessageType.have), let newest, line.told != newest,
        line.toldAt.map({ now - $0 > .milliseconds(100) }) ?? false
      {
        complain("does not tell \(local) of chunk \(newest)", "HAVE is at most 100 ms late")
      }
      if rules.width > 0 { reviewMunro(local) }
      if now - line.sent > .seconds(26) {
        complain("does not keep channel \(local) alive", "something goes every 25 s")
      }
      if isDead(line, slack: .seconds(1)) {
        complain("keeps channel \(local)", "nobody has answered on it for too long")
      }
      let isMissed = lines.values.contains { $0.isOpen && $0.weChoke && now - $0.chokedAt > .seconds(2) }
      let isFlowing = heldSince.map { now - $0 > .seconds(2) } ?? false && lastChunk == nil
      if line.isServed, isMissed, isFlowing, now - line.used > .seconds(12) {
        complain("leaves a slot to \(local)", "that one has not used it for 12 s, and others wait")
      }
    }
  }
}
