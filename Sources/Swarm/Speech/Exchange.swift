import PluginKit

/// With whom a peer exchanges the addresses of others (RFC 7574, sections 3.10 and 12.2).
public enum PeerExchange: Hashable, Sendable {
  /// With nobody: it neither asks nor answers.
  ///
  /// What a source does unless it is told otherwise, so that nobody can surround the one peer on which all depend
  /// (section 12.2.3). The price: who knows only the source learns of others from its redirects, or from discovery.
  case off
  /// Bare addresses within one private network, membership certificates everywhere, as the RFC demands.
  case privateNetworks
  /// Bare addresses across the Internet as well, where nothing shows that they belong to the swarm.
  case everywhere
}

/// What peer exchange may cost and bring, and what is known of it.
struct Exchange {
  /// RFC 7574, section 3.10: who is named has been heard from within this time.
  static let freshness: Duration = .seconds(60)
  /// The most peers that one answer names, and that are taken from one.
  static let answerLimit = 8
  /// After so many bad certificates the rest of an answer is not looked at (section 12.2.2).
  static let defectiveLimit = 3
  /// How often one peer is answered.
  static let answerInterval: Duration = .seconds(10)
  /// How often one peer is asked, how many are asked at once, and how long an answer may take.
  static let askInterval: Duration = .seconds(30)
  static let askLimit = 3
  static let patience: Duration = .seconds(5)
  /// How many peers a plain peer dials, and how many links, of any peer, may come from exchange: the difference is
  /// kept for the link's and the discovery's peers (section 12.2.3).
  static let linkTarget = 8
  static let hintedLimit = 5
  /// How many links may come from what one host told, or lead to one /16 of IPv4 or /32 of IPv6.
  static let sourceLimit = 2
  static let prefixLimit = 2
  /// Who came from exchange and has brought nothing for so long makes room for another.
  static let idleLimit: Duration = .seconds(30)
  /// Addresses that wait to be dialled or told to the topology.
  static let hintLimit = 64

  /// What one channel asked and was asked.
  struct Side {
    var asked: Duration?
    /// Addresses that came since then.
    var taken = 0
    /// Certificates among them that were none.
    var defective = 0
    var answered: Duration?
  }

  var hints: [PeerRef] = []
  var dials = DialBudget()
}

/// How often others can make us send first handshakes to addresses that we never heard from.
///
/// Whoever names addresses, by exchange, redirect or in its hello, could aim us at somebody who has nothing to do with
/// the swarm (RFC 7574, section 12.2). One dial is at most eight small datagrams, so this many are all that a stranger
/// gets.
struct DialBudget {
  static let interval: Duration = .milliseconds(125)
  static let burst = 32
  /// A dial that would have to wait for longer is refused.
  static let patience: Duration = .seconds(2)

  /// When all of the burst would be available again.
  private var full: Duration = .zero

  /// When the next dial may begin; nil when that is too late.
  mutating func take(now: Duration) -> Duration? {
    let time = max(now, full - Self.interval * (Self.burst - 1))
    guard time - now <= Self.patience else { return nil }
    full = max(full, time) + Self.interval
    return time
  }
}
