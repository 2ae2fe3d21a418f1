/// What one viewer put out, chunk by chunk.
package struct Output {
  package struct Reading {
    package var chunk: UInt64
    package var time: Duration
    /// When it came, in whatever order.
    package var arrival: Duration?
    /// From the publishing to the reading; nil for a chunk that was never published.
    package var delay: Duration?
    /// How many chunks were given up just before it.
    package var skipped: UInt64
    package var isEntry: Bool
    /// Whether its bytes, its number and its entry bit are those that were published.
    package var isTrue: Bool
  }

  package private(set) var readings: [Reading] = []

  package init() {}

  mutating func append(_ reading: Reading) { readings.append(reading) }

  package var first: Reading? { readings.first }
  package var last: Reading? { readings.last }

  /// Chunks that were not published as they were read.
  package var falsehoods: Int { readings.count { !$0.isTrue } }

  /// Chunks that came behind one with the same or a higher number.
  package var disorder: Int { zip(readings, readings.dropFirst()).count { $0.chunk >= $1.chunk } }

  /// Chunks that are missing between the first and the last that were read.
  package var missing: UInt64 {
    guard let first, let last, last.chunk >= first.chunk else { return 0 }
    return last.chunk - first.chunk + 1 - min(UInt64(readings.count), last.chunk - first.chunk + 1)
  }

  /// What the reader was told about missing chunks, without what lies before the first.
  package var skipped: UInt64 { readings.dropFirst().reduce(0) { $0 + $1.skipped } }

  /// Whether it is one run of true chunks without a gap.
  package var isContiguous: Bool { falsehoods == 0 && disorder == 0 && missing == 0 && skipped == 0 }

  /// The longest time in which nothing was put out, between the first and the last reading.
  package var longestGap: Duration {
    zip(readings, readings.dropFirst()).map { $1.time - $0.time }.max() ?? .zero
  }

  /// The delay that suffices for a part of some chunks.
  ///
  /// A missing chunk needs a delay without end: nil when too many are missing.
  package func delay(for part: Double, of chunks: ClosedRange<UInt64>) -> Duration? {
    let delays = readings.filter { chunks.contains($0.chunk) }.compactMap(\.delay).sorted()
    let needed = max(1, Int((part * Double(chunks.count)).rounded(.up)))
    return needed <= delays.count ? delays[needed - 1] : nil
  }

  /// Which part of some chunks came within `limit`.
  package func part(of chunks: ClosedRange<UInt64>, within limit: Duration) -> Double {
    let inTime = readings.count { chunks.contains($0.chunk) && $0.delay.map { $0 <= limit } ?? false }
    return Double(inTime) / Double(chunks.count)
  }
}
