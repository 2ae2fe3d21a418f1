/// Which of the newest chunks: bits that move along with the stream.
///
/// It remembers the words of 64 chunks up to the highest that was ever put in; what lies below has been forgotten.
package struct ChunkSet: Sendable {
  /// How many words of 64 chunks are remembered.
  package static let wordLimit: UInt64 = 32

  private var words = [UInt64](repeating: 0, count: Int(wordLimit))
  /// The number of the highest word that holds something.
  package private(set) var top: UInt64 = 0

  package init() {}

  /// The number of the lowest word that is remembered.
  package var bottom: UInt64 { top >= Self.wordLimit ? top - Self.wordLimit + 1 : 0 }

  /// The bits of chunks `64 * number` and those that follow it, the lowest first.
  package func word(_ number: UInt64) -> UInt64 {
    number <= top && number >= bottom ? words[Int(number % Self.wordLimit)] : 0
  }

  package func contains(_ chunk: UInt64) -> Bool { word(chunk >> 6) & 1 << (chunk & 63) != 0 }

  /// Puts in a chunk; one that is older than what is remembered is left out.
  package mutating func insert(_ chunk: UInt64) { insert(1 << (chunk & 63), at: chunk >> 6) }

  /// Puts in all chunks of a word whose bits are set.
  package mutating func insert(_ bits: UInt64, at number: UInt64) {
    guard bits != 0, number >= bottom else { return }
    if number > top {
      for skipped in 0..<min(number - top, Self.wordLimit) {
        words[Int((number - skipped) % Self.wordLimit)] = 0
      }
      top = number
    }
    words[Int(number % Self.wordLimit)] |= bits
  }

  package mutating func insert(_ chunks: ClosedRange<UInt64>) {
    var number = max(chunks.lowerBound >> 6, bottom)
    let last = chunks.upperBound >> 6
    // A wide range fills at most what can be remembered.
    if last >= Self.wordLimit { number = max(number, last - Self.wordLimit + 1) }
    while number <= last {
      var bits = UInt64.max
      if number == chunks.lowerBound >> 6 { bits &= .max << (chunks.lowerBound & 63) }
      if number == last { bits &= .max >> (63 - chunks.upperBound & 63) }
      insert(bits, at: number)
      number += 1
    }
  }

  package mutating func remove(_ chunk: UInt64) {
    let number = chunk >> 6
    guard number <= top, number >= bottom else { return }
    words[Int(number % Self.wordLimit)] &= ~(1 << (chunk & 63))
  }

  /// The highest chunk; `nil` when there is none.
  package var last: UInt64? {
    var number = top
    while true {
      let bits = word(number)
      if bits != 0 { return number << 6 + UInt64(63 - bits.leadingZeroBitCount) }
      guard number > bottom else { return nil }
      number -= 1
    }
  }
}
