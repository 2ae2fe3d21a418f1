import PluginKit
import Wire

// Beginning, ending, and what is due because time passes.
extension PeerModel {
  mutating func start(_ addresses: [Address]) {
    bootstrap = addresses
    for address in addresses { expectDial(address) }
  }

  mutating func expectDial(_ address: Address) {
    guard !isBanned(address) else { return }
    due[Origin(address: address, channel: 0), default: []].append(.dial)
  }

  mutating func leave() {
    hasLeft = true
    for line in lines.values where line.isOpen {
      due[Origin(address: line.origin, channel: line.remote), default: []].append(.word(.close))
    }
    lines = [:]
  }

  func isBanned(_ address: Address) -> Bool { banned[address].map { $0 > now } ?? false }

  mutating func lose(_ local: UInt32) {
    guard let line = lines.removeValue(forKey: local) else { return }
    ended[local] = line
    parked.removeAll { $0.local == local }
    if line.isServed { places.remove(line.origin) }
  }

  mutating func say(_ local: UInt32, _ word: Word) {
    guard let line = lines[local] else { return }
    due[Origin(address: line.origin, channel: line.remote), default: []].append(.word(word))
  }

  /// Lets what is due by itself become due.
  mutating func advance(to time: Duration) {
    now = time
    for local in lines.keys.sorted() {
      guard let line = lines[local] else { continue }
      if let at = [line.nextDial, line.owedUntil].compactMap(\.self).min(), at < now {
        complain("sleeps until \(now)", "something was due at \(at)")
      }
      if let at = line.nextDial, at <= now {
        lines[local]?.nextDial = nil
        if now - line.dialled >= .seconds(3) {
          lose(local)
          expectDial(line.origin)
        } else {
          due[Origin(address: line.origin, channel: 0), default: []].append(.dial)
        }
      }
      if let at = line.owedUntil, at <= now { sayAck(local) }
    }
    guard now >= nextSecond else { return }
    measured = (measured * 3 + keptThisSecond * 8) / 4
    keptThisSecond = 0
    nextSecond = now + .seconds(1)
    newcomers = newcomers.filter { now - $0.value.since < .seconds(5) }
    banned = banned.filter { $0.value > now }
    parked.removeAll { now - $0.since > rules.patience }
  }

  /// Whether a channel's silence has lasted long enough to give it up, and by `slack` longer.
  func isDead(_ line: Line, slack: Duration = .zero) -> Bool {
    let limit: Duration = line.isDialled ? .seconds(10) : .seconds(180)
    guard line.isOpen, line.unheard.count >= 3 else { return false }
    return now >= max(line.heard + limit, line.unheard[2]) + slack
  }

  /// The peer has given a channel up.
  mutating func parted(_ local: UInt32) {
    guard let line = lines[local] else { return }
    guard isDead(line) else {
      return complain("gives up channel \(local)", "it was heard, or has not been asked three times")
    }
    lose(local)
    if bootstrap.contains(line.origin), !rules.isSource { expectDial(line.origin) }
  }
}
