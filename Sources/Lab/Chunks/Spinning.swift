internal import Text

/// Why a chunk world came to a stop: a topology that does the same again and again while no time passes.
package struct Spinning: Error, Hashable, CustomStringConvertible {
  package let peer: Int
  /// In nanoseconds.
  package let time: Int64

  package init(peer: Int, time: Int64) {
    self.peer = peer
    self.time = time
  }

  package var description: String {
    let who = peer == 0 ? "the source" : "peer \(peer)"
    return
      "at \(Number.fixed(Double(time) / 1e9, decimals: 6)) s the topology of \(who) does the same for ever: what it asks for happens at "
      + "once, and it asks again"
  }
}
