/// Reads the fuzzer's bytes as a play: who hears what, and when.
public struct Script {
  public private(set) var bytes: UnsafeBufferPointer<UInt8>.SubSequence

  public init(_ start: UnsafePointer<UInt8>?, _ count: Int) {
    bytes = UnsafeBufferPointer(start: start, count: count)[...]
  }

  public var isEmpty: Bool { bytes.isEmpty }

  public mutating func byte() -> UInt8 { bytes.popFirst() ?? 0 }

  public mutating func take(_ count: Int) -> [UInt8] {
    defer { bytes = bytes.dropFirst(count) }
    return Array(bytes.prefix(count))
  }
}
