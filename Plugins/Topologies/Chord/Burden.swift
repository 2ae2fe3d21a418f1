import PluginKit

/// How busy a peer is with chunks that others delegate to it, and how much it therefore wants to be drawn.
///
/// Who stands well on the ring, or is known to the source, would have more to do than others of the same upload. It says so
/// before its upload is full, and so does who could do more.
struct Burden: Hashable, Sendable {
  static let normal: UInt8 = 16
  private static let range = 1.0...64.0
  /// Above and below these parts of the upload it wants less and more.
  private static let comfort = 0.45...0.62

  private var sent = 0
  private var since = Duration.zero
  private var willingness = Double(normal)
  private(set) var told = normal

  mutating func add(_ copies: Int) { sent += copies }

  /// Looks at what was sent since the last time; gives what others are to be told, if that has changed much.
  mutating func look(time: Double, now: Duration) -> UInt8? {
    let passed = (now - since) / .seconds(1)
    guard passed > 0 else { return nil }
    let load = Double(sent) * time / passed
    sent = 0
    since = now
    if load > Self.comfort.upperBound { willingness *= 0.75 }
    if load < Self.comfort.lowerBound { willingness *= 1.15 }
    willingness = min(max(willingness, Self.range.lowerBound), Self.range.upperBound)
    let ratio = willingness / Double(told)
    guard ratio > 1.3 || ratio < 0.77 else { return nil }
    told = UInt8(willingness)
    return told
  }
}
