internal import PluginKit

/// When a datagram went from where to where, as tcpdump says it above the bytes.
///
/// A time of the day without a day is counted from the midnight before the first; a day is left out, because it is that of
/// a zone which is not named.
struct HexHeader {
  private static let day: Duration = .seconds(86_400)
  /// Times below this are those of days that are not named.
  static let unnamedDays = day * 365

  private var time: Duration?
  private var source: Address?
  private var destination: Address?
  /// The last time of the day, and the days that have passed since the first.
  private var lastOfDay: Duration?
  private var days = 0

  /// What was read since the last datagram, which is for one alone.
  mutating func take() -> (time: Duration?, source: Address?, destination: Address?) {
    defer { (time, source, destination) = (nil, nil, nil) }
    return (time, source, destination)
  }

  /// Reads a line by its words; false when it is no header.
  ///
  /// With `-v` tcpdump says the time in one line and the addresses in the next. Names of hosts and ports are no addresses.
  mutating func read(_ words: [Substring]) throws(HexError) -> Bool {
    let arrow = words.firstIndex(of: ">")
    let when = words.prefix(2).compactMap(Self.time).first
    guard when != nil && words.contains(where: { $0 == "IP" || $0 == "IP6" }) || arrow != nil else {
      return false
    }
    if let when {
      take(when)
      (source, destination) = (nil, nil)
    }
    guard let arrow else { return true }
    guard arrow > 0, arrow + 1 < words.count else {
      throw HexError("there is no address beside its '>'")
    }
    let last = words[arrow + 1]
    let ends = (Self.address(words[arrow - 1]), Self.address(last.last == ":" ? last.dropLast() : last))
    // Half of it would only mislead.
    if let from = ends.0, let to = ends.1 { (source, destination) = (from, to) }
    return true
  }

  private mutating func take(_ when: (time: Duration, isOfDay: Bool)) {
    guard when.isOfDay else {
      time = when.time
      return
    }
    if let lastOfDay, when.time < lastOfDay - Self.day / 2 { days = (days + 1) % 365 }
    lastOfDay = when.time
    time = when.time + Self.day * days
  }

  /// `HH:MM:SS.ffffff`, or seconds since the Unix epoch.
  private static func time(_ word: Substring) -> (time: Duration, isOfDay: Bool)? {
    let parts = word.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 1 || parts.count == 3, let end = parts.last else { return nil }
    let pieces = end.split(separator: ".", omittingEmptySubsequences: false)
    guard pieces.count == 2, 1...9 ~= pieces[1].count, let whole = number(pieces[0]),
      let fraction = number(pieces[1])
    else { return nil }
    var nanoseconds = fraction
    for _ in pieces[1].count..<9 { nanoseconds *= 10 }
    let seconds = Duration.seconds(whole) + .nanoseconds(nanoseconds)
    guard parts.count == 3 else { return seconds < unnamedDays ? nil : (seconds, false) }
    guard let hours = number(parts[0]), let minutes = number(parts[1]), hours < 24, minutes < 60, whole < 61
    else { return nil }
    return (seconds + .seconds(hours * 3600 + minutes * 60), true)
  }

  private static func number(_ text: Substring) -> Int64? {
    text.utf8.allSatisfy { 0x30...0x39 ~= $0 } && 1...12 ~= text.utf8.count ? Int64(text) : nil
  }

  /// `192.0.2.1.7574` and `2001:db8::1.7574` as tcpdump writes them, `192.0.2.1:7574` and `[2001:db8::1]:7574`.
  private static func address(_ word: Substring) -> Address? {
    let isDotted = !word.hasPrefix("[") && word.filter { $0 == "." }.count != 3
    guard let split = word.lastIndex(of: isDotted ? "." : ":") else { return nil }
    var host = word[..<split]
    guard let port = number(word[word.index(after: split)...]).flatMap({ UInt16(exactly: $0) }) else {
      return nil
    }
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return host.contains(":") ? ipv6(host, port) : ipv4(host, port)
  }

  private static func ipv4(_ text: Substring, _ port: UInt16) -> Address? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let bytes = parts.compactMap { number($0).flatMap { UInt8(exactly: $0) } }
    guard parts.count == 4, bytes.count == 4 else { return nil }
    return Address(ipv4: bytes.reduce(0) { $0 << 8 | UInt32($1) }, port: port)
  }

  /// RFC 4291, section 2.2, without a zone and without dots.
  private static func ipv6(_ text: Substring, _ port: UInt16) -> Address? {
    let halves = text.split(separator: "::", maxSplits: 2, omittingEmptySubsequences: false)
    guard 1...2 ~= halves.count else { return nil }
    var words: [UInt16] = []
    for (index, half) in halves.enumerated() {
      let parts = half.isEmpty ? [] : half.split(separator: ":", omittingEmptySubsequences: false)
      var values: [UInt16] = []
      for part in parts {
        guard 1...4 ~= part.count, let value = UInt16(part, radix: 16) else { return nil }
        values.append(value)
      }
      let missing = 8 - words.count - values.count
      guard halves.count == 1 ? missing == 0 : missing >= index else { return nil }
      if index == 1 { words += [UInt16](repeating: 0, count: missing) }
      words += values
    }
    let halvesOfIt = [words[..<4], words[4...]].map { $0.reduce(UInt64(0)) { $0 << 16 | UInt64($1) } }
    return Address(ipv6: halvesOfIt[0], halvesOfIt[1], port: port)
  }
}
