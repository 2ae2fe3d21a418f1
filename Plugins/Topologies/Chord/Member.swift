import PluginKit

/// A peer of the ring to which there is a connection.
struct Member: Hashable, Sendable {
  var peer: PeerRef
  var contact: Contact
  /// Bits per second that it says it can send.
  var upload: UInt64
  /// How much of that it wants to be drawn by, in sixteenths: see ``Burden``.
  var willingness: UInt8 = Burden.normal
  var isSource: Bool
  var roundTrip: Duration
  /// We asked for the connection; it did.
  var isOurs = false
  var isTheirs = false
  /// Whether it answers requests.
  var answers = false
  /// Whether it left chunks without an answer, and nothing has come since.
  var isSilent = false
  /// When it came to the swarm.
  var began: Duration

  var ring: UInt64 { contact.id.ring }
  var place: UInt32 { UInt32(truncatingIfNeeded: ring >> 32) }

  /// Whether chunks can be handed to it.
  var isLive: Bool { !isSource && !isSilent }
}

/// A peer of the ring as others tell of it.
struct Named: Hashable, Sendable {
  var contact: Contact
  /// Kilobits per second that it can send.
  var upload: UInt32

  var ring: UInt64 { contact.id.ring }

  init(_ contact: Contact, upload: UInt64) {
    self.contact = contact
    self.upload = UInt32(clamping: upload / 1000)
  }

  init(_ member: Member) { self.init(member.contact, upload: member.upload) }
}
