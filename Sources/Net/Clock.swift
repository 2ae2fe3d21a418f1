internal import CSockets
internal import Glibc

/// The time since a host began, and the time of day.
package struct Clock: Sendable {
  /// Nanoseconds of the system's monotonic clock, which all processes share, at the clock's zero.
  package let origin: Int64

  /// Begins now.
  package init() { origin = freshet_monotonic() }

  /// Since the clock began; never goes back.
  package var now: Duration { .nanoseconds(freshet_monotonic() &- origin) }

  /// Nanoseconds since 1970 in UTC.
  package static var unixNanoseconds: UInt64 { UInt64(max(freshet_unix_time(), 0)) }

  /// Unix time at the clock's zero.
  ///
  /// The closest of some looks at both clocks, since the process may be stopped between two.
  package var unixOrigin: Duration {
    var best: (origin: Duration, doubt: Duration)?
    for _ in 0..<5 {
      let before = now
      let unix = Duration.nanoseconds(freshet_unix_time())
      let doubt = now - before
      if best.map({ doubt < $0.doubt }) ?? true { best = (unix - before - doubt / 2, doubt) }
    }
    return best?.origin ?? .zero
  }

  /// How long the process has existed, to 10 ms; `nil` when the system does not tell.
  ///
  /// A program that a shell was replaced by has existed since the shell began.
  package static var processAge: Duration? {
    let descriptor = unsafe open("/proc/self/stat", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 2048)
    let count = unsafe read(descriptor, &bytes, bytes.count)
    guard count > 0 else { return nil }
    // The name in parentheses may hold anything; the start is the 20th field behind it, in ticks since boot.
    let text = String(decoding: bytes[..<count], as: UTF8.self)
    let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
    let ticks = sysconf(Int32(_SC_CLK_TCK))
    guard fields.count > 20, let start = Int64(fields[20]), ticks > 0 else { return nil }
    let (nanoseconds, overflow) = start.multipliedReportingOverflow(by: 1_000_000_000 / Int64(ticks))
    let age = freshet_boot_time() &- nanoseconds
    return overflow || age < 0 ? nil : .nanoseconds(age)
  }
}
