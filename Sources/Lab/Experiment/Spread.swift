internal import Glibc

/// What many runs showed of one figure: the median, and where the true median lies.
package struct Spread: Hashable, Sendable {
  package let median: Double
  /// The 95 % interval of the median by order statistics, which assumes nothing about how the figure is distributed.
  ///
  /// With fewer than six values there is none; then this is the least and the greatest.
  package let interval: ClosedRange<Double>
  package let count: Int

  /// The spread of some values; `nil` when there is none, or one is not a number.
  package init?(_ values: [Double]) {
    let sorted = values.sorted()
    guard let first = sorted.first, let last = sorted.last, !values.contains(where: \.isNaN) else {
      return nil
    }
    count = sorted.count
    median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
    let rank = Self.rank(count)
    interval = rank == 0 ? first...last : sorted[rank - 1]...sorted[count - rank]
  }

  /// The greatest `k` for which the k-th least and the k-th greatest of `count` values enclose the median with 95 %.
  private static func rank(_ count: Int) -> Int {
    // The chance that fewer than k of all values lie below the median, added up from its logarithms.
    var term = -Double(count) * 0.693_147_180_559_945_3
    var below = 0.0
    for k in 0..<count {
      below += exp(term)
      guard below <= 0.025 else { return k }
      term += log(Double(count - k) / Double(k + 1))
    }
    return 0
  }
}
