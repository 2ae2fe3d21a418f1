internal import CSockets
internal import Glibc

/// Waits, on one thread, for descriptors, timeouts, signals and other threads.
///
/// Level-triggered: what is not read is told again.
package struct EventLoop: ~Copyable {
  /// What a descriptor can do.
  package struct Interest: OptionSet, Hashable, Sendable, BitwiseCopyable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let input = Interest(rawValue: UInt32(freshet_input))
    package static let output = Interest(rawValue: UInt32(freshet_output))
    /// The other side is gone or something failed; told without being asked for.
    package static let hangup = Interest(rawValue: UInt32(freshet_hangup))
  }

  /// What has happened.
  package enum Event: Hashable, Sendable, BitwiseCopyable {
    case ready(token: UInt32, Interest)
    /// Somebody called ``Waker/wake()``; many calls may be one event.
    case woken
    /// A signal came that ``EventLoop/catchSignals(_:)`` named.
    case signal(Int32)
  }

  /// What has happened by the end of one wait, at most 32 events.
  package struct Events: Sequence, IteratorProtocol {
    private var events = [32 of Event](repeating: .woken)
    private var position = 0
    package private(set) var count = 0

    package var isEmpty: Bool { position == count }

    package mutating func next() -> Event? {
      guard position < count else { return nil }
      defer { position += 1 }
      return events[position]
    }

    fileprivate mutating func append(_ event: Event) {
      guard count < events.count else { return }
      events[count] = event
      count += 1
    }
  }

  // Above every token that a user can give.
  private static let wakeToken = UInt64(UInt32.max) + 1
  private static let signalToken = UInt64(UInt32.max) + 2

  private let poll: Int32
  private let clock: Clock
  private var signals: Int32?
  private var caught: [Int32] = []
  /// Ends a wait from another thread.
  package let waker: Waker

  /// - Parameter clock: What deadlines are measured by.
  /// - Throws: ``NetError/loop(_:)``.
  package init(clock: Clock) throws(NetError) {
    let waker: Waker
    let poll: Int32
    do {
      waker = try Waker()
      poll = try Self.open(waker.descriptor)
    } catch {
      throw .loop(error)
    }
    self.clock = clock
    self.waker = waker
    self.poll = poll
  }

  private static func open(_ wakeup: Int32) throws(SystemError) -> Int32 {
    let poll = try SystemError.check(freshet_poll_open())
    do {
      try SystemError.check(freshet_poll_set(poll, wakeup, wakeToken, UInt32(freshet_input), false))
    } catch {
      close(poll)
      throw error
    }
    return poll
  }

  deinit {
    for signal in caught { freshet_signal_release(signal) }
    close(poll)
  }

  /// Tells of a descriptor from now on, with `token`.
  ///
  /// The caller forgets it before closing it.
  package func watch(
    _ descriptor: Int32,
    token: UInt32,
    for interest: Interest = .input
  ) throws(NetError) {
    try set(descriptor, UInt64(token), interest, isKnown: false)
  }

  /// Changes what is told of a descriptor that is watched.
  package func change(_ descriptor: Int32, token: UInt32, to interest: Interest) throws(NetError) {
    try set(descriptor, UInt64(token), interest, isKnown: true)
  }

  package func forget(_ descriptor: Int32) {
    _ = freshet_poll_set(poll, descriptor, 0, 0, true)
  }

  /// Tells of these signals instead of letting them end the process.
  ///
  /// Until the loop is gone; one loop in a process catches signals. Programs that this process starts have the
  /// signals' default effects.
  package mutating func catchSignals(_ wanted: [Int32] = [SIGINT, SIGTERM]) throws(NetError) {
    if signals == nil {
      let descriptor = freshet_signals_open()
      guard descriptor >= 0 else { throw .loop(SystemError(code: -descriptor)) }
      try set(descriptor, Self.signalToken, .input, isKnown: false)
      signals = descriptor
    }
    for signal in wanted {
      let result = freshet_signal_catch(signal)
      guard result >= 0 else { throw .loop(SystemError(code: -result)) }
      caught.append(signal)
    }
  }

  /// Waits until something happens or the clock shows `deadline`; for ever without one.
  ///
  /// A deadline that is past only looks. Exact to about 0.1 ms; a signal may end it without an event.
  package func wait(until deadline: Duration?) throws(NetError) -> Events {
    try wait(for: deadline.map { $0 - clock.now })
  }

  /// Waits until something happens, at most for `time`; for ever without one.
  package func wait(for time: Duration?) throws(NetError) -> Events {
    let nanoseconds: Int64 =
      time.map { time in
        let (seconds, attoseconds) = time.components
        // A day is soon enough to look again.
        return min(max(seconds, 0), 86400) * 1_000_000_000 + max(attoseconds / 1_000_000_000, 0)
      } ?? -1
    var ready = [32 of freshet_ready](repeating: freshet_ready())
    var span = ready.mutableSpan
    let count = unsafe span.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return Int32(0) }
      return unsafe freshet_poll_wait(poll, nanoseconds, start)
    }
    guard count >= 0 else { throw .loop(SystemError(code: -count)) }
    var events = Events()
    for index in 0..<Int(count) {
      let item = ready[index]
      switch item.token {
      case Self.wakeToken:
        waker.clear()
        events.append(.woken)
      case Self.signalToken:
        while let signals, case let signal = freshet_signal_next(signals), signal != 0 {
          events.append(.signal(signal))
        }
      default:
        events.append(
          .ready(token: UInt32(truncatingIfNeeded: item.token), Interest(rawValue: item.events))
        )
      }
    }
    return events
  }

  private func set(
    _ descriptor: Int32,
    _ token: UInt64,
    _ interest: Interest,
    isKnown: Bool
  ) throws(NetError) {
    do {
      try SystemError.check(freshet_poll_set(poll, descriptor, token, interest.rawValue, isKnown))
    } catch {
      throw .loop(error)
    }
  }
}

/// Ends the wait of an ``EventLoop`` from any thread.
package final class Waker: Sendable {
  fileprivate let descriptor: Int32

  fileprivate init() throws(SystemError) {
    descriptor = try SystemError.check(freshet_alarm_open())
  }

  deinit { close(descriptor) }

  /// The loop tells ``EventLoop/Event/woken`` once, however often this is called before.
  package func wake() { freshet_alarm_raise(descriptor) }

  fileprivate func clear() { freshet_alarm_clear(descriptor) }
}

/// Makes writing to a pipe that nobody reads an error instead of the end of the process.
package func ignoreBrokenPipes() { freshet_ignore_broken_pipes() }
