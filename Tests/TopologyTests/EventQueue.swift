/// What happens when, in the order in which it was said when it happens at once.
struct EventQueue {
  struct Event {
    let time: Duration
    let number: Int
    let body: () -> Void

    static func < (left: Event, right: Event) -> Bool {
      (left.time, left.number) < (right.time, right.number)
    }
  }

  private var heap: [Event] = []
  private var count = 0

  mutating func push(_ time: Duration, _ body: @escaping () -> Void) {
    heap.append(Event(time: time, number: count, body: body))
    count += 1
    var at = heap.count - 1
    while at > 0, heap[at] < heap[(at - 1) / 2] {
      heap.swapAt(at, (at - 1) / 2)
      at = (at - 1) / 2
    }
  }

  mutating func pop(until end: Duration) -> Event? {
    guard let first = heap.first, first.time <= end else { return nil }
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var at = 0
    while true {
      var least = at
      for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child] < heap[least] {
        least = child
      }
      guard least != at else { break }
      heap.swapAt(at, least)
      at = least
    }
    return first
  }
}
