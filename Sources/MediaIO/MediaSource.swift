internal import CFFmpeg
internal import Synchronization
internal import Threads

/// An input on its way to chunks: opened, paced, muxed to MPEG-TS, cut.
///
/// `open()` and `run(_:)` block and are called once each, in this order, on a thread of the caller's; `stop()`
/// and the properties may be used from any thread.
public final class MediaSource: Sendable {
  /// When packets are sent.
  public enum Pacing: Sendable {
    /// By the wall clock, as the input's timestamps say; live inputs as they come.
    case realtime
    /// As fast as they are taken, and without a clock: a chunk waits until it is full.
    case none
  }

  public struct Options: Sendable {
    /// Bytes of a chunk, or the most where its length varies: a positive multiple of 188.
    public var chunkSize = 1316
    /// Whether a chunk that goes before it is full goes as it is; else it is filled up with null packets.
    public var isVariable = false
    /// Begins anew when the input ends; timestamps go on.
    public var loops = false
    public var pacing = Pacing.realtime

    public init(
      chunkSize: Int = 1316,
      isVariable: Bool = false,
      loops: Bool = false,
      pacing: Pacing = .realtime
    ) {
      self.chunkSize = chunkSize
      self.isVariable = isVariable
      self.loops = loops
      self.pacing = pacing
    }
  }

  /// Why a run ended.
  public enum End: Sendable, Equatable {
    /// The input is over.
    case finished
    /// `stop()` was called, or a chunk was refused.
    case stopped
    /// The input broke off; the sentence says how. What came before was emitted and ended properly.
    case failed(String)
  }

  /// Receives a chunk; valid during the call only.
  ///
  /// - Parameters:
  ///   - chunk: `chunkSize` bytes, the last one fewer; where the length varies 188 or more, and the last one none.
  ///   - isEntry: a decoder can begin with it.
  ///   - isLast: nothing follows.
  /// - Returns: false to end the run at once.
  public typealias Emit = (_ chunk: RawSpan, _ isEntry: Bool, _ isLast: Bool) -> Bool

  /// What the user typed.
  public let input: String
  private let options: Options
  private let address: InputAddress
  private let interruption = Interruption()
  private let stage = Mutex(Stage.idle)

  private enum Stage: Sendable {
    case idle
    case opened(Ingest, Monitor<IngestQueue>)
    case running(Monitor<IngestQueue>, String, Int64?)
  }

  /// Names an input without opening it.
  ///
  /// A file, `-`, a URL, or a device such as `lavfi:testsrc2`, `x11grab::0.0`, `v4l2:/dev/video0`.
  public init(_ input: String, options: Options = Options()) {
    self.input = input
    self.options = options
    address = InputAddress(input)
  }

  /// Opens the input; blocks until it has said what it carries, which for a listening one is when a publisher comes.
  public func open() throws(MediaError) {
    guard options.chunkSize > 0, options.chunkSize % TransportStream.packetSize == 0 else {
      throw MediaError("a chunk of \(options.chunkSize) bytes does not hold whole MPEG-TS packets of 188")
    }
    nonisolated(unsafe) var monitor: Monitor<IngestQueue>?
    let isOrdered = !address.isLive
    let ingest = try Ingest(address, loops: options.loops, interruption: interruption) { count in
      let made = Monitor(IngestQueue(streams: count, isOrdered: isOrdered))
      unsafe monitor = made
      return made
    }
    guard let monitor = unsafe monitor else { return }
    stage.withLock { $0 = .opened(ingest, monitor) }
  }

  /// Whether the input keeps its own time.
  public var isLive: Bool { address.isLive }

  /// What is sent: `H.264 640x360 25 fps + AAC 44.1 kHz stereo`; empty before `open()`.
  public var summary: String {
    stage.withLock { stage in
      switch stage {
      case .idle: ""
      case .opened(let ingest, _): Self.summary(ingest)
      case .running(_, let summary, _): summary
      }
    }
  }

  /// An estimate of the transport stream's rate in bits a second; nil when nothing is known.
  public var declaredBitrate: Int64? {
    stage.withLock { stage in
      switch stage {
      case .idle: nil
      case .opened(let ingest, _): estimate(ingest)
      case .running(_, _, let rate): rate
      }
    }
  }

  /// The most chunks a second that so many bits a second make.
  ///
  /// Where their length varies, one also ends when it has waited long enough, and where an entry begins.
  public func chunkRate(bitRate: UInt64) -> Double {
    let full = Double(bitRate) / Double(options.chunkSize * 8)
    guard options.isVariable else { return full }
    return full + 1e9 / Double(Chunker.patience) + Double(Timeline.rate / ChunkWriter.entrySpacing)
  }

  /// What a user should know about the input, each as a sentence; at most 64.
  public var notices: [String] {
    let monitor = stage.withLock { stage -> Monitor<IngestQueue>? in
      switch stage {
      case .idle: nil
      case .opened(_, let monitor): monitor
      case .running(let monitor, _, _): monitor
      }
    }
    return monitor?.read { $0.notices } ?? []
  }

