internal import Glibc

/// State behind a lock that threads can wait on, with a deadline.
///
/// `Mutex` has no condition to wait for; this is the pair of pthreads.
@safe package final class Monitor<State>: @unchecked Sendable {
  // Sendable: `state` is touched only while `mutex` is held.
  private var state: State
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  package init(_ state: sending State) {
    self.state = state
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  /// Runs `body` under the lock; wakes all who wait.
  package func change<Result>(_ body: (inout State) -> Result) -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer {
      unsafe pthread_cond_broadcast(condition)
      unsafe pthread_mutex_unlock(mutex)
    }
    return body(&state)
  }

  /// Runs `body` under the lock and wakes nobody.
  package func read<Result>(_ body: (State) -> Result) -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return body(state)
  }

  /// Runs `body` under the lock, again after each change, until it returns a value or the deadline passes.
  ///
  /// The deadline is in nanoseconds of the monotonic clock; nil waits for ever.
  package func wait<Result>(until deadline: Int64? = nil, _ body: (inout State) -> Result?) -> Result? {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    while true {
      if let result = body(&state) {
        unsafe pthread_cond_broadcast(condition)
        return result
      }
      guard let deadline else {
        unsafe pthread_cond_wait(condition, mutex)
        continue
      }
      let (seconds, nanoseconds) = max(0, deadline).quotientAndRemainder(dividingBy: 1_000_000_000)
      var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
      if unsafe pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT {
        let result = body(&state)
        if result != nil { unsafe pthread_cond_broadcast(condition) }
        return result
      }
    }
  }
}

/// The monotonic clock in nanoseconds.
package func monotonicNow() -> Int64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
}
