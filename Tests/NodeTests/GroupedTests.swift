import Testing

@testable import Node

struct GroupedTests {
  @Test func `Counts are written with thousands apart`() {
    let counts: [UInt64] = [0, 999, 1000, 65_229, 1_234_567, .max]
    #expect(
      counts.map(\.grouped) == ["0", "999", "1,000", "65,229", "1,234,567", "18,446,744,073,709,551,615"]
    )
  }
}
