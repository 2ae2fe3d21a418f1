internal import Glibc

/// What all processors have done since the machine started, in ticks.
struct ProcessorTime {
  private let busy: UInt64
  private let all: UInt64

  /// Reads `/proc/stat`; what a hypervisor took away counts as busy.
  ///
  /// `nil` when the system does not tell.
  static func now() -> ProcessorTime? {
    let descriptor = unsafe open("/proc/stat", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 512)
    let count = unsafe read(descriptor, &bytes, bytes.count)
    return ProcessorTime(String(decoding: bytes[..<max(0, count)], as: UTF8.self))
  }

  /// Reads `cpu user nice system idle iowait irq softirq steal …`; guests are part of the users.
  init?(_ text: String) {
    let fields = text.prefix { $0 != "\n" }.split(separator: " ")
    guard fields.first == "cpu", fields.count >= 9 else { return nil }
    let ticks = fields[1...8].compactMap { UInt64($0) }
    guard ticks.count == 8 else { return nil }
    all = ticks.reduce(0, &+)
    busy = all &- ticks[3] &- ticks[4]
  }

  /// The part of their time that all processors were busy since an earlier look.
  func busyPart(since earlier: ProcessorTime) -> Double {
    let time = all &- earlier.all
    return time == 0 ? 0 : Double(busy &- earlier.busy) / Double(time)
  }
}
