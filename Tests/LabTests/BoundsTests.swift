import Lab
import PluginKit
import Support
import Testing

@Suite("Bounds")
struct BoundsTests {
  /// A small network of which every schedule can be tried.
  private struct Network {
    /// How long a copy occupies each upload, the source first; `nil` for who cannot send.
    var steps: [Int64?]
    /// How many copies each may send.
    var copies: [Int]
    /// One way, row to column.
    var ways: [[Int64]]

    /// When a part of the peers has the chunk under the best of all schedules, by trying each of them.
    func best(_ part: Double = 1) -> Int64? {
      let needed = max(1, Int((part * Double(steps.count - 1)).rounded(.up)))
      var best: Int64?
      var arrivals: [Int64] = []
      var free = [Int64?](repeating: nil, count: steps.count)
      var left = copies
      free[0] = 0
      func explore() {
        if arrivals.count >= needed {
          let time = arrivals.sorted()[needed - 1]
          best = min(best ?? time, time)
          // Those served later do not make these earlier, but more of them can.
          if arrivals.count == steps.count - 1 { return }
        }
        for sender in steps.indices {
          guard let start = free[sender], left[sender] > 0, let step = steps[sender] else { continue }
          for target in steps.indices where free[target] == nil {
            let end = start + step
            let arrival = end + ways[sender][target]
            free[sender] = end
            free[target] = arrival
            left[sender] -= 1
            arrivals.append(arrival)
            explore()
            arrivals.removeLast()
            left[sender] += 1
            free[target] = nil
            free[sender] = start
          }
        }
      }
      explore()
      return best
    }
  }

  @Test("With equal ways and uploads the delay bound is what the best schedule takes", arguments: 1...5)
  func exact(count: Int) throws {
    for copies in 1...3 {
      for latency: Int64 in [0, 1, 2, 5] {
        for perPeer in [1, 2, 99] {
          let network = Network(
            steps: [Int64?](repeating: 2, count: count + 1),
            copies: [copies] + [Int](repeating: perPeer, count: count),
            ways: [[Int64]](repeating: [Int64](repeating: latency, count: count + 1), count: count + 1)
          )
          let bound = DelayBound(
            source: .init(serialisation: 2, copies: copies),
            serialisation: 2,
            copies: perPeer,
            least: latency,
            extras: [Int64](repeating: 0, count: count)
          )
          #expect(bound.time() == network.best(), "\(copies) copies, way \(latency), \(perPeer) per peer")
        }
      }
    }
  }

  @Test("No schedule beats the delay bound where ways or uploads differ, for any part of the peers")
  func bound() throws {
    for seed: UInt64 in 1...60 {
      var random = SplitMix64(seed: seed)
      let count = Int.random(in: 1...4, using: &random)
      let places = (0...count).map { _ in
        (Int64.random(in: 0...30, using: &random), Int64.random(in: 0...30, using: &random))
      }
      let least = Int64.random(in: 0...10, using: &random)
      let ways = places.map { here in
        places.map { there in least + abs(here.0 - there.0) + abs(here.1 - there.1) }
      }
      let isEqual = seed.isMultiple(of: 2)
      let step = Int64.random(in: 1...20, using: &random)
      let steps = (0...count).map { _ -> Int64? in isEqual ? step : Int64.random(in: 1...20, using: &random) }
      let copies = Int.random(in: 1...3, using: &random)
      let network = Network(
        steps: steps,
        copies: [copies] + [Int](repeating: 99, count: count),
        ways: ways
      )
      let source = DelayBound.Source(serialisation: steps[0] ?? 1, copies: copies)
      let extras = (1...count).map { ways[0][$0] - least }
      let bound =
        isEqual
        ? DelayBound(source: source, serialisation: step, least: least, extras: extras)
        : DelayBound(source: source, serialisations: Array(steps.dropFirst()), least: least, extras: extras)
      for part in [0.5, 1] {
        let time = try #require(bound.time(part))
        let best = try #require(network.best(part))
        #expect(time <= best, "seed \(seed), \(part) of \(count) peers")
      }
    }
  }

  @Test("A thousand equal peers behind one copy double in every slot")
  func doubling() {
    let bound = DelayBound(
      source: .init(serialisation: 1, copies: 1),
      serialisation: 1,
      least: 0,
      extras: [Int64](repeating: 0, count: 1000)
    )
    // The source stops after its copy, so the peers double among themselves: 1 + ceil(log2 1000).
    #expect(bound.time() == 11)
  }

  @Test("The published examples of the postal bound come out")
  func examples() throws {
    func milliseconds(_ count: Int, _ chunk: Double, _ latency: Int64) throws -> Double {
      let rate = 5e6
      let bound = DelayBound(
        source: .init(serialisation: Int64(chunk * 8e9 / (1.2 * rate)), copies: 4),
        serialisation: Int64(chunk * 8e9 / (1.2 * rate)),
        least: latency * 1_000_000,
        extras: [Int64](repeating: 0, count: count)
      )
      return try Double(#require(bound.time())) / 1e6
    }
    #expect(abs(try milliseconds(1000, 1024, 50) - 181) < 1)
    #expect(abs(try milliseconds(1000, 65_536, 50) - 1199) < 1)
    #expect(abs(try milliseconds(10_000, 1024, 50) - 229) < 1)
  }

  @Test("A degree of two copies costs what the Fibonacci numbers say")
  func fibonacci() {
    let bound = DelayBound(
      source: .init(serialisation: 1, copies: 1),
      serialisation: 1,
      copies: 2,
      least: 0,
      extras: [Int64](repeating: 0, count: 1000)
    )
    // New holders in each slot: 1, 1, 2, 3, 5, … whose sum passes 1000 in the fifteenth.
    #expect(bound.time() == 15)
  }

  @Test("The rate bound is the source or the mean of all uploads, and slots are whole")
  func rate() {
    let rate: UInt64 = 1_000_000
    let mixed = [UInt64](repeating: 6_000_000, count: 200) + [UInt64](repeating: 900_000, count: 800)
    let bound = RateBound(source: 4_000_000, uploads: mixed, rate: rate)
    #expect(abs(bound.greatest / Double(rate) - 1.924) < 0.001)
    #expect(abs(bound.resourceIndex - 1.924) < 0.001)
    #expect(bound.hasSlots)
    let narrow = RateBound(
      source: 2_000_000,
      uploads: [UInt64](repeating: 900_000, count: 10),
      rate: rate
    )
    #expect(!narrow.hasSlots)
    #expect(RateBound(source: 10_000_000, uploads: [900_000, 900_000], rate: rate, stripes: 4).hasSlots)
    #expect(RateBound(source: 500_000, uploads: [9_000_000], rate: rate).greatest == 500_000)
    #expect(
      RateBound(source: 9_000_000, uploads: [9_000_000], downloads: [700_000], rate: rate).greatest == 700_000
    )
  }

  @Test("Losses by churn grow with the ancestors and with the time to repair")
  func churn() {
    let loss = ChurnBound.loss(ancestors: 3.86, repair: 1_300_000_000, life: 60_000_000_000)
    #expect(abs(loss - 0.0836) < 0.001)
    #expect(FileBound.makespan(peers: 1024, parts: 10) == 2)
    #expect(FileBound.time(bits: 8e6, source: 1e6, uploads: [1e6, 1e6]) == 8)
  }
}
