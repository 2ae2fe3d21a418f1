internal import PluginKit

/// Which chunks were sent to whom, as far back as there is room.
struct Sightings {
  /// A chunk on its way to one receiver.
  struct Sighting: Hashable {
    /// The address, or where none is known the channel.
    var receiver: Address?
    var channel: UInt32
    var swarm: Int
    var chunk: UInt64
  }

  /// How many are remembered; the oldest is forgotten first.
  static let limit = 1 << 17

  private var known: Set<Sighting> = []
  private var order: [Sighting] = []
  private var oldest = 0

  /// Remembers a chunk; false when it was seen before.
  mutating func insert(_ sighting: Sighting) -> Bool {
    guard known.insert(sighting).inserted else { return false }
    if order.count < Self.limit {
      order.append(sighting)
    } else {
      known.remove(order[oldest])
      order[oldest] = sighting
      oldest = (oldest + 1) % Self.limit
    }
    return true
  }
}
