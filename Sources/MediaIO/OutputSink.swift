internal import Glibc
internal import Threads

/// Where verified chunks go in order: a file, standard output, a player.
///
/// `write(_:isEntry:)` never blocks: a thread of the sink's own does the writing. What comes out is MPEG-TS without
/// null packets, and begins where a decoder can. When chunks are missing, it goes on with the next one: the
/// continuity counters show the gap to every decoder.
public final class OutputSink: Sendable {
  public enum Destination: Sendable, Equatable {
    /// Created anew; what it held before is gone.
    case file(String)
    /// The same with every byte as it came, null packets too, from the first chunk on.
    case archive(String)
    case standardOutput
    /// ffplay or mpv, whichever is installed.
    case player
    /// A program with its arguments that reads from its standard input.
    case command([String])
    /// An open file, which the sink closes.
    case descriptor(Int32)
  }

  /// The first access unit that a decoder can begin with.
  public struct FirstAccessUnit: Sendable, Equatable {
    /// When its last byte was written: nanoseconds of the monotonic clock.
    public var time: Int64
    /// Its length in bytes, its PES header included.
    public var byteCount: Int
  }

  public struct Statistics: Sendable, Equatable {
    public var bytesWritten: UInt64 = 0
    /// Chunks that a slow reader did not get.
    public var chunksDropped: UInt64 = 0
    public var firstAccessUnit: FirstAccessUnit?
    /// Why nothing more is written, as a sentence; nil while all is well.
    public var failure: String?
  }

  /// How much may wait for a disk, in bytes.
  public static let fileQueueLimit = 64 << 20
  /// How much may wait for a program that reads, in bytes: some seconds of video.
  public static let pipeQueueLimit = 8 << 20
  /// How long an entry is awaited before output begins without one, in nanoseconds.
  ///
  /// A stream that is not our own may have none that begins a chunk.
  static let entryPatience: Int64 = 3_000_000_000
  private struct State {
    var queue: OutputQueue
    var statistics = Statistics()
    var hasStarted = false
    var firstOffer: Int64?
    /// Set by `finish()`: when to give up a reader that does not read, and how long a player may take then.
    var deadline: Int64?
    var playerPatience: Int64 = 0
    /// Whether the stream was left before its end, so that the last access unit may not be whole.
    var isCut = false
    var isDone = false
  }

  private let state: Monitor<State>
  private let name: String
  private let isArchive: Bool

  private init(_ state: Monitor<State>, name: String, isArchive: Bool) {
    self.state = state
    self.name = name
    self.isArchive = isArchive
  }

  /// Opens the destination and starts to write what comes.
  ///
  /// - Parameters:
  ///   - destination: where to write.
  ///   - queueLimit: the most bytes that wait; by default `fileQueueLimit` or `pipeQueueLimit`.
  /// - Returns: the sink; `finish()` must be called in the end.
  /// - Throws: a sentence that says what could not be opened, and why.
  public static func open(_ destination: Destination, queueLimit: Int? = nil) throws(MediaError) -> OutputSink
  {
    var player: Player?
    let descriptor: Int32
    let name: String
    switch destination {
    case .file(let path), .archive(let path):
      descriptor = try create(path)
      name = "'\(path)'"
    case .standardOutput:
      guard isatty(STDOUT_FILENO) == 0 else {
        throw MediaError("standard output is a terminal: redirect it, or write to a file with --output FILE")
      }
      descriptor = STDOUT_FILENO
      name = "standard output"
    case .player, .command:
      let started: Player
      if case .command(let command) = destination {
        started = try Player.start(command)
      } else {
        started = try Player.start(Player.find(for: .stream))
      }
      player = started
      descriptor = started.inlet
      name = "the player (\(started.name))"
    case .descriptor(let open):
      descriptor = open
      name = "the output"
    }
    let outlet = SlowDescriptor(descriptor)
    let limit = queueLimit ?? (outlet.isFile ? fileQueueLimit : pipeQueueLimit)
    let state = Monitor(State(queue: OutputQueue(limit: limit)))
    let writer = Writer(outlet: outlet, name: name, player: player)
    let hasThread = startThread {
      writer.run(state)
      if descriptor != STDOUT_FILENO { writer.close(state) }
      writer.player?.end(patience: state.read { $0.playerPatience })
      state.change { $0.isDone = true }
    }
    guard hasThread else {
      if descriptor != STDOUT_FILENO { close(descriptor) }
      throw MediaError("cannot write to \(name): no thread to do it with")
    }
    let isArchive = if case .archive = destination { true } else { false }
    return OutputSink(state, name: name, isArchive: isArchive)
  }

