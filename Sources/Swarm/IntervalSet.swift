public import Wire

/// Chunk numbers as ascending ranges that neither overlap nor touch.
public struct IntervalSet: Hashable, Sendable {
  /// The most ranges that are kept unless another limit is given.
  public static let limit = 1024

  public private(set) var ranges: [ChunkRange] = []
  /// The most ranges that are kept; past it the lowest are forgotten.
  private let limit: Int

  public init(limit: Int = limit) { self.limit = limit }

  public var isEmpty: Bool { ranges.isEmpty }
  public var lowest: UInt64? { ranges.first?.lowerBound }
  public var highest: UInt64? { ranges.last?.upperBound }

  /// How many chunks there are, at most `UInt64.max`.
  public var count: UInt64 {
    ranges.reduce(0) { sum, range in
      let (size, overflow) = (range.upperBound - range.lowerBound).addingReportingOverflow(1)
      let (total, full) = sum.addingReportingOverflow(size)
      return overflow || full ? .max : total
    }
  }

  public func contains(_ chunk: UInt64) -> Bool { range(containing: chunk) != nil }

  /// Whether one of some chunks is here.
  public func overlaps(_ chunks: ChunkRange) -> Bool {
    lowest(from: chunks.lowerBound).map { $0 <= chunks.upperBound } ?? false
  }

  /// Whether all of some chunks are here.
  public func covers(_ chunks: ChunkRange) -> Bool {
    range(containing: chunks.lowerBound).map { $0.upperBound >= chunks.upperBound } ?? false
  }

  /// The biggest range of chunks that are all here and that contains `chunk`.
  public func range(containing chunk: UInt64) -> ChunkRange? {
    guard let range = ranges[..<upper(chunk)].last, range.upperBound >= chunk else { return nil }
    return range
  }

  /// The highest number below `chunk`.
  public func highest(below chunk: UInt64) -> UInt64? {
    guard chunk > 0, let range = ranges[..<upper(chunk - 1)].last else { return nil }
    return min(range.upperBound, chunk - 1)
  }

  /// The lowest number from `chunk` on.
  public func lowest(from chunk: UInt64) -> UInt64? {
    if contains(chunk) { return chunk }
    let index = upper(chunk)
    return index < ranges.count ? ranges[index].lowerBound : nil
  }

  public mutating func insert(_ range: ChunkRange) {
    // The common case: the next number after the highest.
    if let last = ranges.last, last.upperBound != .max, range.lowerBound == last.upperBound + 1 {
      ranges[ranges.count - 1] = last.lowerBound...range.upperBound
      return
    }
    var low = range.lowerBound
    var high = range.upperBound
    let before = low == 0 ? 0 : low - 1
    let after = high == .max ? .max : high + 1
    let start = ranges.partition(by: { $0.upperBound >= before })
    let end = ranges.partition(by: { $0.lowerBound > after })
    if start < end {
      low = min(low, ranges[start].lowerBound)
      high = max(high, ranges[end - 1].upperBound)
    }
    ranges.replaceSubrange(start..<max(start, end), with: CollectionOfOne(low...high))
    if ranges.count > limit { ranges.removeFirst(ranges.count - limit) }
  }

  public mutating func remove(below chunk: UInt64) {
    guard let first = ranges.first, first.lowerBound < chunk else { return }
    if first.upperBound >= chunk {
      ranges[0] = chunk...first.upperBound
      return
    }
    ranges.removeAll { $0.upperBound < chunk }
    if let first = ranges.first, first.lowerBound < chunk { ranges[0] = chunk...first.upperBound }
  }

  public mutating func remove(_ chunks: ChunkRange) {
    let start = ranges.partition(by: { $0.upperBound >= chunks.lowerBound })
    let end = ranges.partition(by: { $0.lowerBound > chunks.upperBound })
    guard start < end else { return }
    let first = ranges[start].lowerBound
    let last = ranges[end - 1].upperBound
    ranges.removeSubrange(start..<end)
    if last > chunks.upperBound { ranges.insert(chunks.upperBound + 1...last, at: start) }
    if first < chunks.lowerBound { ranges.insert(first...chunks.lowerBound - 1, at: start) }
    if ranges.count > limit { ranges.removeFirst(ranges.count - limit) }
  }

  public mutating func removeAll() { ranges.removeAll(keepingCapacity: true) }

  /// The index of the first range that begins after `chunk`.
  private func upper(_ chunk: UInt64) -> Int { ranges.partition(by: { $0.lowerBound > chunk }) }
}

extension [ChunkRange] {
  /// The first index from which on `isRight` holds, in a list that is ordered by it.
  fileprivate func partition(by isRight: (ChunkRange) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isRight(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
