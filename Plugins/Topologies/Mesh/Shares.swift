package import PluginKit

/// Which part of the chunks each peer passes on to all others, after Kumar, Liu and Ross (2007).
///
/// Of `n` peers one with upload `u` can pass on the part `u / ((n - 1) r)` of a stream of rate `r`. While all of them
/// together can carry the whole stream, parts are as uploads are; when not, the source gives the rest to each peer itself.
/// That attains the greatest rate that any topology can: `min(u_s, (u_s + Σu) / n)`.
package struct Shares: Hashable, Sendable {
  /// The part of an upload that is counted on; the rest is for repairs and control.
  package static let reliance = 0.9
  /// Nobody is believed to have more upload than for so many copies: a word is cheap.
  package static let copiesLimit = 16.0

  private var peers: [PeerRef] = []
  /// What each has coming; the source itself last.
  private var parts: [Double] = []
  private var credits: [Double] = []

  package init() {}

  /// The part of each peer, and at the end that of the source.
  package var all: [Double] { parts }

  /// - Parameters:
  ///   - peers: each with the upload that it says to have, in kilobits per second.
  ///   - rate: bits per second that a copy of the stream takes.
  package mutating func divide(among peers: [(peer: PeerRef, upload: UInt32)], rate: UInt64) {
    let rate = Double(max(rate, 1)) / 1000
    let others = Double(max(peers.count - 1, 1))
    let uploads = peers.map { min(Double($0.upload), Self.copiesLimit * rate) * Self.reliance }
    let total = uploads.reduce(0, +)
    let whole = max(total, others * rate)
    let old = credits
    let same = peers.map(\.peer) == self.peers
    self.peers = peers.map(\.peer)
    parts = uploads.map { $0 / whole }
    parts.append(max(0, 1 - parts.reduce(0, +)))
    credits = same && old.count == parts.count ? old : [Double](repeating: 0, count: parts.count)
  }

  /// Who passes on the next chunk; `nil` when it is the source's own turn, or there is nobody.
  package mutating func next() -> PeerRef? {
    var best: Int?
    for index in parts.indices where parts[index] > 1e-9 {
      credits[index] += parts[index]
      if let found = best, credits[found] >= credits[index] { continue }
      best = index
    }
    guard let best else { return nil }
    credits[best] -= 1
    return best < peers.count ? peers[best] : nil
  }
}
