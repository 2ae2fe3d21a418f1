import Lab
import Support
import Testing

@Suite("The spread of many runs")
struct SpreadTests {
  @Test("Six values enclose their median with 95 %, five do not; twenty leave five out on each side")
  func ranks() throws {
    #expect(try #require(Spread([1, 2, 3, 4, 5])).interval == 1...5)
    #expect(try #require(Spread([6, 5, 4, 3, 2, 1])).interval == 1...6)
    #expect(try #require(Spread((1...9).map { Double($0) })).interval == 2...8)
    let twenty = try #require(Spread((1...20).map { Double($0) }))
    #expect(twenty.median == 10.5)
    #expect(twenty.interval == 6...15)
    #expect(Spread([]) == nil)
    #expect(Spread([.nan]) == nil)
  }

  @Test("In at least 95 of 100 worlds the interval holds the true median", arguments: [6, 10, 20, 51])
  func coverage(count: Int) throws {
    var random = SplitMix64(seed: UInt64(count))
    var hits = 0
    for _ in 0..<2000 {
      // A skewed distribution, whose median is 1/4.
      let values = (0..<count).map { _ in
        let value = Double.random(in: 0..<1, using: &random)
        return value * value
      }
      if try #require(Spread(values)).interval.contains(0.25) { hits += 1 }
    }
    #expect(hits >= 1880)
  }
}
