import PluginKit
import Wire

// What the topology asks for by itself, and what becomes of it.
extension Peer {
  /// The topology asks for chunks by itself.
  mutating func request(_ chunks: ChunkRange, from peer: PeerRef) {
    defer { flushFailures() }
    guard let index = directory[peer]?.channel, channels[index].isOpen else {
      return fail(chunks, peer, .linkDown)
    }
    guard !channels[index].isChokingUs else { return fail(chunks, peer, .choked) }
    guard channels[index].understands(MessageType.request), configuration.role != .source,
      chunks.upperBound <= min(lastChunk ?? lastNumber, lastNumber)
    else { return fail(chunks, peer, .unavailable) }
    if expected == nil { begin(at: chunks.lowerBound) }
    if let expected, chunks.upperBound >= expected, chunks.upperBound - expected < window.size {
      look(upTo: chunks.upperBound, at: now + overtakingTime)
    }
    let low = max(window.first, nextRead ?? 0)
    guard let end = expected, low < end, chunks.upperBound >= low, chunks.lowerBound < end else {
      // What is behind the output may be here all the same.
      if !window.held.covers(chunks) { fail(chunks, peer, .unavailable) }
      return
    }
    let inside = chunks.clamped(to: low...(end - 1))
    if chunks.lowerBound < inside.lowerBound {
      fail(chunks.lowerBound...(inside.lowerBound - 1), peer, .unavailable)
    }
    for place in missing.indices where inside.contains(missing[place].chunk) {
      let chunk = missing[place].chunk
      missing[place].isTold = true
      guard missing[place].source != index else { continue }
      guard channels[index].outstanding < Self.outstandingLimit, !channels[index].hasDropped(chunk) else {
        fail(chunk...chunk, peer, .unavailable)
        continue
      }
      assign(place, to: index, isWish: true)
    }
    if chunks.upperBound > inside.upperBound {
      fail((inside.upperBound + 1)...chunks.upperBound, peer, .unavailable)
    }
  }

  /// The topology does not want some chunks from a peer any more.
  mutating func cancel(_ chunks: ChunkRange, from index: Int) {
    flushRequests()
    for place in missing.indices
    where missing[place].source == index && chunks.contains(missing[place].chunk) {
      release(place)
    }
    guard channels[index].understands(MessageType.cancel) else { return }
    send(index) { [plainFormat] bytes in plainFormat.appendCancel(chunks, to: &bytes) }
  }

  /// A chunk was asked for: of whom.
  mutating func assign(_ place: Int, to index: Int, isWish: Bool) {
    if let old = missing[place].source { channels[old].outstanding -= 1 }
    missing[place].source = index
    missing[place].isWish = isWish
    missing[place].tries += 1
    // How far away somebody is, is its own word: it must not keep others from being asked in time.
    let patience = min(channels[index].congestion.timeout, configuration.patience / 4)
    missing[place].next = now + patience * (missing[place].tries < 4 ? 1 : 2)
    nextRepair = min(nextRepair ?? missing[place].next, missing[place].next)
    channels[index].outstanding += 1
    let chunk = missing[place].chunk
    if let last = requests.last, last.index == index, last.chunks.upperBound + 1 == chunk {
      requests[requests.count - 1].chunks = last.chunks.lowerBound...chunk
    } else {
      requests.append((index, chunk...chunk))
    }
  }

  /// Whoever was asked for a chunk is not waited for any more.
  mutating func release(_ place: Int) {
    if let index = missing[place].source { channels[index].outstanding -= 1 }
    missing[place].source = nil
    missing[place].isWish = false
    missing[place].next = now
    nextRepair = now
  }

  /// A channel cannot answer any more: what it was asked for is asked elsewhere, at once.
  mutating func reassign(from index: Int, _ reason: RequestFailure) {
    for place in missing.indices where missing[place].source == index {
      if missing[place].isWish {
        fail(missing[place].chunk...missing[place].chunk, channels[index].peer, reason)
      }
      release(place)
    }
    channels[index].outstanding = 0
    requests.removeAll { $0.index == index }
    flushFailures()
  }

  /// The most intervals that one datagram asks for.
  private static let rangesPerDatagram = 64

  /// Sends what was asked for since the last time, merged.
  mutating func flushRequests() {
    while let first = requests.first {
      var ranges: [ChunkRange] = []
      requests.removeAll { request in
        guard request.index == first.index, ranges.count < Self.rangesPerDatagram else { return false }
        ranges.append(request.chunks)
        return true
      }
      guard channels[first.index].isOpen else { continue }
      send(first.index, lane: .urgent) { [plainFormat] bytes in
        for range in ranges { plainFormat.appendRequest(range, to: &bytes) }
      }
    }
  }

  // MARK: - Telling the topology

  /// Notes that what the topology asked for does not come.
  mutating func fail(_ chunks: ChunkRange, _ peer: PeerRef, _ reason: RequestFailure) {
    if let last = failures.last, last.peer == peer, last.reason == reason,
      last.chunks.upperBound < chunks.lowerBound, last.chunks.upperBound + 1 == chunks.lowerBound
    {
      failures[failures.count - 1].chunks = last.chunks.lowerBound...chunks.upperBound
    } else {
      failures.append((peer, chunks, reason))
    }
  }

  mutating func flushFailures() {
    guard !failures.isEmpty else { return }
    for failure in failures where !courses.isEmpty {
      courses[course(of: failure.chunks.lowerBound)].events.append(
        .requestFailed(failure.peer, failure.chunks, failure.reason)
      )
    }
    failures.removeAll(keepingCapacity: true)
  }

  /// Tells of a chunk that is to be asked for; the topology may choose of whom.
  mutating func tellGap(_ entry: MissingChunk) {
    let deadline = entry.since + configuration.patience
    let course = course(of: entry.chunk)
    if let last = courses[course].gaps.last, last.chunks.upperBound + 1 == entry.chunk,
      last.deadline == deadline
    {
      courses[course].gaps[courses[course].gaps.count - 1].chunks = last.chunks.lowerBound...entry.chunk
    } else {
      courses[course].gaps.append(Gap(chunks: entry.chunk...entry.chunk, deadline: deadline))
    }
  }
}
