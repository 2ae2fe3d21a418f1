/// The tree of each chunk over a list of peers, the same wherever the list is the same.
///
/// Those who pass a chunk on are picked along a line on which each relay's stretch is as long as its upload is worth: at
/// equal steps, from a beginning that moves by the golden section with each chunk. So everybody is picked as often as its
/// upload says, and at intervals as even as can be. The source comes first, those picked next, all others last; each of the
/// former feeds the next of those who follow, as many as its fan-out says.
struct ChunkTree: Hashable, Sendable {
  /// What counts of a peer.
  struct Seed: Hashable, Sendable {
    /// What its upload is worth; 0 for one that feeds nobody.
    var weight: UInt32
    /// To how many it passes a chunk on, when it does.
    var fanout: Int

    init(weight: UInt32, fanout: Int) {
      self.weight = weight
      self.fanout = fanout
    }
  }

  /// Stretches are counted in parts of a weight.
  private static let scale: UInt64 = 1024
  /// 2^64 times the golden section.
  private static let golden: UInt64 = 0x9E37_79B9_7F4A_7C15

  /// The peers in an order that all share, the source first.
  let seeds: [Seed]
  /// Where the stretch of each ends.
  private let ends: [UInt64]
  /// How many are picked for a chunk.
  private let picks: Int

  init(seeds: [Seed]) {
    self.seeds = seeds
    var ends: [UInt64] = []
    ends.reserveCapacity(seeds.count)
    var end: UInt64 = 0
    var weights: UInt64 = 0
    for (number, seed) in seeds.enumerated() {
      if number > 0, seed.weight > 0, seed.fanout > 0 {
        end += UInt64(seed.weight) * Self.scale / UInt64(seed.fanout)
        weights += UInt64(seed.weight) * Self.scale
      }
      ends.append(end)
    }
    self.ends = ends
    let others = seeds.count - 1 - (seeds.first?.fanout ?? 0)
    // On average a pick has the fan-out `weights / end`.
    picks = end == 0 || others <= 0 ? 0 : max(1, Int((UInt64(others) * end + weights - 1) / weights))
  }

  /// Who stands where for one chunk.
  struct Order: Hashable, Sendable {
    /// Numbers of peers; the first is the source.
    fileprivate(set) var places: [Int]
    /// Where the children of each place that has any begin; one more at the end.
    fileprivate var starts: [Int]

    /// The places of those that the peer at a place feeds.
    func children(of place: Int) -> Range<Int> {
      place + 1 < starts.count ? starts[place]..<starts[place + 1] : 0..<0
    }
  }

  func order(for chunk: UInt64) -> Order {
    guard !seeds.isEmpty else { return Order(places: [], starts: []) }
    let turn = chunk &* Self.golden
    var places = [0]
    places.reserveCapacity(seeds.count)
    var fanouts = [seeds[0].fanout]
    var isPicked = [Bool](repeating: false, count: seeds.count)
    isPicked[0] = true
    let total = ends[ends.count - 1]
    let step = picks == 0 ? 0 : max(1, total / UInt64(picks))
    let beginning = turn.multipliedFullWidth(by: step).high
    // Who is picked is the same for every turn of the whole line; who comes first is not.
    let first = picks == 0 ? 0 : Int(mix(chunk) % UInt64(picks))
    for pick in 0..<picks {
      let point = min(beginning + step * UInt64((first + pick) % picks), total - 1)
      let number = owner(of: point)
      if isPicked[number], let place = places.firstIndex(of: number) {
        fanouts[place] += seeds[number].fanout
      } else {
        isPicked[number] = true
        places.append(number)
        fanouts.append(seeds[number].fanout)
      }
    }
    let inner = places.count
    let shift = Int(mix(turn) % UInt64(seeds.count))
    for offset in seeds.indices {
      let number = (offset + shift) % seeds.count
      if !isPicked[number] { places.append(number) }
    }
    return Order(places: places, starts: Self.starts(fanouts, inner, places.count))
  }

  /// Lays out the children of each inner place; what the fan-outs do not carry is dealt to all of them in turn.
  private static func starts(_ fanouts: [Int], _ inner: Int, _ count: Int) -> [Int] {
    var fanouts = fanouts
    var rest = count - 1 - fanouts.reduce(0, +)
    var place = inner > 1 ? 1 : 0
    while rest > 0 {
      fanouts[place] += 1
      rest -= 1
      place = place + 1 < inner ? place + 1 : inner > 1 ? 1 : 0
    }
    var starts: [Int] = []
    starts.reserveCapacity(inner + 1)
    var next = 1
    for fanout in fanouts {
      starts.append(next)
      next = min(next + fanout, count)
    }
    starts.append(next)
    return starts
  }

  private func owner(of point: UInt64) -> Int {
    var (low, high) = (0, ends.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if ends[middle] > point { high = middle } else { low = middle + 1 }
    }
    return low
  }

  private func mix(_ value: UInt64) -> UInt64 {
    var value = value &+ Self.golden
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
