import Net
import Support
import Testing

struct TimeHistogramTests {
  @Test func `Quantiles are within a sixteenth of the true ones`() throws {
    for seed in 1...20 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      var histogram = TimeHistogram()
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
        let found = try #require(histogram.quantile(part)) / .nanoseconds(1)
        #expect(abs(found - exact) <= max(exact / 16, 1), "seed \(seed), part \(part)")
      }
    }
  }

  @Test func `Nothing is no time, and no time is too long`() {
    var histogram = TimeHistogram()
    #expect(histogram.quantile(0.5) == nil)
    histogram.add(.nanoseconds(-5))
    #expect(histogram.quantile(0.5) == .zero)
    histogram.add(.seconds(1_000_000_000_000))
    #expect(histogram.quantile(1) != nil)
    #expect(histogram.count == 2)
  }

  @Test func `Endless times count, but cannot be told`() throws {
    var histogram = TimeHistogram()
    for _ in 0..<9_999 { histogram.add(.milliseconds(1)) }
    histogram.add(.seconds(1))
    // Of ten thousand one may take longer.
    #expect(try #require(histogram.quantile(0.9999)) < .milliseconds(2))
    #expect(try #require(histogram.quantile(0.9999, endless: 1)) > .milliseconds(900))
    #expect(histogram.quantile(0.9999, endless: 2) == nil)
  }
}
