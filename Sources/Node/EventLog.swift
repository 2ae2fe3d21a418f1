import Glibc
import PluginKit
import Swarm
import Text

/// What happened to a peer, second by second and without any of the stream: for `freshet lab replay`.
///
/// NDJSON. The first line says what the peer is; then each second has a line with the time, the stream, and every link:
/// who is there, the round trip in microseconds, bytes of chunks sent and of those lost since the link began, and the
/// other's upload. The last line of a peer that leaves properly says so. Times are milliseconds since 1970.
final class EventLog {
  /// A recording is at most as long; what comes after is not kept.
  private static let limit = 64 << 20

  private let path: String
  private let descriptor: Int32
  private let unixOrigin: Duration
  private var written = 0

  /// Makes the file anew and writes the first line.
  init(
    _ path: String,
    _ configuration: PeerConfiguration,
    id: String,
    uncapped: Bool,
    now: Duration,
    unixOrigin: Duration
  ) throws(NodeError) {
    descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0o644)
    guard descriptor >= 0 else {
      throw .output("--record-events: \(path) cannot be written: \(unsafe String(cString: strerror(errno)))")
    }
    self.path = path
    self.unixOrigin = unixOrigin
    let upload = uncapped ? "null" : String(configuration.capacity.upload)
    let role =
      switch configuration.role {
      case .source: "source"
      case .leaf: "leaf"
      default: "relay"
      }
    try write(
      """
      {"freshet_events":1,"at":\(milliseconds(now)),"peer":\(id.quotedAsJSON),\
      "role":"\(role)","upload":\(upload),"chunk":\(configuration.chunkSize),"window":\(configuration.window),\
      "patience_ms":\(configuration.patience.nanoseconds / 1_000_000)}

      """
    )
  }

  deinit { close(descriptor) }

  /// Adds a second; to be called once in each.
  func add(_ peer: borrowing Peer, _ statistics: Statistics, now: Duration) throws(NodeError) {
    let links = peer.links.map { link in
      let trip = link.roundTrip.map { String($0.nanoseconds / 1000) } ?? "null"
      let upload = link.upload.map { String($0) } ?? "null"
      return "[\(link.peer.quotedAsJSON),\(trip),\(link.sent),\(link.lost),\(upload)]"
    }
    let depth = statistics.depth.map { String($0) } ?? "null"
    try write(
      """
      {"at":\(milliseconds(now)),"rate":\(peer.rate),"depth":\(depth),\
      "parent":\(statistics.parent?.quotedAsJSON ?? "null"),"out":\(statistics.bytesOut),\
      "links":[\(links.joined(separator: ","))]}

      """
    )
  }

  /// Adds that the peer leaves properly.
  func leave(now: Duration) throws(NodeError) { try write("{\"at\":\(milliseconds(now)),\"left\":true}\n") }

  private func milliseconds(_ now: Duration) -> Int64 { (unixOrigin + now).nanoseconds / 1_000_000 }

  private func write(_ line: String) throws(NodeError) {
    var bytes = Array(line.utf8)
    guard written + bytes.count <= Self.limit else { return }
    written += bytes.count
    while !bytes.isEmpty {
      let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        bytes.removeFirst(count)
      } else if errno != EINTR {
        throw .output(
          "--record-events: \(path) cannot be written: \(unsafe String(cString: strerror(errno)))"
        )
      }
    }
  }
}
