/// Chunks that wait to be written, within a bound.
///
/// When the bound is reached, whole runs from one entry to the next are dropped: the reader gets the rest of the
/// run that it is in, then the newest.
struct OutputQueue {
  private struct Item {
    var bytes: [UInt8]
    var isEntry: Bool
  }

  private let limit: Int
  private var items: [Item] = []
  private(set) var byteCount = 0
  /// The next chunk that is taken must be an entry.
  private var awaitsEntry = false
  private(set) var dropped: UInt64 = 0

  /// - Parameter limit: the most bytes that wait.
  init(limit: Int) {
    self.limit = limit
  }

  var isEmpty: Bool { items.isEmpty }

  mutating func push(_ bytes: [UInt8], isEntry: Bool) {
    if awaitsEntry && !isEntry {
      dropped += 1
      return
    }
    if byteCount + bytes.count > limit { makeRoom(isEntry: isEntry) }
    guard byteCount + bytes.count <= limit, !awaitsEntry || isEntry else {
      awaitsEntry = true
      dropped += 1
      return
    }
    awaitsEntry = false
    items.append(Item(bytes: bytes, isEntry: isEntry))
    byteCount += bytes.count
  }

  /// Takes whole chunks from the front, one at least and as many as fit into `size`.
  mutating func take(upTo size: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var count = 0
    for item in items {
      if count > 0 && bytes.count + item.bytes.count > size { break }
      bytes += item.bytes
      count += 1
    }
    items.removeFirst(count)
    byteCount -= bytes.count
    return bytes
  }

  /// Gives up what waits and counts it.
  mutating func abandon() {
    dropped += UInt64(items.count)
    items = []
    byteCount = 0
  }

  /// Drops the runs that are whole, but for the newest unless the next chunk begins a newer one.
  private mutating func makeRoom(isEntry: Bool) {
    guard let first = items.firstIndex(where: \.isEntry), let last = items.lastIndex(where: \.isEntry) else {
      return
    }
    let end = isEntry || first == last ? items.endIndex : last
    // The newest run cannot be kept whole: what follows of it is of no use either.
    if !isEntry && first == last { awaitsEntry = true }
    dropped += UInt64(end - first)
    for item in items[first..<end] { byteCount -= item.bytes.count }
    items.removeSubrange(first..<end)
  }
}
