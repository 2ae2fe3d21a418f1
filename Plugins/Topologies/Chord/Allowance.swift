import PluginKit

/// How many copies of a chunk the own upload carries: a bucket that fills with time and empties with each copy.
struct Allowance: Hashable, Sendable {
  /// This part of the upload is for chunks that others delegate; the rest is for repair and for what is told.
  private static let share = 0.85
  /// What a chunk takes beside its bytes: headers, channel, signature and note.
  private static let overhead = 142

  private(set) var upload: UInt64 = 0
  private var copies = 0.0
  private var filled = Duration.zero

  mutating func set(_ upload: UInt64, now: Duration) {
    self.upload = upload
    filled = now
  }

  /// The time that one copy takes to leave, in seconds.
  func time(of stream: StreamProperties) -> Double {
    upload == 0 ? 1 : Double((stream.chunkSize + Self.overhead) * 8) / Double(upload)
  }

  /// How many copies may be sent now.
  mutating func available(_ stream: StreamProperties, now: Duration, limit: Int) -> Int {
    let time = time(of: stream)
    let passed = (now - filled) / .seconds(1)
    filled = now
    copies = min(copies + max(0, passed) * Self.share / time, Double(limit))
    return max(0, Int(copies))
  }

  /// More than is there can be spent, as a chunk must go on; what follows pays for it.
  mutating func spend(_ count: Int, limit: Int) { copies = max(copies - Double(count), -2 * Double(limit)) }
}
