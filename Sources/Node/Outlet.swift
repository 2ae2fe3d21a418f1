import Glibc
import MediaIO
import Net
internal import Threads

/// The outputs of a viewer: recordings, standard output, a player.
struct Outlet {
  private struct Sink {
    var sink: OutputSink
    var output: JoinSettings.Output
    /// Whether an empty file may be taken away again.
    var isNew: Bool
    var isBroken = false
  }

  private var sinks: [Sink] = []
  private var sentences: [String] = []
  private let done = Monitor(false)
  private var hasFinished = false
  /// Why a recording is not whole, as a sentence.
  private(set) var failure: String?

  init(_ outputs: [JoinSettings.Output], _ waker: Waker) throws(NodeError) {
    do throws(MediaError) {
      for output in outputs {
        var isNew = false
        let destination: OutputSink.Destination
        switch output {
        case .standardOutput: destination = .standardOutput
        case .player: destination = .player
        case .file(let path):
          isNew = unsafe access(path, F_OK) != 0
          destination = .file(path)
        case .archive(let path):
          isNew = unsafe access(path, F_OK) != 0
          destination = .archive(path)
        }
        sinks.append(Sink(sink: try OutputSink.open(destination), output: output, isNew: isNew))
      }
    } catch {
      for sink in sinks { sink.sink.finish() }
      throw .media(error)
    }
  }

  /// Whether there were outputs and none is left.
  var isAbandoned: Bool { !sinks.isEmpty && sinks.allSatisfy(\.isBroken) }

  /// The file that holds all that was written to this outlet, byte for byte.
  var wholeArchive: String? {
    for sink in sinks where !sink.isBroken && sink.sink.statistics.chunksDropped == 0 {
      if case .archive(let path) = sink.output { return path }
    }
    return nil
  }

  /// When the first frame was written to the output that had it first.
  var firstAccessUnit: OutputSink.FirstAccessUnit? {
    sinks.compactMap(\.sink.statistics.firstAccessUnit).min { $0.time < $1.time }
  }

  /// Whether all that was to be written is written.
  var isFinished: Bool { done.read { $0 } }

  mutating func write(_ chunk: RawSpan, isEntry: Bool) {
    for index in sinks.indices where !sinks[index].isBroken {
      if !sinks[index].sink.write(chunk, isEntry: isEntry) { breakOff(index) }
    }
  }

  mutating func takeSentences() -> [String] {
    defer { sentences.removeAll() }
    return sentences
  }

  /// Writes what waits and closes; on a thread of its own that wakes the host in the end, or here without a waker.
  ///
  /// - Parameters:
  ///   - isWhole: whether the stream's end was written.
  ///   - waker: what wakes the host.
  mutating func finish(isWhole: Bool, on waker: Waker?) {
    if hasFinished {
      if waker == nil { _ = done.wait(until: monotonicNow() &+ 10_000_000_000) { $0 ? () : nil } }
      collect()
      return
    }
    hasFinished = true
    let open = sinks
    let done = done
    let work: @Sendable () -> Void = {
      for sink in open {
        let statistics = sink.sink.finish(isCut: !isWhole)
        if sink.isNew, statistics.bytesWritten == 0, case .file(let path) = sink.output {
          unsafe unlink(path)
        }
      }
      done.change { $0 = true }
      waker?.wake()
    }
    if waker == nil || !startThread(work) { work() }
  }

  /// Notes what went wrong at the end.
  mutating func collect() {
    for index in sinks.indices where !sinks[index].isBroken && sinks[index].sink.statistics.failure != nil {
      breakOff(index)
    }
  }

  private mutating func breakOff(_ index: Int) {
    sinks[index].isBroken = true
    guard let sentence = sinks[index].sink.statistics.failure else { return }
    switch sinks[index].output {
    // Who closes a player or a pipe has seen enough.
    case .player, .standardOutput: sentences.append(sentence)
    case .file, .archive: failure = failure ?? sentence
    }
  }
}
