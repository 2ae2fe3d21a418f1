/// Maps the timestamps of an input onto one timeline that only moves forward.
///
/// All times are ticks of 90 kHz. Streams share an offset, so that sound and picture stay in step; when the
/// input jumps, the first stream to jump makes a new offset and the others take it over when they follow.
struct Timeline {
  /// Ticks a second.
  static let rate: Int64 = 90_000
  /// Where the output begins: room for what decodes before the first picture is shown.
  static let origin: Int64 = rate
  /// A gap that is longer than this is a jump, but for a hole in one stream beside another that goes on.
  static let forwardTolerance = 3 * rate
  /// A step back that is longer than this is a jump; a shorter one is jitter.
  static let backwardTolerance = rate / 4
  /// Times beyond this are noise: about 800,000 years.
  static let limit: Int64 = 1 << 61

  struct Stamp: Equatable {
    var presentation: Int64
    var decoding: Int64
    var duration: Int64
  }

  private struct Stream {
    var offset: Int64?
    /// Where the next packet is expected to decode.
    var expected: Int64?
    var last: Int64?
    var duration: Int64
    /// How much earlier than it is shown a picture is decoded, where pictures are reordered.
    var delay: Int64
  }

  private var streams: [Stream]
  /// The newest offset.
  private var offset: Int64?
  /// Where the present pass through the input began.
  private var base = Timeline.origin
  /// The decoding time of the packet that was mapped last, of whichever stream.
  private var position = Timeline.origin
  /// The end of everything mapped so far.
  private var end = Timeline.origin
  /// How many jumps were bridged.
  private(set) var jumps = 0

  /// - Parameter streams: each stream's usual packet duration, and the packets by which its pictures are reordered.
  init(streams: [(duration: Int64, reordering: Int64)]) {
    self.streams = streams.map { stream in
      let duration = min(max(1, stream.duration), Self.rate)
      return Stream(duration: duration, delay: min(max(0, stream.reordering), 16) * duration)
    }
  }

  /// Begins a pass through the input: the first, or another when it is looped.
  ///
  /// - Parameter start: the input's earliest presentation time, if it is known.
  mutating func begin(start: Int64?) {
    base = end
    position = end
    offset = Self.sane(start).map { end &- $0 }
    for index in streams.indices { streams[index].offset = offset }
  }

  /// Maps one packet.
  ///
  /// - Returns: times where decoding times strictly rise within a stream and no presentation time precedes
  ///   its decoding time.
  mutating func map(
    stream index: Int,
    presentation: Int64?,
    decoding: Int64?,
    duration: Int64
  ) -> Stamp {
    var stream = streams[index]
    defer { streams[index] = stream }
    let length = duration > 0 && duration < Self.forwardTolerance ? duration : stream.duration
    let presentation = Self.sane(presentation)
    let expected = stream.expected ?? base
    let time: Int64
    if let decoding = Self.sane(decoding) {
      time = decoding &+ bridge(&stream, decoding)
    } else if let presentation {
      // Pictures come in decoding order, so the last one's time says more than this one's.
      let offset = bridge(&stream, presentation &- stream.delay, reordering: stream.delay)
      time =
        stream.delay > 0 && stream.expected != nil
        ? min(expected, presentation &+ offset) : presentation &- stream.delay &+ offset
    } else {
      time = expected
    }
    let decoded = max(time, (stream.last ?? Int64.min / 2) + 1, 0)
    var shown = presentation.map { $0 &+ (stream.offset ?? expected &- $0) } ?? decoded + stream.delay
    if shown < decoded || shown - decoded > 10 * Self.rate { shown = decoded }
    if let last = stream.last, duration <= 0, decoded - last < Self.forwardTolerance {
      stream.duration = max(1, decoded - last)
    }
    stream.last = decoded
    stream.expected = decoded + length
    position = decoded
    end = max(end, shown + length)
    return Stamp(presentation: shown, decoding: decoded, duration: length)
  }

  /// Chooses the offset for a packet, and makes a new one when the input has jumped.
  private mutating func bridge(
    _ stream: inout Stream,
    _ decoding: Int64,
    reordering: Int64 = 0
  ) -> Int64 {
    guard let newest = offset else {
      let first = base &- decoding
      offset = first
      stream.offset = first
      return first
    }
    let expected = stream.expected ?? base
    let own = stream.offset ?? newest
    var chosen = own
    if own != newest, distance(decoding &+ newest, expected) < distance(decoding &+ own, expected) {
      chosen = newest
    }
    if isJump(decoding &+ chosen, stream, backward: Self.backwardTolerance + reordering) {
      jumps += 1
      chosen = max(expected, stream.expected == nil ? position : expected) &- decoding
      offset = chosen
    }
    stream.offset = chosen
    return chosen
  }

  private func isJump(_ time: Int64, _ stream: Stream, backward: Int64) -> Bool {
    guard let expected = stream.expected else {
      return distance(time, base) > Self.forwardTolerance && distance(time, position) > Self.forwardTolerance
    }
    if time < expected { return expected &- time > backward }
    return distance(time, expected) > Self.forwardTolerance
      && distance(time, position) > Self.forwardTolerance
  }

  private func distance(_ first: Int64, _ second: Int64) -> Int64 {
    let (difference, overflow) = first.subtractingReportingOverflow(second)
    return overflow || difference == .min ? .max : abs(difference)
  }

  private static func sane(_ time: Int64?) -> Int64? {
    guard let time, time > -limit, time < limit else { return nil }
    return time
  }
}
