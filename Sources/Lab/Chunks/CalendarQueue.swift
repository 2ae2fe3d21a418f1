/// Something that happens at a time, in thirty-two bytes without references.
struct ChunkEvent {
  enum Kind: UInt8 {
    // At one peer, `to`.
    /// A chunk, `first`, is here from `from`; `second` is its place among the extras, 0 for none.
    case chunk
    /// The same when the download has taken it in.
    case downloaded
    /// The upload has sent what it was sending.
    case uploadFree
    /// Whatever is no chunk is here from `from`; `first` is its place among the letters.
    case letter
    /// A timer of the topology, number `first`.
    case timer
    /// It is time to ask for what is missing.
    case repair
    /// A second has passed.
    case second
    /// Somebody, `from`, who was lost may have been silent for long enough.
    case silence
    /// Parents are looked at that are heard and bring nothing.
    case stall
    /// An ask of `from`, number `first`, has had no answer.
    case askTimeout
    /// A link to `from` may be of no use.
    case idle
    /// Others are told what is held.
    case announce
    /// Discovery answers.
    case discovered

    // In the world.
    case join, begin, leave, publish, reckon, change, finish
  }

  var time: Int64
  /// The order among events of one time, and the kind in the lowest byte.
  fileprivate(set) var order: UInt64 = 0
  var to: UInt32
  var from: UInt32
  var first: UInt32
  var second: UInt32

  init(_ kind: Kind, at time: Int64, to: Int, from: UInt32 = 0, first: UInt32 = 0, second: UInt32 = 0) {
    self.time = time
    order = UInt64(kind.rawValue)
    self.to = UInt32(to)
    self.from = from
    self.first = first
    self.second = second
  }

  var kind: Kind { Kind(rawValue: UInt8(truncatingIfNeeded: order)) ?? .finish }

  fileprivate func follows(_ other: ChunkEvent) -> Bool {
    time != other.time ? time > other.time : order > other.order
  }
}

/// What is going to happen, in the order of time and, at one time, of scheduling.
///
/// A calendar queue (Brown, 1988) with two wheels: the slots of the present era, each of ``slotWidth`` nanoseconds, and
/// the eras to come. Scheduling and taking cost the same however many events there are.
struct CalendarQueue {
  private static let slotShift: Int64 = 12
  private static let eraShift: Int64 = 28
  private static let slotCount = 1 << Int(eraShift - slotShift)
  /// The width of a slot in nanoseconds.
  static let slotWidth: Int64 = 1 << slotShift
  private static let none = UInt32.max

  private(set) var count = 0
  private var scheduled: UInt64 = 0
  /// All events but those of the present slot, in lists.
  private var nodes: [ChunkEvent] = []
  private var links: [UInt32] = []
  private var free = none
  /// The first event of each slot of the present era, and of each era.
  private var slots = [UInt32](repeating: none, count: slotCount)
  private var eras: [UInt32] = []
  /// The slot whose events are in ``present``, counted from the beginning of time.
  private var slot: Int64 = 0
  /// The last comes first.
  private var present: [ChunkEvent] = []

  /// Schedules an event, not before the present time.
  mutating func schedule(_ event: ChunkEvent) {
    count += 1
    scheduled += 1
    var event = event
    event.order = event.order & 0xFF | scheduled << 8
    let place = event.time >> Self.slotShift
    if place <= slot {
      insert(event)
    } else if event.time >> Self.eraShift == slot >> (Self.eraShift - Self.slotShift) {
      let index = Int(place) & (Self.slotCount - 1)
      slots[index] = store(event, before: slots[index])
    } else {
      let era = Int(event.time >> Self.eraShift)
      while eras.count <= era { eras.append(Self.none) }
      eras[era] = store(event, before: eras[era])
    }
  }

  /// Takes the next event that is not later than `end`.
  mutating func next(until end: Int64) -> ChunkEvent? {
    while present.isEmpty {
      guard count > 0, (slot + 1) << Self.slotShift <= end else { return nil }
      advance()
    }
    guard let event = present.last, event.time <= end else { return nil }
    present.removeLast()
    count -= 1
    return event
  }

  private mutating func advance() {
    slot += 1
    let index = Int(slot) & (Self.slotCount - 1)
    if index == 0 { openEra(Int(slot >> (Self.eraShift - Self.slotShift))) }
    var node = slots[index]
    guard node != Self.none else { return }
    slots[index] = Self.none
    while node != Self.none { node = take(node) }
    sort()
  }

  private mutating func openEra(_ era: Int) {
    guard era < eras.count else { return }
    var node = eras[era]
    eras[era] = Self.none
    while node != Self.none {
      let following = links[Int(node)]
      let index = Int(nodes[Int(node)].time >> Self.slotShift) & (Self.slotCount - 1)
      links[Int(node)] = slots[index]
      slots[index] = node
      node = following
    }
  }

  private mutating func store(_ event: ChunkEvent, before next: UInt32) -> UInt32 {
    guard free != Self.none else {
      nodes.append(event)
      links.append(next)
      return UInt32(nodes.count - 1)
    }
    let node = free
    free = links[Int(node)]
    nodes[Int(node)] = event
    links[Int(node)] = next
    return node
  }

  private mutating func take(_ node: UInt32) -> UInt32 {
    let following = links[Int(node)]
    present.append(nodes[Int(node)])
    links[Int(node)] = free
    free = node
    return following
  }

  /// Few events, which are nearly in order as the lists give them.
  private mutating func sort() {
    guard present.count <= 64 else {
      present.sort { $0.follows($1) }
      return
    }
    var index = 1
    while index < present.count {
      let event = present[index]
      var place = index
      while place > 0, event.follows(present[place - 1]) {
        present[place] = present[place - 1]
        place -= 1
      }
      present[place] = event
      index += 1
    }
  }

  private mutating func insert(_ event: ChunkEvent) {
    var place = present.count
    while place > 0, event.follows(present[place - 1]) { place -= 1 }
    present.insert(event, at: place)
  }
}
