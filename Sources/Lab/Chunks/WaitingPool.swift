/// A chunk that waits to be sent.
struct WaitingChunk {
  var chunk: UInt32
  /// Its place among the extras, 0 for none.
  var extra: UInt32
  /// Since when it waits.
  var since: Int64
}

/// A list of chunks that wait to be sent, in a ``WaitingPool``.
struct WaitingList {
  fileprivate var head = WaitingPool.none
  fileprivate var tail = WaitingPool.none

  var isEmpty: Bool { head == WaitingPool.none }
}

/// The chunks that wait anywhere in a world, in lists that share one storage.
struct WaitingPool {
  fileprivate static let none = UInt32.max

  private struct Node {
    var entry: WaitingChunk
    var next = WaitingPool.none
  }

  private var nodes: [Node] = []
  private var free = none

  mutating func append(_ entry: WaitingChunk, to list: inout WaitingList) {
    let place: UInt32
    if free != Self.none {
      place = free
      free = nodes[Int(place)].next
      nodes[Int(place)] = Node(entry: entry)
    } else {
      place = UInt32(nodes.count)
      nodes.append(Node(entry: entry))
    }
    if list.tail == Self.none { list.head = place } else { nodes[Int(list.tail)].next = place }
    list.tail = place
  }

  mutating func removeFirst(_ list: inout WaitingList) -> WaitingChunk? {
    let place = list.head
    guard place != Self.none else { return nil }
    let node = nodes[Int(place)]
    list.head = node.next
    if list.head == Self.none { list.tail = Self.none }
    nodes[Int(place)].next = free
    free = place
    return node.entry
  }

  func contains(_ chunk: UInt32, in list: WaitingList) -> Bool {
    var place = list.head
    while place != Self.none {
      if nodes[Int(place)].entry.chunk == chunk { return true }
      place = nodes[Int(place)].next
    }
    return false
  }
}
