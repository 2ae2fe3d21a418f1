import Support
import Testing

@testable import Node

struct HopHistogramTests {
  @Test func `Quantiles are within a sixteenth of the true ones`() throws {
    for seed in 1...20 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      var histogram = HopHistogram()
      var times: [Int64] = []
      for _ in 0..<1000 {
        // All magnitudes alike.
        let time = Int64(random.next() >> UInt64.random(in: 24...63, using: &random))
        times.append(time)
        histogram.add(.nanoseconds(time))
      }
      times.sort()
      for part in [0, 0.5, 0.9, 0.99, 1] {
        let exact = Double(times[Int(part * 999)])
        let found = Double(try #require(histogram.quantile(part)).nanoseconds)
        #expect(abs(found - exact) <= max(exact / 16, 1), "seed \(seed), part \(part)")
      }
    }
  }

  @Test func `Nothing is no time, and no time is too long`() {
    var histogram = HopHistogram()
    #expect(histogram.quantile(0.5) == nil)
    histogram.add(.nanoseconds(-5))
    #expect(histogram.quantile(0.5) == .zero)
    histogram.add(.seconds(1_000_000_000_000))
    #expect(histogram.quantile(1) != nil)
    #expect(histogram.count == 2)
  }
}
