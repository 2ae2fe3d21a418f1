internal import PluginKit
internal import Text
internal import Wire

/// Values as a person reads them.
enum Figures {
  /// A channel number: eight hexadecimal digits.
  static func channel(_ number: UInt32) -> String { hex(UInt64(number), digits: 8) }

  /// Bytes as hexadecimal digits.
  static func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { hex(UInt64($0), digits: 2) }.joined()
  }

  private static func hex(_ value: UInt64, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }

  /// Chunk numbers as they stand on the wire, both ends included.
  static func chunks(_ chunks: ChunkRange) -> String {
    chunks.lowerBound == chunks.upperBound
      ? "\(chunks.lowerBound)" : "\(chunks.lowerBound)-\(chunks.upperBound)"
  }

  /// `1 chunk`, `1,316 bytes`.
  static func count(_ value: UInt64, _ noun: String) -> String {
    value.grouped + " " + noun + (value == 1 ? "" : "s")
  }

  static func count(_ value: Int, _ noun: String) -> String { count(UInt64(max(value, 0)), noun) }

  /// Microseconds: `85 µs`, `1.234 ms`, `12.3 s`.
  static func microseconds(_ value: Int64) -> String {
    let size = value.magnitude
    let sign = value < 0 ? "-" : ""
    switch size {
    case ..<1000: return sign + "\(size) µs"
    case ..<1_000_000: return sign + fixed(size, unit: 1000, decimals: size < 100_000 ? 2 : 1) + " ms"
    case ..<1_000_000_000_000: return sign + fixed(size, unit: 1_000_000, decimals: 2) + " s"
    default: return sign + (size / 1_000_000).grouped + " s"
    }
  }

  /// Bits per second: `20 Mbit/s`.
  static func rate(_ bits: UInt64) -> String {
    switch bits {
    case ..<1_000_000: fixed(bits, unit: 1000, decimals: 0) + " kbit/s"
    case ..<1_000_000_000: fixed(bits, unit: 1_000_000, decimals: 1) + " Mbit/s"
    default: fixed(bits, unit: 1_000_000_000, decimals: 1) + " Gbit/s"
    }
  }

  /// `part` of `whole` in hundredths, with one decimal.
  static func percent(_ part: UInt64, of whole: UInt64) -> String {
    guard whole > 0 else { return "-" }
    return fixed(UInt64(Double(part) / Double(whole) * 1000), unit: 10, decimals: 1) + " %"
  }

  /// `value / unit` with exactly `decimals` decimals, cut and not rounded.
  static func fixed(_ value: UInt64, unit: UInt64, decimals: Int) -> String {
    let (whole, rest) = value.quotientAndRemainder(dividingBy: unit)
    guard decimals > 0 else { return whole.grouped }
    var factor: UInt64 = 1
    for _ in 0..<decimals { factor *= 10 }
    let digits = String(UInt64((Double(rest) * Double(factor) / Double(unit)).rounded(.down)))
    return whole.grouped + "." + String(repeating: "0", count: max(0, decimals - digits.count)) + digits
  }

  /// Seconds with six decimals.
  static func seconds(_ time: Duration) -> String {
    let (seconds, attoseconds) = time.components
    let microseconds = attoseconds / 1_000_000_000_000
    let digits = String(microseconds.magnitude)
    let sign = seconds < 0 || microseconds < 0 ? "-" : ""
    return sign + "\(seconds.magnitude)." + String(repeating: "0", count: 6 - digits.count) + digits
  }

  /// Stripes: `0`, `0-3`, `1,3`.
  static func stripes(_ set: StripeSet) -> String {
    var parts: [String] = []
    var rest = set.stripes[...]
    while let first = rest.popFirst() {
      var last = first
      while rest.first == last + 1, let next = rest.popFirst() { last = next }
      parts.append(first == last ? "\(first)" : "\(first)-\(last)")
    }
    return parts.isEmpty ? "none" : parts.joined(separator: ",")
  }
}
