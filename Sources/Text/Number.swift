/// Numbers as text, the same everywhere.
package enum Number {
  /// A value with at most `decimals` decimals and no zeros at their end.
  package static func text(_ value: Double, decimals: Int) -> String {
    var text = fixed(value, decimals: decimals)
    guard text.contains(".") else { return text }
    while text.last == "0" { text.removeLast() }
    if text.last == "." { text.removeLast() }
    return text
  }

  /// A value with exactly `decimals` decimals; a dash for what is no number.
  package static func fixed(_ value: Double, decimals: Int) -> String {
    guard value.isFinite else { return "-" }
    var factor = 1.0
    for _ in 0..<decimals { factor *= 10 }
    guard value.magnitude * factor < 1e18 else { return String(value) }
    let scaled = Int64((value.magnitude * factor).rounded())
    let sign = value < 0 && scaled != 0 ? "-" : ""
    let (whole, rest) = scaled.quotientAndRemainder(dividingBy: Int64(factor))
    guard decimals > 0 else { return sign + String(whole) }
    let digits = String(rest)
    return sign + "\(whole)." + String(repeating: "0", count: decimals - digits.count) + digits
  }

  /// Bits per second in words: `3.80 Mbit/s`.
  package static func rate(_ bits: Double) -> String {
    switch bits {
    case ..<1e6: fixed(bits / 1e3, decimals: 0) + " kbit/s"
    case ..<1e9: fixed(bits / 1e6, decimals: bits < 1e7 ? 2 : 1) + " Mbit/s"
    default: fixed(bits / 1e9, decimals: 2) + " Gbit/s"
    }
  }

  /// Bits per second as an option takes them: `3.80M`.
  package static func shortRate(_ bits: Double) -> String {
    let parts = rate(bits).split(separator: " ")
    return String(parts[0]) + String(parts[1].prefix(1))
  }
}
