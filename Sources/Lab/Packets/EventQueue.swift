/// What is going to happen, in the order of time and, at one time, of scheduling.
package struct EventQueue<Event> {
  private struct Entry: Comparable {
    var time: Int64
    var sequence: UInt64
    var event: Event

    static func < (left: Entry, right: Entry) -> Bool {
      left.time != right.time ? left.time < right.time : left.sequence < right.sequence
    }

    static func == (left: Entry, right: Entry) -> Bool { left.sequence == right.sequence }
  }

  private var entries = Heap<Entry>()
  private var scheduled: UInt64 = 0

  package init() {}

  package var nextTime: Duration? { entries.first.map { .nanoseconds($0.time) } }

  package var next: Event? { entries.first?.event }

  package mutating func schedule(_ event: Event, at time: Duration) {
    scheduled += 1
    entries.insert(Entry(time: time.nanoseconds, sequence: scheduled, event: event))
  }

  package mutating func popFirst() -> (event: Event, time: Duration)? {
    entries.popFirst().map { ($0.event, .nanoseconds($0.time)) }
  }
}
