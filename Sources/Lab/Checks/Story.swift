internal import PluginKit
internal import Text

/// How it came to a violation, to be read: who is there, what happened when, and what is wrong.
package struct Story {
  /// The lines at the end that are told of, and those at the beginning.
  private static let lastLines = 40
  private static let firstLines = 20

  private let plan: Plan
  private let scenes: [Examination.Scene]
  private let violation: Violation

  /// The story of a world and of what its peers did.
  package init(_ plan: Plan, _ scenes: [Examination.Scene], _ violation: Violation) {
    self.plan = plan
    self.scenes = scenes
    self.violation = violation
  }

  /// Without those who go before anything is wrong, or come after it.
  package var text: String {
    var lines = events.map { line($0) }
    if lines.count > Self.firstLines + Self.lastLines {
      let left = lines.count - Self.firstLines - Self.lastLines
      lines.replaceSubrange(
        Self.firstLines..<Self.firstLines + left,
        with: ["           … \(left) lines more …"]
      )
    }
    return ([world] + lines + [line((violation.time, nil, "WRONG: " + violation.sentence))])
      .joined(separator: "\n") + "\n"
  }

  private var world: String {
    let stream = plan.scenario.stream
    let most = plan.peers.indices.map { from in plan.peers.indices.map { plan.latency(from, $0) }.max() ?? 0 }
      .max()
    let count = plan.peers.count - 1
    return "a source that uploads \(copies(plan.peers[0].access.upload)) and \(count) "
      + (count == 1 ? "peer" : "peers")
      + "; r is \(stream.rate / 1000) kbit/s, a chunk every \(Examination.time(stream.interval.nanoseconds)), "
      + "ways of at most \(Examination.time(most ?? 0))\n"
  }

  private typealias Event = (time: Int64, peer: Int?, text: String)

  private var events: [Event] {
    var events: [Event] = []
    for (index, peer) in plan.peers.enumerated().dropFirst() {
      let kind =
        peer.role == .leaf
        ? "joins, only to watch" : "joins; uploads \(copies(peer.access.upload))"
      events.append(
        (peer.joins.nanoseconds, index, kind + (peer.access.nat == .open ? "" : ", cannot be dialled"))
      )
      if let goes = peer.goes {
        events.append(
          (goes.nanoseconds, index, peer.isGraceful ? "leaves properly" : "is gone without a word")
        )
      }
    }
    for change in plan.changes { events.append((change.at.nanoseconds, nil, Self.text(change.kind, plan))) }
    events += scenes.map { ($0.time, $0.peer, "  " + $0.text) }
    // At one time, what happens comes before what is done about it.
    return events.enumerated().filter { $0.element.time <= violation.time }
      .sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
  }

  private static func text(_ kind: Plan.Change.Kind, _ plan: Plan) -> String {
    switch kind {
    case .cut(let members):
      return members.map(Examination.who).joined(separator: ", ") + " cut off from all others"
    case .heal: return "no longer cut off"
    case .sourceUpload(let upload):
      return "the source now uploads " + factor(upload, plan) + " r"
    case .weather(let weather):
      return weather.loss == 0
        ? "nothing is lost any more"
        : "from now on \(Number.text(weather.loss * 100, decimals: 1)) % of all datagrams are lost"
    case .swap(let part): return "the swarm changes to \(part.text)"
    }
  }

  private func line(_ event: Event) -> String {
    // What ends the process says no time.
    let time = event.time == .max ? "" : Number.fixed(Double(event.time) / 1e9, decimals: 3) + " s"
    let who = event.peer.map(Examination.who) ?? ""
    return String(repeating: " ", count: max(0, 9 - time.count)) + time + "  " + who
      + String(repeating: " ", count: max(0, 10 - who.count)) + "  " + event.text
  }

  private func copies(_ upload: UInt64) -> String { Self.factor(upload, plan) + " r" }

  private static func factor(_ upload: UInt64, _ plan: Plan) -> String {
    Number.fixed(Double(upload) / Double(max(1, plan.scenario.stream.rate)), decimals: 1)
  }
}
