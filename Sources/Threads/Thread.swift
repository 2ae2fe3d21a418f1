internal import Glibc

/// Starts a detached thread.
///
/// - Returns: false when the system has no thread left.
package func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
  let context = unsafe Unmanaged.passRetained(ThreadBody(body))
  var thread = 0 as pthread_t
  let status = unsafe pthread_create(
    &thread,
    nil,
    { context in
      guard let context = unsafe context else { return nil }
      let body = unsafe Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body
      body()
      return nil
    },
    context.toOpaque()
  )
  guard status == 0 else {
    unsafe context.release()
    return false
  }
  pthread_detach(thread)
  return true
}

private final class ThreadBody {
  let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) {
    self.body = body
  }
}