  private static func create(_ path: String) throws(MediaError) -> Int32 {
    // A named pipe without a reader must not block.
    let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK
    let descriptor = unsafe Glibc.open(path, flags, 0o644)
    guard descriptor >= 0 else {
      let code = errno
      switch code {
      case EISDIR: throw MediaError("cannot write '\(path)': it is a directory")
      case ENOENT:
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        throw MediaError("cannot write '\(path)': the directory '\(parent)' does not exist")
      case ENXIO: throw MediaError("cannot write '\(path)': nobody reads this pipe")
      default: throw MediaError("cannot write '\(path)': \(systemError(code))")
      }
    }
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    return descriptor
  }

  /// Takes the next chunk.
  ///
  /// - Parameters:
  ///   - chunk: verified bytes; copied.
  ///   - isEntry: a decoder can begin with it.
  /// - Returns: false when nothing is written any more; `statistics` says why.
  @discardableResult
  public func write(_ chunk: RawSpan, isEntry: Bool) -> Bool {
    let bytes =
      isArchive ? unsafe chunk.withUnsafeBytes { unsafe [UInt8]($0) } : Self.withoutNullPackets(chunk)
    return state.change { state in
      guard state.statistics.failure == nil, state.deadline == nil else { return false }
      if !state.hasStarted, !isArchive {
        let now = monotonicNow()
        let first = state.firstOffer ?? now
        state.firstOffer = first
        guard isEntry || now &- first >= Self.entryPatience else { return true }
        state.hasStarted = true
      }
      if !bytes.isEmpty { state.queue.push(bytes, isEntry: isEntry) }
      return true
    }
  }

  public var statistics: Statistics {
    state.read { state in
      var statistics = state.statistics
      statistics.chunksDropped = state.queue.dropped
      return statistics
    }
  }

  /// Writes what waits, closes the destination and waits until that is done.
  ///
  /// A reader that has stopped reading is given that patience; a player then has twice as long to show what it has.
  ///
  /// - Parameters:
  ///   - patience: as said.
  ///   - isCut: whether the stream goes on without this output. The last access unit is then taken out of a file again,
  ///     since nobody can tell whether it is whole; what went into a pipe stays as it is.
  /// - Returns: what was written in the end.
  @discardableResult
  public func finish(patience: Duration = .seconds(2), isCut: Bool = false) -> Statistics {
    let (seconds, attoseconds) = patience.components
    let nanoseconds = max(0, min(seconds, 3600)) &* 1_000_000_000 &+ attoseconds / 1_000_000_000
    state.change { state in
      state.playerPatience = 2 &* nanoseconds
      state.isCut = isCut && !isArchive
      state.deadline = state.deadline ?? monotonicNow() &+ nanoseconds
    }
    _ = state.wait { $0.isDone ? () : nil }
    return statistics
  }

