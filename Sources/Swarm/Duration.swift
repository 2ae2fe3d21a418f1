// The standard library's operators take any integer and any floating-point number, and are slow for it.
extension Duration {
  static func * (left: Duration, right: Int) -> Duration {
    Duration(attoseconds: left.attoseconds &* Int128(right))
  }

  static func / (left: Duration, right: Int) -> Duration {
    Duration(attoseconds: left.attoseconds / Int128(right))
  }

  static func / (left: Duration, right: Duration) -> Double {
    double(left.attoseconds) / double(right.attoseconds)
  }

  /// Whole microseconds.
  var microseconds: Int64 { Int64(truncatingIfNeeded: attoseconds / 1_000_000_000_000) }
}

/// The nearest number; most fit the word of a machine, which makes it quick.
private func double(_ attoseconds: Int128) -> Double {
  let word = UInt64(truncatingIfNeeded: attoseconds)
  return attoseconds == Int128(word) ? Double(word) : Double(attoseconds)
}

/// A duration as seconds.
func seconds(_ duration: Duration) -> Double { duration / Duration.seconds(1) }
