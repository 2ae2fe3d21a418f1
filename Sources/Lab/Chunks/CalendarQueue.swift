/// What can be put in order by when it happens.
protocol TimedEvent: Comparable {
  /// Nanoseconds since the beginning.
  var time: Int64 { get }
  /// Gives the event its place among those of one time.
  mutating func number(_ number: UInt64)
}

/// What is going to happen, in the order of time and, at one time, of scheduling.
///
/// A calendar queue (Brown, 1988) with two wheels: the steps of the present era, and the eras to come. What belongs to
/// one of them lies side by side and is put in order when its time comes, so that neither many events nor those far
/// ahead are slow to reach.
struct CalendarQueue<Event: TimedEvent> {
  /// Steps of 1.05 ms, and 256 of them to an era.
  private static var stepShift: Int64 { 20 }
  private static var eraShift: Int64 { 28 }
  private static var stepCount: Int { 1 << Int(eraShift - stepShift) }
  /// A step is put in order by places of 1.02 µs first.
  private static var placeShift: Int64 { 10 }
  private static var placeCount: Int { 1 << Int(stepShift - placeShift) }
  /// Up to so many events are put in order one by one.
  private static var few: Int { 32 }

  private(set) var count = 0
  private(set) var scheduled: UInt64 = 0
  /// The events of each step of the present era behind the present one, and of each era behind the present one.
  private var steps = [[Event]](repeating: [], count: stepCount)
  private var eras: [[Event]] = []
  /// The step whose events are in ``present``, counted from the beginning of time.
  private var step: Int64 = 0
  /// The last comes first.
  private var present: [Event] = []
  /// Those that were scheduled when their step had come.
  private var late = Heap<Event>()
  private var unordered: [Event] = []
  private var ends = [Int](repeating: 0, count: placeCount)

  /// Schedules an event, not before the present time.
  mutating func schedule(_ event: Event) {
    count += 1
    scheduled += 1
    var event = event
    event.number(scheduled)
    let step = event.time >> Self.stepShift
    if step <= self.step {
      late.insert(event)
    } else if event.time >> Self.eraShift == self.step >> (Self.eraShift - Self.stepShift) {
      steps[Int(step) & (Self.stepCount - 1)].append(event)
    } else {
      let era = Int(event.time >> Self.eraShift)
      while eras.count <= era { eras.append([]) }
      eras[era].append(event)
    }
  }

  /// Takes the next event that is not later than `end`.
  mutating func next(until end: Int64) -> Event? {
    while present.isEmpty, late.first == nil {
      guard count > 0, (step + 1) << Self.stepShift <= end else { return nil }
      advance()
    }
    if let event = late.first, present.last.map({ event < $0 }) ?? true {
      guard event.time <= end else { return nil }
      count -= 1
      return late.popFirst()
    }
    guard let event = present.last, event.time <= end else { return nil }
    present.removeLast()
    count -= 1
    return event
  }

  /// The next event of the present step, if there is one.
  var first: Event? {
    guard let event = late.first else { return present.last }
    return present.last.map { min($0, event) } ?? event
  }

  /// The event that comes after so many others, of those that belonged to the present step when it came.
  func event(after others: Int) -> Event? {
    let place = present.count - 1 - others
    return place >= 0 ? present[place] : nil
  }

  private mutating func advance() {
    step += 1
    let index = Int(step) & (Self.stepCount - 1)
    if index == 0 { openEra(Int(step >> (Self.eraShift - Self.stepShift))) }
    swap(&present, &steps[index])
    if present.count > Self.few { sortByPlaces() }
    sort()
  }

  private mutating func openEra(_ era: Int) {
    guard era < eras.count else { return }
    for event in eras[era] {
      steps[Int(event.time >> Self.stepShift) & (Self.stepCount - 1)].append(event)
    }
    eras[era] = []
  }

  private static func place(_ event: Event) -> Int {
    placeCount - 1 - Int(event.time >> placeShift) & (placeCount - 1)
  }

  /// Brings nearly into order, in a time that grows as the number of events does.
  private mutating func sortByPlaces() {
    for place in ends.indices { ends[place] = 0 }
    for event in present { ends[Self.place(event)] += 1 }
    var end = 0
    for place in ends.indices {
      end += ends[place]
      ends[place] = end
    }
    swap(&present, &unordered)
    present.removeAll(keepingCapacity: true)
    present.append(contentsOf: unordered)
    for event in unordered {
      let place = Self.place(event)
      ends[place] -= 1
      present[ends[place]] = event
    }
    unordered.removeAll(keepingCapacity: true)
  }

  /// Brings those into order that nearly are.
  private mutating func sort() {
    var index = 1
    while index < present.count {
      let event = present[index]
      var place = index
      while place > 0, present[place - 1] < event {
        present[place] = present[place - 1]
        place -= 1
      }
      present[place] = event
      index += 1
    }
  }
}
