internal import Coding
package import PluginKit

/// How sure a peer is that chunks reach it.
package enum Standing: UInt8, Sendable {
  /// It looks for a parent.
  case searching = 0
  /// It is the source, or everybody above it has a parent.
  case attached = 1
  /// It has a parent, but somebody further above looks for one.
  case waiting = 2
}

/// What a parent tells a child about everything above and beside it.
package struct View: Hashable, Sendable {
  /// The most ids in ``path``.
  package static let pathLimit = 48
  /// The most contacts in ``siblings``.
  package static let siblingLimit = 4
  /// The most contacts in ``ancestors``.
  package static let ancestorLimit = 2
  /// The most contacts in ``refuges``.
  package static let refugeLimit = 2
  /// The deepest place that is believed; beyond it the tree must have a loop.
  package static let depthLimit = 20_000
  /// The rank of a child that is not among ``siblings``.
  package static let unranked: UInt8 = 255

  /// Rises from view to view, so that one that was overtaken can be told.
  package var sequence: UInt32 = 0
  package var standing: Standing
  /// The depth of the parent that says this.
  package var depth: Int
  /// Counted by the source: it stands still in a part of the tree that the source does not reach.
  package var pulse: UInt64
  /// The place of the child that reads this among its siblings: who goes first when this parent dies.
  package var rank: UInt8 = View.unranked
  /// The ``PeerID/ring`` of the parent's ancestors, its own parent first.
  package var path: [UInt64]
  /// Children of this parent that relay, in the order of their ranks.
  package var siblings: [Contact] = []
  /// The parent's parent and grandparent.
  package var ancestors: [Contact] = []
  /// Siblings of the parent that have children of their own: where to go when the parent dies.
  package var refuges: [Contact] = []
  package var root: Contact?
  /// What the source last counted; all zero where it has counted nothing yet.
  package var census = Census()

  package init(standing: Standing, depth: Int, pulse: UInt64, path: [UInt64]) {
    self.standing = standing
    self.depth = depth
    self.pulse = pulse
    self.path = path
  }
}

/// What the source counts from the reports that reach it.
package struct Census: Hashable, Sendable {
  /// How many peers there are below the source.
  package var peers: UInt32 = 0
  /// How many children all of them and the source can take.
  package var slots: UInt32 = 0
  /// How many children a peer must be able to take to be of the core; 0: whoever can take any, however new it is.
  package var bar: UInt8 = 0

  package init(peers: UInt32 = 0, slots: UInt32 = 0, bar: UInt8 = 0) {
    self.peers = peers
    self.slots = slots
    self.bar = bar
  }
}

/// A peer below which somebody can be placed.
package struct Offer: Hashable, Sendable {
  package enum Kind: UInt8, Sendable {
    /// It has a free slot.
    case free = 0
    /// It has a child that only watches, whose place a peer that relays may take.
    case occupied = 1
    /// It has a child that can take few children, whose place a peer that can take many may take.
    case weak = 2
  }

  package var kind: Kind
  /// How far below the peer that tells of it.
  package var depth: UInt16
  /// How long a chunk takes to a peer that is placed there, from when the one that tells of it has it; milliseconds.
  package var lag: UInt16
  package var slots: UInt16
  /// How many peers were sent there since it was told of; not sent on.
  package var assigned: UInt16 = 0
  /// How many of its slots nobody was sent to.
  var free: UInt16 { slots - min(assigned, slots) }
  /// How many children the one can take that would give way.
  package var weakest: UInt8
  package var contact: Contact

  package init(kind: Kind, depth: UInt16, lag: UInt16, slots: UInt16, weakest: UInt8 = 0, contact: Contact) {
    self.kind = kind
    self.depth = depth
    self.lag = lag
    self.slots = slots
    self.weakest = weakest
    self.contact = contact
  }
}

/// What a child tells its parent about everything below it.
package struct Report: Hashable, Sendable {
  /// The most offers in a report.
  package static let offerLimit = 5
  /// The number of ``classes``: peers that could take 1, 2, 3 to 4, 5 to 8 children, and so on.
  package static let classLimit = 8

  package var sequence: UInt32 = 0
  package var standing: Standing
  /// How many children it takes at most.
  package var slots: UInt8
  /// The sum of the slots of all, itself included.
  package var capacity: UInt32 = 0
  /// In a tree that elects: how many settled peers could take so many children, by class.
  package var classes: [UInt32] = []
  /// How many peers there are, itself included.
  package var size: UInt32
  /// How many steps it is down to its deepest descendant.
  package var height: UInt16
  /// How long a chunk takes from here to whoever below gets it last; milliseconds.
  package var reach: UInt16 = 0
  package var offers: [Offer]

  package init(
    sequence: UInt32 = 0,
    standing: Standing,
    slots: UInt8,
    size: UInt32,
    height: UInt16,
    offers: [Offer]
  ) {
    self.sequence = sequence
    self.standing = standing
    self.slots = slots
    self.size = size
    self.height = height
    self.offers = offers
  }
}

