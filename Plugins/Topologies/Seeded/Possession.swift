/// Which of the newest chunks a peer says it has.
struct Possession: Hashable, Sendable {
  /// How many blocks of 64 chunks are remembered; older ones give way.
  private static let blocks: UInt64 = 32

  private var numbers = [UInt64](repeating: .max, count: Int(blocks))
  private var bits = [UInt64](repeating: 0, count: Int(blocks))

  func contains(_ chunk: UInt64) -> Bool {
    let place = Int((chunk >> 6) % Self.blocks)
    return numbers[place] == chunk >> 6 && bits[place] & 1 << (chunk & 63) != 0
  }

  /// Of a longer range only the end is remembered.
  mutating func insert(_ chunks: ClosedRange<UInt64>) {
    let last = chunks.upperBound >> 6
    let first = max(chunks.lowerBound >> 6, last - min(last, Self.blocks - 1))
    for block in first...last {
      let place = Int(block % Self.blocks)
      if numbers[place] != block {
        // What is older than what stands there is of no use any more.
        if numbers[place] != .max, numbers[place] > block { continue }
        numbers[place] = block
        bits[place] = 0
      }
      var mask = UInt64.max
      if block == chunks.lowerBound >> 6 { mask &= .max << (chunks.lowerBound & 63) }
      if block == last { mask &= .max >> (63 - (chunks.upperBound & 63)) }
      bits[place] |= mask
    }
  }
}
