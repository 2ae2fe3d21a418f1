import PluginKit

/// The upload that the user gave us, as a bucket that holds a twentieth of a second, and whose turn it is to take from it.
///
/// While it suffices, everybody takes what it needs. When somebody had to wait, all take turns: deficit round robin
/// (Shreedhar and Varghese, 1995), first among the children, and what they leave among those who only repair from us.
struct UploadShare {
  /// What a turn gives, in bytes: a datagram of usual length.
  static let quantum = 1500
  /// How long the bucket is left to fill, at least, before turns are taken.
  static let interval: Duration = .milliseconds(2)
  /// How long it is left at most, to find out what has become too old to be sent.
  static let idleInterval: Duration = .milliseconds(100)

  /// Bytes per second.
  private var rate: Double
  private var burst: Double
  private var tokens: Double
  private var refilled: Duration
  private var childrenWait = false
  private var othersWait = false
  /// The channel whose turn it is.
  var turn = 0
  /// When turns are taken next; nil when nobody waits.
  private(set) var nextTurn: Duration?

  init(_ capacity: Capacity, now: Duration) {
    rate = Double(capacity.upload) / 8
    burst = Self.burst(rate)
    tokens = burst
    refilled = now
  }

  /// A twentieth of a second, or a few datagrams where that is less than those.
  ///
  /// What the bucket lets out at once stands in the uplink's queue, which must stay well below the
  /// ``CongestionProfile/floorLimit`` of live streams: above it children get less than the stream, and ask others for it.
  private static func burst(_ rate: Double) -> Double { max(rate / 20, Double(4 * quantum)) }

  /// Another upload is given from now on.
  mutating func setCapacity(_ capacity: Capacity, now: Duration) {
    tokens = available(now)
    refilled = now
    rate = Double(capacity.upload) / 8
    burst = Self.burst(rate)
    tokens = min(tokens, burst)
    if nextTurn != nil { nextTurn = now }
  }

  /// Whether a datagram may go out without waiting for a turn.
  func allows(_ bytes: Int, isChild: Bool, now: Duration) -> Bool {
    guard !childrenWait, isChild || !othersWait else { return false }
    return suffices(for: bytes, isChild: isChild, now: now)
  }

  /// Whether the bucket holds enough; half of it is for children.
  func suffices(for bytes: Int, isChild: Bool, now: Duration) -> Bool {
    rate > 0 && lacking(bytes, isChild, now) <= 0
  }

  private func available(_ now: Duration) -> Double {
    min(burst, tokens + rate * seconds(max(now - refilled, .zero)))
  }

  private func lacking(_ bytes: Int, _ isChild: Bool, _ now: Duration) -> Double {
    Double(bytes) + (isChild ? 0 : burst / 2) - available(now)
  }

  mutating func take(_ bytes: Int, now: Duration) {
    tokens = available(now) - Double(bytes)
    refilled = now
  }

  /// Somebody has to wait for a turn.
  mutating func wait(for bytes: Int, isChild: Bool, now: Duration) {
    if isChild { childrenWait = true } else { othersWait = true }
    let idle = seconds(Self.idleInterval)
    let pause = rate > 0 ? min(lacking(bytes, isChild, now) / rate, idle) : idle
    let time = now + max(.seconds(pause), Self.interval)
    nextTurn = min(nextTurn ?? time, time)
  }

  /// Turns are taken now.
  mutating func begin() { nextTurn = nil }

  /// None of the children waits any more, or none of the others.
  mutating func settled(children: Bool) {
    if children { childrenWait = false } else { othersWait = false }
  }
}
