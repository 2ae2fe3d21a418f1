import Glibc
import MediaIO
import Net
import Swarm
internal import Threads

/// Who reads content while it is fetched: a player, or whoever standard output goes to.
struct ContentOutlet {
  enum Target {
    case player
    case standardOutput
  }

  private enum State {
    /// Not enough has come to know whether a player can begin.
    case probing(IndexProbe)
    /// The player cannot begin before everything is there.
    case waiting
    case feeding(FileFeed)
    case over
  }

  /// How long a reader has for the rest when the user leaves, in nanoseconds.
  private static let farewell: Int64 = 2_000_000_000

  let target: Target
  private var state: State
  private let waker: Waker
  private var sentences: [String] = []

  init(_ target: Target, _ waker: Waker) {
    self.target = target
    self.waker = waker
    state = .probing(IndexProbe())
  }

  /// Whether nobody reads any more.
  var isOver: Bool { if case .over = state { true } else { false } }

  mutating func takeSentences() -> [String] {
    defer { sentences.removeAll() }
    return sentences
  }

  /// So many bytes are there and verified, from the first one on.
  mutating func extend(to byteCount: Int, in part: PartialFile) throws(NodeError) {
    if case .probing(var probe) = state, byteCount > 0 {
      try begin(&probe, byteCount, part)
    }
    guard case .feeding(let feed) = state else { return }
    feed.extend(to: byteCount)
    if feed.isDone { try end(feed) }
  }

  /// All has been fetched, to a file of this name if it has one.
  mutating func complete(_ byteCount: Int, in part: PartialFile, path: String?) throws(NodeError) {
    try extend(to: byteCount, in: part)
    switch state {
    case .feeding(let feed): feed.complete()
    case .probing, .waiting:
      guard let path else { preconditionFailure("only a player waits, and what it plays has a name") }
      state = .feeding(try Self.play(path) { [waker] in waker.wake() })
    case .over: break
    }
  }

  /// Ends what is still read, because the user leaves.
  mutating func stop() {
    guard case .feeding(let feed) = state else { return }
    feed.stop()
    feed.wait(until: monotonicNow() &+ Self.farewell)
    state = .over
  }

  /// Starts a player for a file that is all there.
  static func play(
    _ path: String,
    done: @escaping @Sendable () -> Void
  ) throws(NodeError) -> FileFeed {
    do throws(MediaError) { return try FileFeed.play(path, done: done) } catch { throw .media(error) }
  }

  private mutating func begin(
    _ probe: inout IndexProbe,
    _ byteCount: Int,
    _ part: PartialFile
  ) throws(NodeError) {
    guard let descriptor = try part.duplicate() else { return }
    let canBegin: Bool? =
      target == .standardOutput
      ? true
      : probe.look(byteCount) { offset in
        var head = [UInt8](repeating: 0, count: 16)
        let count = unsafe pread(descriptor, &head, head.count, offset)
        return Array(head.prefix(max(count, 0)))
      }
    guard canBegin == true else {
      close(descriptor)
      state = canBegin == nil ? .probing(probe) : .waiting
      if canBegin == false {
        sentences.append(
          "its index is behind the pictures, so it is played when all of it is here"
        )
      }
      return
    }
    do throws(MediaError) {
      let destination: FileFeed.Destination = target == .player ? .player : .standardOutput
      state = .feeding(
        try FileFeed.open(destination, from: descriptor) { [waker] in waker.wake() }
      )
    } catch { throw .media(error) }
    if target == .player { sentences.append("playing what has come") }
  }

  private mutating func end(_ feed: FileFeed) throws(NodeError) {
    state = .over
    switch feed.failure {
    case .closed(let sentence): sentences.append(sentence)
    case .failed(let sentence): throw .output(sentence)
    case nil: break
    }
  }
}
