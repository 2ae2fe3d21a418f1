internal import Glibc
internal import Synchronization
internal import Threads

/// Does independent jobs on threads, and tells how far they are.
///
/// The results are the same however many threads there are; only the order in which they come is not.
package final class Workers<Outcome: Sendable>: Sendable {
  private struct State {
    var next = 0
    var isStopped = false
    var running = 0
    /// The parts of unfinished jobs, by thread.
    var parts: [Double]
    var finished = 0
    var outcomes: [(job: Int, outcome: Outcome)] = []
  }

  /// What all threads did until now.
  package struct Progress: Hashable, Sendable {
    /// Jobs, those under way as the part that is done.
    package var done: Double
    package var finished: Int
    package var isOver: Bool
  }

  private let count: Int
  private let state: Mutex<State>
  private let body: @Sendable (_ job: Int, _ goesOn: (_ part: Double) -> Bool) -> Outcome?

  /// Begins to do `count` jobs.
  ///
  /// `body` does one; it gives nothing when it was told not to go on.
  package init(
    count: Int,
    threads: Int,
    body: @escaping @Sendable (_ job: Int, _ goesOn: (_ part: Double) -> Bool) -> Outcome?
  ) {
    self.count = count
    self.body = body
    let threads = max(1, min(threads, count))
    state = Mutex(State(running: threads, parts: Array(repeating: 0, count: threads)))
    for thread in 0..<threads {
      // Without a thread the others do the work; with none it is done here.
      if !startThread({ self.work(thread) }) {
        if thread == 0 { work(thread) } else { state.withLock { $0.running -= 1 } }
      }
    }
  }

  /// How far it is; at the end nothing runs any more.
  package var progress: Progress {
    state.withLock { state in
      Progress(
        done: Double(state.finished) + state.parts.reduce(0, +),
        finished: state.finished,
        isOver: state.running == 0
      )
    }
  }

  /// What was finished since the last call, in no particular order.
  package func takeOutcomes() -> [(job: Int, outcome: Outcome)] {
    state.withLock { state in
      defer { state.outcomes = [] }
      return state.outcomes
    }
  }

  /// Breaks off what is under way, and begins nothing more.
  package func stop() { state.withLock { $0.isStopped = true } }

  private func work(_ thread: Int) {
    while let job = state.withLock({ state -> Int? in
      guard !state.isStopped, state.next < count else { return nil }
      state.next += 1
      return state.next - 1
    }) {
      let outcome = body(job) { part in
        state.withLock { state in
          state.parts[thread] = part
          return !state.isStopped
        }
      }
      state.withLock { state in
        state.parts[thread] = 0
        guard let outcome else { return }
        state.finished += 1
        state.outcomes.append((job, outcome))
      }
    }
    state.withLock { $0.running -= 1 }
  }
}

/// How many processors there are.
package func processorCount() -> Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