/// What peers of one tree tell each other.
///
/// Every field of a message may be a lie; reading one yields a value within the bounds named here, or nothing.
package enum Message: Hashable, Sendable {
  /// The most contacts in a ``move(to:)``.
  package static let targetLimit = 4

  case view(View)
  case report(Report)
  /// From a parent: answer with a report.
  case ping
  /// From a parent: ask one of these for chunks, and leave me when they flow.
  case move(to: [Contact])
  /// From a parent: I have room; send me the child below which your tree is tallest.
  case lift
  /// From a parent: whoever below you gets chunks last is to ask one of these for them.
  case settle(at: [Contact])

  /// Whether the bytes are a report, which only a child sends.
  package static func isReport(_ bytes: [UInt8]) -> Bool { bytes.first == 2 }

  package var encoded: [UInt8] {
    var writer = Writer()
    switch self {
    case .view(let view):
      writer.write(UInt8(1))
      writer.write(view)
    case .report(let report):
      writer.write(UInt8(2))
      writer.write(report.sequence)
      writer.write(report.standing.rawValue)
      writer.write(report.slots)
      writer.write(report.capacity)
      writer.write(report.classes, limit: Report.classLimit) { $0.write($1) }
      writer.write(report.size)
      writer.write(report.height)
      writer.write(report.reach)
      writer.write(report.offers, limit: Report.offerLimit) { writer, offer in
        writer.write(offer.kind.rawValue)
        writer.write(offer.depth)
        writer.write(offer.lag)
        writer.write(offer.slots)
        writer.write(offer.weakest)
        writer.write(offer.contact)
      }
    case .ping: writer.write(UInt8(3))
    case .move(let contacts):
      writer.write(UInt8(4))
      writer.write(contacts, limit: Self.targetLimit)
    case .lift: writer.write(UInt8(5))
    case .settle(let contacts):
      writer.write(UInt8(6))
      writer.write(contacts, limit: Self.targetLimit)
    }
    return writer.bytes
  }

  package init?(_ bytes: [UInt8]) {
    var reader = Reader(bytes)
    switch reader.read(UInt8.self) {
    case 1:
      guard let view = reader.view() else { return nil }
      self = .view(view)
    case 2:
      guard let sequence = reader.read(UInt32.self), let standing = reader.standing(),
        let slots = reader.read(UInt8.self), let capacity = reader.read(UInt32.self),
        let classes = reader.list(limit: Report.classLimit, { $0.read(UInt32.self) }),
        let size = reader.read(UInt32.self),
        let height = reader.read(UInt16.self),
        let reach = reader.read(UInt16.self),
        let offers = reader.list(limit: Report.offerLimit, { $0.offer() })
      else { return nil }
      var report = Report(
        sequence: sequence,
        standing: standing,
        slots: slots,
        size: size,
        height: height,
        offers: offers
      )
      report.capacity = capacity
      report.classes = classes
      report.reach = reach
      self = .report(report)
    case 3: self = .ping
    case 4:
      guard let contacts = reader.list(limit: Self.targetLimit, { $0.contact() }) else { return nil }
      self = .move(to: contacts)
    case 5: self = .lift
    case 6:
      guard let contacts = reader.list(limit: Self.targetLimit, { $0.contact() }) else { return nil }
      self = .settle(at: contacts)
    default: return nil
    }
    guard reader.isAtEnd else { return nil }
  }
}

/// What an asker says beside its ask for chunks.
package struct AskNote: Hashable, Sendable {
  /// The most ids in ``children``.
  package static let childLimit = 48
  /// The most ids in ``silent``.
  package static let silentLimit = 4

  /// How many children the asker can take.
  package var slots: UInt8
  /// The ``PeerID/ring`` of the parent that it lost, if it lost one.
  package var lost: UInt64?
  /// Its rank among the children of the lost parent.
  package var rank: UInt8 = View.unranked
  /// Whether the lost parent has fallen silent, rather than said goodbye.
  package var isSilent = false
  /// Those that it asked before and that did not answer.
  package var silent: [UInt64] = []
  /// Its children: who has one of them above must not take the asker.
  package var children: [UInt64] = []

  package init(
    slots: UInt8,
    lost: UInt64? = nil,
    rank: UInt8 = View.unranked,
    isSilent: Bool = false,
    silent: [UInt64] = [],
    children: [UInt64] = []
  ) {
    self.slots = slots
    self.lost = lost
    self.rank = rank
    self.isSilent = isSilent
    self.silent = silent
    self.children = children
  }

  package var encoded: [UInt8] {
    var writer = Writer()
    writer.write(UInt8(lost == nil ? 0 : isSilent ? 3 : 1))
    writer.write(slots)
    writer.write(lost ?? 0)
    writer.write(rank)
    writer.write(silent, limit: Self.silentLimit) { $0.write($1) }
    writer.write(children, limit: Self.childLimit) { $0.write($1) }
    return writer.bytes
  }

  package init?(_ bytes: [UInt8]) {
    var reader = Reader(bytes)
    guard let flags = reader.read(UInt8.self), let slots = reader.read(UInt8.self),
      let lost = reader.read(UInt64.self),
      let rank = reader.read(UInt8.self),
      let silent = reader.list(limit: Self.silentLimit, { $0.read(UInt64.self) }),
      let children = reader.list(limit: Self.childLimit, { $0.read(UInt64.self) }), reader.isAtEnd
    else { return nil }
    self.init(
      slots: slots,
      lost: flags & 1 == 0 ? nil : lost,
      rank: rank,
      isSilent: flags & 2 != 0,
      silent: silent,
      children: children
    )
  }
}

/// What a parent says beside its acceptance: a view that is short enough for a note.
package enum AcceptNote {
  /// The most ids of the path that are told here.
  static let pathLimit = 32

  static func encode(_ view: View) -> [UInt8] {
    var short = view
    short.path = Array(view.path.prefix(pathLimit))
    short.siblings = []
    short.ancestors = []
    short.refuges = []
    var writer = Writer()
    writer.write(short)
    return writer.bytes
  }

  static func decode(_ bytes: [UInt8]) -> View? {
    var reader = Reader(bytes)
    guard let view = reader.view(), reader.isAtEnd else { return nil }
    return view
  }
}
