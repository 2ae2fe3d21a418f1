/// What churn costs at least where nothing is fetched again.
package enum ChurnBound {
  /// The part of all deliveries that is lost.
  ///
  /// Each relaying ancestor goes once in a life, and takes the stream with it until that is repaired.
  ///
  /// - Parameters:
  ///   - ancestors: the mean number of relays between the source and a peer.
  ///   - repair: how long a peer is without the stream when one of them goes, in nanoseconds.
  ///   - life: the mean time for which a peer stays, in nanoseconds, above 0.
  /// - Returns: 0 to 1.
  package static func loss(ancestors: Double, repair: Int64, life: Int64) -> Double {
    min(1, ancestors * Double(repair) / Double(life))
  }
}

/// How soon a file, or what a late joiner has to catch up with, can be everywhere.
package enum FileBound {
  /// In seconds: max(file / source, peers × file / (source + all peers)), for `bits` in a fluid of any small parts.
  package static func time(bits: Double, source: Double, uploads: [Double]) -> Double {
    max(bits / source, Double(uploads.count) * bits / (source + uploads.reduce(0, +)))
  }

  /// In units of the whole file at equal uploads: 1 + floor(log2 peers) / parts.
  ///
  /// Mundinger, Weber and Weiss, 2008.
  package static func makespan(peers: Int, parts: Int) -> Double {
    guard peers > 0, parts > 0 else { return 0 }
    let doublings = Int.bitWidth - 1 - peers.leadingZeroBitCount
    return 1 + Double(doublings) / Double(parts)
  }
}
