/// How fast a stream a swarm could carry if every bit of upload were used for it.
///
/// Uploads are in bits per second, and so are all rates.
package struct RateBound: Hashable, Sendable {
  /// No stream faster than this reaches all: min(source, (source + all peers) / peers).
  ///
  /// Kumar, Liu and Ross, 2007, for peers whose download is no limit; else the slowest download limits it too.
  package let greatest: Double
  /// (source + all peers) / (peers × rate): below 1 nothing can serve all.
  package let resourceIndex: Double
  /// Whether whole slots of rate / stripes suffice: sum of floor(upload / slot) ≥ peers × stripes.
  package let hasSlots: Bool

  /// - Parameters:
  ///   - source: what the source uploads.
  ///   - uploads: what each peer uploads; not empty.
  ///   - downloads: what each peer downloads, 0 for no limit; empty for no limit at all.
  ///   - rate: of the stream, above 0.
  ///   - stripes: how many the stream is cut into.
  package init(source: UInt64, uploads: [UInt64], downloads: [UInt64] = [], rate: UInt64, stripes: Int = 1) {
    let count = Double(max(1, uploads.count))
    let total = Double(source) + uploads.reduce(0) { $0 + Double($1) }
    let slowest = downloads.filter { $0 > 0 }.min().map { Double($0) } ?? .infinity
    greatest = min(Double(source), total / count, slowest)
    resourceIndex = total / (count * Double(max(1, rate)))
    let slots = uploads.reduce(UInt64(0)) { $0 &+ Self.slots($1, rate, stripes) }
    hasSlots = slots &+ Self.slots(source, rate, stripes) >= UInt64(uploads.count * stripes)
  }

  /// How many stripes an upload carries: floor(upload × stripes / rate).
  private static func slots(_ upload: UInt64, _ rate: UInt64, _ stripes: Int) -> UInt64 {
    UInt64(Double(upload) * Double(stripes) / Double(max(1, rate)))
  }
}
