package import Integrity
package import MediaIO
package import Net
package import PluginKit
package import Swarm
internal import Text

/// Why a peer could not begin or go on, as one sentence for the user.
package enum NodeError: Error, CustomStringConvertible {
  case media(MediaError)
  case integrity(IntegrityError)
  case net(NetError)
  case swarm(SwarmError)
  case parameters(ParameterError)
  /// The input broke off; the sentence says how.
  case input(String)
  /// An output could not be written to the end; the sentence says why.
  case output(String)
  /// A file cannot be read or written; the sentence says why.
  case file(String)
  /// `isKept` says whether a later fetch can go on from what came.
  case noChunks(within: Duration, isKept: Bool)
  case incomplete(held: UInt64, count: UInt64?, isKept: Bool)
  case cannotCarry(transport: String)
  case otherFamily(listening: Address, [Address])
  case windowTooLarge(bytes: UInt64)
  case noAnswer([Address], within: Duration)
  case noPlace(within: Duration)
  case streamGone(after: Duration)
  case noThread
  /// A running broadcast cannot be spoken to; the sentence says why.
  case control(String)

  package var description: String {
    switch self {
    case .media(let error): error.description
    case .integrity(let error): error.description
    case .net(let error): error.description
    case .swarm(let error): "\(error)"
    case .parameters(let error): error.description
    case .input(let sentence), .output(let sentence), .file(let sentence), .control(let sentence): sentence
    case .cannotCarry(let transport):
      "the transport '\(transport)' needs connections, and this version only carries datagrams"
    case .otherFamily(let listening, let addresses):
      "\(Self.list(addresses)) cannot be reached from \(listening): listen at an address of the same kind "
        + "with --listen"
    case .windowTooLarge(let bytes):
      "the window would take \(bytes >> 20) MiB of memory; choose a shorter one with --window"
    case .noAnswer(let addresses, let time):
      "nobody answers at \(Self.list(addresses)) within \(Self.seconds(time)): the broadcast is over, "
        + "a firewall keeps its UDP packets back, or the swarm may be closed to all but members (--certificate)"
    case .noPlace(let time):
      "the peers of this link answer, but none of them has sent the stream within \(Self.seconds(time)); "
        + "try again later"
    case .incomplete(let held, let count, let isKept):
      held == 0
        ? "nothing was fetched"
        : "not complete: \(held.grouped) of \((count ?? held).grouped) chunks \(isKept ? "are here" : "came")"
          + (isKept ? "; the same command goes on from there" : "")
    case .noChunks(let time, let isKept):
      "no chunk has come for \(Self.seconds(time)): the peers of this link have no more, or are gone"
        + (isKept ? "; what came is kept, and the same command goes on from there" : "")
    case .streamGone(let time):
      "the stream broke off and did not come back within \(Self.seconds(time)); what came before is complete"
    case .noThread: "the system has no thread left"
    }
  }

  private static func list(_ addresses: [Address]) -> String {
    let named = addresses.prefix(3).map(\.description).joined(separator: ", ")
    return addresses.count > 3 ? named + " and \(addresses.count - 3) more" : named
  }

  private static func seconds(_ time: Duration) -> String {
    let (seconds, attoseconds) = time.components
    let tenths = attoseconds / 100_000_000_000_000_000
    return tenths == 0 ? "\(seconds) s" : "\(seconds).\(tenths) s"
  }

  static func net<Value: ~Copyable>(
    _ body: () throws(NetError) -> Value
  ) throws(NodeError) -> Value {
    do throws(NetError) { return try body() } catch { throw .net(error) }
  }

  static func integrity<Value: ~Copyable>(
    _ body: () throws(IntegrityError) -> Value
  ) throws(NodeError) -> Value {
    do throws(IntegrityError) { return try body() } catch { throw .integrity(error) }
  }
}

/// What a running peer has to say to its user.
package enum NodeEvent {
  /// Where the stream can be joined; once, before anything else.
  case link(Swarm.Link)
  case sentence(String)
  /// What only matters to who looks closely.
  case detail(String)
  case warning(String)
  /// Which part of a file has been hashed, 0 to 1.
  case hashing(String, Double)
  /// How a fetch goes, once a second.
  case progress(ContentProgress, Statistics)
  /// How it goes, once a second.
  case statistics(Statistics)
  /// How it went; the last event, also before an error.
  case summary(Statistics)
}
