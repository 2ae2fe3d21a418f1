internal import Glibc
internal import Threads

/// A file on its way to a player or to standard output while its bytes still come, from the first one on.
///
/// Nothing is left out and nothing waits in memory: a thread of the feed's own reads from the disk what the reader takes.
public final class FileFeed: Sendable {
  public enum Destination: Sendable, Equatable {
    case standardOutput
    /// ffplay or mpv, whichever is installed.
    case player
    /// A program with its arguments that reads from its standard input.
    case command([String])
  }

  /// Why a reader did not get everything, as a sentence.
  public enum Failure: Sendable, Equatable {
    /// It had seen enough, or gave up.
    case closed(String)
    /// It could not be written to.
    case failed(String)
  }

  private struct State {
    /// Bytes that can be read, from the first one on.
    var available = 0
    var isWhole = false
    var isStopped = false
    var bytesWritten = 0
    var failure: Failure?
    var isDone = false
  }

  /// What is read and written at a time, in bytes.
  private static let block = 1 << 18
  /// How long the rest may take once the feed was stopped, in nanoseconds; a player ends by then.
  private static let farewell: Int64 = 500_000_000

  private let state = Monitor(State())

  private init() {}

  /// Starts a reader, which gets what ``extend(to:)`` says is there.
  ///
  /// - Parameters:
  ///   - destination: who reads.
  ///   - descriptor: the open file, which the feed closes.
  ///   - done: called once, on a thread of the feed's own, when nothing more is written and a player has ended.
  /// - Returns: the feed.
  /// - Throws: a sentence that says what could not be started.
  public static func open(
    _ destination: Destination,
    from descriptor: Int32,
    done: @escaping @Sendable () -> Void
  ) throws(MediaError) -> FileFeed {
    do throws(MediaError) {
      switch destination {
      case .standardOutput:
        guard isatty(STDOUT_FILENO) == 0 else {
          throw MediaError(
            "standard output is a terminal: redirect it, or write to a file with --output FILE"
          )
        }
        return try start(from: descriptor, to: STDOUT_FILENO, nil, done)
      case .player:
        let player = try Player.start(Player.find(for: .pipe))
        return try start(from: descriptor, to: player.inlet, player, done)
      case .command(let command):
        let player = try Player.start(command)
        return try start(from: descriptor, to: player.inlet, player, done)
      }
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// Starts a player that reads a whole file by itself, and so can seek in it.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - done: called once, on a thread of the feed's own, when the player has ended.
  /// - Returns: the feed.
  /// - Throws: a sentence that says what could not be started.
  public static func play(
    _ path: String,
    done: @escaping @Sendable () -> Void
  ) throws(MediaError) -> FileFeed {
    let player = try Player.start(Player.find(for: .file(path)))
    return try start(from: nil, to: player.inlet, player, done)
  }

  private static func start(
    from source: Int32?,
    to descriptor: Int32,
    _ player: Player?,
    _ done: @escaping @Sendable () -> Void
  ) throws(MediaError) -> FileFeed {
    let feed = FileFeed()
    let hasThread = startThread {
      feed.run(from: source, to: descriptor, player)
      done()
    }
    guard hasThread else {
      if let player {
        close(player.inlet)
        player.end(patience: 0)
      }
      throw MediaError("nothing can be played or piped: the system has no thread left")
    }
    return feed
  }

  /// So many bytes from the first one on can be read now.
  public func extend(to byteCount: Int) {
    guard state.read({ $0.available < byteCount }) else { return }
    state.change { $0.available = byteCount }
  }

  /// The file ends where it was extended to: the reader sees its end.
  public func complete() { state.change { $0.isWhole = true } }

  /// Nobody waits for the reader any more; a player is ended.
  public func stop() { state.change { $0.isStopped = true } }

  /// Whether nothing more is written, and a player has ended.
  public var isDone: Bool { state.read { $0.isDone } }

  public var failure: Failure? { state.read { $0.failure } }

  public var bytesWritten: Int { state.read { $0.bytesWritten } }

  /// Waits for the end, at most until a time in nanoseconds of the monotonic clock.
  public func wait(until deadline: Int64? = nil) { _ = state.wait(until: deadline) { $0.isDone ? () : nil } }

  private func run(from source: Int32?, to descriptor: Int32, _ player: Player?) {
    // A reader that has gone is an error code here, not the death of the process.
    blockBrokenPipes()
    var failure: Failure?
    if let source {
      failure = copy(from: source, to: descriptor, player)
      close(source)
    }
    if descriptor != STDOUT_FILENO { close(descriptor) }
    state.change { [failure] in $0.failure = failure }
    if let player {
      // The last seconds are watched when all has been written.
      while !player.hasEnded, !state.read({ $0.isStopped }) {
        _ = state.wait(until: monotonicNow() &+ 20_000_000) { $0.isStopped ? () : nil }
      }
      let wasStopped = state.read { $0.isStopped }
      player.end(patience: wasStopped ? 0 : Self.farewell)
      if failure == nil, !wasStopped, player.complaint != nil {
        let reason = player.reasonOfEnd()
        state.change { $0.failure = .closed(reason) }
      }
    }
    state.change { $0.isDone = true }
  }

  /// Copies until the end, until it is stopped or until nobody reads.
  private func copy(from source: Int32, to descriptor: Int32, _ player: Player?) -> Failure? {
    let name = player.map { "the player (\($0.name))" } ?? "standard output"
    let pipe = SlowDescriptor(descriptor)
    var buffer = [UInt8](repeating: 0, count: Self.block)
    var offset = 0
    while true {
      let ready = state.wait(until: monotonicNow() &+ 100_000_000) { [offset] state -> Int? in
        if state.isStopped { return 0 }
        return state.available > offset || state.isWhole ? state.available - offset : nil
      }
      guard let ready else {
        // Who closes a player while nothing comes is not made to wait for more.
        if player?.hasEnded == true || pipe.hasNoReader { return gone(name, player) }
        continue
      }
      guard ready > 0 else { return nil }
      let count = unsafe pread(source, &buffer, min(ready, buffer.count), offset)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        return .failed(
          "cannot read what \(name) is to have: \(count == 0 ? "it is gone" : systemError(errno))"
        )
      }
      let end = pipe.put(buffer[..<count]) { self.state.read { $0.isStopped } }
      state.change { $0.bytesWritten += end.count }
      switch end.obstacle {
      case nil: offset += count
      case .late: return nil
      case .noReader: return gone(name, player)
      case .code(let code): return .failed("cannot write to \(name): \(systemError(code))")
      }
    }
  }

  private func gone(_ name: String, _ player: Player?) -> Failure {
    .closed(player?.reasonOfEnd() ?? "the reader of \(name) has gone")
  }
}