  private static func withoutNullPackets(_ chunk: RawSpan) -> [UInt8] {
    let isStream = TransportStream.isAligned(chunk)
    let step = isStream ? TransportStream.packetSize : max(1, chunk.byteCount)
    return unsafe [UInt8](unsafeUninitializedCapacity: chunk.byteCount) { buffer, count in
      var offset = 0
      while offset < chunk.byteCount {
        defer { offset += step }
        if isStream, let header = PacketHeader(chunk, at: offset),
          header.identifier == TransportStream.nullPacketIdentifier
        {
          continue
        }
        unsafe chunk.withUnsafeBytes { source in
          guard let from = source.baseAddress, let to = buffer.baseAddress else { return }
          unsafe UnsafeMutableRawPointer(to + count).copyMemory(from: from + offset, byteCount: step)
        }
        count += step
      }
    }
  }

  /// The thread that writes.
  private struct Writer: Sendable {
    let outlet: SlowDescriptor
    let name: String
    let player: Player?

    private var descriptor: Int32 { outlet.descriptor }
    private var isFile: Bool { outlet.isFile }

    func run(_ state: Monitor<State>) {
      // A reader that has gone is an error code here, not the death of the process.
      blockBrokenPipes()
      var firstFrame = FirstFrame()
      var lastUnit: UInt64?
      let size = isFile ? 1 << 18 : 1 << 14
      while true {
        let batch = state.wait { state -> [UInt8]? in
          if !state.queue.isEmpty { return state.queue.take(upTo: size) }
          return state.deadline == nil ? nil : []
        }
        guard let batch, !batch.isEmpty else {
          if let lastUnit { cutTail(state, to: lastUnit) }
          return
        }
        if let failure = put(batch, state) {
          state.change {
            $0.queue.abandon()
            $0.statistics.failure = failure
          }
          return
        }
        let isComplete = unsafe firstFrame.append(batch.span.bytes)
        if let offset = unsafe firstFrame.lastUnit(batch.span.bytes) {
          lastUnit = state.read { $0.statistics.bytesWritten } + UInt64(offset)
        }
        state.change { state in
          state.statistics.bytesWritten += UInt64(batch.count)
          if isComplete {
            state.statistics.firstAccessUnit = FirstAccessUnit(
              time: monotonicNow(),
              byteCount: firstFrame.byteCount
            )
          }
        }
      }
    }

    /// Writes all bytes; returns why it could not.
    private func put(_ bytes: [UInt8], _ state: Monitor<State>) -> String? {
      let end = outlet.put(bytes[...]) {
        state.read { state in state.deadline.map { monotonicNow() >= $0 } ?? false }
      }
      switch end.obstacle {
      case nil: return nil
      case .late: return "\(name) stopped reading: the end of the stream was not written"
      case .noReader: return player?.reasonOfEnd() ?? "the reader of \(name) has gone"
      case .code(let code):
        if isFile { trim(state.read { $0.statistics.bytesWritten } + UInt64(end.count)) }
        return "cannot write to \(name): \(systemError(code))"
      }
    }

    /// Takes an access unit that may not be whole out of a file again.
    private func cutTail(_ state: Monitor<State>, to length: UInt64) {
      guard isFile, length > 0, state.read({ $0.isCut }) else { return }
      let written = state.read { $0.statistics.bytesWritten }
      // What was in an appended file before is not ours.
      let before = lseek(descriptor, 0, SEEK_CUR) - Int(clamping: written)
      guard before >= 0, ftruncate(descriptor, before + Int(clamping: length)) == 0 else { return }
      state.change { $0.statistics.bytesWritten = length }
    }

    /// Cuts a packet that was written in part, so that the file stays a transport stream.
    private func trim(_ length: UInt64) {
      // What was in an appended file before is not ours.
      let end = lseek(descriptor, 0, SEEK_CUR)
      let excess = Int(length % UInt64(TransportStream.packetSize))
      if excess > 0 && end >= excess { _ = ftruncate(descriptor, end - excess) }
    }

    func close(_ state: Monitor<State>) {
      guard Glibc.close(descriptor) != 0, errno != EINTR else { return }
      let reason = systemError(errno)
      state.change { state in
        if state.statistics.failure == nil { state.statistics.failure = "cannot write to \(name): \(reason)" }
      }
    }
  }
}
