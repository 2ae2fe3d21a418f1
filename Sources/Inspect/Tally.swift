/// What a whole capture held, counted.
package struct Tally: Sendable {
  /// Times in microseconds.
  package struct Times: Sendable {
    package private(set) var count: UInt64 = 0
    package private(set) var least: Int64 = .max
    package private(set) var most: Int64 = .min
    private var sum = 0.0

    mutating func add(_ time: Int64) {
      count += 1
      least = min(least, time)
      most = max(most, time)
      sum += Double(time)
    }

    package var mean: Int64 { count == 0 ? 0 : Int64(exactly: (sum / Double(count)).rounded()) ?? .max }
  }

  package private(set) var datagrams: UInt64 = 0
  package private(set) var bytes: UInt64 = 0
  /// Bytes of chunks; the other bytes are what the protocol costs.
  package private(set) var payload: UInt64 = 0
  package private(set) var messages: [MessageKind: UInt64] = [:]
  package private(set) var problems: [Problem.Kind: UInt64] = [:]
  package private(set) var genuine: UInt64 = 0
  package private(set) var forged: UInt64 = 0
  /// Chunks of which it cannot be told.
  package private(set) var unknown: UInt64 = 0
  package private(set) var duplicates: UInt64 = 0
  /// Our own messages whose proof does not hold.
  package private(set) var forgedStatements: UInt64 = 0
  package private(set) var skipped: [Skipped: UInt64] = [:]
  package private(set) var first: Duration?
  package private(set) var last: Duration?
  package var ackDelay = Times()
  package var requestTrip = Times()
  package var handshakeTrip = Times()

  mutating func skip(_ reason: Skipped) { skipped[reason, default: 0] += 1 }

  mutating func add(_ datagram: DatagramDescription) {
    datagrams += 1
    bytes += UInt64(datagram.length)
    if let time = datagram.time {
      first = min(first ?? time, time)
      last = max(last ?? time, time)
    }
    if let problem = datagram.problem { problems[problem.kind, default: 0] += 1 }
    for message in datagram.messages {
      messages[message.kind, default: 0] += 1
      guard message.kind == .data else {
        if message.verdict == .forged { forgedStatements += 1 }
        continue
      }
      if case .unsigned(let size)? = message.fields.first?.value { payload += size }
      if message.isDuplicate { duplicates += 1 }
      switch message.verdict {
      case .genuine: genuine += 1
      case .forged: forged += 1
      case .unknown: unknown += 1
      case nil: break
      }
    }
  }
}
