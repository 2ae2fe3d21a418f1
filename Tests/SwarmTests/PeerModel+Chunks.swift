import PluginKit
import Wire

// What is held, what comes, and what is owed for it.
extension PeerModel {
  var newest: UInt64? { held.keys.max() }
  var first: UInt64 { newest.map { $0 >= rules.window ? $0 - rules.window + 1 : 0 } ?? 0 }

  /// All runs of chunks, ascending.
  var runs: [ChunkRange] {
    held.keys.sorted().reduce(into: []) { runs, number in
      if let last = runs.last, last.upperBound + 1 == number {
        runs[runs.count - 1] = last.lowerBound...number
      } else {
        runs.append(number...number)
      }
    }
  }

  func run(around number: UInt64) -> ChunkRange? { runs.first { $0.contains(number) } }

  mutating func keep(_ chunk: Chunk) {
    held[chunk.number] = chunk
    heldSince = heldSince ?? now
    let first = first
    for (number, chunk) in held where number < first {
      parting[number] = chunk
      held[number] = nil
    }
    keptThisSecond += UInt64(chunk.payload.count)
  }

  mutating func publish(_ chunk: Chunk) {
    if chunk.payload.count < rules.chunkSize { lastChunk = chunk.number }
    keep(chunk)
  }

  func isAsked(_ local: UInt32, _ number: UInt64) -> Bool {
    lines[local]?.isDialled == true || awaited.contains(Asked(local: local, number: number))
  }

  /// Whether a chunk is one that is wanted from a channel; one that is here already is acknowledged once more.
  mutating func mayTake(_ number: UInt64, sent: UInt64, _ local: UInt32) -> Bool {
    if held[number] != nil {
      owe(number, sent, local)
      return false
    }
    return isAsked(local, number) && number >= first && number <= lastChunk ?? UInt64(UInt32.max) - 1
  }

  /// Who says what is false three times is not listened to for ten minutes.
  mutating func lied(_ local: UInt32) {
    lines[local]?.lies += 1
    guard let line = lines[local], line.lies >= 3 else { return }
    banned[line.origin] = now + .seconds(600)
    lose(local)
  }

  /// Whether some chunks may have been signed at a time, by those that are held beside them.
  func isConsistent(_ timestamp: UInt64, _ chunks: ChunkRange) -> Bool {
    let below = held.keys.filter { $0 < chunks.lowerBound }.max().flatMap { held[$0]?.timestamp }
    let above = held.keys.filter { $0 > chunks.upperBound }.min().flatMap { held[$0]?.timestamp }
    return below ?? 0 <= timestamp && timestamp <= above ?? .max
  }

  mutating func take(_ chunk: Chunk, sent: UInt64, _ local: UInt32) {
    guard mayTake(chunk.number, sent: sent, local) else { return }
    guard isGenuine(chunk) else { return lied(local) }
    guard isConsistent(chunk.timestamp, chunk.number...chunk.number) else { return }
    admit(chunk, sent: sent, local)
  }

  /// A genuine chunk; only the last one of a stream is short.
  mutating func admit(_ chunk: Chunk, sent: UInt64, _ local: UInt32) {
    let number = chunk.number
    if chunk.payload.count < rules.chunkSize {
      guard number >= newest ?? 0 else { return }
      lastChunk = number
    }
    keep(chunk)
    owe(number, sent, local)
  }

  /// ACK waits for 8 chunks or 10 ms, and says the biggest run around the last (RFC 7574, section 4.3.2).
  mutating func owe(_ number: UInt64, _ sent: UInt64, _ local: UInt32) {
    guard let run = run(around: number) else { return }
    if let owed = lines[local]?.owed, !run.contains(owed.lowerBound) { sayAck(local) }
    guard lines[local]?.supported.contains(MessageType.ack) == true else { return }
    lines[local]?.owed = run
    let delay = clock &- sent
    lines[local]?.owedDelay = delay
    lines[local]?.owedCount += 1
    if lines[local]?.owedUntil == nil { lines[local]?.owedUntil = now + .milliseconds(10) }
    if lines[local]?.owedCount == 8 { sayAck(local) }
  }

  mutating func sayAck(_ local: UInt32) {
    guard let line = lines[local], let owed = line.owed else { return }
    say(local, .ack(owed, delay: line.owedDelay))
    lines[local]?.owed = nil
    lines[local]?.owedCount = 0
    lines[local]?.owedUntil = nil
  }
}
