/// A queue in one block of storage that grows to what it needed and keeps it.
struct Ring<Element> {
  private var storage: [Element?] = []
  private var head = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  var first: Element? { count == 0 ? nil : storage[head] }

  var last: Element? { count == 0 ? nil : storage[slot(count - 1)] }

  /// The element at `index` from the front, which must be below ``count``.
  subscript(index: Int) -> Element {
    get {
      guard index < count, let element = storage[slot(index)] else {
        preconditionFailure("outside the queue")
      }
      return element
    }
    set {
      precondition(index < count, "outside the queue")
      storage[slot(index)] = newValue
    }
  }

  mutating func append(_ element: Element) {
    if count == storage.count { grow() }
    storage[slot(count)] = element
    count += 1
  }

  @discardableResult
  mutating func removeFirst() -> Element? {
    guard count > 0 else { return nil }
    defer {
      storage[head] = nil
      head = (head + 1) & (storage.count - 1)
      count -= 1
    }
    return storage[head]
  }

  @discardableResult
  mutating func removeLast() -> Element? {
    guard count > 0 else { return nil }
    count -= 1
    defer { storage[slot(count)] = nil }
    return storage[slot(count)]
  }

  mutating func removeAll() {
    while removeFirst() != nil {}
  }

  /// Keeps the elements for which `keeps` holds, in their order.
  mutating func filter(_ keeps: (Element) -> Bool) {
    var kept = 0
    for index in 0..<count {
      let element = self[index]
      guard keeps(element) else { continue }
      storage[slot(kept)] = element
      kept += 1
    }
    for index in kept..<count { storage[slot(index)] = nil }
    count = kept
  }

  private func slot(_ index: Int) -> Int { (head + index) & (storage.count - 1) }

  private mutating func grow() {
    var larger = [Element?](repeating: nil, count: max(16, storage.count * 2))
    for index in 0..<count { larger[index] = storage[slot(index)] }
    storage = larger
    head = 0
  }
}
