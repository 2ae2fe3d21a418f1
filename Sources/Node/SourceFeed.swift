import Integrity
import MediaIO
import Net
internal import Threads
import Wire

/// An input on a thread of its own, and its chunks on their way to the host's thread.
///
/// The thread opens the input, waits for ``begin()``, and gives each chunk a number that the key has never signed.
final class SourceFeed: Sendable {
  /// A chunk with its number.
  struct Chunk: Sendable {
    var number: UInt64
    var bytes: [UInt8]
    var isEntry: Bool
    var isLast: Bool
  }

  /// How far the thread has come.
  enum Phase: Sendable {
    case opening
    case opened
    /// One signature covers so many chunks.
    case running(groupSize: Int)
    /// Nothing follows; the sentence says what went wrong, if something did.
    case ended(NodeError?)
  }

  /// The most chunks that wait for the host; then the thread waits.
  private static let limit = 1024

  private struct State {
    var phase = Phase.opening
    var chunks: [Chunk] = []
    var isClosed = false
  }

  private let source: any ChunkSource
  private let state = Monitor(State())
  private let waker: Waker

  init(_ source: any ChunkSource, waker: Waker) {
    self.source = source
    self.waker = waker
  }

  /// Starts the thread, which opens the ledger of `key` and then the input.
  func open(key: StreamKey, addressing: ChunkAddressing) throws(NodeError) {
    let hasThread = startThread { [self] in
      let error = produce(key, addressing)
      state.change { $0.phase = .ended(error) }
      waker.wake()
    }
    guard hasThread else { throw .noThread }
  }

  var phase: Phase { state.read { $0.phase } }

  /// Lets the input run, once it is open; one signature covers `groupSize` chunks, and the first number is a multiple of it.
  func begin(groupSize: Int) {
    state.change { $0.phase = .running(groupSize: groupSize) }
  }

  /// The chunks that came since the last call.
  func take() -> [Chunk] {
    let isEmpty = state.read { $0.chunks.isEmpty }
    if isEmpty { return [] }
    return state.change { state in
      var taken: [Chunk] = []
      swap(&taken, &state.chunks)
      return taken
    }
  }

  /// Ends the input soon; it still gives its last chunk.
  func stop() { source.stop() }

  /// Refuses all further chunks and waits, for a bounded time, until the ledger is closed.
  func close() {
    source.stop()
    state.change { $0.isClosed = true }
    _ = state.wait(until: monotonicNow() &+ 2_000_000_000) { state -> Void? in
      if case .ended = state.phase { () } else { nil }
    }
  }

  private func produce(_ key: StreamKey, _ addressing: ChunkAddressing) -> NodeError? {
    var ledger: ChunkLedger
    do throws(IntegrityError) {
      ledger = try ChunkLedger.open(for: key, addressing: addressing)
    } catch {
      return .integrity(error)
    }
    do throws(MediaError) {
      try source.open()
    } catch {
      return .media(error)
    }
    state.change { $0.phase = .opened }
    waker.wake()
    let groupSize = state.wait { state -> Int? in
      if state.isClosed { return 0 }
      if case .running(let size) = state.phase { return size }
      return nil
    }
    guard let groupSize, groupSize > 0 else { return nil }
    var failure: NodeError?
    var isFirst = true
    let end = source.run(groupSize: groupSize) { bytes, isEntry, isLast in
      do throws(IntegrityError) {
        var number = try ledger.next()
        while isFirst, number % UInt64(groupSize) != 0 { number = try ledger.next() }
        isFirst = false
        let chunk = Chunk(
          number: number,
          bytes: unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) },
          isEntry: isEntry,
          isLast: isLast
        )
        return pass(chunk)
      } catch {
        failure = .integrity(error)
        return false
      }
    }
    // Numbers that are not given back are skipped, not repeated.
    try? ledger.close()
    if case .failed(let sentence) = end { failure = failure ?? .input(sentence) }
    return failure
  }

  private func pass(_ chunk: Chunk) -> Bool {
    let isTaken = state.wait { state -> Bool? in
      if state.isClosed { return false }
      guard state.chunks.count < Self.limit else { return nil }
      state.chunks.append(chunk)
      return true
    }
    waker.wake()
    return isTaken == true
  }
}
