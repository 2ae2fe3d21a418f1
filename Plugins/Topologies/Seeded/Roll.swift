import PluginKit

/// Who takes part, as the source says it; equal wherever the version is equal.
struct Roll: Hashable, Sendable {
  /// The most on it, the source included.
  static let limit = 401

  /// One who takes part.
  struct Entry: Hashable, Sendable {
    /// By what messages name it; given by the source, which has 0 itself, and never given again.
    var number: UInt32
    var contact: Contact
    /// What it gives to the swarm, in kilobits per second; 0 while it is to feed nobody.
    var upload: UInt32
    /// Whether others can open a connection to it.
    var isReachable: Bool
  }

  /// What changes from one version to the next.
  struct Delta: Hashable, Sendable {
    /// The version that it leads to.
    var version: UInt64
    var left: [UInt32] = []
    var uploads: [Upload] = []
    var joined: [Entry] = []

    /// The most changes of either kind in one of them: what fits into a message.
    static let leftLimit = 40
    static let uploadLimit = 30
    static let joinedLimit = 8
  }

  struct Upload: Hashable, Sendable {
    var number: UInt32
    var upload: UInt32
  }

  private(set) var version: UInt64
  /// Ascending by number.
  private(set) var entries: [Entry]

  init(version: UInt64 = 0, entries: [Entry] = []) {
    self.version = version
    self.entries = entries
  }

  func index(of number: UInt32) -> Int? {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].number < number { low = middle + 1 } else { high = middle }
    }
    return low < entries.count && entries[low].number == number ? low : nil
  }

  /// Takes in what leads on from this version; anything else is left, and false.
  mutating func apply(_ delta: Delta) -> Bool {
    guard delta.version == version + 1 else { return false }
    version = delta.version
    entries.removeAll { $0.number > 0 && delta.left.contains($0.number) }
    for change in delta.uploads {
      if let index = index(of: change.number) { entries[index].upload = change.upload }
    }
    for entry in delta.joined where entries.count < Self.limit && index(of: entry.number) == nil {
      entries.insert(entry, at: entries.firstIndex { $0.number > entry.number } ?? entries.endIndex)
    }
    return true
  }
}
