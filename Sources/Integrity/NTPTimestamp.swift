/// A point in time in NTP's 64-bit format: 32 bits of seconds since 1900-01-01 UTC and 32 bits of fraction.
///
/// RFC 7574 section 8.9, RFC 5905 section 6. The seconds begin anew on 2036-02-07 06:28:16 UTC; times that are
/// less than 68 years apart are ordered and subtracted rightly across that.
public struct NTPTimestamp: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// As in SIGNED_INTEGRITY.
  public let rawValue: UInt64

  /// Seconds from 1900-01-01 to 1970-01-01.
  private static let unixEpoch: Int64 = 2_208_988_800

  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// The timestamp of a time on the Unix clock, to the nanosecond below.
  public init(sinceUnixEpoch time: Duration) {
    var (seconds, attoseconds) = time.components
    if attoseconds < 0 {
      seconds &-= 1
      attoseconds += 1_000_000_000_000_000_000
    }
    let fraction = (UInt64(attoseconds) / 1_000_000_000) << 32 / 1_000_000_000
    rawValue = UInt64(truncatingIfNeeded: seconds &+ Self.unixEpoch) << 32 | fraction
  }

  /// The time on the Unix clock, to the nanosecond, of a timestamp between 1968 and 2104.
  public var sinceUnixEpoch: Duration {
    let (seconds, nanoseconds) = unix
    return .seconds(seconds) + .nanoseconds(nanoseconds)
  }

  private var unix: (seconds: Int64, nanoseconds: Int64) {
    let seconds = Int64(rawValue >> 32)
    // Era 0 ends in 2036; a first bit of zero is more likely the next era than the years before 1968.
    let era: Int64 = seconds < 1 << 31 ? 1 << 32 : 0
    // Rounded up, since the fraction was rounded down.
    let nanoseconds = ((rawValue & 0xFFFF_FFFF) * 1_000_000_000 + 0xFFFF_FFFF) >> 32
    return (seconds + era - Self.unixEpoch, Int64(min(nanoseconds, 999_999_999)))
  }

  /// How much later this is than another timestamp; negative when it is earlier.
  public func duration(since other: NTPTimestamp) -> Duration {
    let difference = Int64(bitPattern: rawValue &- other.rawValue)
    let fraction = UInt64(UInt32(truncatingIfNeeded: difference))
    let product = fraction.multipliedFullWidth(by: 1_000_000_000_000_000_000)
    let attoseconds = Int64(product.high << 32 | product.low >> 32)
    return Duration(secondsComponent: difference >> 32, attosecondsComponent: 0)
      + Duration(secondsComponent: 0, attosecondsComponent: attoseconds)
  }

  /// Whether this is before another timestamp.
  public func isBefore(_ other: NTPTimestamp) -> Bool {
    Int64(bitPattern: rawValue &- other.rawValue) < 0
  }

  /// The UTC date and time with microseconds, as in RFC 3339.
  public var description: String {
    let (seconds, nanoseconds) = unix
    let day = (seconds >= 0 ? seconds : seconds - 86_399) / 86_400
    let second = seconds - day * 86_400
    let (year, month, dayOfMonth) = Self.date(day)
    func padded(_ value: Int64, _ width: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    return "\(year)-\(padded(month, 2))-\(padded(dayOfMonth, 2))T"
      + "\(padded(second / 3600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))."
      + "\(padded(nanoseconds / 1_000, 6))Z"
  }

  /// The Gregorian date of a day counted from 1970-01-01.
  private static func date(_ day: Int64) -> (year: Int64, month: Int64, day: Int64) {
    // Years are counted from March, so that the leap day is the last of its year.
    let shifted = day + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let dayOfMonth = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfMonth)
  }
}

/// The rule by which a signed timestamp is old.
///
/// A chunk is judged by its neighbours' signed timestamps and never by a local clock, which may be wrong:
/// in the order of their numbers, timestamps never go back (RFC 7574 section 12.6.2).
public enum TimestampOrder {
  /// Whether a chunk may have this timestamp.
  ///
  /// `below` and `above` are those of the nearest accepted chunks with a lower and with a higher number, if there
  /// are such; equal timestamps are consistent.
  public static func isConsistent(_ timestamp: UInt64, below: UInt64?, above: UInt64?) -> Bool {
    let timestamp = NTPTimestamp(rawValue: timestamp)
    if let below, timestamp.isBefore(NTPTimestamp(rawValue: below)) { return false }
    if let above, NTPTimestamp(rawValue: above).isBefore(timestamp) { return false }
    return true
  }
}
