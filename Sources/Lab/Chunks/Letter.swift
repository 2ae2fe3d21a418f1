import PluginKit

/// Whatever peers of a chunk world tell each other besides chunks.
enum Letter {
  /// `opens`: whether the connection comes to be with it.
  case ask(Ask, opens: Bool)
  case answer(Answer)
  case message([UInt8])
  case goodbye(redirect: [Named])
  /// The other side is not to route these stripes here any more.
  case stop(StripeSet)
  case haves([ClosedRange<UInt32>])
  case request(ClosedRange<UInt32>, isTopologys: Bool)
  case cancel(ClosedRange<UInt32>)
  case none

  struct Ask {
    var number: UInt32
    var purpose: Purpose
    var stripes: StripeSet
    var from: UInt64?
    var note: [UInt8]
  }

  struct Answer {
    var number: UInt32
    var isAccepted: Bool
    var stripes: StripeSet
    var redirect: [Named] = []
    /// The first chunk that is promised; 0 for none.
    var from: UInt32 = 0
    var note: [UInt8] = []
  }

  /// A peer that somebody names to somebody else.
  struct Named {
    var peer: UInt32
    var isAttached: Bool
  }
}

/// What goes along with a chunk, of which few have something.
struct ChunkExtra {
  var note: UInt64 = 0
  var cause = ChunkCause.fresh
  /// Whether the delays of the chunk are taken apart.
  var isSampled = false
  var split = PathSplit()
}

/// Why a chunk is sent.
enum ChunkCause: UInt8 {
  /// It has just come, and goes on.
  case fresh
  /// The window is played to a newcomer, or a topology pushes what has been there for a while.
  case later
  case requested
  case repaired
}

/// The way of a chunk to one peer, taken apart; nanoseconds.
struct PathSplit {
  /// When the chunk was there; 0 when it was not.
  var arrived: Int64 = 0
  var serialisation: Int64 = 0
  var propagation: Int64 = 0
  var queue: Int64 = 0
  var request: Int64 = 0
  var repair: Int64 = 0
  var hops: Int64 = 0
}
