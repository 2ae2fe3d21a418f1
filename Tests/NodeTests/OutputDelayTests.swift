import Swarm
import Testing

@testable import Node

struct OutputDelayTests {
  private let day: Duration = .seconds(1_800_000_000)

  private func statistics(_ delay: OutputDelay) -> Statistics {
    var statistics = Statistics()
    delay.complete(&statistics)
    return statistics
  }

  @Test func `Only what was signed after the output began counts`() throws {
    var delay = OutputDelay()
    // A second of the past at once, as a newcomer gets it.
    for number in 0..<100 { delay.add(signed: day - .milliseconds(10 * number), now: day, skipped: 0) }
    #expect(statistics(delay).within2Seconds == nil)
    for number in 1...1000 {
      let now = day + .milliseconds(10 * number)
      delay.add(signed: max(day, now - .milliseconds(50)), now: now, skipped: 0)
    }
    let found = statistics(delay)
    #expect(found.within2Seconds == 1)
    let median = try #require(found.delayMedianMilliseconds)
    #expect(abs(median - 50) < 2)
  }

  @Test func `What is given up is neither in time nor quick`() throws {
    var delay = OutputDelay()
    delay.add(signed: day, now: day, skipped: 0)
    for number in 1...99 {
      delay.add(signed: day, now: day + .milliseconds(number), skipped: number == 9 ? 1 : 0)
    }
    #expect(statistics(delay).within2Seconds == 0.99)
    #expect(try #require(statistics(delay).delayP99Milliseconds) > 95)
    #expect(statistics(delay).delayP9999Milliseconds == nil)
    delay.add(signed: day, now: day + .milliseconds(2001), skipped: 0)
    #expect(try #require(statistics(delay).within2Seconds) < 0.99)
  }
}
