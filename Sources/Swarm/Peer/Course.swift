import PluginKit

/// A topology at work in one epoch of the swarm: what it is, what it wants, and what it is about to hear.
///
/// A peer has one, or none before it knows what the swarm runs. In a swap it has two for a while: the first carries the
/// chunks before the successor's ``SwarmDescriptor/validFrom``, the second those from it on. A course's place among them is
/// also that of its ``Roles`` in every channel.
struct Course {
  let descriptor: SwarmDescriptor
  /// The descriptor as the stream's key signed it.
  let signed: [UInt8]
  let wants: WantedEvents
  let stripes: UInt64
  var topology: any Topology
  var random: RandomSource
  var events = Ring<TopologyEvent>()
  var timers: [(number: UInt32, at: Duration)] = []
  var parents: [(stripe: Int, peer: PeerRef, depth: Int)] = []
  /// Whether it has ever declared a parent; if not, it pushes without.
  var declaresParents = false
  var toldWindow: WindowState?
  /// Whether it has said, in a swap, that it can take over.
  var isReady = false

  // What the topology is about to hear at once.
  var arrivals: [ChunkArrival] = []
  var duplicates: [ChunkArrival] = []
  var haves: [Advertisement] = []
  var gaps: [Gap] = []

  init(_ descriptor: SwarmDescriptor, signed: [UInt8], _ topology: any Topology, _ random: RandomSource) {
    self.descriptor = descriptor
    self.signed = signed
    self.topology = topology
    self.random = random
    wants = type(of: topology).manifest.wants
    stripes = UInt64(descriptor.stripes)
  }
}
