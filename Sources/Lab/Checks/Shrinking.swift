extension Plan {
  /// The most worlds that are tried to make one simpler.
  package static let shrinkingLimit = 400

  /// Makes a world in which something goes wrong as simple as it can be while the same goes wrong (Zeller's and
  /// Hildebrandt's delta debugging, 2002): leaves out halves of what can be left out, then quarters, at last single things,
  /// until nothing more can go.
  ///
  /// `fails` says whether the same goes wrong in a world that is simplified so.
  ///
  /// - Returns: what ``simplified(by:)`` takes.
  package func shrunk(
    limit: Int = shrinkingLimit,
    while fails: ([Reduction]) throws -> Bool
  ) rethrows -> [Reduction] {
    var applied: [Reduction] = []
    var left = reductions
    var size = left.count
    var attempts = 0
    var hasChanged = false
    while size > 0 {
      var place = 0
      while place < left.count, attempts < limit {
        let part = left[place..<min(place + size, left.count)]
        attempts += 1
        if try fails(applied + part) {
          applied += part
          left.removeSubrange(part.indices)
          hasChanged = true
        } else {
          place += part.count
        }
      }
      guard attempts < limit else { break }
      guard size == 1 else {
        size = (size + 1) / 2
        continue
      }
      // What was needed before may be of no use now.
      guard hasChanged else { break }
      hasChanged = false
    }
    return applied
  }
}
