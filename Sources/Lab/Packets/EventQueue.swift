/// What is going to happen, in the order of time and, at one time, of scheduling.
package struct EventQueue<Event> {
  private struct Entry {
    var time: Int64
    var sequence: UInt64
    var event: Event

    func precedes(_ other: Entry) -> Bool {
      time != other.time ? time < other.time : sequence < other.sequence
    }
  }

  /// A binary heap: an entry precedes the two at twice its index plus one and two.
  private var heap: [Entry] = []
  private var scheduled: UInt64 = 0

  package init() {}

  package var nextTime: Duration? { heap.first.map { .nanoseconds($0.time) } }

  package var next: Event? { heap.first?.event }

  package mutating func schedule(_ event: Event, at time: Duration) {
    scheduled += 1
    let entry = Entry(time: time.nanoseconds, sequence: scheduled, event: event)
    heap.append(entry)
    var index = heap.count - 1
    while index > 0 {
      let parent = (index - 1) / 2
      guard entry.precedes(heap[parent]) else { break }
      heap[index] = heap[parent]
      index = parent
    }
    heap[index] = entry
  }

  package mutating func popFirst() -> (event: Event, time: Duration)? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    if !heap.isEmpty {
      var index = 0
      while true {
        var child = 2 * index + 1
        guard child < heap.count else { break }
        if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
        guard heap[child].precedes(last) else { break }
        heap[index] = heap[child]
        index = child
      }
      heap[index] = last
    }
    return (first.event, .nanoseconds(first.time))
  }
}
