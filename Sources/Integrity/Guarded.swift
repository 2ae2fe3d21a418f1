internal import Glibc

/// A value that one thread at a time uses.
///
/// Like `Mutex` of the Synchronization module, which the thread sanitizer cannot see into on Linux and reports as a
/// race at every use; it knows the lock of POSIX.
///
/// Unchecked: `value` is only touched while `lock` is held.
@safe struct Guarded<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let value: UnsafeMutablePointer<Value>

  init(_ value: consuming sending Value) {
    unsafe lock = .allocate(capacity: 1)
    unsafe self.value = .allocate(capacity: 1)
    unsafe lock.initialize(to: pthread_mutex_t())
    unsafe self.value.initialize(to: value)
    let result = unsafe pthread_mutex_init(lock, nil)
    precondition(result == 0, "the system has no memory left for a lock")
  }

  deinit {
    unsafe pthread_mutex_destroy(lock)
    unsafe value.deinitialize(count: 1)
    unsafe value.deallocate()
    unsafe lock.deallocate()
  }

  borrowing func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    unsafe pthread_mutex_lock(lock)
    defer { unsafe pthread_mutex_unlock(lock) }
    return try unsafe body(&value.pointee)
  }
}
