/// How soon a chunk can be everywhere at the earliest, whatever the topology.
///
/// The bound relaxes the network until the optimum is known. Each way is split into what every way costs at least
/// (`least`) and the rest; a chunk that reaches peer `j` has paid at least the shortest path of rests from the source
/// (`extras[j]`), whatever its hops were, and here pays nothing else of them. What remains is the postal model of Bar-Noy
/// and Kipnis, in which the earliest time at which `k` peers hold the chunk is known. Those times and the extras are then
/// paired as well as they can be: the farthest peer gets the earliest time.
package struct DelayBound: Hashable, Sendable {
  /// When `k + 1` peers can hold the chunk, the extras apart, in nanoseconds; ascending, shorter where not all can.
  package let arrivals: [Int64]
  /// What each peer's way costs beyond the least, in nanoseconds, descending.
  package let extras: [Int64]

  /// The source of a chunk, in nanoseconds and copies.
  package struct Source: Hashable, Sendable {
    /// How long one copy occupies its upload.
    package var serialisation: Int64
    /// How many copies of each chunk it can afford: floor(upload / rate).
    package var copies: Int

    package init(serialisation: Int64, copies: Int) {
      self.serialisation = serialisation
      self.copies = copies
    }
  }

  /// The bound for peers that all upload alike, which some schedule reaches where there are no extras.
  ///
  /// - Parameters:
  ///   - source: who has the chunk at time zero.
  ///   - serialisation: how long one copy occupies a peer's upload, in nanoseconds.
  ///   - copies: how many copies of a chunk each peer may send; `nil` for no limit.
  ///   - least: what every way costs at least, in nanoseconds.
  ///   - extras: what each peer's way costs beyond that.
  package init(source: Source, serialisation: Int64, copies: Int? = nil, least: Int64, extras: [Int64]) {
    self.extras = extras.sorted(by: >)
    arrivals = Self.postal(extras.count, source, serialisation, copies ?? .max, least)
  }

  /// The bound for peers of different uploads; no schedule need reach it.
  ///
  /// - Parameters:
  ///   - source: who has the chunk at time zero.
  ///   - serialisations: how long one copy occupies each peer's upload, in nanoseconds; `nil` for one that cannot send.
  ///   - least: what every way costs at least, in nanoseconds.
  ///   - extras: what each peer's way costs beyond that.
  package init(source: Source, serialisations: [Int64?], least: Int64, extras: [Int64]) {
    self.extras = extras.sorted(by: >)
    arrivals = Self.fluid(serialisations.compactMap(\.self).sorted(), extras.count, source, least)
  }

  /// The earliest time at which a part of all peers can hold the chunk; `nil` when so many never can.
  ///
  /// The others are the farthest, and are served last.
  package func time(_ part: Double = 1) -> Int64? {
    let needed = max(1, Int((part * Double(extras.count)).rounded(.up)))
    guard needed <= arrivals.count, needed <= extras.count else { return nil }
    return zip(arrivals, extras.suffix(needed)).map { $0 + $1 }.max()
  }

  /// Everybody sends one copy after the other as soon as it holds the chunk: nothing is faster.
  private static func postal(
    _ count: Int,
    _ source: Source,
    _ serialisation: Int64,
    _ copies: Int,
    _ least: Int64
  ) -> [Int64] {
    var sends = Heap<Send>()
    if source.copies > 0 {
      sends.insert(Send(end: source.serialisation, step: source.serialisation, left: source.copies - 1))
    }
    var arrivals: [Int64] = []
    arrivals.reserveCapacity(count)
    while arrivals.count < count, var send = sends.popFirst() {
      let arrival = send.end + least
      arrivals.append(arrival)
      if copies > 0 {
        sends.insert(Send(end: arrival + serialisation, step: serialisation, left: copies - 1))
      }
      if send.left > 0 {
        send.end += send.step
        send.left -= 1
        sends.insert(send)
      }
    }
    return arrivals
  }

  /// A copy that is being sent.
  private struct Send: Comparable {
    var end: Int64
    var step: Int64
    var left: Int

    static func < (left: Send, right: Send) -> Bool {
      (left.end, left.step, left.left) < (right.end, right.step, right.left)
    }
  }

  /// At most so many copies can be complete at a time as all uploads together have carried.
  ///
  /// The earliest arrivals are paired with the fastest uploads, which by the rearrangement inequality carries the most;
  /// parts of copies of different peers add up, and no copy is complete in less time than the fastest upload takes.
  private static func fluid(_ fastest: [Int64], _ count: Int, _ source: Source, _ least: Int64) -> [Int64] {
    var arrivals: [Int64] = []
    arrivals.reserveCapacity(count)
    var time = 0.0
    /// Copies that are complete by now, and how many more a nanosecond; the source's apart.
    var carried = 0.0
    var slope = 0.0
    /// How many of the arrivals have begun to count.
    var begun = 0
    let first = Double(fastest.first ?? 0)
    while arrivals.count < count {
      let needed = Double(arrivals.count + 1)
      let begins = begun < min(arrivals.count, fastest.count) ? Double(arrivals[begun]) + first : .infinity
      let sourceEnd = Double(source.copies) * Double(source.serialisation)
      var next = min(begins, time < sourceEnd ? sourceEnd : .infinity)
      let sourceNow = min(Double(source.copies), time / Double(source.serialisation))
      let sourceSlope = time < sourceEnd ? 1 / Double(source.serialisation) : 0
      let missing = needed - carried - sourceNow
      // Rounding must not make the bound later than it is.
      let completion = missing <= 1e-9 ? time : time + missing / (slope + sourceSlope)
      if completion <= next, completion.isFinite {
        carried += (completion - time) * slope
        time = completion
        arrivals.append(Int64(completion.rounded(.down)) + least)
        continue
      }
      guard next.isFinite else { return arrivals }
      next = max(next, time)
      carried += (next - time) * slope
      time = next
      if begins <= next {
        let rate = 1 / Double(fastest[begun])
        carried += first * rate
        slope += rate
        begun += 1
      }
    }
    return arrivals
  }
}
