import Glibc

/// Work on a thread of its own.
public final class Background: @unchecked Sendable {
  // Sendable: `thread` is set before anyone else has the value, and joined by its owner.
  private var thread: pthread_t = 0

  private final class Body {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  public init(_ body: @escaping @Sendable () -> Void) {
    let context = unsafe Unmanaged.passRetained(Body(body)).toOpaque()
    let status = unsafe pthread_create(
      &thread,
      nil,
      { context in
        guard let context = unsafe context else { return nil }
        unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().body()
        return nil
      },
      context
    )
    precondition(status == 0, "no thread")
  }

  /// Waits until the work is done; called once.
  public func join() {
    pthread_join(thread, nil)
  }
}
