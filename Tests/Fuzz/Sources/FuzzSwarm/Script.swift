/// Reads the fuzzer's bytes as a play: who hears what, and when.
struct Script {
  var bytes: UnsafeBufferPointer<UInt8>.SubSequence

  mutating func byte() -> UInt8 { bytes.popFirst() ?? 0 }

  mutating func take(_ count: Int) -> [UInt8] {
    defer { bytes = bytes.dropFirst(count) }
    return Array(bytes.prefix(count))
  }
}
