import Net
import Swarm
import Text

/// Carries out what the owner of a broadcast asks for, and says how it went.
struct SwapDesk {
  /// How long after a swap its neighbours may take to say how it went for them.
  private static let reportTime: Duration = .milliseconds(1500)

  /// A swap under way, and who waits to hear of its end.
  private struct Waiting {
    let connection: Int
    let topology: String
    /// From the request until the new topology carried the stream.
    let lead: Duration
    var report: SwapReport?
    var deadline: Duration?
  }

  private var waiting: Waiting?

  /// When ``serve(_:)`` wants to be called, if at all.
  var deadline: Duration? { waiting?.deadline }

  /// Answers what has come, and what has become answerable.
  mutating func serve(_ host: Host) {
    for (connection, line) in host.takeControlRequests() {
      guard let request = Control.Request(json: line) else {
        host.answer(connection, .refused("'\(line.prefix(60))' is no request; write {\"topology\":\"tree\"}"))
        continue
      }
      begin(request, connection, host)
    }
    guard let waiting, let report = waiting.report, let deadline = waiting.deadline,
      host.clock.now >= deadline
    else { return }
    self.waiting = nil
    host.answer(waiting.connection, .swapped(Self.outcome(report, waiting.lead, host)))
  }

  private mutating func begin(_ request: Control.Request, _ connection: Int, _ host: Host) {
    let now = host.clock.now
    if let waiting {
      host.answer(connection, .refused(SwarmError.swapUnderWay(waiting.topology).description))
      return
    }
    do throws(SwarmError) {
      let lead = try host.endpoint.peers[0].swap(
        to: request.topology,
        parameters: request.parameters,
        now: now
      )
      waiting = Waiting(connection: connection, topology: request.topology, lead: lead)
    } catch {
      host.answer(connection, .refused(error.description))
    }
    host.flush()
  }

  mutating func note(_ notice: Notice, now: Duration) {
    guard case .swapped(let report) = notice, waiting != nil else { return }
    waiting?.report = report
    waiting?.deadline = now + Self.reportTime
  }

  /// The broadcast is over: who still waits hears so.
  mutating func end(_ host: Host) {
    guard let waiting else { return }
    self.waiting = nil
    host.answer(waiting.connection, .refused("the broadcast ended before the change was over"))
  }

  private static func outcome(_ own: SwapReport, _ lead: Duration, _ host: Host) -> Control.Outcome {
    let seen = host.endpoint.peers[0].swapReports
    return Control.Outcome(
      epoch: UInt64(own.epoch),
      topology: own.topology,
      parameters: own.parameters,
      from: own.from,
      afterMilliseconds: UInt64(max(0, lead.milliseconds)),
      neighbours: UInt64(seen.count),
      gapMilliseconds: UInt64(seen.map(\.gap.milliseconds).max() ?? 0),
      lost: seen.reduce(0) { $0 + $1.lost },
      duplicates: seen.reduce(0) { $0 + $1.duplicates }
    )
  }
}

extension Notice {
  /// What a viewer is to read of it.
  var sentence: String? {
    switch self {
    case .sentence(let text): text
    case .preparing(let topology, let epoch): "the swarm changes to '\(topology)' (epoch \(epoch))"
    case .swapped(let report):
      "'\(report.topology)' has taken over (epoch \(report.epoch)): longest gap "
        + "\(Int(report.gap.milliseconds)) ms, \(report.lost.grouped) lost, \(report.duplicates.grouped) came twice"
    default: nil
    }
  }
}
