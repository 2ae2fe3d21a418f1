/// What a user may have meant.
package enum Suggestion {
  /// The word of `known` that is closest to `word`, if it is close.
  package static func nearest(to word: String, among known: [String]) -> String? {
    // The cost grows with the product of the lengths, and nothing this long is near to anything.
    guard word.utf8.count <= 40 else { return nil }
    let close = known.map { ($0, distance(Array(word.utf8), Array($0.utf8))) }
      .min { $0.1 < $1.1 }
    if let (name, distance) = close, distance <= max(1, min(word.utf8.count, name.utf8.count) / 3) {
      return name
    }
    guard word.utf8.count >= 3 else { return nil }
    let longer = known.filter { $0.hasPrefix(word) }
    return longer.count == 1 ? longer[0] : nil
  }

  /// `; did you mean X?`, or nothing.
  package static func phrase(
    _ word: String,
    among known: [String],
    as write: (String) -> String = { $0 }
  ) -> String {
    nearest(to: word, among: known).map { "; did you mean \(write($0))?" } ?? ""
  }

  /// How many letters must be changed, added, left out or swapped with their neighbour.
  private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var before: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var best = min(row[j] + 1, last[j + 1] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
        row.append(best)
      }
      before = last
      last = row
    }
    return last[b.count]
  }
}
