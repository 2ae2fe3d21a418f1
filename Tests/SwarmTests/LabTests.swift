import Lab
import Support
import Testing

@Suite struct `A simulated link` {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func `loses, repeats and delays as often and as long as it says`(seed: UInt64) {
    var link = SimulatedLink(
      Path(delay: .milliseconds(10), jitter: .milliseconds(4), loss: 0.05, duplication: 0.1),
      seed: seed
    )
    var lost = 0
    var twice = 0
    var last = Duration.zero
    for number in 0..<20_000 {
      let now = Duration.milliseconds(number)
      let (first, second) = link.send(byteCount: 1400, now: now)
      if first == nil { lost += 1 }
      if second != nil { twice += 1 }
      if let first {
        #expect(first >= last && first - now >= .milliseconds(10) && first - now < .milliseconds(14))
        last = second ?? first
      }
    }
    #expect((900...1100).contains(lost), "seed \(seed): \(lost)")
    #expect((1750...2050).contains(twice), "seed \(seed): \(twice)")
  }

  @Test func `sends no faster than its rate and drops what would wait too long`() {
    var link = SimulatedLink(
      Path(delay: .milliseconds(1), rate: 8_000_000, queue: .milliseconds(50)),
      seed: 1
    )
    var arrivals: [Duration] = []
    for _ in 0..<1000 {
      if let arrival = link.send(byteCount: 972, now: .zero).first { arrivals.append(arrival) }
    }
    // A thousand bytes with their headers take a millisecond.
    #expect(arrivals.count == 51)
    #expect(arrivals.last == .milliseconds(52))
    #expect(link.overflowed == 949)
  }

  @Test func `lets some datagrams be overtaken`() {
    var link = SimulatedLink(Path(delay: .milliseconds(10), reordering: 0.1), seed: 4)
    let arrivals = (0..<1000).compactMap { link.send(byteCount: 100, now: .milliseconds($0)).first }
    let overtaken = zip(arrivals, arrivals.dropFirst()).count { $0 > $1 }
    #expect((50...120).contains(overtaken), "\(overtaken)")
  }
}
