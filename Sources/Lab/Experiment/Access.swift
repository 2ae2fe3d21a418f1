internal import PluginKit

/// The line by which a peer reaches the network.
package struct Access: Hashable, Sendable {
  /// Bits per second, headers included; 0 for no limit.
  package var upload: UInt64
  package var download: UInt64
  /// How long something may wait for the upload; what would wait longer is lost.
  package var queue: Duration
  package var nat: NAT

  package init(
    upload: UInt64,
    download: UInt64 = 0,
    queue: Duration = .milliseconds(500),
    nat: NAT = .open
  ) {
    self.upload = upload
    self.download = download
    self.queue = queue
    self.nat = nat
  }

  /// Who can open a connection to a peer.
  package enum NAT: String, Hashable, Sendable, CaseIterable {
    /// Everybody.
    case open
    /// Only somebody whom it has sent something to before.
    case restricted
  }
}

/// How a peer behaves.
package enum Behaviour: String, Hashable, Sendable, CaseIterable {
  case honest
  /// It claims its upload and sends a tenth of what it should.
  case slow
  /// It alters every chunk that it passes on.
  case liar
  /// It watches, and passes nothing on although it accepts children.
  case freeRider
}

/// What goes wrong between any two peers.
package struct Weather: Hashable, Sendable {
  /// The part of all datagrams that is lost, 0 to 1.
  package var loss: Double
  /// How many datagrams are lost in a row on average; 1 for losses that know nothing of each other.
  package var burst: Double
  /// Up to this much is added to each way, evenly distributed.
  package var jitter: Duration

  package init(loss: Double = 0, burst: Double = 1, jitter: Duration = .zero) {
    self.loss = loss
    self.burst = burst
    self.jitter = jitter
  }
}

/// How long the way from one peer to another is.
package enum Latency: Hashable, Sendable {
  /// Peers lie in a disc; the way grows with their distance from `least` to `greatest`, which is its diameter.
  case disc(least: Duration, greatest: Duration)
  /// Row `i`, column `j`: one way from place `i` to place `j`; peers are dealt to places at random.
  case matrix([[Duration]])
}

/// How peers come and go.
package struct Churn: Hashable, Sendable {
  package var life: Life
  /// Of those who go, the part that says goodbye.
  package var graceful: Double
  /// Whether another peer comes for each that goes.
  package var isReplaced: Bool

  package init(life: Life, graceful: Double = 0, isReplaced: Bool = true) {
    self.life = life
    self.graceful = graceful
    self.isReplaced = isReplaced
  }

  /// No life is longer than this.
  package static let longestLife = Duration.seconds(30 * 86_400)

  /// How long a peer stays.
  package enum Life: Hashable, Sendable {
    case exponential(mean: Duration)
    /// With a shape above 1; few stay for very long.
    case pareto(mean: Duration, shape: Double)
    /// The logarithm is normal, with `sigma` as its deviation (of the natural logarithm).
    case lognormal(median: Duration, sigma: Double)
    /// One of these, at random.
    case trace([Duration])
  }
}
