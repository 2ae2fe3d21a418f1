/// A part of the ring: all places between two, both included, clockwise.
///
/// A place is the upper half of a ``PeerID/ring``, so that both ends fit into the note beside a chunk. Two peers share a
/// place once in four thousand million pairs; both are served then by whoever of them has the chunk first.
struct Section: Hashable, Sendable {
  var first: UInt32
  var last: UInt32

  init(_ first: UInt32, _ last: UInt32) {
    self.first = first
    self.last = last
  }

  /// The whole ring, cut open before a place.
  init(ringFrom place: UInt32) { self.init(place, place &- 1) }

  /// What a note says; every note says something.
  init(note: UInt64) {
    self.init(UInt32(truncatingIfNeeded: note >> 32), UInt32(truncatingIfNeeded: note))
  }

  /// For the note beside a chunk.
  ///
  /// The one section that gives 0, a note that is not sent, has a single place.
  var note: UInt64 { UInt64(first) << 32 | UInt64(last) }

  /// Whether nobody but the peer at its place lives there.
  var isSingle: Bool { first == last }

  func contains(_ place: UInt32) -> Bool { place &- first <= last &- first }

  /// What is left of it, apart from the own place, as distances from there: ahead, and behind.
  ///
  /// A section in which the own place does not lie is all ahead.
  func parts(from place: UInt32) -> [ClosedRange<UInt32>] {
    guard contains(place) else { return [(first &- place)...(last &- place)] }
    var parts: [ClosedRange<UInt32>] = []
    if last != place { parts.append(1...(last &- place)) }
    if first != place { parts.append((first &- place)...UInt32.max) }
    return parts
  }
}
