import PluginKit

/// Cuts a part of the ring among peers that live there: each gets the section in which it is to spread a chunk.
///
/// The cuts depend on how many peers live where, as far as that is known or can be guessed, so that all sections hold about
/// as many. Who of a section gets it is drawn by lot, by what each can send: so the work of spreading is shared in
/// proportion to upload, whoever stands where, and whoever cannot send ends up at the rim.
struct Division {
  struct Piece: Hashable, Sendable {
    /// The position of the delegate among the peers given.
    var delegate: Int
    /// As distances from the own place.
    var range: ClosedRange<UInt32>
    /// How many peers are thought to live there.
    var population: Double
  }

  /// Peers as distances from the own place, ascending, and what each can send, in any unit.
  private let places: [UInt32]
  private let weights: [UInt64]
  /// How many ahead and behind are neighbours, among which nobody is unknown, and how far peers stand from each other.
  private let near: Int
  private let spacing: Double

  init(places: [UInt32], weights: [UInt64], near: Int) {
    self.places = places
    self.weights = weights
    self.near = near
    // The neighbours alone tell how dense the ring is.
    let ahead = min(near, places.count)
    let behind = min(near, places.count - ahead)
    var span = 0.0
    if ahead > 0 { span += Double(places[ahead - 1]) }
    if behind > 0 { span += Double(UInt32.max - places[places.count - behind]) + 1 }
    if places.count <= 2 * near { span = 0x1p32 }
    spacing = max(1, span / Double(max(1, places.count <= 2 * near ? places.count + 1 : ahead + behind)))
  }

  /// How many peers nobody here knows are thought to live between one that is known and the next.
  private func unknown(after index: Int, until end: UInt32) -> Double {
    guard index >= near - 1, places.count - 1 - index >= near, end > places[index] else {
      return 0
    }
    return max(0, Double(end - places[index]) / spacing - 1)
  }

  /// Those who live in a part.
  func members(of part: ClosedRange<UInt32>) -> Range<Int> {
    var first = 0
    while first < places.count, places[first] < part.lowerBound { first += 1 }
    var end = first
    while end < places.count, places[end] <= part.upperBound { end += 1 }
    return first..<end
  }

  private func populations(_ part: ClosedRange<UInt32>, _ members: Range<Int>) -> [Double] {
    var populations: [Double] = []
    for index in members {
      let end = index + 1 < members.upperBound ? places[index + 1] : part.upperBound
      var population = 1 + unknown(after: index, until: end)
      if index == members.lowerBound, index > 0, index >= near, places.count - index >= near {
        population += max(0, Double(places[index] - part.lowerBound) / spacing)
      }
      populations.append(population)
    }
    return populations
  }

  /// How many peers are thought to live in a part; 0 where nobody is known.
  func population(of part: ClosedRange<UInt32>) -> Double {
    populations(part, members(of: part)).reduce(0, +)
  }

  /// At most `count` pieces, the most populous first; none where nobody is known.
  func pieces(of part: ClosedRange<UInt32>, count: Int, lot: inout RandomSource) -> [Piece] {
    let members = members(of: part)
    guard !members.isEmpty, count > 0 else { return [] }
    let populations = populations(part, members)
    let total = populations.reduce(0, +)
    let share = max(1, total / Double(count))
    var pieces: [Piece] = []
    var start = members.lowerBound
    var lower = part.lowerBound
    var before = 0.0
    var sum = 0.0
    for index in members {
      sum += populations[index - members.lowerBound]
      let isLast = index + 1 == members.upperBound
      if !isLast {
        // The next one belongs to the piece in which its middle lies.
        let middle = before + sum + populations[index + 1 - members.lowerBound] / 2
        guard Int(middle / share) > pieces.count, pieces.count + 1 < count,
          places[index + 1] > places[index]
        else { continue }
      }
      let upper = isLast ? part.upperBound : places[index + 1] - 1
      let delegate = draw(start...index, &lot)
      pieces.append(Piece(delegate: delegate, range: lower...upper, population: sum))
      before += sum
      sum = 0
      start = index + 1
      lower = upper &+ 1
    }
    return pieces.sorted { $0.population > $1.population }
  }

  /// One of some, each as likely as it has weight.
  private func draw(_ indices: ClosedRange<Int>, _ lot: inout RandomSource) -> Int {
    var total: UInt64 = 0
    for index in indices { total += weights[index] }
    guard total > 0 else { return indices.lowerBound }
    var rest = lot.next() % total
    for index in indices {
      if rest < weights[index] { return index }
      rest -= weights[index]
    }
    return indices.upperBound
  }
}
