internal import PluginKit

/// A way to make a world simpler, as `p3` or `c0`; peers and changes are numbered as in the world that it began with.
package enum Reduction: Hashable, Sendable {
  /// A peer never comes.
  case peer(Int)
  /// A change does not happen.
  case change(Int)
  /// A peer stays to the end.
  case departure(Int)
  /// A peer is there from the beginning.
  case arrival(Int)
  /// A peer uploads as the source does.
  case upload(Int)
  /// All ways are equally long.
  case places
  /// Nothing varies from datagram to datagram.
  case jitter
  /// Everything happens at whole tenths of a second.
  case times

  /// As it is written on one line with others.
  package var text: String {
    switch self {
    case .peer(let number): "p\(number)"
    case .change(let number): "c\(number)"
    case .departure(let number): "d\(number)"
    case .arrival(let number): "a\(number)"
    case .upload(let number): "u\(number)"
    case .places: "places"
    case .jitter: "jitter"
    case .times: "times"
    }
  }

  /// Reads what ``text`` says.
  package init?(_ text: some StringProtocol) {
    switch text {
    case "places": self = .places
    case "jitter": self = .jitter
    case "times": self = .times
    default:
      guard let number = Int(text.dropFirst()), number >= 0 else { return nil }
      switch text.first {
      case "p": self = .peer(number)
      case "c": self = .change(number)
      case "d": self = .departure(number)
      case "a": self = .arrival(number)
      case "u": self = .upload(number)
      default: return nil
      }
    }
  }
}

extension Plan {
  /// All that could make it simpler, what matters most first.
  package var reductions: [Reduction] {
    let numbers = Array(peers.indices.dropFirst().reversed())
    return numbers.map { .peer($0) } + changes.indices.map { .change($0) }
      + numbers.filter { peers[$0].goes != nil }.map { .departure($0) }
      + [.jitter, .places]
      + numbers.map { .arrival($0) } + numbers.map { .upload($0) } + [.times]
  }

  /// The world without all that.
  package func simplified(by reductions: [Reduction]) -> Plan {
    let reductions = Set(reductions)
    var plan = self
    plan.peers = []
    plan.changes = []
    // The new numbers of those who stay.
    var numbers: [Int: Int] = [:]
    for (index, peer) in peers.enumerated() where !reductions.contains(.peer(index)) {
      numbers[index] = plan.peers.count
      var peer = peer
      if reductions.contains(.departure(index)) { peer.goes = nil }
      if reductions.contains(.arrival(index)), index > 0 {
        peer.joins = .milliseconds(100)
        if let goes = peer.goes { peer.goes = max(goes, .milliseconds(200)) }
      }
      if reductions.contains(.upload(index)) {
        peer.access = Access(upload: scenario.source.upload)
        peer.role = .relay
      }
      if reductions.contains(.places) { peer.place = Place() }
      if reductions.contains(.times) {
        peer.joins = Self.rounded(peer.joins)
        peer.goes = peer.goes.map { max(Self.rounded($0), peer.joins + .milliseconds(100)) }
      }
      plan.peers.append(peer)
    }
    if reductions.contains(.jitter) { plan.scenario.weather.jitter = .zero }
    var isCut = false
    var isBad = false
    for (index, change) in changes.enumerated() where !reductions.contains(.change(index)) {
      var change = change
      switch change.kind {
      case .cut(let members):
        let left = members.compactMap { numbers[$0] }
        guard !left.isEmpty else { continue }
        isCut = true
        change.kind = .cut(left)
      case .heal:
        guard isCut else { continue }
        isCut = false
      case .weather(var weather):
        guard isBad || weather.loss > 0 else { continue }
        isBad = weather.loss > 0
        if reductions.contains(.jitter) { weather.jitter = .zero }
        change.kind = .weather(weather)
      case .sourceUpload, .swap: break
      }
      if reductions.contains(.times) { change.at = Self.rounded(change.at) }
      plan.changes.append(change)
    }
    // What was bad has to end.
    let end = (plan.changes.last?.at ?? .zero) + .seconds(1)
    if isCut { plan.changes.append(Change(at: end, .heal)) }
    if isBad { plan.changes.append(Change(at: end, .weather(plan.scenario.weather))) }
    plan.beginCalm()
    return plan
  }

  private static func rounded(_ time: Duration) -> Duration {
    .milliseconds((time.nanoseconds + 50_000_000) / 100_000_000 * 100)
  }
}