  /// Ends `open()` and `run(_:)` soon; the run still emits its last chunk.
  public func stop() {
    interruption.raise()
    let monitor = stage.withLock { stage -> Monitor<IngestQueue>? in
      switch stage {
      case .idle: nil
      case .opened(_, let monitor): monitor
      case .running(let monitor, _, _): monitor
      }
    }
    monitor?.change { $0.isStopped = true }
  }

  /// Emits the whole input as chunks; returns when it is over.
  ///
  /// Requires `open()`. The last chunk is shorter than the others, also after `stop()`. One signature covers
  /// `groupSize` chunks: a group that waits too long for the stream is filled up with chunks of null packets, of one
  /// packet each where the length varies.
  public func run(groupSize: Int = 1, _ emit: Emit) -> End {
    let taken = stage.withLock { stage -> (Ingest, Monitor<IngestQueue>)? in
      guard case .opened(let ingest, let monitor) = stage else { return nil }
      stage = .running(monitor, Self.summary(ingest), estimate(ingest))
      return (ingest, monitor)
    }
    guard let (ingest, monitor) = taken else { preconditionFailure("run() needs an open() before it") }
    if interruption.raised { monitor.change { $0.isStopped = true } }
    let muxer: Muxer
    do throws(FFmpegError) {
      muxer = try Muxer(ingest.tracks)
    } catch {
      return .failed("cannot make MPEG-TS of '\(input)': \(error)")
    }
    guard startThread({ ingest.run() }) else {
      return .failed("cannot read '\(input)': no thread to read it with")
    }
    defer {
      // A device may be slow to wake; it is left to its thread then.
      interruption.raise()
      monitor.change { $0.isStopped = true }
      _ = monitor.wait(until: monotonicNow() + 1_000_000_000) { $0.end != nil ? () : nil }
    }
    var writer = ChunkWriter(
      muxer: muxer,
      chunker: Chunker(size: options.chunkSize, isVariable: options.isVariable),
      groupSize: groupSize,
      hasVideo: ingest.tracks.contains { $0.isVideo },
      isTimed: options.pacing == .realtime
    )
    var pacer = options.pacing == .realtime && !isLive ? Pacer() : nil
    while true {
      let next = wait(monitor, until: nil, &writer, emit) { queue -> Step? in
        if queue.isStopped { return .stop }
        if let packet = queue.pop() { return .packet(packet) }
        return queue.end.map { .end($0) }
      }
      switch next {
      case .packet(let packet):
        if let due = pacer?.due(unsafe packet.pointer.pointee.dts, now: monotonicNow()) {
          if pacer?.isBehind == true {
            monitor.change { $0.note("the input, or its transcoding, is slower than its timestamps say") }
          }
          switch wait(monitor, until: due, &writer, emit, { $0.isStopped ? .stop : nil }) {
          case .stop:
            _ = writer.finish(emit)
            return .stopped
          case .refused: return .stopped
          default: break
          }
        }
        do throws(FFmpegError) {
          guard try writer.write(packet, tracks: ingest.tracks, emit) else { return .stopped }
        } catch {
          monitor.change { $0.note("a packet could not be muxed: \(error)") }
        }
      case .stop:
        _ = writer.finish(emit)
        return .stopped
      case .refused: return .stopped
      case .due: break
      case .end(let end):
        guard writer.finish(emit) else { return .stopped }
        switch end {
        case .finished: return .finished
        case .failed(let sentence): return .failed(sentence)
        }
      }
    }
  }

  private enum Step {
    case packet(Packet)
    case end(IngestQueue.End)
    case due
    case stop
    case refused
  }

  /// Waits for a step; chunks that have waited long enough are sent meanwhile.
  private func wait(
    _ monitor: Monitor<IngestQueue>,
    until due: Int64?,
    _ writer: inout ChunkWriter,
    _ emit: Emit,
    _ body: (inout IngestQueue) -> Step?
  ) -> Step {
    while true {
      let deadline = writer.deadline
      let limit = deadline.map { min($0, due ?? $0) } ?? due
      if let step = monitor.wait(until: limit, body) { return step }
      let now = monotonicNow()
      if let deadline, now >= deadline {
        guard writer.flush(now: now, emit) else { return .refused }
      }
      if let due, now >= due { return .due }
    }
  }

  private static func summary(_ ingest: Ingest) -> String {
    ingest.tracks.map(\.summary).joined(separator: " + ")
  }

  /// The rate on the wire: the streams', what MPEG-TS adds, and what padding adds to slow streams.
  private func estimate(_ ingest: Ingest) -> Int64? {
    guard let rate = ingest.declaredBitRate else { return nil }
    let packets = ingest.tracks.reduce(0) { $0 + ($1.packetRate ?? ($1.isVideo ? 25 : 45)) }
    // Each packet has its PES header and fills its last transport packet: 120 bytes on average.
    let stream = Double(rate) * 188 / 184 + packets * 120 * 8
    guard options.pacing == .realtime, !options.isVariable else { return Int64(stream) }
    // A burst of packets leaves a chunk half empty, at most once in the time that a chunk may wait.
    let bursts = min(packets, 1_000_000_000 / Double(Chunker.patience))
    return Int64(stream + bursts * Double(options.chunkSize) * 8 / 2)
  }
}
