package import PluginKit

/// What a peer keeps of a neighbour with whom it exchanges chunks.
package struct Partner: Sendable {
  package let peer: PeerRef
  package var upload: UInt64
  package var roundTrip: Duration
  /// What it has, as far as it said.
  package var has = ChunkSet()
  /// What it has, or is getting from somebody.
  package var taken = ChunkSet()
  /// What it has and can spare the upload for.
  package var offers = ChunkSet()
  /// What we have offered to it.
  package var offered = ChunkSet()
  /// The stripes that somebody pushes to it.
  package var fed: StripeSet = []
  /// When anything came from it.
  package var heard: Duration
  /// How many of our requests it has not answered, and how many it can carry at a time.
  package var outstanding = 0
  package var window = Partner.firstWindow
  /// The chunks that it brought within the time that is judged.
  package var brought = 0
  /// The words of ``offered`` that are to be told.
  var newOffers: ClosedRange<UInt64>?

  package static let firstWindow = 4.0
  package static let windowLimit = 64.0

  init(_ neighbour: Membership.Neighbour, now: Duration) {
    peer = neighbour.peer
    upload = neighbour.upload
    roundTrip = neighbour.roundTrip
    heard = now
  }

  var hasRoom: Bool { Double(outstanding) < window }

  mutating func offer(_ chunk: UInt64) {
    offered.insert(chunk)
    let word = chunk >> 6
    newOffers = newOffers.map { min($0.lowerBound, word)...max($0.upperBound, word) } ?? word...word
  }
}
